//! Item 4: Pods are deleted, containers are killed; members come back on their disks.

use std::process::Command;

use crate::{facts::says, ground::Ground, stage::Stage};

/// Deletes these Pods of three; the same members come back.
async fn lives_through_deletion(stage: &Stage, slots: &[usize]) {
    let before = stage.members().await;
    let mut uids = Vec::new();
    for &slot in slots {
        uids.push((slot, stage.delete_pod(slot).await));
    }
    for (slot, uid) in uids {
        stage.is_another_pod(slot, &uid).await;
    }
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_pods_come_back_on_their_disks() {
    let Some(stage) = Stage::declare("pods", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let leader = stage.leader().await;
    lives_through_deletion(&stage, &[(leader + 1) % 3]).await;
    let leader = stage.leader().await;
    lives_through_deletion(&stage, &[leader]).await;
    lives_through_deletion(&stage, &[0, 1]).await;
    lives_through_deletion(&stage, &[0, 1, 2]).await;
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_was_killed_is_followed_by_one_that_goes_on() {
    let Some(mut stage) = Stage::declare("killed", 1).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    stage.scale(3).await;
    stage.restart_operator().await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_containers_are_restarted_on_their_disks() {
    let Some(stage) = Stage::declare("crash", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    for slots in [vec![stage.leader().await], vec![0, 1, 2]] {
        for &slot in &slots {
            let pod = format!("{}/{}", stage.namespace, stage.pod(slot));
            let Some(_) = stage.ground.script("pod", &["kill", &pod, "etcd"]).await else { return stage.end().await };
        }
        let restarted = i32::try_from(slots.len()).unwrap();
        stage.until("restarted", || async { stage.restarts().await >= restarted }).await;
        stage.converged().await;
        assert_eq!(stage.members().await, before, "the same members on the same disks");
    }
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_that_hangs_is_restarted_on_its_disk() {
    let Some(ground) = Ground::to_break().await else { return };
    let stage = Stage::on(ground, "hangs", serde_json::json!({ "size": 3 }), &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let pod = stage.path(&stage.pod(stage.leader().await));
    // Not the freezer: what is in it can't be killed either.
    let processes = stage.ground.script("pod", &["pids", &pod, "etcd"]).await.unwrap();
    let stopped = Command::new("kill").arg("-STOP").args(processes.split_whitespace()).status().unwrap();
    assert!(stopped.success());
    stage.shows("told", |status| says(status, "is silent for")).await;
    stage.until("restarted", || async { stage.restarts().await == 1 }).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}
