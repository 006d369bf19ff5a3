//! Whose an object is. What has one of our names and is not ours is never taken over, changed or deleted.

use etcdop_api::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::objects::Objects;
use crate::resource::keys;

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This very resource's.
    Us,
    /// A resource's of the same name that is gone; the garbage collector is about to take it along.
    Predecessor,
    /// Somebody else's.
    Stranger,
}

/// Whose the object is. `kept` objects outlive their resource and have no owner but a label.
pub(crate) fn owner(meta: &ObjectMeta, cluster: &Cluster, kept: Kept) -> Owner {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let ours = |kind: &str, api_version: &str| kind == "EtcdCluster" && api_version.starts_with(etcdop_api::GROUP);
    match owners.iter().find(|owner| ours(&owner.kind, &owner.api_version) || owner.controller == Some(true)) {
        Some(owner) if owner.uid == cluster.uid => Owner::Us,
        Some(owner) if ours(&owner.kind, &owner.api_version) && owner.name == cluster.name => Owner::Predecessor,
        Some(_) => Owner::Stranger,
        None => {
            let label = meta.labels.as_ref().and_then(|labels| labels.get(keys::CLUSTER));
            let labelled = label.is_some_and(|label| *label == cluster.name);
            if labelled && kept == Kept::Yes { Owner::Us } else { Owner::Stranger }
        }
    }
}

/// Whether objects of a kind may outlive their resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    No,
}

/// Why nothing may be done with an object of this kind and name; `None` when it is ours.
pub(crate) fn refusal(kind: &str, meta: &ObjectMeta, cluster: &Cluster, kept: Kept) -> Option<String> {
    let name = meta.name.as_deref().unwrap_or_default();
    match owner(meta, cluster, kept) {
        Owner::Us => None,
        Owner::Predecessor => Some(format!(
            "{kind} {name} belongs to a deleted EtcdCluster of the same name: waiting until the garbage collector has removed it"
        )),
        Owner::Stranger => Some(format!(
            "{kind} {name} exists and does not belong to this EtcdCluster: it is left alone; delete or rename it, or give the EtcdCluster another name"
        )),
    }
}

/// The first object in the way, if any.
pub(crate) fn obstacle(objects: &Objects, cluster: &Cluster) -> Option<String> {
    let set = objects.stateful_set.as_ref().and_then(|set| refusal("StatefulSet", &set.metadata, cluster, Kept::No));
    let members = || {
        let members = objects.members.as_ref();
        members.and_then(|members| refusal("ConfigMap", &members.metadata, cluster, Kept::Yes))
    };
    let claims = || {
        objects.claims.values().find_map(|claim| refusal("PersistentVolumeClaim", &claim.metadata, cluster, Kept::Yes))
    };
    let pods = || {
        let strange = objects.pods.values().find(|pod| {
            let set = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
            set.is_none_or(|set| set.kind != "StatefulSet")
        })?;
        Some(format!("Pod {} exists and does not belong to this EtcdCluster: delete it", strange.name_any()))
    };
    set.or_else(members).or_else(claims).or_else(pods)
}
