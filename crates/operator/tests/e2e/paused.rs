//! A paused cluster is looked at and left alone.

use std::time::Duration;

use etcdop_api::Phase;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap};
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::{facts::condition, stage::Stage};

/// Several looks at a paused cluster.
const WHILE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_cluster_is_not_changed_and_its_status_stays_true() {
    let Some(stage) = Stage::declare("paused", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let maps: Api<ConfigMap> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let sets: Api<StatefulSet> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let made = || async {
        let set = sets.get("demo").await.unwrap();
        (maps.get("demo-members").await.unwrap().resource_version(), set.metadata.generation)
    };
    let untouched = made().await;
    let (pods, claims) = (stage.pod_uids().await, stage.claim_uids().await);
    stage.edit(json!({ "paused": true, "size": 5, "version": "3.7.3" })).await;
    let paused = stage.shows("paused", |status| status.phase == Some(Phase::Paused)).await;
    assert_eq!((paused.ready_members, paused.current_size), (3, 3));
    assert!(condition(&paused, "Progressing", "False").starts_with("Paused"), "{paused:#?}");
    stage.stays(WHILE, &pods, &claims).await;
    assert_eq!(made().await, untouched);
    assert!(stage.pods().get_opt("demo-preflight").await.unwrap().is_none(), "nothing is tried either");
    // A member whose disk is lost stays lost, and is not counted.
    let slot = stage.follower().await;
    stage.claims().delete(&stage.claim(slot), &DeleteParams::default()).await.unwrap();
    let uid = stage.delete_pod(slot).await;
    stage.is_another_pod(slot, &uid).await;
    let pods = stage.pod_uids().await;
    let lost = stage.shows("one less", |status| status.ready_members == 2).await;
    assert_eq!((lost.phase, lost.current_size), (Some(Phase::Paused), 3));
    stage.stays(WHILE, &pods, &stage.claim_uids().await).await;
    assert_eq!(stage.members().await, before, "the list is as it was");
    assert_eq!(made().await, untouched);
    stage.edit(json!({ "paused": false, "size": 3, "version": "3.6.16" })).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
