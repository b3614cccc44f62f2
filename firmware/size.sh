#!/usr/bin/env bash
# What the device takes of flash, RAM, stack and time.
#   size.sh               prints the report
#   size.sh --features    what each feature takes as well: eight more images, some minutes
#   size.sh --check       and fails if a figure differs from budget.txt by more than it may, or a
#                         document from budget.txt
#   size.sh --write       and writes the figures, those of features included, to budget.txt and into
#                         the documents
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
mode=() features=
for option; do
  case $option in
    --features) features=1 ;;
    --check) mode=(--check) ;;
    --write) mode=(--write) features=1 ;;
    *) echo "size.sh: unknown option $option" >&2; exit 2 ;;
  esac
done
emulator >/dev/null
compiler
base=${CARGO_TARGET_DIR:-$PWD/target}
images=$base/images
chip=thumbv7em-none-eabihf
# Nothing of the surroundings may change what is compared.
unset RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_PROFILE_RELEASE_LTO DEFMT_LOG
mkdir -p "$images"

# image NAME AS ARGS...: builds one and keeps it under another name.
image() {
  build $chip --bin "$1" "${@:3}"
  cp "$base/$chip/release/$1" "$images/$2"
}
CARGO_PROFILE_RELEASE_OPT_LEVEL=z image device device-z
image selftest selftest-cm4 --features initiator,p256-cm4
image curve curve --features p256-cm4
image selftest selftest --features initiator
image device device-both --features initiator
if [ -n "$features" ]; then
  for feature in groups check-in signing-key persistent p256-cm4 keylog; do
    image device "device-$feature" --features "$feature"
  done
  for level in info trace; do
    # Cargo does not know that the records that are compiled depend on it.
    cargo clean --quiet --release --target $chip -p matter-session
    DEFMT_LOG=$level image device "device-defmt-$level" --features defmt
  done
fi
image device device-s
image places places
./emulate.sh "$images/selftest" "$base/steps.txt"
./emulate.sh "$images/selftest-cm4" "$base/steps-cm4.txt"
./emulate.sh "$images/curve" "$base/curve.txt"
./emulate.sh "$images/places" "$base/places.txt"

if ! pinned && [ "${#mode[@]}" != 0 ]; then
  echo "firmware: figures are not compared: another compiler than the one of budget.txt"
  mode=()
fi
exec node tools/size.mjs --images "$images" --steps "$base/steps.txt" \
  --fast "$base/steps-cm4.txt" --places "$base/places.txt" ${features:+--features} "${mode[@]}"
