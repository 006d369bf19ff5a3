//! The StatefulSet: keeps the Pods running, from one template (see [`super`]). It decides nothing: Pods start side by side, are
//! replaced only when somebody deletes them, and no volume is ever deleted with them.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use etcdop_core::{launch::LaunchSpec, step::Layout};
use k8s_openapi::{
    api::{
        apps::v1::{
            StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::PersistentVolumeClaim,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Site, keys, names, owned, pod, volume};

/// The set with `replicas` Pods, whose next Pods start with `launch`; `layout` is what each slot is to start with.
pub(crate) fn build(
    cluster: &Cluster,
    site: &Site,
    launch: &LaunchSpec,
    layout: &Layout,
    replicas: i32,
) -> StatefulSet {
    let declared = serde_json::to_string(&layout.slots).expect("a layout is JSON");
    let mut metadata = owned::metadata(cluster, names::stateful_set(&cluster.name));
    metadata.annotations = Some(BTreeMap::from([(keys::LAYOUT.to_owned(), declared)]));
    let retain = || Some("Retain".to_owned());
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            service_name: Some(names::peer_service(&cluster.name)),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: retain(),
                when_scaled: retain(),
            }),
            selector: owned::label_selector(cluster),
            template: pod::template(cluster, site, launch),
            volume_claim_templates: Some(vec![claim_template(cluster)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// The claims are made before the Pods. This is for the one that the controller is faster with, after a disk was replaced.
fn claim_template(cluster: &Cluster) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(pod::DATA.to_owned()),
            labels: Some(owned::labels(cluster)),
            ..ObjectMeta::default()
        },
        spec: Some(volume::spec(cluster)),
        status: None,
    }
}

/// Takes over what cannot be changed in a set that is there: the claim templates. Larger disks are asked for at the claims.
pub(crate) fn keep_claim_templates(built: &mut StatefulSet, there: &StatefulSet) {
    if let (Some(built), Some(there)) = (&mut built.spec, &there.spec) {
        built.volume_claim_templates.clone_from(&there.volume_claim_templates);
    }
}
