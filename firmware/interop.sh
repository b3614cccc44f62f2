#!/usr/bin/env bash
# matter.js against the emulated device: the rows of ../interop, with QEMU in place of the example.
#   interop.sh [REGEX]    rows whose name matches; default: those of ROWS below
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
target=${CARGO_TARGET_DIR:-$here/target}
rows=${1:-'^device: (pase|pase closed, then another|case|case icac|case read|case resumed|case loses initiator.s Sigma3|case echo of 1178)$'}

cargo build --release --target thumbv7em-none-eabihf --bin device
cargo build --release --manifest-path bridge/Cargo.toml
export FIRMWARE_IMAGE=$target/thumbv7em-none-eabihf/release/device
export FIRMWARE_BRIDGE=${CARGO_TARGET_DIR:-$here/bridge/target}/release/bridge
MATTER_EXAMPLES=$here/interop exec ../interop/run.sh --jobs 2 --only "$rows"
