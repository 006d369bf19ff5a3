//! What the user set for the Pods besides version and flags, as a short text that differs when it does. From what was declared, not
//! from the rendered Pod: a new operator that renders something differently must not restart every member in the world.

use etcdop_api::Cluster;
use etcdop_core::version::EtcdVersion;
use sha2::{Digest, Sha256};

/// Raised when running Pods must get what this operator renders differently.
const REVISION: u32 = 1;

/// Sixteen hexadecimal digits.
pub(crate) fn digest(cluster: &Cluster) -> String {
    let extras = &cluster.pod;
    let declared = (
        REVISION,
        // The version itself is in the launch spec.
        cluster.image.reference(&EtcdVersion::new(0, 0, 0)),
        &cluster.image.pull_secrets,
        &cluster.resources,
        &extras.labels,
        &extras.annotations,
        &extras.node_selector,
        &extras.affinity,
        &extras.tolerations,
        &extras.topology_spread_constraints,
        &extras.priority_class_name,
        &extras.security_context,
        &extras.containers,
        &extras.netshoot,
    );
    // As text at once: the order of a JSON value's fields depends on what else is compiled in.
    let declared = serde_json::to_string(&declared).expect("settings are JSON");
    let hash = Sha256::digest(declared);
    format!("{:016x}", u64::from_be_bytes(*hash.first_chunk().expect("32 bytes")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{super::super::fixture, *};

    #[rstest]
    #[case::resources(json!({ "resources": { "requests": { "cpu": "200m" } } }))]
    #[case::labels(json!({ "podTemplate": { "labels": { "a": "b" } } }))]
    #[case::annotations(json!({ "podTemplate": { "annotations": { "a": "b" } } }))]
    #[case::sidecar(json!({ "debugSidecar": {} }))]
    #[case::container(json!({ "podTemplate": { "containers": [{ "name": "a", "image": "b" }] } }))]
    #[case::security(json!({ "podTemplate": { "securityContext": { "fsGroup": 7 } } }))]
    #[case::registry(json!({ "image": { "registry": "example.com" } }))]
    fn a_setting_of_the_pods_is_part_of_it(#[case] spec: Value) {
        assert_ne!(digest(&fixture::with(spec)), digest(&fixture::cluster()));
    }

    #[rstest]
    #[case::version(json!({ "version": "3.7.3" }))]
    #[case::options(json!({ "etcd": { "snapshotCount": 5 } }))]
    #[case::size(json!({ "size": 5 }))]
    #[case::storage(json!({ "storage": { "size": "5Gi" } }))]
    #[case::service(json!({ "service": { "type": "LoadBalancer" } }))]
    #[case::default_written_out(json!({ "resources": { "requests": { "memory": "128Mi", "cpu": "100m" } } }))]
    fn what_is_rolled_otherwise_or_not_at_all_is_no_part_of_it(#[case] spec: Value) {
        assert_eq!(digest(&fixture::with(spec)), digest(&fixture::cluster()));
    }

    /// Members restart when it differs, so a new operator must come to the same.
    #[test]
    fn it_is_the_same_in_every_version_of_the_operator() {
        assert_eq!(digest(&fixture::cluster()), "ce457c2fbe2b416a");
    }
}
