//! Section 3: what is ours stays as we want it, what is others' stays as they want it.

use std::{fmt::Debug, time::Instant};

use etcdop_api::Phase;
use etcdop_etcd::{Endpoint, MemberId};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolumeClaim, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    facts::says,
    stage::{DEADLINE, PACE, Stage, addresses, etcd},
};

fn api<K>(stage: &Stage) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(stage.ground.client.clone(), &stage.namespace)
}

/// As somebody with `kubectl edit`.
async fn somebody_edits<K>(stage: &Stage, name: &str, fields: Value)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let somebody = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    api::<K>(stage).patch(name, &somebody, &Patch::Merge(fields)).await.unwrap();
}

/// Waits until the object is as it should be again.
async fn is_again<K>(stage: &Stage, name: &str, as_it_should_be: impl Fn(&K) -> bool)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let objects = api::<K>(stage);
    let put_back = || async { as_it_should_be(&objects.get(name).await.unwrap()) };
    stage.until(&format!("{} {name} put back", K::kind(&())), put_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_in_our_services_and_budget_is_put_back_and_theirs_is_left() {
    let Some(stage) = Stage::declare("edits-around", 3).await else { return };
    stage.converged().await;
    let theirs = json!({
        "metadata": { "annotations": { "example.com/theirs": "1" }, "labels": { "example.com/theirs": "1" } },
        "spec": { "sessionAffinity": "ClientIP", "selector": { "example.com/nowhere": "1" } },
    });
    somebody_edits::<Service>(&stage, "demo-client", theirs).await;
    is_again::<Service>(&stage, "demo-client", |service| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        selector.contains_key("etcd.etcd.io/cluster") && !selector.contains_key("example.com/nowhere")
    })
    .await;
    let service = api::<Service>(&stage).get("demo-client").await.unwrap();
    assert_eq!(service.annotations()["example.com/theirs"], "1");
    assert_eq!(service.labels()["example.com/theirs"], "1");
    assert_eq!(service.spec.unwrap().session_affinity.as_deref(), Some("ClientIP"));
    somebody_edits::<Service>(&stage, "demo-peer", json!({ "spec": { "publishNotReadyAddresses": false } })).await;
    is_again::<Service>(&stage, "demo-peer", |service| {
        service.spec.as_ref().is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
    })
    .await;
    somebody_edits::<PodDisruptionBudget>(&stage, "demo", json!({ "spec": { "minAvailable": 0 } })).await;
    is_again::<PodDisruptionBudget>(&stage, "demo", |budget| {
        budget.spec.as_ref().and_then(|spec| spec.min_available.clone())
            == Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(2))
    })
    .await;
    api::<Service>(&stage).delete("demo-client", &kube::api::DeleteParams::default()).await.unwrap();
    let there = || async { api::<Service>(&stage).get_opt("demo-client").await.unwrap().is_some() };
    stage.until("made again", there).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_in_our_stateful_set_is_put_back_and_costs_no_member() {
    let Some(stage) = Stage::declare("edits-set", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let pods = stage.pod_uids().await;
    let edit = json!({
        "metadata": { "annotations": { "example.com/theirs": "1" } },
        "spec": {
            "updateStrategy": { "type": "RollingUpdate" },
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Delete", "whenScaled": "Delete" },
        },
    });
    somebody_edits::<StatefulSet>(&stage, "demo", edit).await;
    is_again::<StatefulSet>(&stage, "demo", |set| {
        let spec = set.spec.clone().unwrap();
        let strategy = spec.update_strategy.and_then(|strategy| strategy.type_);
        let scaled = spec.persistent_volume_claim_retention_policy.and_then(|policy| policy.when_scaled);
        (strategy.as_deref(), scaled.as_deref()) == (Some("OnDelete"), Some("Retain"))
    })
    .await;
    // Kubernetes has made the set the owner of the disks meanwhile, which would go with it.
    let free = || async {
        let claims = stage.claims().list(&crate::stage::selector(&stage.name)).await.unwrap();
        claims.items.len() == 3 && claims.items.iter().all(|claim| claim.owner_references().is_empty())
    };
    stage.until("disks that belong to nobody", free).await;
    let edit = json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": 7 } } } });
    somebody_edits::<StatefulSet>(&stage, "demo", edit).await;
    is_again::<StatefulSet>(&stage, "demo", |set| {
        let template = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        template.is_some_and(|spec| spec.termination_grace_period_seconds == Some(30))
    })
    .await;
    let set = api::<StatefulSet>(&stage).get("demo").await.unwrap();
    assert_eq!(set.annotations()["example.com/theirs"], "1");
    stage.converged().await;
    assert_eq!(stage.pod_uids().await, pods, "nobody was restarted");
    // With `kubectl scale statefulset`: two Pods may be gone before it is noticed, their disks are not.
    somebody_edits::<StatefulSet>(&stage, "demo", json!({ "spec": { "replicas": 1 } })).await;
    is_again::<StatefulSet>(&stage, "demo", |set| set.spec.as_ref().is_some_and(|spec| spec.replicas == Some(3))).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_larger_disk_is_asked_for_at_every_claim() {
    let Some(stage) = Stage::declare("grow", 3).await else { return };
    stage.converged().await;
    let pods = stage.pod_uids().await;
    stage.edit(json!({ "storage": { "size": "2Gi" } })).await;
    let asks = |claim: &PersistentVolumeClaim| {
        let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        Some(requests["storage"].0.clone())
    };
    let grown = || async {
        let claims = stage.claims().list(&crate::stage::selector(&stage.name)).await.unwrap();
        claims.items.len() == 3 && claims.items.iter().all(|claim| asks(claim).as_deref() == Some("2Gi"))
    };
    stage.until("asked for", grown).await;
    stage.converged().await;
    assert_eq!(stage.pod_uids().await, pods, "nobody was restarted");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_policy_lets_in_members_operator_and_clients_and_nobody_else() {
    let shop = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "shop" } } });
    let spec = json!({ "size": 1, "networkPolicy": { "clients": [shop.clone()] } });
    let Some(stage) = Stage::declare_with("policy", spec).await else { return };
    stage.converged().await;
    let members = json!({ "app.kubernetes.io/name": "etcd", "app.kubernetes.io/instance": "demo", "etcd.etcd.io/cluster": "demo" });
    let operator = json!({
        "namespaceSelector": {},
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "etcd-operator" } },
    });
    let ports =
        |ports: &[u16]| -> Vec<Value> { ports.iter().map(|port| json!({ "port": port, "protocol": "TCP" })).collect() };
    let wanted = json!({
        "podSelector": { "matchLabels": members },
        "policyTypes": ["Ingress"],
        "ingress": [
            { "from": [{ "podSelector": { "matchLabels": members } }], "ports": ports(&[2380, 2379]) },
            { "from": [operator], "ports": ports(&[2378, 2379, 2380, 2381]) },
            { "from": [shop], "ports": ports(&[2379]) },
        ],
    });
    let there = || async { api::<NetworkPolicy>(&stage).get_opt("demo").await.unwrap().is_some() };
    stage.until("a policy", there).await;
    let policy = api::<NetworkPolicy>(&stage).get("demo").await.unwrap();
    assert_eq!(serde_json::to_value(policy.spec).unwrap(), wanted);
    // Somebody opens it for everybody.
    somebody_edits::<NetworkPolicy>(&stage, "demo", json!({ "spec": { "ingress": [{}] } })).await;
    is_again::<NetworkPolicy>(&stage, "demo", |policy| serde_json::to_value(&policy.spec).unwrap() == wanted).await;
    stage.edit(json!({ "networkPolicy": null })).await;
    let gone = || async { api::<NetworkPolicy>(&stage).get_opt("demo").await.unwrap().is_none() };
    stage.until("without a policy", gone).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_somebody_added_by_hand_holds_the_membership() {
    let Some(stage) = Stage::declare("by-hand", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let (_, endpoint) = addresses(&stage.ground.client, &stage.namespace, &stage.name).await.remove(0);
    let added = by_hand(&endpoint).await;
    stage.edit(json!({ "size": 5 })).await;
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        says(status, &format!("member {added} is not in the record and was not added by us: remove it with etcdctl"))
    };
    let status = stage.shows("told", told).await;
    assert_ne!(status.phase, Some(Phase::Running));
    let now = stage.members().await;
    let ours: Vec<_> = now.iter().filter(|(_, id)| **id != added).collect();
    assert_eq!(ours, before.iter().collect::<Vec<_>>(), "nobody came or went");
    etcd(endpoint).member_remove(added).await.unwrap();
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}

/// Adds a learner that nobody asked for; for its first five seconds a cluster takes none.
async fn by_hand(endpoint: &Endpoint) -> MemberId {
    let begin = Instant::now();
    loop {
        match etcd(endpoint.clone()).member_add_learner(&["http://192.0.2.1:2380"]).await {
            Ok(added) => return added.value.member.id,
            Err(error) => assert!(begin.elapsed() < DEADLINE, "{error}"),
        }
        sleep(PACE).await;
    }
}
