#!/usr/bin/env bash
# matter.js against the emulated device: the rows of ../interop, with QEMU in place of the example.
#   interop.sh [REGEX]    rows whose name matches; by default all of a device, but for the one
#                         that sends more than a device's buffers hold
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh
emulator >/dev/null
compiler
base=${CARGO_TARGET_DIR:-$PWD/target}
rows=${1:-'^device: (?!.*larger limit)'}

build thumbv7em-none-eabihf --bin device
cargo build --release --manifest-path bridge/Cargo.toml --target-dir "$base/bridge"
export FIRMWARE_IMAGE=$base/thumbv7em-none-eabihf/release/device
export FIRMWARE_BRIDGE=$base/bridge/release/bridge
MATTER_EXAMPLES=$PWD/interop ../interop/run.sh --jobs 2 --only "$rows"
echo "Deepest stack since reset, of all rows:" \
  "$(sed -n 's/^STACK //p' ../interop/logs/*/responder.log | sort -n | tail -1) octets"
