//! Whose an object is. What has one of our names and is not ours is never taken over, changed or deleted.

use std::borrow::Cow;

use etcdop_api::Cluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
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
        let mut metas = objects.claims.values().map(|claim| without_minders(&claim.metadata, objects));
        metas.find_map(|meta| refusal("PersistentVolumeClaim", &meta, cluster, Kept::Yes))
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

/// Without the owners that the StatefulSet's controller gives to claims: the set and its Pods, while the set's retention policy is to
/// delete. Whoever takes that for a stranger's claim can never put the policy back.
fn without_minders<'a>(meta: &'a ObjectMeta, objects: &Objects) -> Cow<'a, ObjectMeta> {
    let set = objects.stateful_set.iter().map(|set| &set.metadata.uid);
    let minders: Vec<&String> = set.chain(objects.pods.values().map(|pod| &pod.metadata.uid)).flatten().collect();
    let minds = |owner: &OwnerReference| minders.contains(&&owner.uid);
    if !meta.owner_references.iter().flatten().any(minds) {
        return Cow::Borrowed(meta);
    }
    let mut meta = meta.clone();
    meta.owner_references.iter_mut().for_each(|owners| owners.retain(|owner| !minds(owner)));
    Cow::Owned(meta)
}

#[cfg(test)]
mod tests {
    use etcdop_core::id::Slot;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::status::fixture::declared;

    /// Our set with one Pod, over a claim that this has taken.
    fn claimed_by(kind: &str, uid: &str) -> Objects {
        let ours = json!({
            "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "name": "demo", "uid": "u", "controller": true
        });
        let set = json!({
            "metadata": { "name": "demo", "uid": "set", "ownerReferences": [ours] },
            "spec": { "selector": {}, "serviceName": "demo-peer", "template": {} },
        });
        let theirs =
            json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "demo", "uid": "set", "controller": true });
        let pod = json!({ "metadata": { "name": "demo-0", "uid": "pod", "ownerReferences": [theirs] } });
        let owner = json!({ "apiVersion": "v1", "kind": kind, "name": "demo", "uid": uid, "controller": true });
        let claim = json!({
            "metadata": { "name": "data-demo-0", "labels": { keys::CLUSTER: "demo" }, "ownerReferences": [owner] }
        });
        Objects {
            stateful_set: Some(serde_json::from_value(set).unwrap()),
            pods: [(Slot(0), serde_json::from_value(pod).unwrap())].into(),
            claims: [(Slot(0), serde_json::from_value(claim).unwrap())].into(),
            ..Objects::default()
        }
    }

    #[rstest]
    #[case::for_our_set("StatefulSet", "set", false)]
    #[case::for_our_pod("Pod", "pod", false)]
    #[case::for_another_set("StatefulSet", "other", true)]
    fn a_claim_is_in_the_way_when_it_was_taken(#[case] kind: &str, #[case] uid: &str, #[case] refused: bool) {
        let said = obstacle(&claimed_by(kind, uid), &declared());
        assert_eq!(said.is_some(), refused, "{said:?}");
    }
}
