//! Item 7: who is cut off is not dead, whoever cannot reach him.

use std::time::Duration;

use serde_json::json;

use crate::{
    facts::{Members, Uids, says},
    ground::{Ground, Harm},
    stage::Stage,
};

/// How long the cuts last after they are told of: several times `replaceAfter`.
const CUT: Duration = Duration::from_secs(30);
/// The operator and the tests on the test ground's network.
const HERE: &str = "10.97.0.254";

/// Three members and an operator that reaches them at their own addresses, and gives up whoever is dead after ten seconds.
struct Cluster {
    stage: Stage,
    members: Members,
    pods: Uids,
    claims: Uids,
}

impl Cluster {
    async fn find(test: &str) -> Option<Self> {
        let ground = Ground::to_break().await?;
        let spec = json!({ "size": 3, "recovery": { "replaceAfter": "10s" } });
        let direct = ("ETCD_OPERATOR_REACH", "direct".to_owned());
        let stage = Stage::on(ground, test, spec, &[direct]).await;
        stage.converged().await;
        let (members, pods, claims) = (stage.members().await, stage.pod_uids().await, stage.claim_uids().await);
        Some(Self { stage, members, pods, claims })
    }

    /// No packet between this slot's Pod and these addresses any more.
    async fn cut(&self, slot: usize, addresses: &[&str]) -> Harm {
        let pod = self.stage.path(&self.stage.pod(slot));
        let words = |verb: &'static str| [[verb, pod.as_str()].as_slice(), addresses].concat();
        self.stage.ground.harm("pod", &words("cut"), &words("join")).await
    }

    async fn address(&self, slot: usize) -> String {
        self.stage.pods().get(&self.stage.pod(slot)).await.unwrap().status.unwrap().pod_ip.unwrap()
    }

    /// While it lasts nothing is done about it.
    async fn stays(&self) {
        self.stage.stays(CUT, &self.pods, &self.claims).await;
    }

    /// Afterwards everything is as it was.
    async fn is_as_before(&self) {
        self.stage.converged().await;
        assert_eq!(self.stage.members().await, self.members, "nobody is replaced");
        assert_eq!(self.stage.pod_uids().await, self.pods, "nobody is restarted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_cut_off_from_its_peers_is_not_replaced() {
    let Some(cluster) = Cluster::find("cut-peers").await else { return };
    let witness = cluster.stage.witness().await;
    let slot = cluster.stage.leader().await;
    let peers = [cluster.address((slot + 1) % 3).await, cluster.address((slot + 2) % 3).await];
    let cut = cluster.cut(slot, &peers.each_ref().map(String::as_str)).await;
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        says(status, &format!("in slot {slot} answers, but follows"))
            && says(status, "it is not replaced while it answers")
    };
    let status = cluster.stage.shows("told", told).await;
    assert_eq!(status.ready_members, 2);
    cluster.stays().await;
    cut.mend().await;
    cluster.is_as_before().await;
    cluster.stage.settle(witness).await;
    cluster.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_only_the_operator_cannot_reach_is_not_replaced() {
    let Some(cluster) = Cluster::find("cut-here").await else { return };
    let witness = cluster.stage.witness().await;
    let slot = cluster.stage.follower().await;
    let cut = cluster.cut(slot, &[HERE]).await;
    let told = |status: &etcdop_api::EtcdClusterStatus| {
        says(status, &format!("in slot {slot} is unreachable from here, but the leader is connected to it"))
    };
    let status = cluster.stage.shows("told", told).await;
    assert_eq!((status.ready_members, status.current_size), (2, 3));
    cluster.stays().await;
    cut.mend().await;
    cluster.is_as_before().await;
    cluster.stage.settle(witness).await;
    cluster.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_cut_off_from_all_members_leaves_them_alone() {
    let Some(cluster) = Cluster::find("cut-all").await else { return };
    let witness = cluster.stage.witness().await;
    let mut cuts = Vec::new();
    for slot in 0..3 {
        cuts.push(cluster.cut(slot, &[HERE]).await);
    }
    let status = cluster.stage.shows("blind", |status| status.ready_members == 0).await;
    assert!(status.message.is_some(), "{status:#?}");
    cluster.stays().await;
    let status = cluster.stage.status().await;
    // It says what it does not know, and claims nothing about who is a member.
    assert!(says(&status, "the member list cannot be read") || says(&status, "quorum lost"), "{status:#?}");
    for cut in cuts {
        cut.mend().await;
    }
    cluster.is_as_before().await;
    cluster.stage.settle(witness).await;
    cluster.stage.end().await;
}
