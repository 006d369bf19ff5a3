//! Who and what there is, by identity: what a test compares before and after.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcdop_api::EtcdClusterStatus;
use etcdop_etcd::MemberId;
use kube::ResourceExt;
use tokio::time::sleep;

use crate::stage::{PACE, Stage, selector};

/// Members by name.
pub(crate) type Members = BTreeMap<String, MemberId>;
/// UIDs by name.
pub(crate) type Uids = BTreeMap<String, String>;

impl Stage {
    /// The Pods that there are, those that are ending too.
    pub(crate) async fn pod_uids(&self) -> Uids {
        let pods = self.pods().list(&selector(&self.name)).await.unwrap();
        pods.items.into_iter().map(|pod| (pod.name_any(), pod.uid().unwrap())).collect()
    }

    /// The claims that there are, those that are ending too.
    pub(crate) async fn claim_uids(&self) -> Uids {
        let claims = self.claims().list(&selector(&self.name)).await.unwrap();
        claims.items.into_iter().map(|claim| (claim.name_any(), claim.uid().unwrap())).collect()
    }

    /// Waits until another member is in the slot; the others must be those that were there.
    pub(crate) async fn is_replaced(&self, slot: usize, before: &Members) {
        let pod = self.pod(slot);
        let other = || async {
            let now = self.members().await;
            now.get(&pod).is_some_and(|id| before.get(&pod) != Some(id))
        };
        self.until("another member", other).await;
        let after = self.members().await;
        let strangers: Vec<_> =
            after.iter().filter(|(name, id)| **name != pod && before.get(*name) != Some(id)).collect();
        assert!(strangers.is_empty(), "the others are untouched: {before:?} {after:?}");
    }

    /// For this long nothing is made, deleted or replaced: the Pods and the claims are these.
    pub(crate) async fn stays(&self, time: Duration, pods: &Uids, claims: &Uids) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            assert_eq!(self.pod_uids().await, *pods, "{}: Pods after {:?}", self.namespace, begin.elapsed());
            assert_eq!(self.claim_uids().await, *claims, "{}: claims after {:?}", self.namespace, begin.elapsed());
            sleep(PACE * 4).await;
        }
    }

    /// A slot whose member does not lead.
    pub(crate) async fn follower(&self) -> usize {
        (self.leader().await + 1) % 3
    }

    /// NAMESPACE/NAME, as the scripts of the test ground want it.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    /// The folder behind a slot's claim.
    pub(crate) async fn folder(&self, slot: usize) -> std::path::PathBuf {
        let claim = self.path(&self.claim(slot));
        self.ground.script("pod", &["volume", &claim]).await.unwrap().into()
    }
}

/// Whether the status says so, in the one sentence that `kubectl get -o wide` shows.
pub(crate) fn says(status: &EtcdClusterStatus, words: &str) -> bool {
    status.message.as_deref().is_some_and(|message| message.contains(words))
}

/// What a condition says, with its reason; empty when it is not `status`.
pub(crate) fn condition(status: &EtcdClusterStatus, kind: &str, is: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind && condition.status == is);
    found.map(|condition| format!("{}: {}", condition.reason, condition.message)).unwrap_or_default()
}
