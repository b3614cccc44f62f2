#!/usr/bin/env bash
# Runs an image with semihosting until it ends; fails as it does.
#   emulate.sh IMAGE OUTPUT
# Its output goes to a file: when the reader of a pipe goes away, the image writes for ever. An
# instruction takes one nanosecond.
set -euo pipefail
timeout 300 qemu-system-arm -M mps2-an386 -display none -monitor none -serial none \
  -icount shift=0 -semihosting-config enable=on,target=native -kernel "$1" </dev/null >"$2" 2>&1 ||
  { code=$?; cat "$2"; exit "$code"; }
