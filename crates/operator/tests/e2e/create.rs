//! Item 1: clusters come into being, go, and come back.

use std::{collections::BTreeSet, time::Duration};

use etcdop_api::Phase;
use futures::future::join_all;
use kube::api::DeleteParams;
use serde_json::json;

use crate::stage::{Stage, create, make_namespace, selector};

/// By how much a cluster may be slower beside one that hangs: a loaded machine, not a wait for an answer.
const BESIDE_ONE_THAT_HANGS: Duration = Duration::from_secs(5);

async fn creates(test: &str, size: i64) {
    let Some(stage) = Stage::declare(test, size).await else { return };
    stage.converged().await;
    assert_eq!(stage.restarts().await, 0, "a member was restarted while the cluster was created");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_is_created() {
    creates("create-1", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_are_created() {
    creates("create-3", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_members_are_created() {
    creates("create-7", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_cluster_comes_back_with_its_data() {
    let Some(stage) = Stage::declare("retain", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    stage.resources().delete(&stage.name, &DeleteParams::default()).await.unwrap();
    stage
        .until("without Pods", || async { stage.pods().list(&selector(&stage.name)).await.unwrap().items.is_empty() })
        .await;
    assert_eq!(stage.claims().list(&selector(&stage.name)).await.unwrap().items.len(), 3, "the disks are retained");
    stage.create(json!({ "size": 3 })).await;
    stage.converged().await;
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_disks_go_along_leaves_nothing() {
    let spec = json!({ "size": 1, "storage": { "whenDeleted": "Delete" } });
    let Some(stage) = Stage::declare_with("delete", spec).await else { return };
    stage.converged().await;
    stage.resources().delete(&stage.name, &DeleteParams::default()).await.unwrap();
    let gone = || async {
        let pods = stage.pods().list(&selector(&stage.name)).await.unwrap();
        let claims = stage.claims().list(&selector(&stage.name)).await.unwrap();
        pods.items.is_empty() && claims.items.is_empty()
    };
    stage.until("without Pods and claims", gone).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_of_one_name_in_two_namespaces_are_two_clusters() {
    let Some(one) = Stage::declare("twin-a", 1).await else { return };
    let Some(other) = Stage::declare("twin-b", 1).await else { return };
    one.converged().await;
    other.converged().await;
    assert_ne!(one.status().await.cluster_id, other.status().await.cluster_id);
    one.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_of_our_name_is_refused_and_left_alone() {
    let Some(stage) = Stage::declare("stranger-0", 1).await else { return };
    stage.converged().await;
    let namespace = format!("{}-x", stage.namespace);
    make_namespace(&stage.ground.client, &namespace).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(stage.ground.client.clone(), &namespace);
    let theirs =
        serde_json::from_value(json!({ "metadata": { "name": "demo-members" }, "data": { "record": "theirs" } }));
    maps.create(&kube::api::PostParams::default(), &theirs.unwrap()).await.unwrap();
    let _operator = crate::operator::Operator::start(&stage.ground, &[&namespace], &[]);
    create(&stage.ground, &namespace, "demo", json!({ "size": 1 })).await;
    let resources: kube::Api<etcdop_api::EtcdCluster> = kube::Api::namespaced(stage.ground.client.clone(), &namespace);
    let refused = || async {
        let status = resources.get("demo").await.unwrap().status.unwrap_or_default();
        let said = status.message.unwrap_or_default().contains("ConfigMap demo-members exists and does not belong");
        said && status.phase == Some(Phase::Pending)
    };
    stage.until("refused", refused).await;
    assert_eq!(maps.get("demo-members").await.unwrap().data.unwrap()["record"], "theirs");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_clusters_at_once_all_come_to_be() {
    let Some(mut stage) = Stage::bare("ten").await else { return };
    stage.run_operator(&[]);
    let clusters: Vec<Stage> = (0..10).map(|number| stage.beside(&format!("c{number}"))).collect();
    join_all(clusters.iter().map(|cluster| cluster.create(json!({ "size": 3 })))).await;
    join_all(clusters.iter().map(Stage::converged)).await;
    let mut ids = BTreeSet::new();
    for cluster in &clusters {
        assert_eq!(cluster.restarts().await, 0, "a member of {} was restarted", cluster.name);
        ids.insert(cluster.status().await.cluster_id);
    }
    assert_eq!(ids.len(), 10, "ten clusters, not fewer: {ids:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hangs_never_delays_another_one() {
    let Some(mut stage) = Stage::bare("hung").await else { return };
    stage.run_operator(&[]);
    let (hangs, lives) = (stage.beside("hangs"), stage.beside("lives"));
    hangs.create(json!({ "size": 3 })).await;
    lives.create(json!({ "size": 1 })).await;
    hangs.converged().await;
    lives.converged().await;
    lives.scale(3).await;
    let usual = lives.converged().await;
    lives.scale(1).await;
    lives.converged().await;
    let pods: Vec<String> = (0..3).map(|slot| format!("{}/{}", stage.namespace, hangs.pod(slot))).collect();
    for pod in &pods {
        let Some(_) = stage.ground.script("pod", &["freeze", pod, "etcd"]).await else { return stage.end().await };
    }
    // Its loop has work, too, and nobody who answers.
    hangs.scale(5).await;
    lives.scale(3).await;
    let beside = lives.converged().await;
    assert!(beside < usual + BESIDE_ONE_THAT_HANGS, "{beside:?} beside a cluster that hangs, {usual:?} without one");
    assert!(hangs.status().await.ready_members < 3, "it was not there to hang");
    for pod in &pods {
        stage.ground.script("pod", &["thaw", pod, "etcd"]).await;
    }
    hangs.converged().await;
    stage.end().await;
}
