#!/usr/bin/env bash
# Whether a jump or an address in the cryptography depends on a secret. Memcheck tells, with the
# secrets marked as undefined. What may depend on one is in allowed.txt, each with its reason.
# Exits with 3 if there is no valgrind, or not the compiler.
set -euo pipefail
cd "$(dirname "$0")"
cannot() { echo "not checked: $*"; exit 3; }
command -v valgrind >/dev/null || cannot "no valgrind"
# The compiler of the firmware: another one might make other jumps.
channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' ../../firmware/rust-toolchain.toml)
rustup run "$channel" rustc --version 2>/dev/null ||
  timeout 600 rustup toolchain install "$channel" --profile minimal --no-self-update ||
  cannot "rustup could not fetch $channel"
base=${CARGO_TARGET_DIR:-$PWD/target}
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# Names and lines, for the reports and for the list of allowed jumps.
export CARGO_PROFILE_RELEASE_DEBUG=line-tables-only

# program SUBFOLDER RUSTFLAGS: builds it, with another AES. valgrind has the instructions of graviola,
# but denies one of them. Graviola does not ask for that one if a variable is set while it is compiled:
# so the first program computes P-256 with graviola, and the second one with p256.
program() {
  [ "$1" = soft ] || local -x VALGRIND_BUG_494162=1
  RUSTFLAGS=$2 CARGO_TARGET_DIR=$base/$1 rustup run "$channel" \
    cargo build --release --locked -p constant-time
  binary=$base/$1/release/constant-time
}

programs=()
for aes in "instructions:" 'soft:--cfg aes_backend="soft"'; do
  program "${aes%%:*}" "${aes#*:}"
  programs+=("$binary")
done
node check.mjs "${programs[@]}"
