#!/usr/bin/env bash
# Runs a command in a network and a place for files of its own: namespace.sh COMMAND...
# Both end with the command. The network is a pair of interfaces, as connectedhomeip looks for its peers
# by multicast, which the loopback interface has not; fd77::1 is the address of everybody.
set -euo pipefail
if [ "${1:-}" != --inside ]; then exec unshare --net --mount -- "$0" --inside "$@"; fi
shift

ip link set lo up
ip link add v0 type veth peer name v1
# The other end is to stay silent: else the stack would ask for its peers there as well.
ip link set v1 addrgenmode none multicast off up
ip link set v0 multicast on up
ip -6 address add fd77::1/64 dev v0 nodad
for _ in {1..50}; do
  ! ip -6 address show dev v0 scope link | grep -qE '^ +inet6 .*tentative' &&
    ip -6 address show dev v0 scope link | grep -q inet6 && break
  sleep 0.1
done
# The wheels keep their counters there, wherever they run.
mount -t tmpfs -o size=4m none /data
exec "$@"
