#!/usr/bin/env bash
# shellcheck disable=SC2034 # read by the scripts that source this
# Names, addresses and places of the test ground. Sourced.
#
#   10.97.0.0/24   one switch: .1 API server, .10 DNS, .20+N node N, .254 this machine
#   10.244.N.0/24  Pods of node N       10.96.0.0/16  Services
#
# The control plane and every node have a network namespace of their own, the nodes also their own mounts, and every
# process of the ground is in the cgroup `testground`. So no port, address, mount, sysctl or iptables rule of this
# machine is touched, and what is to be ended is asked of the kernel instead of PID files.
set -euo pipefail

ground=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repository=$(cd "$ground/../.." && pwd)
out=${TESTGROUND_OUT:-$repository/target/testground} # binaries and images
run=/run/testground                                  # sockets, keys, the owner; one ground per machine
nodes=(0 1 2)
components=(etcd apiserver controller-manager scheduler provisioner coredns) # what `up` starts

kubernetes_version=$(sed -n 's|^[^/]*k8s\.io/kubernetes v\([0-9.]*\).*|\1|p' "$ground/kubernetes/go.mod")
coredns_version=$(sed -n 's|^[^/]*github\.com/coredns/coredns v\([0-9.]*\).*|\1|p' "$ground/coredns/go.mod")
kubernetes_bin=$out/bin/kubernetes
coredns_bin=$out/bin/coredns
etcd_bin=${ETCD_OUT:-$repository/target/etcd}
images=$out/images
seed=$out/seed # of a new node's disk
pause_image=registry.k8s.io/pause:3.10
pki=$run/pki
locate() { # of the ground that is up, wherever it was started from, else of the one we would start
  local home=$out
  [[ ! -s $run/owner ]] || home=$(<"$run/owner")
  logs=$home/log
  disks=$home/disks # disks/node-N/, and disks/shared/ that every node sees, as a network disk
  kubeconfig=$home/kubeconfig
}
locate

# A node has its own of these folders, in memory; made on this machine only to be mounted on.
machine_folders=(/run/containerd /run/netns /var/lib/cni /var/log/containers)
if [[ $(stat -f -c %T "$repository" 2>/dev/null) == overlayfs ]]; then snapshotter=native; else snapshotter=overlayfs; fi # no overlay on overlay

api_address=10.97.0.1 dns_address=10.97.0.10 host_address=10.97.0.254
switch_range=10.97.0.0/24 pod_range=10.244.0.0/16 service_range=10.96.0.0/16
node_address() { echo "10.97.0.2$1"; }
node_pods() { echo "10.244.$1.0/24"; }
control_netns=testground
node_netns() { echo "testground-node-$1"; }

use() { # PART...: sources lib/PART.bash
  local part
  # shellcheck disable=SC1090 # each is checked by itself
  for part; do . "$ground/lib/$part.bash"; done
}
say() { printf 'testground: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }
now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }
export PATH=$kubernetes_bin:$PATH:/usr/sbin:/sbin
kubectl() { command kubectl --kubeconfig "$kubeconfig" --request-timeout "${REQUEST_TIMEOUT:-10s}" "$@"; }

need_root() { [[ $(uname -s) == Linux && $EUID == 0 ]] || die "the test ground needs Linux and root (namespaces, cgroups)"; }
need_up() { [[ -e $run/ready ]] || die "the ground is not up; start it with: make testground-up"; }

until_ok() { # SECONDS WHAT COMMAND...: asks every 50 ms; says WHAT was not there in time
  local end=$((EPOCHSECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((EPOCHSECONDS < end)) || { say "$what: not in time"; return 1; }
    sleep 0.05
  done
}

node_number() { # WORD: accepts 2 and node-2
  local n=${1#node-} known
  for known in "${nodes[@]}"; do [[ $n != "$known" ]] || { echo "$n"; return; }; done
  say "there is no node '$1'; the nodes are: ${nodes[*]}"
  return 2
}
