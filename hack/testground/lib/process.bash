#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# Processes of the ground, by the cgroup they are in: testground/control/NAME, testground/node-N/... (containers included,
# for every kubelet's cgroup root is its node's group). Sourced after layout.bash.

if [[ -d /sys/fs/cgroup/freezer ]]; then
  cgroup_version=1 groups=/sys/fs/cgroup/freezer/testground
  hierarchies=(/sys/fs/cgroup/*/)
else
  cgroup_version=2 groups=/sys/fs/cgroup/testground
  hierarchies=(/sys/fs/cgroup/)
fi

pids() { # GROUP: all PIDs in it and below
  [[ -d $groups/$1 ]] || return 0
  find "$groups/$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}
alive() { [[ -n $(pids "$1") ]]; }
empty() { ! alive "$1"; }

find_group() { # NAME: the group whose last part is NAME, a container's ID; nothing when there is none
  find "$groups" -type d -name "$1" -printf '%P\n' -quit
}

spawn() { # GROUP NETNS LOG COMMAND...: in the background, in that cgroup and network namespace, free of our terminal and locks
  local group=$groups/$1 netns=$2 log=$3
  shift 3
  mkdir -p "$group"
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec setsid nsenter --net="/run/netns/$netns" "$@" 9<&-
  ) >>"$log" 2>&1 </dev/null &
  disown # its end is no news to this shell
}

freeze() { # GROUP: nothing in it runs any more, no signal reaches it
  if ((cgroup_version == 1)); then
    echo FROZEN >"$groups/$1/freezer.state"
    until_ok 10 "freezing $1" grep -qx FROZEN "$groups/$1/freezer.state"
  else
    echo 1 >"$groups/$1/cgroup.freeze"
    until_ok 10 "freezing $1" grep -qx "frozen 1" "$groups/$1/cgroup.events"
  fi
}
thaw() { # GROUP
  if ((cgroup_version == 1)); then echo THAWED >"$groups/$1/freezer.state"; else echo 0 >"$groups/$1/cgroup.freeze"; fi
}
frozen() { # GROUP
  if ((cgroup_version == 1)); then grep -qx FROZEN "$groups/$1/freezer.state"; else grep -qx 1 "$groups/$1/cgroup.freeze"; fi 2>/dev/null
}

power_off() { # GROUP: SIGKILL to all of it at one instant, frozen or not; returns when all are gone
  local state
  alive "$1" || return 0
  if ((cgroup_version == 1)); then
    freeze "$1" || true # frozen first: nothing can start a process that is missed
    pids "$1" | xargs -r kill -KILL 2>/dev/null || true
    find "$groups/$1" -name freezer.state | while read -r state; do echo THAWED >"$state"; done # a frozen one cannot die
  else
    echo 1 >"$groups/$1/cgroup.kill"
  fi
  until_ok 20 "the end of $1" empty "$1"
}
end() { # GROUP: SIGTERM, and SIGKILL to what is left after 5 s
  pids "$1" | xargs -r kill -TERM 2>/dev/null || true
  until_ok 5 "a clean end of $1" empty "$1" 2>/dev/null || power_off "$1"
}

make_groups() { # NODE: the kubelet wants its cgroup root in every hierarchy
  local hierarchy file
  for hierarchy in "${hierarchies[@]}"; do
    mkdir -p "$hierarchy/testground/node-$1" 2>/dev/null || true
    for file in cpuset.cpus cpuset.mems; do
      [[ $cgroup_version == 1 && -e $hierarchy/$file ]] || continue
      cat "$hierarchy/$file" >"$hierarchy/testground/$file"
      cat "$hierarchy/$file" >"$hierarchy/testground/node-$1/$file"
    done
  done
  ((cgroup_version == 1)) || for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/testground "/sys/fs/cgroup/testground/node-$1"; do
    sed 's/[^ ][^ ]*/+&/g' "$hierarchy/cgroup.controllers" >"$hierarchy/cgroup.subtree_control"
  done
}
drop_groups() { # [BELOW]: the empty groups of the ground, or of one node
  local hierarchy
  for hierarchy in "${hierarchies[@]}"; do
    [[ ! -d $hierarchy/testground${1:+/$1} ]] ||
      find "$hierarchy/testground${1:+/$1}" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
