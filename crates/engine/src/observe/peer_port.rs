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

/// Asks the metrics port which raft index was applied. Collecting that page costs the member some milliseconds of its start.
pub(crate) async fn ask_applied(metrics: Http, deadline: Duration) -> Result<u64, Blocker> {
    let page = metrics.deadline(deadline).metrics().await.map_err(|error| Blocker(error.to_string()))?;
    let applied = page.value("etcd_server_proposals_applied_total").and_then(index);
    applied.ok_or_else(|| Blocker("its metrics do not say what it has applied".to_owned()))
}

/// Prometheus counts in floating point, exactly up to 2^53.
fn index(value: f64) -> Option<u64> {
    format!("{value:.0}").parse().ok()
}
