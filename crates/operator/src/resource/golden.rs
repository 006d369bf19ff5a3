//! Every object as it is applied. A difference is looked at, not accepted: whatever changes in a Pod template restarts nobody, but
//! it is in every Pod that starts from then on.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use etcdop_core::id::Slot;
use insta::assert_yaml_snapshot;
use serde_json::json;

use super::{configmap, disruption_budget, fixture, network_policy, pod, service, statefulset, volume};

fn full() -> Cluster {
    fixture::with(json!({
        "size": 5,
        "image": { "registry": "registry.example.com/mirror", "repository": "etcd", "pullPolicy": "Always", "pullSecrets": ["robot"] },
        "storage": { "size": "20Gi", "storageClassName": "fast", "whenDeleted": "Delete" },
        "resources": { "requests": { "cpu": 1, "memory": "2Gi" }, "limits": { "memory": "2Gi" } },
        "podTemplate": {
            "labels": { "team": "databases" },
            "annotations": { "example.com/note": "mind the gap" },
            "nodeSelector": { "disk": "ssd" },
            "affinity": { "nodeAffinity": {} },
            "tolerations": [{ "key": "dedicated", "operator": "Exists" }],
            "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule" }],
            "priorityClassName": "important",
            "securityContext": { "fsGroup": 1000 },
            "containers": [{ "name": "audit", "image": "registry.example.com/audit:1" }],
        },
        "debugSidecar": {},
        "etcd": { "quotaBackendBytes": 8_589_934_592_i64, "extraArgs": { "log-level": "warn", "metrics": "$(basic)" } },
        "service": { "type": "NodePort", "nodePort": 30379, "annotations": { "example.com/pool": "internal" } },
        "networkPolicy": { "clients": [{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "shop" } } }] },
    }))
}

fn set(cluster: &Cluster) -> impl serde::Serialize {
    let replicas = i32::from(cluster.desired.size.get());
    let launch = fixture::launch(cluster);
    statefulset::build(cluster, &fixture::site(), &launch, &fixture::layout(cluster), replicas)
}

#[test]
fn stateful_set() {
    assert_yaml_snapshot!("stateful_set", set(&fixture::cluster()));
}

#[test]
fn stateful_set_with_everything() {
    assert_yaml_snapshot!("stateful_set_with_everything", set(&full()));
}

#[test]
fn services() {
    let cluster = fixture::cluster();
    assert_yaml_snapshot!("services", [service::peer(&cluster), service::client(&cluster)]);
    assert!(service::nodeport(&cluster).is_none());
}

#[test]
fn services_for_clients_outside() {
    assert_yaml_snapshot!("node_port", [service::client(&full()), service::nodeport(&full()).unwrap()]);
    let balanced = fixture::with(json!({ "service": { "type": "LoadBalancer" } }));
    assert_eq!(service::client(&balanced).spec.unwrap().type_.as_deref(), Some("LoadBalancer"));
    assert!(service::nodeport(&balanced).is_none());
}

#[test]
fn what_holds_data_stays_when_the_resource_goes_unless_it_is_told_to_go_too() {
    let data = || BTreeMap::from([("record".to_owned(), "{}".to_owned())]);
    let owners = |cluster: &Cluster| {
        [volume::claim(cluster, Slot(1)).metadata, configmap::members(cluster, data()).metadata]
            .map(|metadata| metadata.owner_references.map_or(0, |owners| owners.len()))
    };
    assert_eq!(owners(&fixture::cluster()), [0, 0]);
    assert_eq!(owners(&full()), [1, 1]);
    assert_yaml_snapshot!("claim", volume::claim(&full(), Slot(1)));
    assert_yaml_snapshot!("members", configmap::members(&fixture::cluster(), data()));
}

#[test]
fn disruption_budget_leaves_a_quorum() {
    assert_yaml_snapshot!("disruption_budget", disruption_budget::build(&fixture::cluster(), 2));
}

#[test]
fn network_policies() {
    let site = fixture::site();
    assert!(network_policy::build(&fixture::cluster(), &site).is_none());
    assert_yaml_snapshot!("network_policy", network_policy::build(&full(), &site));
    let open = fixture::with(json!({ "networkPolicy": {} }));
    let rules = network_policy::build(&open, &site).unwrap().spec.unwrap().ingress.unwrap();
    assert_yaml_snapshot!("clients_of_the_namespace", rules[2]);
}

#[test]
fn preflight() {
    let cluster = fixture::cluster();
    let pod = pod::preflight(&cluster, &fixture::launch(&cluster));
    assert_yaml_snapshot!("preflight", pod);
    // Neither the StatefulSet nor a Service may take it for a member.
    assert!(!pod.metadata.labels.unwrap().contains_key("etcd.etcd.io/cluster"));
}

#[test]
fn a_set_that_is_there_keeps_its_claim_templates() {
    let launch = fixture::launch(&fixture::cluster());
    let build =
        |cluster: &Cluster| statefulset::build(cluster, &fixture::site(), &launch, &fixture::layout(cluster), 3);
    let there = build(&fixture::cluster());
    let mut larger = build(&fixture::with(json!({ "storage": { "size": "5Gi" } })));
    assert_ne!(larger.spec, there.spec);
    statefulset::keep_claim_templates(&mut larger, &there);
    assert_eq!(larger.spec, there.spec);
}
