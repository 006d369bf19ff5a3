//! Item 1: clusters come into being, go, and come back.

use etcdop_api::Phase;
use kube::api::DeleteParams;
use serde_json::json;

use crate::stage::{Stage, create, make_namespace, selector};

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
