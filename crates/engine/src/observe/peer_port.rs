//! The first sign of life of a joiner: its peer port answers before it serves clients, and without a quorum. A hint only; no
//! change of the membership rests on it (rule 6).

use std::time::Duration;

use etcdop_core::{id::ClusterId, observation::Blocker};
use etcdop_etcd::Http;

/// Asks the peer port whether it serves, and which cluster it belongs to.
pub(crate) async fn ask(peer: Http, deadline: Duration) -> Result<Option<ClusterId>, Blocker> {
    let members = peer.deadline(deadline).peer_members().await.map_err(|error| Blocker(error.to_string()))?;
    Ok(members.cluster_id.map(|cluster| ClusterId(cluster.0)))
}

/// How far a joiner has come, by its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// On its way.
    Joining,
    /// It has the leader's data, and its publish is pending. A healthy one is so for 130 ms at most; one that lost its publish
    /// while it took the snapshot, for 7 s (measured on 3.6.16 and 3.7.3, aged clusters: 8 of 10 learners).
    Publishing,
}

/// Asks the metrics port how far the joiner has come. Collecting that page costs the member some milliseconds of its start.
pub(crate) async fn ask_progress(metrics: Http, deadline: Duration) -> Result<Progress, Blocker> {
    let page = metrics.deadline(deadline).metrics().await.map_err(|error| Blocker(error.to_string()))?;
    let at_least_one = |name| page.value(name).is_some_and(|value| value >= 1.0);
    // `is_learner` is 0 until the snapshot is applied.
    let publishing = ["etcd_server_is_learner", "etcd_server_proposals_applied_total", "etcd_server_proposals_pending"];
    Ok(if publishing.into_iter().all(at_least_one) { Progress::Publishing } else { Progress::Joining })
}
