#!/usr/bin/env bash
# What comes from Debian. Sourced after layout.bash.

# command or file:package
needed=(containerd:containerd runc:runc /usr/lib/cni/ptp:containernetworking-plugins iptables:iptables ip:iproute2
  conntrack:conntrack openssl:openssl busybox:busybox-static nsenter:util-linux mountpoint:util-linux sysctl:procps find:findutils)

packages_missing() { # prints them; false when none is
  local entry missing=()
  for entry in "${needed[@]}"; do
    [[ -x ${entry%%:*} ]] || have "${entry%%:*}" || missing+=("${entry#*:}")
  done
  ((${#missing[@]})) && echo "packages missing: ${missing[*]}"
}

install_packages() {
  local missing policy=/usr/sbin/policy-rc.d
  missing=$(packages_missing) || return 0
  missing=${missing#*: }
  have apt-get || die "these Debian packages, or what holds the same commands, are needed: $missing"
  [[ $EUID == 0 ]] || die "needed, and only root can install them: apt-get install $missing"
  say "installing from Debian: $missing"
  # The ground runs its own containerd: Debian's must not start because of it.
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # shellcheck disable=SC2086 # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing >&2 ||
    { apt-get update --quiet >&2 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing >&2; } ||
    die "apt-get could not install: $missing"
  [[ -z $(trap -p EXIT) ]] || rm -f $policy
  trap - EXIT
}
