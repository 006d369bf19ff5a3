//! Section 3: a StorageClass that binds a disk only when a Pod comes for it. Nobody waits for what comes later.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::{ground::Ground, stage::Stage};

/// A cluster on the first class of that kind; `None` where there is none.
async fn declare(test: &str, size: i64) -> Option<Stage> {
    let ground = Ground::find().await?;
    let classes: Api<StorageClass> = Api::all(ground.client.clone());
    let classes = classes.list(&ListParams::default()).await.unwrap().items;
    let late = classes.iter().find(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    let Some(class) = late.map(ResourceExt::name_any) else {
        eprintln!("skipped: no StorageClass waits for its first consumer");
        return None;
    };
    let spec = json!({ "size": size, "storage": { "storageClassName": class } });
    Some(Stage::on(ground, test, spec, &[]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_are_created_on_disks_that_are_bound_late() {
    let Some(stage) = declare("late-3", 3).await else { return };
    stage.converged().await;
    assert_eq!(stage.restarts().await, 0, "a member was restarted while the cluster was created");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_to_three_and_back_on_disks_that_are_bound_late() {
    let Some(stage) = declare("late-1", 1).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    for size in [3, 1] {
        stage.scale(size).await;
        stage.converged().await;
    }
    assert_eq!(stage.restarts().await, 0, "a member was restarted while the cluster was scaled");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_that_was_bound_late_is_replaced() {
    let Some(stage) = declare("late-disk", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    stage.claims().delete(&stage.claim(slot), &DeleteParams::default()).await.unwrap();
    let uid = stage.delete_pod(slot).await;
    stage.is_another_pod(slot, &uid).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
