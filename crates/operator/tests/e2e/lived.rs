//! Item 12, the repair report's situations (F1 to F7): clusters that have lived. Left-over volumes, half-made objects, records that
//! disagree, an etcd that is away: it gets there by itself, and says meanwhile what it waits for.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::sleep;

use crate::stage::{Stage, selector};

/// For how long etcd is away.
const AWAY: Duration = Duration::from_secs(45);
/// Steps that may be tried meanwhile: every 5 s in the end, and some more in the beginning.
const TRIES: f64 = 30.0;

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_were_left_over_by_scaling_in_are_no_obstacle_to_scaling_out() {
    let spec = json!({ "size": 3, "storage": { "whenScaled": "Retain" } });
    let Some(stage) = Stage::declare_with("left-over", spec).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    stage.scale(1).await;
    stage.converged().await;
    let disks = stage.claims().list(&selector(&stage.name)).await.unwrap().items.len();
    assert_eq!(disks, 3, "the disks of those that left are kept");
    stage.scale(3).await;
    stage.converged().await;
    let after = stage.members().await;
    let kept = before.iter().filter(|(name, id)| after.get(*name) == Some(id)).count();
    assert_eq!(kept, 1, "new members on new disks: {before:?} {after:?}");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_whose_record_is_gone_with_the_cluster_are_its_members_again() {
    let Some(stage) = Stage::declare("no-record", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    stage.resources().delete(&stage.name, &DeleteParams::default()).await.unwrap();
    let gone = || async { stage.pods().list(&selector(&stage.name)).await.unwrap().items.is_empty() };
    stage.until("without Pods", gone).await;
    records(&stage).delete("demo-members", &DeleteParams::default()).await.unwrap();
    stage.create(json!({ "size": 3 })).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

fn records(stage: &Stage) -> Api<ConfigMap> {
    Api::namespaced(stage.ground.client.clone(), &stage.namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_there_by_half_are_made_whole() {
    let Some(stage) = Stage::declare("half", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let client = || stage.ground.client.clone();
    let now = DeleteParams::default();
    let sets: Api<StatefulSet> = Api::namespaced(client(), &stage.namespace);
    let services: Api<Service> = Api::namespaced(client(), &stage.namespace);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client(), &stage.namespace);
    let uid = sets.get("demo").await.unwrap().metadata.uid;
    services.delete("demo-client", &now).await.unwrap();
    services.delete("demo-peer", &now).await.unwrap();
    budgets.delete("demo", &now).await.unwrap();
    sets.delete("demo", &now).await.unwrap();
    let whole = || async {
        let set = sets.get_opt("demo").await.unwrap();
        let other = set.is_some_and(|set| set.metadata.uid != uid && set.metadata.deletion_timestamp.is_none());
        let around = services.get_opt("demo-client").await.unwrap().is_some()
            && services.get_opt("demo-peer").await.unwrap().is_some()
            && budgets.get_opt("demo").await.unwrap().is_some();
        other && around
    };
    stage.until("whole", whole).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.scale(5).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_lost_is_made_again_from_what_is_there() {
    let Some(stage) = Stage::declare("lost-record", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    records(&stage).delete("demo-members", &DeleteParams::default()).await.unwrap();
    let again = || async { records(&stage).get_opt("demo-members").await.unwrap().is_some() };
    stage.until("recorded again", again).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "nobody was touched");
    stage.scale(5).await;
    stage.converged().await;
    let after = stage.members().await;
    assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)), "{before:?} {after:?}");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_disagree_with_what_is_there_are_put_right_and_never_believed() {
    let Some(stage) = Stage::declare("disagree", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    // A status that lies, and a StatefulSet whose size and layout are those of another one.
    let lie = json!({ "status": { "readyMembers": 9, "currentSize": 9, "phase": "Creating", "clusterId": "1" } });
    stage.resources().patch_status(&stage.name, &PatchParams::default(), &Patch::Merge(lie)).await.unwrap();
    let sets: Api<StatefulSet> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let other = json!({ "metadata": { "annotations": { "etcd.etcd.io/layout": "{}" } }, "spec": { "replicas": 5 } });
    sets.patch("demo", &PatchParams::default(), &Patch::Merge(other)).await.unwrap();
    let right = || async {
        let set = sets.get("demo").await.unwrap();
        let layout = set.metadata.annotations.unwrap_or_default().remove("etcd.etcd.io/layout");
        set.spec.and_then(|spec| spec.replicas) == Some(3) && layout.is_some_and(|layout| layout.contains("\"2\""))
    };
    stage.until("put right", right).await;
    stage.scale(5).await;
    stage.converged().await;
    let after = stage.members().await;
    assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)), "{before:?} {after:?}");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_away_in_mid_scaling_is_waited_for_and_gone_on_with() {
    let Some(stage) = Stage::declare("away", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let pods: Vec<String> = (0..3).map(|slot| format!("{}/{}", stage.namespace, stage.pod(slot))).collect();
    stage.scale(5).await;
    let begun = |status: &etcdop_api::EtcdClusterStatus| status.operation.is_some();
    stage.shows("in mid-scaling", begun).await;
    for pod in &pods {
        let Some(_) = stage.ground.script("pod", &["cut", pod]).await else { return stage.end().await };
    }
    let cut = Instant::now();
    let steps = || async {
        let page = stage.operator.metrics().await;
        page.series("etcd_operator_steps_total").iter().map(|(_, count)| count).sum::<f64>()
    };
    let before = steps().await;
    let waits = |status: &etcdop_api::EtcdClusterStatus| {
        let says = |word: &str| status.message.as_deref().is_some_and(|message| message.contains(word));
        status.ready_members < 3 && (says("member") || says("quorum"))
    };
    let told = stage.shows("told what it waits for", waits).await;
    eprintln!("{}: told {:?} after {:?}", stage.namespace, told.message, cut.elapsed());
    sleep(AWAY.saturating_sub(cut.elapsed())).await;
    let tries = steps().await - before;
    assert!(tries < TRIES, "{tries} steps were tried while etcd was away");
    for pod in &pods {
        stage.ground.script("pod", &["join", pod]).await;
    }
    let took = stage.converged().await;
    eprintln!("{}: {tries} tries meanwhile, went on within {took:?}", stage.namespace);
    stage.settle(witness).await;
    stage.end().await;
}
