//! Item 12: the scaling report's user guide, with its names.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdop_api::EtcdCluster;
use kube::Api;
use tokio::time::sleep;

use crate::stage::{Stage, addresses, etcd};

/// For how long READY may lag behind.
const LAG: Duration = Duration::from_secs(2);

/// Samples READY ten times a second and holds it against the members themselves: it must have been true at some instant of the last
/// two seconds.
async fn sample(stage: &Stage, stop: Arc<AtomicBool>) -> Vec<String> {
    let resources: Api<EtcdCluster> = stage.resources();
    let mut lies = Vec::new();
    let mut answered: Vec<(Instant, i32)> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let mut answering = 0;
        for (_, endpoint) in addresses(&stage.ground.client, &stage.namespace, &stage.name).await {
            answering += i32::from(etcd(endpoint).deadline(Duration::from_millis(300)).status().await.is_ok());
        }
        let ready = resources.get(&stage.name).await.unwrap().status.unwrap_or_default().ready_members;
        answered.retain(|(at, _)| at.elapsed() < LAG);
        answered.push((Instant::now(), answering));
        let most = answered.iter().map(|(_, answering)| *answering).max().unwrap_or(0);
        if ready > most {
            lies.push(format!("READY {ready} while {most} answered at most"));
        }
        sleep(Duration::from_millis(100)).await;
    }
    lies
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ready_column_never_shows_more_than_what_answers() {
    let Some(stage) = Stage::declare("guide", 1).await else { return };
    stage.converged().await;
    let stop = Arc::new(AtomicBool::new(false));
    let (lies, ()) = tokio::join!(sample(&stage, Arc::clone(&stop)), async {
        for size in [3, 5, 3, 1] {
            stage.scale(size).await;
            stage.converged().await;
        }
        stop.store(true, Ordering::Release);
    });
    assert!(lies.is_empty(), "{lies:?}");
    assert_eq!(stage.restarts().await, 0);
    stage.end().await;
}
