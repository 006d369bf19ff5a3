#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# The control plane, one cgroup a component. Sourced after layout.bash and process.bash.

run_component() { spawn "control/$1" $control_netns "$logs/$1.log" "${@:2}"; }

run_apiserver() { # NAME ETCD-ADDRESS PORT OPTION...
  run_component "$1" kube-apiserver --etcd-servers "http://$2:2379" --advertise-address $api_address \
    --bind-address 0.0.0.0 --secure-port "$3" --service-cluster-ip-range $service_range --allow-privileged \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --kubelet-certificate-authority "$pki/ca.crt" --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
    --kubelet-preferred-address-types InternalIP --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$pki/service-accounts.pub" --service-account-signing-key-file "$pki/service-accounts.key" "${@:4}"
}

start_component() { # NAME: returns at once
  alive "control/$1" && return
  case $1 in
    etcd)
      mkdir -p "$run/etcd" # in memory: what it holds is of no use after `down`
      run_component etcd "$etcd_bin/3.6/etcd" --data-dir "$run/etcd" --unsafe-no-fsync --quota-backend-bytes 2147483648 \
        --listen-client-urls http://127.0.0.1:2379,http://127.0.0.2:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
      ;;
    apiserver) run_apiserver apiserver 127.0.0.1 6443 ;;
    apiserver-2)
      # It alone reaches etcd by 127.0.0.2, so it can be cut off from it; kubeconfig-2 leads to it.
      run_apiserver apiserver-2 127.0.0.2 6444 --endpoint-reconciler-type none
      sed "s|:6443|:6444|" "$kubeconfig" >"$kubeconfig-2"
      ;;
    controller-manager)
      run_component controller-manager kube-controller-manager --kubeconfig "$pki/controller-manager.kubeconfig" --leader-elect=false \
        --service-account-private-key-file "$pki/service-accounts.key" --root-ca-file "$pki/ca.crt" \
        --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
      ;;
    scheduler) run_component scheduler kube-scheduler --kubeconfig "$pki/scheduler.kubeconfig" --leader-elect=false ;;
    provisioner) run_component provisioner "$kubernetes_bin/provisioner" --kubeconfig "$pki/provisioner.kubeconfig" --disks "$disks" ;;
    coredns)
      # `cache 30` and the plugin's own ttl: what users have, and what makes a name asked for too early a missing one for seconds
      cat >"$run/Corefile" <<E
.:53 {
  bind $dns_address
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $pki/coredns.kubeconfig
    pods insecure
  }
  cache 30
  loadbalance
  ready 127.0.0.1:8181
}
E
      run_component coredns "$coredns_bin/coredns" -conf "$run/Corefile"
      ;;
    *) die "there is no component '$1'; there are: ${components[*]}" ;;
  esac
}

# What it answers from its cache grows old: reads at resourceVersion 0 are stale, watches are silent, all else hangs.
stale() { # -I|-D
  local side
  for side in -s -d; do in_control iptables -w "$1" OUTPUT "$side" 127.0.0.2 -j DROP; done
}

in_control() { nsenter --net=/run/netns/$control_netns "$@"; }
# The request goes through bash: no curl needed.
http_ok() { in_control bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET $2 HTTP/1.0\r\n\r\n" >&3 && head -n 1 <&3 | grep -q " 200 "' _ "$1" "$2"; }
component_ready() { # NAME
  case $1 in
    etcd) http_ok 2379 /health ;;
    apiserver) kubectl get --raw /readyz ;;
    apiserver-2) kubectl --server "https://$api_address:6444" get --raw /readyz ;;
    coredns) http_ok 8181 /ready ;;
    *) alive "control/$1" ;;
  esac
}
