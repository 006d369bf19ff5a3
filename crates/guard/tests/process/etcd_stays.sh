#!/bin/sh
# Stands in for an etcd that joins: on an empty disk it creates a log and stays; on a log it prints its PID and its arguments, and ends.
set -eu
for argument in "$@"; do
    case $argument in --data-dir=*) wal=${argument#--data-dir=}/member/wal ;; esac
done
if [ ! -d "$wal" ]; then
    mkdir -p "$wal"
    : > "$wal/0000000000000000-0000000000000000.wal"
    exec sleep 60
fi
exec "$(dirname "$0")/etcd_double.sh" "$@"
