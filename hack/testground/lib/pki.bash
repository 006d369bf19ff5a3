#!/usr/bin/env bash
# shellcheck disable=SC2154 # layout.bash has them
# Keys, certificates and kubeconfig files, new at every start. Sourced after layout.bash.

certificate() { # NAME COMMON-NAME ORGANIZATION [SAN]
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "/O=$3/CN=$2"
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 30 -out "$pki/$1.crt" \
    -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${4:+subjectAltName=$4}")
} 2>>"$logs/pki.log"

base64_of() { base64 -w 0 "$1"; }
write_kubeconfig() { # FILE NAME: self-contained, for the user of certificate NAME
  (
    umask 077
    cat >"$1" <<E
apiVersion: v1
kind: Config
clusters: [{name: testground, cluster: {server: "https://$api_address:6443", certificate-authority-data: $(base64_of "$pki/ca.crt")}}]
users: [{name: $2, user: {client-certificate-data: $(base64_of "$pki/$2.crt"), client-key-data: $(base64_of "$pki/$2.key")}}]
contexts: [{name: testground, context: {cluster: testground, user: $2}}]
current-context: testground
E
  )
}

make_pki() {
  local user
  mkdir -p "$pki"
  chmod 700 "$pki"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -days 30 -subj /CN=testground
    openssl genrsa -out "$pki/service-accounts.key" 2048
    openssl rsa -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub"
  } 2>>"$logs/pki.log"
  certificate apiserver kube-apiserver testground \
    "IP:127.0.0.1,IP:$api_address,IP:${service_range%.0/*}.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  certificate admin admin system:masters
  certificate provisioner provisioner system:masters
  certificate coredns coredns system:masters
  # Its service accounts would take seconds to be made at every start.
  certificate controller-manager system:kube-controller-manager system:masters
  for user in scheduler proxy; do certificate $user "system:kube-$user" testground; done
  for user in controller-manager scheduler proxy provisioner coredns; do write_kubeconfig "$pki/$user.kubeconfig" $user; done
  write_kubeconfig "$kubeconfig" admin
}

make_node_pki() { # N
  certificate "node-$1" "system:node:node-$1" system:nodes "IP:$(node_address "$1"),DNS:node-$1"
  write_kubeconfig "$pki/node-$1.kubeconfig" "node-$1"
}
