//! How patient the engine is. The defaults are for members in one data centre; nothing in here makes a decision safer or less so.

use std::time::Duration;

use etcdop_etcd::Options;

/// How patient the engine is.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How members are reached: TLS, login, timeouts of connections. Its call timeout is not used: every call here has its own.
    pub etcd: Options,
    /// For one answer of one member about itself; longer than a pass waits.
    pub answer: Duration,
    /// What a pass waits at most for members that answered the last time.
    pub budget: Duration,
    /// What a pass waits at most for members that never answered yet; the first pass of all waits for them as for others.
    pub newcomer: Duration,
    /// After which the question for the member list goes to one member more.
    pub hedge: Duration,
    /// For a linearizable member list, whoever is asked.
    pub roster: Duration,
    /// For an answer of a peer port.
    pub peer_port: Duration,
    /// For a change of etcd; then its outcome is unknown.
    pub call: Duration,
    /// For a long step, besides the time that its data take; then its outcome is unknown.
    pub errand: Duration,
    /// Bytes a second that the slowest disk moves which is worth waiting for.
    pub slow_disk: u64,
    /// Between two looks while nothing is in flight and nothing triggers one.
    pub health: Duration,
    /// The longest wait between two looks while something is in flight that does not move.
    pub slowest_pace: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            etcd: Options::default(),
            answer: Duration::from_secs(1),
            budget: Duration::from_millis(300),
            newcomer: Duration::from_millis(1),
            hedge: Duration::from_millis(60),
            roster: Duration::from_secs(1),
            peer_port: Duration::from_millis(150),
            call: Duration::from_secs(3),
            errand: Duration::from_secs(30),
            slow_disk: 8 << 20,
            health: Duration::from_secs(1),
            slowest_pace: Duration::from_millis(500),
        }
    }
}

impl Tuning {
    /// How long a step may take that goes through so many bytes of a database.
    pub(crate) fn for_bytes(&self, bytes: u64) -> Duration {
        self.errand.saturating_add(Duration::from_secs(bytes / self.slow_disk.max(1)))
    }

    /// How long a step may take that writes so many entries to the log: many are written in one go, so each has a millisecond.
    pub(crate) fn for_entries(&self, entries: u64) -> Duration {
        self.errand.saturating_add(Duration::from_millis(entries))
    }
}
