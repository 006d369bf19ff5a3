//! What happened, as values: what the checker judges and hand-made tests are made of. Times count from the start of the witness, by
//! a clock that never jumps.

use std::{collections::BTreeMap, time::Duration};

pub use etcdop_etcd::Consistency;
use etcdop_etcd::{Error, MemberId};

use crate::key::{Key, WriterId};

/// One write and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who wrote.
    pub writer: WriterId,
    /// Which of the writer's writes; each number is tried once.
    pub n: u64,
    /// When it was sent.
    pub sent: Duration,
    /// When the answer came, or waiting for it ended.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// etcd said that it is done.
    Acked {
        /// As which revision.
        revision: i64,
    },
    /// It definitely had no effect.
    Failed {
        /// Why.
        why: Error,
    },
    /// It may have had an effect, or may yet.
    Unknown {
        /// Why.
        why: Error,
    },
    /// etcd says that the writer's counter is not below `n`, or is gone. Only the writer raises it: somebody else's hand or lost data.
    CounterRefused,
}

/// The beginning of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) at: Duration,
}

/// A write that the watcher was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) key: Key,
    pub(crate) value: u64,
    pub(crate) revision: i64,
}

/// Revisions that the watcher could not be told of, because history was compacted before it came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// What the watcher was told, in the order of telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) seen: Vec<Seen>,
    pub(crate) skipped: Vec<Skipped>,
    /// Deletions and keys that nobody of the run writes.
    pub(crate) strange: Vec<String>,
    /// How often the watcher had to begin anew.
    pub(crate) resumed: usize,
}

/// A key as it was found at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: u64,
    pub(crate) revision: i64,
}

/// Everything of the run that one member holds at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) endpoint: String,
    pub(crate) consistency: Consistency,
    pub(crate) keys: BTreeMap<Key, Found>,
    /// Keys or values that are none of the run's.
    pub(crate) strange: Vec<String>,
}

/// One member's hash over the whole key space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash {
    pub(crate) endpoint: String,
    pub(crate) member: MemberId,
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
    pub(crate) value: u32,
}

/// A member that could not be asked at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) endpoint: String,
    pub(crate) why: Error,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) writes: Vec<Write>,
    pub(crate) marks: Vec<Mark>,
    /// When the writers stopped.
    pub(crate) ended: Duration,
    pub(crate) watched: Watched,
    /// The revision of the last write of all, which the watcher must have seen; nothing: it could not be written.
    pub(crate) last: Option<i64>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) unread: Vec<Unread>,
}

impl Write {
    /// The revision, if it was acknowledged.
    pub fn acked(&self) -> Option<i64> {
        match self.outcome {
            Outcome::Acked { revision } => Some(revision),
            Outcome::Failed { .. } | Outcome::Unknown { .. } | Outcome::CounterRefused => None,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Write { writer: self.writer, n: self.n }
    }
}
