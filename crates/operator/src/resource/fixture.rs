//! A cluster for tests, as its user would write it.

use etcdop_api::{Cluster, EtcdCluster};
use etcdop_core::{id::Slot, launch::LaunchSpec, step::Layout};
use serde_json::{Value, json};

use super::Site;

/// The smallest declaration.
pub(crate) fn cluster() -> Cluster {
    with(json!({}))
}

/// The smallest declaration with further fields of the spec.
pub(crate) fn with(further: Value) -> Cluster {
    let mut spec = json!({ "size": 3, "version": "3.6.16" });
    let (Value::Object(spec), Value::Object(further)) = (&mut spec, further) else { panic!("not an object") };
    spec.extend(further);
    let resource = json!({
        "apiVersion": "etcd.etcd.io/v1alpha1",
        "kind": "EtcdCluster",
        "metadata": { "name": "demo", "namespace": "databases", "uid": "4f1c", "generation": 1 },
        "spec": spec,
    });
    let resource: EtcdCluster = serde_json::from_value(resource).unwrap();
    resource.checked().unwrap()
}

/// Where the operator works.
pub(crate) fn site() -> Site {
    Site {
        operator_image: "ghcr.io/etcdop/etcd-operator:v1".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        namespace: Some("etcd-operator-system".to_owned()),
    }
}

/// What the cluster's members start with.
pub(crate) fn launch(cluster: &Cluster) -> LaunchSpec {
    LaunchSpec { template: cluster.desired.template.clone(), max_learners: 8 }
}

/// As many slots as the cluster is to have, all alike.
pub(crate) fn layout(cluster: &Cluster) -> Layout {
    Layout { slots: (0..cluster.desired.size.get()).map(|slot| (Slot(slot), launch(cluster))).collect() }
}
