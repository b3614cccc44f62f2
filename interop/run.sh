#!/usr/bin/env bash
# Our device and controller examples against matter.js. See README.md.
#   run.sh [--only REGEX] [--list] [--jobs N]
#   run.sh --btp            BTP over a pipe instead, by a test of the library
#   run.sh --self-test      checks the checks
# MATTER_EXAMPLES=DIR takes `device` and `controller` from DIR instead of building them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --self-test ]; then exec node --test "$here"/matrix/*.test.mjs; fi

root=$here/..
peers=$here/matterjs
installed=$peers/node_modules/.installed-lock.json
if ! cmp -s "$peers/package-lock.json" "$installed"; then
  npm ci --prefix "$peers" --no-audit --no-fund
  cp "$peers/package-lock.json" "$installed"
fi

if [ "${1:-}" = --btp ]; then
  # Without a test of that name cargo succeeds, too.
  MATTER_JS_PEER=$peers cargo test --manifest-path "$root/Cargo.toml" --test btp live:: |
    awk '{ print } /^test live::.* ok$/ { held = 1 } END { exit !held }'
  exit
fi

examples=${MATTER_EXAMPLES:-}
if [ -z "$examples" ] && [[ " $* " != *" --list "* ]]; then
  cargo build --manifest-path "$root/Cargo.toml" --release --example device --example controller
  examples=${CARGO_TARGET_DIR:-$root/target}/release/examples
fi

exec node "$here/matrix/main.mjs" --examples "$examples" "$@"
