//! The leader's view of its peers: the second witness of rule 7, so that a member that only we cannot reach is not given up.
//!
//! The leader's gauge `etcd_network_active_peers` alone is a poor witness. When a peer's process ends it drops within a quarter of a
//! second, but while a peer is frozen (SIGSTOP, a hung disk, a host that swallows packets) it stays at 1: watched for 60 s on 3.5.35,
//! 3.6.16 and 3.7.3, because the connection stays open and the leader's own writes go on succeeding.
//! `etcd_server_heartbeat_send_failures_total` and `etcd_network_peer_sent_failures_total` do not move either. What stops at once on all
//! three is `etcd_network_peer_received_bytes_total{From}`: every heartbeat of the leader is answered through it, and it counts the
//! members that answer, learners too. So a peer is linked when its gauge says so *and* the leader heard from it lately.

use std::{collections::BTreeMap, time::Duration};

use etcdop_core::{
    id::{MemberId, Mono},
    observation::{Blocker, PeerLinks},
    record::Record,
};
use etcdop_etcd::{Http, Metrics};

/// How long a leader may hear nothing from a peer before the peer counts as gone; thirty heartbeats at etcd's default.
const PATIENCE: Duration = Duration::from_secs(3);

/// The least number of heartbeats of which none was answered.
const HEARTBEATS: u64 = 5;

/// The leader's figures about its peers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Peers with an open connection, and how many bytes ever came from each.
    open: BTreeMap<MemberId, Received>,
}

/// A count of bytes, compared for equality only.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Received(f64);

/// Reads the leader's metrics page.
pub(crate) async fn ask(metrics: Http, deadline: Duration) -> Result<Reading, Blocker> {
    let page = metrics.deadline(deadline).metrics().await.map_err(|error| Blocker(error.to_string()))?;
    Ok(Reading::of(&page))
}

/// How long the leader's silence about a peer is to last, by the slowest heartbeat that a member was started with.
pub(crate) fn patience(record: &Record) -> Duration {
    let heartbeats = record.slots.values().filter_map(|seat| seat.launch.template.options.heartbeat_interval);
    let slowest = Duration::from_millis(heartbeats.max().unwrap_or(0).saturating_mul(HEARTBEATS));
    slowest.max(PATIENCE)
}

impl Reading {
    fn of(page: &Metrics) -> Self {
        let received: BTreeMap<MemberId, f64> = page
            .samples("etcd_network_peer_received_bytes_total")
            .filter_map(|sample| Some((sample.label("From")?.parse().ok()?, sample.value)))
            .collect();
        let open = page.samples("etcd_network_active_peers").filter(|link| link.value >= 1.0);
        let open = open.filter_map(|link| {
            let peer = link.label("Remote")?.parse().ok()?;
            Some((peer, Received(received.get(&peer).copied().unwrap_or(0.0))))
        });
        Self { open: open.collect() }
    }
}

/// When each peer's count last moved, as far as this manager watched. Whoever was never watched counts as heard just now.
#[derive(Debug, Default)]
pub(crate) struct LinkMemory {
    leader: Option<MemberId>,
    moved: BTreeMap<MemberId, (Received, Mono)>,
}

impl LinkMemory {
    /// Who is linked, by a reading that was asked for `at`.
    pub(crate) fn judge(&mut self, leader: MemberId, reading: &Reading, at: Mono, patience: Duration) -> PeerLinks {
        if self.leader != Some(leader) {
            // Another member counts from zero.
            *self = Self { leader: Some(leader), moved: BTreeMap::new() };
        }
        let before = std::mem::take(&mut self.moved);
        let now = reading.open.iter().map(|(&peer, &received)| match before.get(&peer) {
            Some((same, since)) if *same == received => (peer, (received, *since)),
            _ => (peer, (received, at)),
        });
        self.moved = now.collect();
        let heard = self.moved.iter().filter(|(_, (_, since))| at.since(*since) < patience);
        PeerLinks { leader, active: heard.map(|(&peer, _)| peer).collect() }
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{
        id::{Incarnation, Slot},
        launch::{EtcdOptions, LaunchSpec, Template},
        version::EtcdVersion,
    };

    use super::*;

    const LEADER: MemberId = MemberId(0xaa);
    const PEER: MemberId = MemberId(0xbb);

    fn reading(active: u8, received: u32) -> Reading {
        Reading::of(&Metrics::new(format!(
            "etcd_network_active_peers{{Local=\"aa\",Remote=\"bb\"}} {active}\n\
             etcd_network_peer_received_bytes_total{{From=\"bb\"}} {received}\n\
             etcd_network_peer_received_bytes_total{{From=\"0\"}} 700\n"
        )))
    }

    fn is_linked(memory: &mut LinkMemory, reading: &Reading, second: u64) -> bool {
        memory.judge(LEADER, reading, Mono(Duration::from_secs(second)), PATIENCE).active.contains(&PEER)
    }

    #[test]
    fn a_peer_whose_connection_broke_is_not_linked() {
        assert!(!is_linked(&mut LinkMemory::default(), &reading(0, 10), 0));
    }

    #[test]
    fn a_frozen_peer_is_linked_until_it_was_watched_in_silence_for_long_enough() {
        let mut memory = LinkMemory::default();
        assert!(is_linked(&mut memory, &reading(1, 10), 100), "the first reading says nothing of when it moved last");
        assert!(is_linked(&mut memory, &reading(1, 10), 102));
        assert!(!is_linked(&mut memory, &reading(1, 10), 103));
        assert!(is_linked(&mut memory, &reading(1, 11), 104), "it moved again");
    }

    #[test]
    fn another_leader_has_to_watch_for_itself() {
        let mut memory = LinkMemory::default();
        is_linked(&mut memory, &reading(1, 10), 100);
        assert!(!is_linked(&mut memory, &reading(1, 10), 110));
        let other = memory.judge(MemberId(0xcc), &reading(1, 10), Mono(Duration::from_secs(111)), PATIENCE);
        assert!(other.active.contains(&PEER));
    }

    #[test]
    fn slow_heartbeats_need_more_patience() {
        let mut record = Record::unborn(Incarnation::first("u"));
        assert_eq!(patience(&record), PATIENCE);
        let options = EtcdOptions { heartbeat_interval: Some(2000), ..EtcdOptions::default() };
        let template = Template::new(EtcdVersion::new(3, 6, 16), options);
        record.reserve(Slot(0), LaunchSpec { template, max_learners: 1 });
        assert_eq!(patience(&record), Duration::from_secs(10));
    }
}
