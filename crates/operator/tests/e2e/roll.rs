//! Item 10: versions and settings roll, one member at a time, and what does not work never reaches a member.

use etcdop_api::Phase;
use serde_json::json;

use crate::stage::{Stage, selector};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_minor_is_rolled_member_by_member() {
    let Some(stage) = Stage::declare_with("roll", json!({ "size": 3, "version": "3.5.35" })).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    for version in ["3.6.16", "3.7.3"] {
        stage.edit(json!({ "version": version })).await;
        stage
            .shows("rolled", |status| {
                status.version.as_deref() == Some(version) && status.phase == Some(Phase::Running)
            })
            .await;
        stage.converged().await;
    }
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_touches_no_member() {
    let Some(stage) = Stage::declare("no-image", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let uids = || async {
        let pods = stage.pods().list(&selector(&stage.name)).await.unwrap();
        let mut uids: Vec<_> = pods.items.into_iter().filter_map(|pod| pod.metadata.uid).collect();
        uids.sort();
        uids
    };
    let before = uids().await;
    stage.edit(json!({ "version": "3.6.99" })).await;
    let told = stage.shows("told", |status| {
        let behind = status.conditions.iter().find(|condition| condition.type_ == "MembersUpToDate");
        behind.is_some_and(|condition| {
            condition.status == "False" && condition.message.contains("3.6.99") && condition.message.contains("mage")
        })
    });
    told.await;
    assert_eq!(uids().await, before);
    // A Pod that is lost meanwhile comes back on what is proven.
    let uid = stage.delete_pod(2).await;
    stage.is_another_pod(2, &uid).await;
    stage.shows("whole again", |status| status.ready_members == 3).await;
    stage.edit(json!({ "version": "3.6.16" })).await;
    stage.converged().await;
    let cleared = || async { stage.pods().get_opt("demo-preflight").await.unwrap().is_none() };
    stage.until("without the Pod of the trial", cleared).await;
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_roll_like_versions() {
    let Some(stage) = Stage::declare("resources", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    stage.edit(json!({ "resources": { "requests": { "cpu": "11m", "memory": "33Mi" } } })).await;
    let rolled = || async {
        let pods = stage.pods().list(&selector(&stage.name)).await.unwrap();
        pods.items.iter().all(|pod| {
            let container =
                pod.spec.as_ref().unwrap().containers.iter().find(|container| container.name == "etcd").unwrap();
            container.resources.as_ref().unwrap().requests.as_ref().unwrap()["cpu"].0 == "11m"
        })
    };
    stage.until("rolled", rolled).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
