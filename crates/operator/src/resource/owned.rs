//! Whose an object is: its labels, and who takes it along when the resource goes.

use std::collections::BTreeMap;

use etcdop_api::{Cluster, EtcdCluster, WhenDeleted};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

use super::keys;

/// Metadata of an object that goes with the resource.
pub(super) fn metadata(cluster: &Cluster, name: String) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![owner(cluster)]), ..unowned(cluster, name) }
}

/// Metadata of an object that holds data: it goes with the resource only when the user wants that.
pub(super) fn data_metadata(cluster: &Cluster, name: String) -> ObjectMeta {
    match cluster.storage.when_deleted {
        WhenDeleted::Delete => metadata(cluster, name),
        WhenDeleted::Retain => unowned(cluster, name),
    }
}

fn unowned(cluster: &Cluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.namespace.clone()),
        labels: Some(labels(cluster)),
        ..ObjectMeta::default()
    }
}

/// Labels of everything.
pub(super) fn labels(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut labels = selector(cluster);
    labels.insert(keys::MANAGED_BY.to_owned(), keys::MANAGER.to_owned());
    labels
}

/// What selects the members' Pods; can never be changed.
pub(super) fn selector(cluster: &Cluster) -> BTreeMap<String, String> {
    [(keys::NAME, keys::APPLICATION), (keys::INSTANCE, &cluster.name), (keys::CLUSTER, &cluster.name)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// As [`selector`], where a selector is an object.
pub(super) fn label_selector(cluster: &Cluster) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(cluster)), match_expressions: None }
}

fn owner(cluster: &Cluster) -> OwnerReference {
    OwnerReference {
        api_version: EtcdCluster::api_version(&()).into_owned(),
        kind: EtcdCluster::kind(&()).into_owned(),
        name: cluster.name.clone(),
        uid: cluster.uid.clone(),
        controller: Some(true),
        // Deleting never waits for us: there is no finalizer anywhere.
        block_owner_deletion: None,
    }
}
