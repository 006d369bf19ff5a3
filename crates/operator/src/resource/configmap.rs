//! ConfigMap `NAME-members`: the record, and for each member a seat that its guard reads. Like the disks, it outlives the resource
//! when these are retained: it says whose they are.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use k8s_openapi::api::core::v1::ConfigMap;

use super::{names, owned};

/// The ConfigMap with this content.
pub(crate) fn members(cluster: &Cluster, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: owned::data_metadata(cluster, names::members(&cluster.name)),
        data: Some(data),
        ..ConfigMap::default()
    }
}
