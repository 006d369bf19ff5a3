#!/bin/sh
# Stands in for etcd: creates a log where it is told to, and prints its PID and its arguments.
set -eu
echo "pid $$"
for argument in "$@"; do
    echo "argument $argument"
    case $argument in
        --data-dir=*)
            mkdir -p "${argument#--data-dir=}/member/wal"
            : > "${argument#--data-dir=}/member/wal/0000000000000000-0000000000000000.wal"
            ;;
    esac
done
