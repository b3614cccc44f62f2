#!/usr/bin/env bash
# The device with the newest dependencies, as a new project gets them, beside the device with those
# of Cargo.lock: flash, and the instructions of a whole CASE handshake. Fails if either differs by
# more than 3 %.
#   newest.sh          builds nothing if both have the same dependencies
#   newest.sh --force  builds all the same
# The device of Cargo.lock is that of size.sh, which must have run before. Exits with 3 if nothing
# can be compared here: no registry, or another compiler than the one of rust-toolchain.toml.
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
compiler
cannot() { echo "not compared: $*"; exit 3; }
pinned || cannot "another compiler"
base=${CARGO_TARGET_DIR:-$PWD/target}
images=$base/images chip=thumbv7em-none-eabihf
unset RUSTFLAGS
[ -f "$images/device-s" ] && [ -f "$base/steps.txt" ] || { echo "run size.sh first" >&2; exit 1; }

# The project without firmware/Cargo.lock: links, as its packages name each other by their paths.
copy=$base/newest/project
rm -rf "$copy"
mkdir -p "$copy/firmware"
for item in ../* ../.[!.]*; do
  case ${item#../} in firmware | target | .git) ;; *) ln -s "$PWD/$item" "$copy/" ;; esac
done
for item in * .[!.]*; do
  case $item in Cargo.lock | target) ;; *) ln -s "$PWD/$item" "$copy/firmware/" ;; esac
done

# What is in the image, one package a line, without the folders of path dependencies.
contents() {
  cargo tree --edges normal,no-proc-macro --target $chip --features initiator --prefix none \
    --format '{p}' | sed 's/ (.*//' | sort -u
}
locked=$(contents)
cd "$copy/firmware"
cargo generate-lockfile || cannot "the registry cannot be reached"
newest=$(contents)
if differing=$(diff <(echo "$locked") <(echo "$newest")); then
  echo "Cargo.lock has the newest dependencies of the image"
  [ "${1:-}" = --force ] || { node tools/newest.mjs "$images/device-s" "$base/steps.txt"; exit; }
else
  echo "$differing" | sed -n 's/^</lock:  /p; s/^>/newest:/p'
fi
export CARGO_TARGET_DIR=$base/newest/target
build $chip --bin selftest --features initiator
./emulate.sh "$CARGO_TARGET_DIR/$chip/release/selftest" "$base/newest/steps.txt"
build $chip --bin device
node tools/newest.mjs "$images/device-s" "$base/steps.txt" \
  "$CARGO_TARGET_DIR/$chip/release/device" "$base/newest/steps.txt"
