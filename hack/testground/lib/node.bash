#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# A node: its life and its images. Sourced after layout.bash, process.bash and network.bash.

containerd_socket() { echo "$run/node-$1/containerd.sock"; }
node_runs() { alive "node-$1"; }

boot_node() { # N: returns at once; the node's processes are those of lib/machine
  local n=$1 disk=$disks/node-$1 database
  mkdir -p "$run/node-$n" "$disk/volumes" "$disks/shared/volumes"
  if [[ ! -d $disk/containerd ]]; then
    cp -al "$seed" "$disk/containerd"
    find "$seed" -name '*.db' -printf '%P\n' | while read -r database; do
      cp --remove-destination "$seed/$database" "$disk/containerd/$database" # these are written to
    done
  fi
  make_groups "$n"
  make_node_network "$n"
  spawn "node-$n/system" "$(node_netns "$n")" "$logs/node-$n.log" \
    unshare --mount --propagation slave "$ground/lib/machine" "$n"
}

kill_node() { # N: as when its power is cut; only the disk stays
  cable "$1" down # or the end of its connections would reach the others
  power_off "node-$1"
  drop_node_network "$1"
  rm -rf "$run/node-$1"
  drop_groups "node-$1"
}

containerd_answers() { ctr --address "$(containerd_socket "$1")" --connect-timeout 1s version; }
import_images() { # N TAR...
  local n=$1 tar
  shift
  until_ok 20 "containerd of node-$n" containerd_answers "$n"
  for tar; do ctr --address "$(containerd_socket "$n")" --namespace k8s.io images import --snapshotter "$snapshotter" "$tar" >>"$logs/images.log"; done
}
