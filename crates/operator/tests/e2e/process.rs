//! The process itself: its pages, and that it leaves a cluster at rest alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcdop_api::EtcdCluster;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
    events::v1::Event,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    metrics::{Page, Requests},
    stage::Stage,
};

/// A cluster that is as declared settles for this long before it is held to be at rest.
const SETTLES: Duration = Duration::from_secs(10);
/// For how long nothing may be written.
const REST: Duration = Duration::from_mins(1);

/// The value of the only series of this cluster; `None` when there is none.
fn of(page: &Page, name: &str, stage: &Stage) -> Option<f64> {
    let ours = |labels: &BTreeMap<String, String>| {
        labels.get("namespace") == Some(&stage.namespace) && labels.get("cluster") == Some(&stage.name)
    };
    let found: Vec<f64> = page.series(name).into_iter().filter(|(labels, _)| ours(labels)).map(|(_, n)| n).collect();
    assert!(found.len() < 2, "{name}: {found:?}");
    found.first().copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_tell_how_the_process_and_its_clusters_are() {
    let Some(mut stage) = Stage::bare("pages").await else { return };
    stage.run_operator(&[]);
    let ready = || async { stage.operator.health("/readyz").await == Some((200, "ok\n".to_owned())) };
    stage.until("ready", ready).await;
    assert_eq!(stage.operator.health("/healthz").await, Some((200, "ok\n".to_owned())));
    assert_eq!(stage.operator.health("/metrics").await.map(|(code, _)| code), Some(404), "pages have their ports");
    stage.create(json!({ "size": 3 })).await;
    stage.converged().await;
    let settled = || async { of(&stage.operator.metrics().await, "etcd_operator_converged", &stage) == Some(1.0) };
    stage.until("told to be as declared", settled).await;
    let page = stage.operator.metrics().await;
    for name in ["etcd_operator_members_wanted", "etcd_operator_members_ready"] {
        assert_eq!(of(&page, name, &stage), Some(3.0), "{name} in {page:?}");
    }
    let operations = of(&page, "etcd_operator_operation_seconds_count", &stage);
    assert!(operations.is_some_and(|count| count >= 1.0), "{operations:?}");
    let calls = page.series("etcd_operator_etcd_call_seconds_count");
    assert!(calls.iter().any(|(labels, count)| labels["call"] == "status" && *count > 0.0), "{calls:?}");
    let healthy = page.series("etcd_operator_members").into_iter();
    let healthy = healthy.filter(|(labels, _)| labels["health"] == "healthy" && labels["role"] == "voter");
    assert_eq!(healthy.map(|(_, count)| count).collect::<Vec<_>>(), [3.0]);
    let steps: BTreeSet<String> =
        page.series("etcd_operator_steps_total").iter().map(|(labels, _)| labels["step"].clone()).collect();
    assert!(steps.contains("record") && steps.contains("ensure") && steps.contains("permit"), "{steps:?}");
    assert!(page.requests().keys().any(|request| request.resource == "statefulsets" && request.verb == "patch"));
    stage.resources().delete(&stage.name, &DeleteParams::default()).await.unwrap();
    let forgotten = || async { of(&stage.operator.metrics().await, "etcd_operator_members_ready", &stage).is_none() };
    stage.until("forgotten", forgotten).await;
    stage.end().await;
}

/// Everything of the namespace that an operator may write, with its version.
async fn versions(stage: &Stage) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    add::<EtcdCluster>(stage, &mut all).await;
    add::<StatefulSet>(stage, &mut all).await;
    add::<Pod>(stage, &mut all).await;
    add::<PersistentVolumeClaim>(stage, &mut all).await;
    add::<ConfigMap>(stage, &mut all).await;
    add::<Service>(stage, &mut all).await;
    add::<PodDisruptionBudget>(stage, &mut all).await;
    add::<Event>(stage, &mut all).await;
    all
}

async fn add<K>(stage: &Stage, all: &mut BTreeMap<String, String>)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let objects: Api<K> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    for object in objects.list(&ListParams::default()).await.unwrap() {
        let name = format!("{} {}", K::kind(&()), object.name_any());
        all.insert(name, object.resource_version().unwrap_or_default());
    }
}

/// Requests that change something else than the lease, and how many renewed that.
async fn writes(stage: &Stage) -> (BTreeMap<Requests, u64>, u64) {
    let (leases, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
        stage.operator.metrics().await.writes().into_iter().partition(|(request, _)| request.resource == "leases");
    (others, leases.values().sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_at_rest_is_not_written_to() {
    let Some(mut stage) = Stage::bare("rest").await else { return };
    let elects =
        [("ETCD_OPERATOR_LEADER_ELECT", "true".to_owned()), ("ETCD_OPERATOR_LEASE_NAMESPACE", stage.namespace.clone())];
    stage.run_operator(&elects);
    stage.create(json!({ "size": 3, "service": { "type": "NodePort" }, "networkPolicy": {} })).await;
    stage.converged().await;
    sleep(SETTLES).await;
    let (before, renewed) = writes(&stage).await;
    let objects = versions(&stage).await;
    sleep(REST).await;
    let (after, renewed_since) = writes(&stage).await;
    assert_eq!(after, before, "requests that change something");
    assert_eq!(versions(&stage).await, objects);
    assert!(renewed_since > renewed, "the lease is renewed, so requests are counted");
    stage.end().await;
}
