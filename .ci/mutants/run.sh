#!/usr/bin/env bash
# Finds changes of the library that no test notices. See README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$project/target}/mutants
if [ ! -x "$folder/venv/bin/python" ]; then
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet tree-sitter==0.26.* tree-sitter-rust==0.24.*
fi
run() { "$folder/venv/bin/python" "$project/.ci/mutants/run.py" "$project" "$folder" "$@"; }
if [ $# != 0 ]; then
  run "$@"
else
  for step in prepare build cover test again report; do run "$step"; done
fi
