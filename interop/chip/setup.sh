#!/usr/bin/env bash
# Makes a virtual environment of Python with one release of connectedhomeip: setup.sh DIR VERSION
# Its controller, which is the whole stack in C++, comes as wheels from PyPI: about 400 MB.
set -euo pipefail
directory=$1 version=$2
marker=$directory/.installed
[ -f "$marker" ] && [ "$(cat "$marker")" = "$version" ] && exit
rm -rf "$directory"
python3 -m venv "$directory"
"$directory/bin/pip" install -q --disable-pip-version-check \
  "home-assistant-chip-core==$version" "home-assistant-chip-clusters==$version" cryptography
echo "$version" >"$marker"
