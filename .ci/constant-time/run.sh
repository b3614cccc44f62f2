#!/usr/bin/env bash
# Whether a jump or an address in the cryptography depends on a secret. Memcheck tells, with the
# secrets marked as undefined. What may depend on one is in allowed.supp, each with its reason.
#   run.sh            fails at any other
#   run.sh --print    prints the reports, with suppressions to choose from
# Exits with 3 if there is no valgrind, or not the compiler.
set -euo pipefail
cd "$(dirname "$0")"
cannot() { echo "not checked: $*"; exit 3; }
command -v valgrind >/dev/null || cannot "no valgrind"
# The compiler of the firmware: another one inlines otherwise, and allowed.supp names functions.
channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' ../../firmware/rust-toolchain.toml)
rustup run "$channel" rustc --version 2>/dev/null ||
  timeout 600 rustup toolchain install "$channel" --profile minimal --no-self-update ||
  cannot "rustup could not fetch $channel"
base=${CARGO_TARGET_DIR:-$PWD/target}
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_PROFILE_RELEASE_DEBUG
memcheck=(valgrind --quiet --error-exitcode=9 --num-callers=30 --suppressions=allowed.supp)
[ "${1:-}" != --print ] || memcheck+=(--gen-suppressions=all)

# program SUBFOLDER RUSTFLAGS: builds it, with another AES.
program() {
  RUSTFLAGS=$2 CARGO_TARGET_DIR=$base/$1 rustup run "$channel" cargo build --release --locked
  binary=$base/$1/release/constant-time
}

failed=
for aes in "instructions:" "soft:--cfg aes_backend=\"soft\""; do
  echo "-- AES: ${aes%%:*}"
  program "${aes%%:*}" "${aes#*:}"
  "${memcheck[@]}" "$binary" || failed=1
  # It can fail: a function that leaks is found, at its jump and at its index.
  leak=$("${memcheck[@]}" "$binary" leak 2>/dev/null) && failed=1
  echo "$leak"
  [ "$leak" = "leak: 2 errors" ] || failed=1
done
[ -z "$failed" ]
