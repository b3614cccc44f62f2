#!/usr/bin/env bash
# Our device and controller examples against connectedhomeip, releases 1.4.2 and 1.4.0 at the same time.
#   run.sh [--only REGEX] [--list] [--jobs N]
# MATTER_EXAMPLES=DIR takes `device` and `controller` from DIR instead of building them.
# Exit code: 0 if every row holds, 1 if one does not, 3 if nothing was run, with the reason.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
# Release, and the version of the wheels that hold it.
releases=(1.4.2:2025.7.0 1.4.0:2024.11.4)
libraries=(libglib-2.0.so.0:libglib2.0-0 libgio-2.0.so.0:libglib2.0-0 libnl-3.so.200:libnl-3-200
  libnl-route-3.so.200:libnl-route-3-200)

not_run() { printf 'not run: %s\n' "$*"; exit 3; }

if [[ " $* " == *" --list "* ]]; then exec node "$here/main.mjs" --list "$@"; fi

[ "$(uname -sm)" = "Linux x86_64" ] || not_run "the wheels are for Linux on x86_64"
[ "$(id -u)" = 0 ] || not_run "root is needed for a network namespace"
missing=()
command -v ip >/dev/null || missing+=(iproute2)
for library in "${libraries[@]}"; do
  ldconfig -p | grep -qF "${library%%:*}" || missing+=("${library##*:}")
done
if [ ${#missing[@]} != 0 ]; then
  timeout 600 apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    not_run "these packages cannot be installed: ${missing[*]}"
fi
# The wheels keep files there; namespace.sh puts a file system of its own in its place.
mkdir -p /data 2>/dev/null || not_run "there is no directory /data, and it cannot be made"
reason=$("$here/namespace.sh" true 2>&1) || not_run "no network namespace: ${reason//$'\n'/; }"
for release in "${releases[@]}"; do
  timeout 600 "$here/setup.sh" "$here/venv/${release%%:*}" "${release##*:}" ||
    not_run "the wheels of ${release##*:} cannot be installed"
done

examples=${MATTER_EXAMPLES:-}
if [ -z "$examples" ]; then
  cargo build --manifest-path "$root/Cargo.toml" --release --example device --example controller
  examples=${CARGO_TARGET_DIR:-$root/target}/release/examples
fi

logs=$here/logs
rm -rf "$logs"
mkdir -p "$logs"
running=()
for release in "${releases[@]%%:*}"; do
  "$here/namespace.sh" node "$here/main.mjs" --release "$release" \
    --python "$here/venv/$release/bin/python" --examples "$examples" --logs "$logs/$release" \
    "$@" >"$logs/$release.txt" 2>&1 &
  running+=($!)
done
code=0
for process in "${running[@]}"; do wait "$process" || code=1; done
cat "$logs"/*.txt
exit "$code"
