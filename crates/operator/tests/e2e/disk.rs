//! Item 5: disks are lost; their members are replaced, and nothing is lost with them.

use kube::api::DeleteParams;

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_claim_and_pod_are_a_lost_member_that_is_replaced() {
    let Some(stage) = Stage::declare("disk", 3).await else { return };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_finds_its_disk_empty_after_a_crash_never_starts_on_it() {
    let Some(stage) = Stage::declare("empty", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    let claim = format!("{}/{}", stage.namespace, stage.claim(slot));
    let pod = format!("{}/{}", stage.namespace, stage.pod(slot));
    let Some(folder) = stage.ground.script("pod", &["volume", &claim]).await else { return stage.end().await };
    wipe(&folder);
    stage.ground.script("pod", &["kill", &pod, "etcd"]).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}

fn wipe(folder: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        gone.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_wiped_under_a_running_member_is_noticed() {
    let Some(stage) = Stage::declare("wiped", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    let claim = format!("{}/{}", stage.namespace, stage.claim(slot));
    let Some(folder) = stage.ground.script("pod", &["volume", &claim]).await else { return stage.end().await };
    wipe(&folder);
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
