#!/usr/bin/env bash
# Instructions for each message that is encoded or decoded, or sent or received through a manager,
# counted by valgrind.
#   run.sh            prints them
#   run.sh --check    and fails if one has grown by more than 5 % over budget.txt
#   run.sh --write    and writes them to budget.txt
# Exits with 3 if nothing can be compared here: no valgrind, another compiler, no AES instructions.
set -euo pipefail
cd "$(dirname "$0")"
mode=${1:-}

cannot() { echo "not counted: $*"; exit 3; }

command -v valgrind >/dev/null || cannot "no valgrind"
# The compiler of the firmware: another one makes other instructions.
channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' ../../firmware/rust-toolchain.toml)
rustup run "$channel" rustc --version 2>/dev/null ||
  timeout 600 rustup toolchain install "$channel" --profile minimal --no-self-update ||
  cannot "rustup could not fetch $channel"
# Nothing of the surroundings may change what is compared.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
rustup run "$channel" cargo build --profile counted --locked
program=$CARGO_TARGET_DIR/counted/matter-session-instructions

# valgrind has a processor of its own, which knows AES instructions where the real one does.
[ "$(valgrind --quiet --tool=none "$program" path)" = aes ] ||
  cannot "no AES instructions under valgrind"

# counted ARGS...: all instructions of one run. The program fails if a message allocates.
counted() {
  local log
  log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$@" 2>&1) ||
    { echo "$log" >&2; return 1; }
  sed -n 's/.*Collected : //p' <<<"$log"
}

figures=$(
  echo "# Instructions a message on x86_64 with AES instructions; written by run.sh --write."
  for what in encode decode; do
    for octets in 64 1024; do
      few=$(counted $what $octets 200)
      many=$(counted $what $octets 700)
      echo "$what $octets $(((many - few) / 500))"
    done
  done
  # A manager with 250 sessions. Tables grow meanwhile, so few and many have the same ones.
  for what in send receive; do
    few=$(counted $what 64 600)
    many=$(counted $what 64 900)
    echo "$what 64 $(((many - few) / 300))"
  done
)
echo "$figures"
echo "0 allocations by encode and decode"
case $mode in
  --write) echo "$figures" >budget.txt ;;
  --check)
    # Numbers only, by what and octets; a figure without a budget fails, too.
    awk '
      /^#/ { next }
      NR == FNR { budget[$1, $2] = $3; next }
      !(($1, $2) in budget) || $3 * 100 > budget[$1, $2] * 105 {
        printf "%s %s: %d instructions, budget %d\n", $1, $2, $3, budget[$1, $2]
        grown = 1
      }
      END { exit grown }' budget.txt - <<<"$figures" ||
      { echo "FAILED: more than 5 % over budget.txt"; exit 1; } ;;
esac
