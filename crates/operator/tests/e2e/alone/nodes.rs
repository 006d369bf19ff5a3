//! Item 6: nodes die and hang, with members on disks of their own.

use std::time::Duration;

use k8s_openapi::{
    api::{core::v1::Node, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::{facts::says, ground::Ground, stage::Stage};

/// More than the 50 s after which Kubernetes takes a silent node for lost: before that the scheduler would send the successor there.
const REPLACE_AFTER: &str = "75s";

async fn node_of(stage: &Stage, slot: usize) -> String {
    stage.pods().get(&stage.pod(slot)).await.unwrap().spec.unwrap().node_name.unwrap()
}

/// Waits until Kubernetes says that the node is ready, or that it is not.
async fn is_ready(stage: &Stage, node: &str, ready: bool) {
    let nodes: Api<Node> = Api::all(stage.ground.client.clone());
    let is_so = || async {
        let status = nodes.get(node).await.unwrap().status.unwrap_or_default();
        let condition = status.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "Ready");
        condition.is_some_and(|condition| (condition.status == "True") == ready)
    };
    stage.until(&format!("{node} ready: {ready}"), is_so).await;
}

/// The budget of three members: two stay, and one that is down anyway keeps no node from being drained.
async fn budget(stage: &Stage) -> PodDisruptionBudget {
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(stage.ground.client.clone(), &stage.namespace);
    let budget = budgets.get(&stage.name).await.unwrap();
    let spec = budget.spec.clone().unwrap();
    assert_eq!(spec.min_available, Some(IntOrString::Int(2)));
    assert_eq!(spec.unhealthy_pod_eviction_policy.as_deref(), Some("AlwaysAllow"));
    budget
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_node_died_for_good_is_replaced_on_another_node() {
    let Some(ground) = Ground::to_break().await else { return };
    let spec = json!({
        "size": 3,
        "storage": { "storageClassName": "local" },
        "recovery": { "replaceAfter": REPLACE_AFTER },
    });
    let stage = Stage::on(ground, "node-dies", spec, &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    let (pod, node) = (stage.pod(slot), node_of(&stage, slot).await);
    let dead = stage.ground.harm("node", &["kill", &node], &["join", &node]).await;
    stage.ground.script("node", &["wipe", &node]).await;
    stage.shows("told", |status| says(status, "is silent for") && says(status, "of 75s")).await;
    budget(&stage).await;
    is_ready(&stage, &node, false).await;
    // As an impatient person does, or Kubernetes itself five minutes later. No kubelet is there to end it.
    let uid = stage.delete_pod(slot).await;
    let given_up = || async {
        let there = stage.pods().get_opt(&pod).await.unwrap();
        there.is_none_or(|there| there.uid().as_deref() != Some(uid.as_str()))
    };
    stage.until("without the Pod that cannot end", given_up).await;
    let listed = stage.members().await.values().any(|id| *id == before[&pod]);
    assert!(!listed, "its Pod was deleted by force while its member was still in the list");
    budget(&stage).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    assert_ne!(node_of(&stage, slot).await, node, "the successor is on a node that lives");
    let whole = || async {
        let status = budget(&stage).await.status.unwrap_or_default();
        (status.current_healthy, status.desired_healthy, status.disruptions_allowed) == (3, 2, 1)
    };
    stage.until("one disruption allowed", whole).await;
    dead.mend().await;
    is_ready(&stage, &node, true).await;
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_for_a_minute_costs_no_member() {
    let Some(ground) = Ground::to_break().await else { return };
    let spec = json!({ "size": 3, "storage": { "storageClassName": "local" } });
    let stage = Stage::on(ground, "node-hangs", spec, &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let (before, pods, claims) = (stage.members().await, stage.pod_uids().await, stage.claim_uids().await);
    let node = node_of(&stage, stage.leader().await).await;
    let frozen = stage.ground.harm("node", &["freeze", &node], &["thaw", &node]).await;
    stage.shows("told", |status| says(status, "is silent for") && says(status, "of 300s")).await;
    stage.stays(Duration::from_mins(1), &pods, &claims).await;
    frozen.mend().await;
    stage.converged().await;
    is_ready(&stage, &node, true).await;
    assert_eq!(stage.members().await, before, "nobody is replaced");
    assert_eq!(stage.pod_uids().await, pods);
    stage.settle(witness).await;
    stage.end().await;
}
