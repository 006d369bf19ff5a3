//! Item 3: size 0 stops everything and keeps every disk.

use etcdop_api::Phase;

use crate::stage::{Stage, selector};

async fn sleeps_and_wakes(test: &str, size: i64) {
    let Some(stage) = Stage::declare(test, size).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    stage.scale(0).await;
    stage.shows("hibernated", |status| status.phase == Some(Phase::Hibernated) && status.operation.is_none()).await;
    assert_eq!(stage.pods().list(&selector(&stage.name)).await.unwrap().items.len(), 0);
    let disks = stage.claims().list(&selector(&stage.name)).await.unwrap().items.len();
    assert_eq!(i64::try_from(disks).unwrap(), size, "every disk is kept");
    stage.scale(size).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_sleep_and_wake() {
    sleeps_and_wakes("sleep-3", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_sleeps_and_wakes() {
    sleeps_and_wakes("sleep-1", 1).await;
}
