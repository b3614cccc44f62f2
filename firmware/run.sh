#!/usr/bin/env bash
# Everything: tools, images for every target, the selftest, sizes, matter.js before the device.
#   run.sh              from a fresh clone
#   run.sh --no-interop without matter.js
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
emulator
compiler

for target in "${firmware_targets[@]:1}"; do
  echo "-- link: $target"
  build "$target" --bin link
done
# The emulated processor executes code for Cortex-M0, too. There the curve is computed otherwise.
echo "-- selftest as for a Cortex-M0"
build thumbv6m-none-eabi --bin selftest --features initiator
base=${CARGO_TARGET_DIR:-target}
./emulate.sh "$base/thumbv6m-none-eabi/release/selftest" "$base/steps-thumb1.txt"
echo "-- selftest and sizes"
./size.sh --check
cat "$base/steps.txt"
echo "-- P-256 in assembler"
cat "$base/curve.txt" "$base/steps-cm4.txt"
if [ "${1:-}" != --no-interop ]; then
  echo "-- matter.js"
  ./interop.sh
fi
