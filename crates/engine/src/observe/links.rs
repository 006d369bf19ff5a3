//! The leader's view of its peers: the second witness of rule 7, so that a member that only we cannot reach is not given up.

use std::time::Duration;

use etcdop_core::{
    id::MemberId,
    observation::{Blocker, PeerLinks},
};
use etcdop_etcd::{Http, Metrics};

/// Reads the leader's metrics page.
pub(crate) async fn ask(leader: MemberId, metrics: Http, deadline: Duration) -> Result<PeerLinks, Blocker> {
    let page = metrics.deadline(deadline).metrics().await.map_err(|error| Blocker(error.to_string()))?;
    Ok(read(leader, &page))
}

fn read(leader: MemberId, page: &Metrics) -> PeerLinks {
    let links = page.samples("etcd_network_active_peers").filter(|link| link.value >= 1.0);
    PeerLinks { leader, active: links.filter_map(|link| link.label("Remote")?.parse().ok()).collect() }
}
