//! Item 13: what the cluster around does not give is said within seconds, with what to do, and heals by itself.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::{
    facts::{condition, says},
    stage::Stage,
};

/// What only the cluster around can tell is told within this.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_class_that_does_not_exist_is_named() {
    let spec = json!({ "size": 1, "storage": { "storageClassName": "nowhere" } });
    let Some(stage) = Stage::declare_with("class", spec).await else { return };
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        status.message.as_deref().is_some_and(|message| message.contains("StorageClass nowhere does not exist"))
    };
    let begin = Instant::now();
    let status = stage.shows("told", told).await;
    assert!(begin.elapsed() < SOON, "told after {:?}", begin.elapsed());
    assert!(condition(&status, "Degraded", "True").starts_with("Lacking"), "{status:#?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_fit_no_node_are_told_and_heal_by_themselves() {
    let spec = json!({ "size": 1, "podTemplate": { "nodeSelector": { "example.com/nowhere": "1" } } });
    let Some(stage) = Stage::declare_with("no-node", spec).await else { return };
    let begin = Instant::now();
    let told = stage.shows("told", |status| says(status, "not scheduled: 0/")).await;
    assert!(begin.elapsed() < SOON, "told after {:?}", begin.elapsed());
    assert!(!condition(&told, "Available", "False").is_empty(), "{told:#?}");
    stage.edit(json!({ "podTemplate": null })).await;
    stage.converged().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_too_small_is_told_and_grows_out_of_the_way() {
    let Some(stage) = Stage::declare("quota", 1).await else { return };
    stage.converged().await;
    let quotas: Api<ResourceQuota> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let quota = serde_json::from_value(json!({ "metadata": { "name": "small" }, "spec": { "hard": { "pods": "1" } } }));
    quotas.create(&PostParams::default(), &quota.unwrap()).await.unwrap();
    stage.scale(3).await;
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        status.message.as_deref().is_some_and(|message| message.contains("exceeded quota"))
    };
    stage.shows("told", told).await;
    quotas.delete("small", &DeleteParams::default()).await.unwrap();
    stage.converged().await;
    stage.end().await;
}
