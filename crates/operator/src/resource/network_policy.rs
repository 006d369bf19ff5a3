//! NetworkPolicy, when it is asked for: who may connect to the members, port by port. What members connect to stays free.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{
    Site, keys,
    names::{self, CLIENT_PORT, METRICS_PORT, PEER_PORT, REPORT_PORT},
    owned,
};

/// Label of every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The policy, when it is asked for.
pub(crate) fn build(cluster: &Cluster, site: &Site) -> Option<NetworkPolicy> {
    let clients = cluster.network_policy.as_ref()?;
    let members =
        NetworkPolicyPeer { pod_selector: Some(owned::label_selector(cluster)), ..NetworkPolicyPeer::default() };
    let clients = if clients.is_empty() { vec![everybody_in_the_namespace()] } else { clients.clone() };
    Some(NetworkPolicy {
        metadata: owned::metadata(cluster, names::network_policy(&cluster.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(owned::label_selector(cluster)),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                // Clients' port too: etcdctl in a member's container asks the whole cluster.
                rule(vec![members], &[PEER_PORT, CLIENT_PORT]),
                rule(vec![operator(site)], &[REPORT_PORT, CLIENT_PORT, PEER_PORT, METRICS_PORT]),
                rule(clients, &[CLIENT_PORT]),
            ]),
            egress: None,
        }),
    })
}

fn rule(from: Vec<NetworkPolicyPeer>, ports: &[u16]) -> NetworkPolicyIngressRule {
    let port = |port: &u16| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(*port))),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    NetworkPolicyIngressRule { from: Some(from), ports: Some(ports.iter().map(port).collect()) }
}

fn operator(site: &Site) -> NetworkPolicyPeer {
    let own_namespace =
        site.namespace.as_ref().map(|namespace| BTreeMap::from([(NAMESPACE_NAME.to_owned(), namespace.clone())]));
    let label = BTreeMap::from([(keys::NAME.to_owned(), keys::MANAGER.to_owned())]);
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector { match_labels: own_namespace, match_expressions: None }),
        pod_selector: Some(LabelSelector { match_labels: Some(label), match_expressions: None }),
        ip_block: None,
    }
}

fn everybody_in_the_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() }
}
