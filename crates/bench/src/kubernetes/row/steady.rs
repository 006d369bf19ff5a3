//! What the operator costs that keeps a hundred clusters of three with nothing to do.

use std::time::{Duration, Instant};

use etcdop_api::{EtcdCluster, Phase};
use etcdop_bench::run::Sample;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    Bench,
    double::{Doubles, LABEL},
    failure::Failure,
    ground::object,
    operator::{Operator, Reach},
    subject::VERSION,
    writes::Requests,
};

const CLUSTERS: usize = 100;
const SIZE: i32 = 3;
/// Megabytes that it may hold: 20, and 100 kB for each cluster.
pub(super) const RESIDENT: f64 = 30.0;
/// For all of them to form.
const PATIENCE: Duration = Duration::from_mins(6);
/// From then on until they are at rest.
const SETTLED: Duration = Duration::from_secs(30);
/// Each repetition.
const MEASURED: Duration = Duration::from_secs(15);
/// Created at once.
const AT_ONCE: usize = 8;

/// API writes and reads a minute, megabytes resident, percent of a core: of several spans of time.
pub(super) async fn steady(bench: &Bench) -> Result<Vec<Sample>, Failure> {
    let namespace = format!("{}-steady", bench.ground.namespace);
    bench.ground.make_namespace(&namespace).await?;
    let doubles = Doubles::start(&bench.ground.client, &namespace).await?;
    let measured = observe(bench, &namespace).await;
    bench.ground.drop_namespace(&namespace).await;
    ended(bench, &namespace).await;
    doubles.end().await;
    measured
}

/// Until the doubles' Pods are gone: nobody else could end them.
async fn ended(bench: &Bench, namespace: &str) {
    let pods: Api<Pod> = Api::namespaced(bench.ground.client.clone(), namespace);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        match pods.list_metadata(&ListParams::default().limit(1)).await {
            Ok(left) if left.items.is_empty() => return,
            _ => sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn observe(bench: &Bench, namespace: &str) -> Result<Vec<Sample>, Failure> {
    let client = &bench.ground.client;
    let operator = Operator::start(&bench.ground, namespace, Reach::Direct)?;
    let resources: Api<EtcdCluster> = Api::namespaced(client.clone(), namespace);
    let made = stream::iter(0..CLUSTERS).map(|n| create(&resources, n)).buffer_unordered(AT_ONCE);
    made.try_for_each(|()| async { Ok(()) }).await?;
    formed(&resources).await?;
    sleep(SETTLED).await;
    let process = operator.process();
    let mut samples = Vec::new();
    for _ in 0..bench.repetitions {
        let (before, busy, began) = (Requests::count(client).await?, process.watch()?, Instant::now());
        sleep(MEASURED).await;
        let (percent, after) = (process.percent_since(busy)?, Requests::count(client).await?);
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let (writes, reads) = ((after.writes - before.writes) / minutes, (after.reads - before.reads) / minutes);
        samples.push(vec![writes, reads, process.resident()?, percent]);
    }
    Ok(samples)
}

async fn create(resources: &Api<EtcdCluster>, n: usize) -> Result<(), Failure> {
    let resource: EtcdCluster = object(json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster", "metadata": { "name": format!("d{n}") },
        "spec": {
            "size": SIZE,
            "version": VERSION,
            "storage": { "whenDeleted": "Delete" },
            "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
            "podTemplate": { "nodeSelector": { LABEL: "true" }, "tolerations": [{ "key": LABEL, "operator": "Exists" }] },
        },
    }))?;
    let created = resources.create(&PostParams::default(), &resource).await;
    created.map(drop).map_err(Failure::ours("create an EtcdCluster"))
}

/// Until the operator has nothing left to do.
async fn formed(resources: &Api<EtcdCluster>) -> Result<(), Failure> {
    let began = Instant::now();
    let mut running = 0;
    while began.elapsed() < PATIENCE {
        let list = resources.list(&ListParams::default()).await.map_err(Failure::ours("list EtcdClusters"))?;
        let statuses = list.items.iter().filter_map(|resource| resource.status.as_ref());
        let rests = statuses.filter(|status| {
            status.phase == Some(Phase::Running) && status.ready_members == SIZE && status.operation.is_none()
        });
        running = rests.count();
        if running == CLUSTERS {
            return Ok(());
        }
        sleep(Duration::from_secs(1)).await;
    }
    Err(Failure::NotInTime { what: format!("{CLUSTERS} clusters of doubles ({running} are)"), after: PATIENCE })
}
