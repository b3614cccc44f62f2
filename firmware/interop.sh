#!/usr/bin/env bash
# matter.js against the emulated device: the rows of ../interop, with QEMU in place of the example.
#   interop.sh [REGEX]    rows whose name matches; by default all of a device, but for those of
#                         groups and those over TCP
#   interop.sh --reset    resets the board before it resumes a session. By hand, as QEMU's UART
#                         does not always take anything in after a reset: then the row fails
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
emulator >/dev/null
compiler
base=${CARGO_TARGET_DIR:-$PWD/target}
rows=${1:-'^device: (?!group |tcp: )'}

images=$base/images
mkdir -p "$images"
for features in persistent ""; do
  build thumbv7em-none-eabihf --bin device --features "$features"
  cp "$base/thumbv7em-none-eabihf/release/device" "$images/device${features:+-$features}"
done
cargo build --release --manifest-path bridge/Cargo.toml --target-dir "$base/bridge"
export FIRMWARE_BRIDGE=$base/bridge/release/bridge
export MATTER_EXAMPLES=$PWD/interop

if [ "$rows" = --reset ]; then
  # Fabric and record survive a reset: the second handshake resumes the first one's session.
  FIRMWARE_IMAGE=$images/device-persistent FIRMWARE_OPTIONS="--reset-before 2" \
    ../interop/run.sh --only '^device: case resumed$'
  grep -h '^RESET' ../interop/logs/device-case-resumed/responder.log
  exit
fi

FIRMWARE_IMAGE=$images/device ../interop/run.sh --jobs 2 --only "$rows"
echo "Deepest stack since reset, of all rows:" \
  "$(sed -n 's/^STACK //p' ../interop/logs/*/responder.log | sort -n | tail -1) octets"
