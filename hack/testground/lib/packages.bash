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
  local missing
  missing=$(packages_missing) || return 0
  missing=${missing#*: }
  have apt-get || die "these Debian packages, or what holds the same commands, are needed: $missing"
  [[ $EUID == 0 ]] || die "needed, and only root can install them: apt-get install $missing"
  say "installing from Debian: $missing"
  # The ground runs its own containerd: Debian's must not start because it was installed.
  if [[ -e /usr/sbin/policy-rc.d ]]; then
    apt_install "$missing"
  else
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    apt_install "$missing" && rm /usr/sbin/policy-rc.d || { rm /usr/sbin/policy-rc.d; return 1; }
  fi
}
apt_install() { # NAMES, separated by blanks
  local names
  read -ra names <<<"$1"
  local install=(apt-get install --yes --quiet --no-install-recommends "${names[@]}")
  { DEBIAN_FRONTEND=noninteractive "${install[@]}" || { apt-get update --quiet && DEBIAN_FRONTEND=noninteractive "${install[@]}"; }; } >&2 ||
    { say "apt-get could not install: $1"; return 1; }
}
