//! The members' disks: a claim per slot. They are made before the Pods and deleted by us alone, never by a StatefulSet.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use etcdop_core::id::Slot;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};

use super::{names, owned};

/// The claim of a slot.
pub(crate) fn claim(cluster: &Cluster, slot: Slot) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: owned::data_metadata(cluster, names::claim(&cluster.name, slot)),
        spec: Some(spec(cluster)),
        status: None,
    }
}

/// What every claim asks for.
pub(super) fn spec(cluster: &Cluster) -> PersistentVolumeClaimSpec {
    PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        resources: Some(VolumeResourceRequirements {
            requests: Some(BTreeMap::from([("storage".to_owned(), (&cluster.storage.size).into())])),
            limits: None,
        }),
        storage_class_name: cluster.storage.class.clone(),
        ..PersistentVolumeClaimSpec::default()
    }
}
