#!/usr/bin/env bash
# What the device takes of flash, RAM, stack and time.
#   size.sh            prints the report
#   size.sh --check    and fails if flash has grown by more than 3 % over budget.txt
#   size.sh --write    and writes the figures to budget.txt and README.md
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
emulator >/dev/null
compiler
base=${CARGO_TARGET_DIR:-$PWD/target}
images=$base/images
chip=thumbv7em-none-eabihf
# Nothing of the surroundings may change what is compared.
unset RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_LTO
mkdir -p "$images"

# image NAME AS ARGS...: builds one and keeps it under another name.
image() {
  build $chip --bin "$1" "${@:3}"
  cp "$base/$chip/release/$1" "$images/$2"
}
CARGO_PROFILE_RELEASE_OPT_LEVEL=z image device device-z
image device device-both --features initiator
image selftest selftest --features initiator
image device device-s
./emulate.sh "$images/selftest" "$base/steps.txt"

check=${1:-}
if [ "$check" = --check ] && ! pinned; then
  echo "firmware: flash is not compared: another compiler than the one of budget.txt"
  check=
fi
exec node tools/size.mjs --images "$images" --steps "$base/steps.txt" ${check:+"$check"}
