//! Item 9: the API server is away, hangs, or answers from an old cache. Nothing is decided by what cannot be read.

use std::{env, time::Duration};

use etcdop_etcd::MemberId;
use serde_json::json;
use tokio::time::sleep;

use crate::{ground::Ground, stage::Stage};

/// In mid-scaling: the joiners' Pods are being made.
async fn begins_to_grow(stage: &Stage) {
    stage.scale(3).await;
    let begun = || async { stage.pods().get_opt(&stage.pod(2)).await.unwrap().is_some() };
    stage.until("scaling", begun).await;
}

/// Grows from 1 to 3 while the API server is out of order for this long.
async fn grows_without(test: &str, out_of_order: [&str; 2], time: Duration) {
    let Some(ground) = Ground::to_break().await else { return };
    let stage = Stage::on(ground, test, json!({ "size": 1 }), &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let first = only(&stage).await;
    begins_to_grow(&stage).await;
    let [act, undo] = out_of_order;
    let away = stage.ground.harm("control", &[act, "apiserver"], &[undo, "apiserver"]).await;
    // That it lasts is what is tested.
    sleep(time).await;
    away.mend().await;
    stage.converged().await;
    assert_eq!(stage.members().await.get(&stage.pod(0)), Some(&first));
    assert_eq!(stage.restarts().await, 0, "a member was restarted");
    stage.settle(witness).await;
    stage.end().await;
}

async fn only(stage: &Stage) -> MemberId {
    stage.members().await[&stage.pod(0)]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_for_a_minute_delays_scaling_and_harms_nothing() {
    grows_without("api-away", ["stop", "start"], Duration::from_mins(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_hangs_delays_scaling_and_harms_nothing() {
    grows_without("api-hangs", ["freeze", "thaw"], Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_reads_from_an_old_cache_decides_nothing_by_it() {
    let Some(ground) = Ground::to_break().await else { return };
    let second = ground.harm("control", &["start", "apiserver-2"], &["stop", "apiserver-2"]).await;
    let mut stage = Stage::on(ground, "api-stale", json!({ "size": 1 }), &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let cut = stage.ground.harm("control", &["cut", "apiserver-2"], &["join", "apiserver-2"]).await;
    // The second server goes on telling of one member, one Pod, one disk and a record of one seat.
    stage.scale(3).await;
    stage.converged().await;
    let (before, pods, claims) = (stage.members().await, stage.pod_uids().await, stage.claim_uids().await);
    let kubeconfig = format!("{}-2", env::var("KUBECONFIG").unwrap());
    stage.restart_operator_with(&[("KUBECONFIG", kubeconfig)]).await;
    stage.stays(Duration::from_secs(20), &pods, &claims).await;
    assert_eq!(stage.members().await, before);
    cut.mend().await;
    stage.scale(1).await;
    stage.converged().await;
    assert_eq!(only(&stage).await, before[&stage.pod(0)]);
    stage.settle(witness).await;
    stage.operator.kill().await;
    second.mend().await;
    stage.end().await;
}
