#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# One ground per machine: who has it, the traces of one that crashed, its end. Sourced after layout.bash, process.bash and
# network.bash.

lock_ground() { # the lock is the folder itself, so that nothing is left behind; held by descriptor 9 until we end
  while :; do
    mkdir -p "$run"
    exec 9<"$run"
    flock --nonblock 9 || return 1
    [[ ! $run -ef /dev/fd/9 ]] || return 0 # else it was removed while we came
  done
}
owner() { cat "$run/owner" 2>/dev/null || echo "$out"; }

claim_ground() { # for `up`: leaves nothing of a former ground, or refuses
  lock_ground || die "another up or down is at work in $(owner); wait for it"
  if [[ -e $run/ready ]] && alive control; then die "a ground is up already, started from $(owner); end it with: make testground-down"; fi
  if [[ -e $run/owner || -d $groups ]]; then
    say "cleaning up after a ground that did not end well"
    remove_ground || die "something is left, see above"
  fi
  local taken
  taken=$(taken_ranges)
  [[ -z $taken ]] || { rmdir "$run"; die "these routes of the machine are in the ranges of the ground ($switch_range $pod_range $service_range):"$'\n'"$taken"; }
  echo "$out" >"$run/owner"
  locate
  make_machine_folders
}

take_ground() { # for `down`: waits for an up or down at work
  until lock_ground; do
    say "waiting for another up or down"
    flock --timeout 120 9 || die "another up or down does not end"
  done
  locate
}

remove_ground() { # under the lock: all but the folder that is the lock; false when something is left
  local n left=0
  must() { "$@" || { say "$* did not work"; left=1; }; } # and go on with the rest
  locate
  for n in "${nodes[@]}"; do must power_off "node-$n"; done
  must power_off ""
  must drop_network
  must drop_groups
  must drop_machine_folders
  must rm -rf "${disks:?}" "$kubeconfig" "$kubeconfig-2"
  ((left == 0)) || return 1
  find "$run" -mindepth 1 -delete
}

make_machine_folders() { # notes what it makes, for `down` to remove
  local folder missing
  for folder in "${machine_folders[@]}"; do
    while [[ ! -d $folder ]]; do
      missing=$folder
      while [[ ! -d ${missing%/*} ]]; do missing=${missing%/*}; done
      mkdir "$missing"
      echo "$missing" >>"$run/made-folders"
    done
  done
  mountpoint --quiet /run/netns || touch "$run/netns-not-mounted" # `ip netns add` mounts it
}
drop_machine_folders() {
  [[ ! -e $run/netns-not-mounted || -n $(ls /run/netns) ]] || umount /run/netns
  local folder
  [[ -e $run/made-folders ]] || return 0
  tac "$run/made-folders" | while read -r folder; do [[ ! -d $folder ]] || rmdir --ignore-fail-on-non-empty "$folder"; done
}
