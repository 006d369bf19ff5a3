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
    /// What a pass waits at most for members that never answered yet.
    pub newcomer: Duration,
    /// After which the question for the member list goes to one member more.
    pub hedge: Duration,
    /// For a linearizable member list, whoever is asked.
    pub roster: Duration,
    /// For an answer of a peer port.
    pub peer_port: Duration,
    /// For a change of etcd; then its outcome is unknown.
    pub call: Duration,
    /// For a defragmentation, which answers when it is done.
    pub defragment: Duration,
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
            newcomer: Duration::from_millis(5),
            hedge: Duration::from_millis(60),
            roster: Duration::from_secs(1),
            peer_port: Duration::from_millis(150),
            call: Duration::from_secs(3),
            defragment: Duration::from_mins(10),
            health: Duration::from_secs(1),
            slowest_pace: Duration::from_millis(500),
        }
    }
}
