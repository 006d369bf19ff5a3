#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# The network: a switch in the control plane's namespace, one cable to every node and one to this machine.
# Sourced after layout.bash.

taken_ranges() { # prints routes of this machine that lie inside the ranges of the ground
  local range
  for range in $switch_range $pod_range $service_range; do ip -4 route show table all root "$range" type unicast; done
}

make_network() {
  local n address
  ip netns add $control_netns
  ip -n $control_netns link set lo up
  # Addresses of hardware are ours to keep: a bridge takes that of a port, and with a dead node it would change for all.
  ip -n $control_netns link add tg0 address 02:00:0a:61:00:01 type bridge
  for address in $api_address $dns_address; do ip -n $control_netns addr add $address/24 dev tg0; done
  ip -n $control_netns link set tg0 up
  ip link add tg-host type veth peer name host netns $control_netns
  ip addr add $host_address/24 dev tg-host
  ip link set tg-host up
  ip -n $control_netns link set host master tg0 up
  for n in "${nodes[@]}"; do
    ip route add "$(node_pods "$n")" via "$(node_address "$n")" dev tg-host
    ip -n $control_netns route add "$(node_pods "$n")" via "$(node_address "$n")" dev tg0
  done
  # Services from this machine and for webhooks, by way of the first node's kube-proxy
  ip route add $service_range via "$(node_address 0)" dev tg-host
  ip -n $control_netns route add $service_range via "$(node_address 0)" dev tg0
}

make_node_network() { # N: for a node that boots; its namespace goes when it dies
  local n=$1 netns other
  netns=$(node_netns "$n")
  ip netns add "$netns"
  ip -n "$netns" link set lo up
  ip link add eth0 address "02:00:0a:61:00:2$n" netns "$netns" type veth peer name "node-$n" netns $control_netns
  ip -n "$netns" addr add "$(node_address "$n")/24" dev eth0
  ip -n "$netns" link set eth0 up
  ip -n $control_netns link set "node-$n" master tg0 up
  ip -n "$netns" route add default via $api_address
  for other in "${nodes[@]}"; do
    [[ $other == "$n" ]] || ip -n "$netns" route add "$(node_pods "$other")" via "$(node_address "$other")" dev eth0
  done
  nsenter --net="/run/netns/$netns" sysctl -qw net.ipv4.ip_forward=1
}

drop_network() {
  local n
  for n in "${nodes[@]}"; do drop_node_network "$n"; done
  ip link del tg-host 2>/dev/null || true
  [[ ! -e /run/netns/$control_netns ]] || ip netns del $control_netns
}
drop_node_network() { # N
  # By itself: connections that nobody closes any more hold the namespace for a minute or two, and its cable with it.
  ip -n $control_netns link del "node-$1" 2>/dev/null || true
  [[ ! -e /run/netns/$(node_netns "$1") ]] || ip netns del "$(node_netns "$1")"
}

cable() { # N up|down
  ip -n $control_netns link set "node-$1" "$2"
}
is_cut() { # N
  [[ $(ip -n $control_netns -brief link show "node-$1" 2>/dev/null) == *" DOWN "* ]]
}
