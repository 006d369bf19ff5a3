//! Names and addresses of everything that belongs to a cluster, in one place.

use etcdop_api::Cluster;
use etcdop_core::{id::Slot, observation::Address};

use super::{Site, keys};

/// For clients: v3 gRPC and HTTP.
pub(crate) const CLIENT_PORT: u16 = 2379;
/// Between members.
pub(crate) const PEER_PORT: u16 = 2380;
/// Metrics and health, without TLS.
pub(crate) const METRICS_PORT: u16 = 2381;
/// The guard's report.
pub(crate) const REPORT_PORT: u16 = 2378;
/// Where the guard takes a permit; on the Pod's loopback, so that nobody reaches it whom the API server does not let forward.
pub(crate) const HAND_OVER_PORT: u16 = 2377;

/// The StatefulSet.
pub(crate) fn stateful_set(name: &str) -> String {
    name.to_owned()
}

/// The headless Service that gives each Pod its name.
pub(crate) fn peer_service(name: &str) -> String {
    format!("{name}-peer")
}

/// The Service for clients.
pub(crate) fn client_service(name: &str) -> String {
    format!("{name}-client")
}

/// The Service for clients outside.
pub(crate) fn nodeport_service(name: &str) -> String {
    format!("{name}-nodeport")
}

/// The ConfigMap with the record and the seats.
pub(crate) fn members(name: &str) -> String {
    format!("{name}-members")
}

/// The PodDisruptionBudget.
pub(crate) fn disruption_budget(name: &str) -> String {
    name.to_owned()
}

/// The NetworkPolicy.
pub(crate) fn network_policy(name: &str) -> String {
    name.to_owned()
}

/// The Pod of a slot; also what etcd calls its member.
pub(crate) fn pod(name: &str, slot: Slot) -> String {
    format!("{name}-{slot}")
}

/// The claim of a slot's disk: as the StatefulSet's controller would name it.
pub(crate) fn claim(name: &str, slot: Slot) -> String {
    format!("data-{}", pod(name, slot))
}

/// The Pod that proves an image.
pub(crate) fn preflight(name: &str) -> String {
    format!("{name}-preflight")
}

/// Selects everything of a cluster.
pub(crate) fn selector(name: &str) -> String {
    format!("{}={name}", keys::CLUSTER)
}

/// Where a slot's member is reached. Names are complete, so that a resolver asks once: it would try its search list first for
/// anything with fewer dots. The peer URL is part of the member's identity.
pub(crate) fn address(cluster: &Cluster, site: &Site, slot: Slot) -> Address {
    let name = pod(&cluster.name, slot);
    let host = format!("{name}.{}", peer_domain(cluster, site));
    Address {
        peer: format!("http://{host}:{PEER_PORT}").parse().expect("checked names make a URL"),
        client: format!("http://{host}:{CLIENT_PORT}"),
        name,
    }
}

/// What stands behind a Pod's name.
pub(crate) fn peer_domain(cluster: &Cluster, site: &Site) -> String {
    format!("{}.{}.svc.{}", peer_service(&cluster.name), cluster.namespace, site.cluster_domain)
}

/// Where clients inside connect to.
pub(crate) fn client_endpoint(cluster: &Cluster, site: &Site) -> String {
    let (service, namespace, domain) = (client_service(&cluster.name), &cluster.namespace, &site.cluster_domain);
    format!("http://{service}.{namespace}.svc.{domain}:{CLIENT_PORT}")
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn members_are_called_and_reached_as_users_know_it_from_stateful_sets() {
        let address = address(&fixture::cluster(), &fixture::site(), Slot(2));
        assert_eq!(address.name, "demo-2");
        assert_eq!(address.peer.as_str(), "http://demo-2.demo-peer.databases.svc.cluster.local:2380");
        assert_eq!(address.client, "http://demo-2.demo-peer.databases.svc.cluster.local:2379");
    }

    #[test]
    fn the_longest_name_fits_every_label_of_dns() {
        let name = "a".repeat(52);
        let slot = Slot(8);
        for label in [pod(&name, slot), peer_service(&name), client_service(&name), nodeport_service(&name)] {
            assert!(label.len() <= 63, "{label}");
        }
        // What the controller puts behind the name in label controller-revision-hash.
        assert!(name.len() + "-5d8f9c7b64".len() <= 63);
    }
}
