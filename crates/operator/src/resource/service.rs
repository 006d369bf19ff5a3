//! Services: one that names the Pods, one for clients inside, one for clients outside when it is asked for.

use etcdop_api::{Cluster, ServiceType};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    names::{self, CLIENT_PORT, METRICS_PORT, PEER_PORT},
    owned,
};

/// The headless Service `NAME-peer`. Pods have their name in DNS as soon as they have an address: a member that waits for the
/// others to become ready would wait for ever.
pub(crate) fn peer(cluster: &Cluster) -> Service {
    service(
        cluster,
        names::peer_service(&cluster.name),
        ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![
                port("client", CLIENT_PORT, None),
                port("peer", PEER_PORT, None),
                port("metrics", METRICS_PORT, None),
            ]),
            ..ServiceSpec::default()
        },
    )
}

/// The Service `NAME-client`: members that are ready.
pub(crate) fn client(cluster: &Cluster) -> Service {
    let kind = match cluster.exposure.kind {
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ClusterIP | ServiceType::NodePort => "ClusterIP",
    };
    for_clients(cluster, names::client_service(&cluster.name), kind, None)
}

/// The Service `NAME-nodeport`, when it is asked for.
pub(crate) fn nodeport(cluster: &Cluster) -> Option<Service> {
    (cluster.exposure.kind == ServiceType::NodePort)
        .then(|| for_clients(cluster, names::nodeport_service(&cluster.name), "NodePort", cluster.exposure.node_port))
}

fn for_clients(cluster: &Cluster, name: String, kind: &str, node_port: Option<u16>) -> Service {
    let mut service = service(
        cluster,
        name,
        ServiceSpec {
            type_: Some(kind.to_owned()),
            ports: Some(vec![port("client", CLIENT_PORT, node_port)]),
            ..ServiceSpec::default()
        },
    );
    let annotations = &cluster.exposure.annotations;
    service.metadata.annotations = (!annotations.is_empty()).then(|| annotations.clone());
    service
}

fn service(cluster: &Cluster, name: String, spec: ServiceSpec) -> Service {
    Service {
        metadata: owned::metadata(cluster, name),
        spec: Some(ServiceSpec { selector: Some(owned::selector(cluster)), ..spec }),
        status: None,
    }
}

fn port(name: &str, port: u16, node_port: Option<u16>) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::String(name.to_owned())),
        node_port: node_port.map(i32::from),
        protocol: Some("TCP".to_owned()),
        app_protocol: None,
    }
}
