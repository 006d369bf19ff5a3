//! The promises that can be broken, each with what a person needs to look for the cause.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::key::{Key, WriterId};

/// An acknowledged write that is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Which write.
    pub key: Key,
    /// The revision that was promised.
    pub revision: i64,
    /// When it was acknowledged, since the start of the witness.
    #[serde(serialize_with = "crate::bill::seconds", rename = "ackedAtSeconds")]
    pub acked_at: Duration,
    /// Where it is missing, and in which kind of read.
    pub missing_on: Vec<String>,
}

/// A promise that was broken, other than by losing an acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "breach", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Breach {
    /// Two acknowledged writes got one revision.
    SharedRevision {
        /// The revision.
        revision: i64,
        /// The one.
        first: Key,
        /// The other.
        second: Key,
    },
    /// A write began after another's acknowledgement and got a lower revision.
    Backwards {
        /// The one that was acknowledged.
        earlier: Key,
        /// Its revision.
        earlier_revision: i64,
        /// The one that began later.
        later: Key,
        /// Its revision.
        later_revision: i64,
    },
    /// A write is there, at another revision than the one promised.
    OtherRevision {
        /// Where.
        endpoint: String,
        /// Which write.
        key: Key,
        /// The revision that was promised.
        promised: i64,
        /// The one that was found.
        found: i64,
    },
    /// A write is there with another value than the one written.
    OtherValue {
        /// Where.
        endpoint: String,
        /// Which write.
        key: Key,
        /// The value that was found.
        found: u64,
    },
    /// A write is there that etcd said had no effect.
    FailedButThere {
        /// Where.
        endpoint: String,
        /// Which write.
        key: Key,
    },
    /// Something is there that nobody of this run wrote.
    NeverWritten {
        /// Where.
        endpoint: String,
        /// What it is.
        what: String,
    },
    /// A writer's counter is below its last acknowledged write.
    CounterBehind {
        /// Where.
        endpoint: String,
        /// Whose counter.
        writer: WriterId,
        /// What it says; nothing: it is gone.
        found: Option<u64>,
        /// The last acknowledged write.
        acked: u64,
    },
    /// A writer's counter is above its last try.
    CounterAhead {
        /// Where.
        endpoint: String,
        /// Whose counter.
        writer: WriterId,
        /// What it says.
        found: u64,
        /// The last try.
        tried: u64,
    },
    /// A writer's counter was not what its only writer had left.
    CounterRefused {
        /// The write that noticed.
        key: Key,
    },
    /// A member of another cluster answered.
    OtherCluster {
        /// The write that noticed.
        key: Key,
        /// Who answered.
        why: String,
    },
    /// The watcher was told of a revision after it was told of a higher one.
    WatchBackwards {
        /// The lower revision.
        revision: i64,
        /// The higher one, told before.
        after: i64,
    },
    /// The watcher was told of one write twice.
    WatchTwice {
        /// Which write.
        key: Key,
        /// Its revision.
        revision: i64,
    },
    /// The watcher was never told of an acknowledged write.
    WatchMissed {
        /// Which write.
        key: Key,
        /// Its revision.
        revision: i64,
    },
    /// The watcher was told of a write with another revision or value than it has.
    WatchOtherwise {
        /// Which write.
        key: Key,
        /// What it was told.
        told: String,
    },
    /// The watcher was told of a write that is not there at the end.
    WatchedButGone {
        /// Where it is missing.
        endpoint: String,
        /// Which write.
        key: Key,
        /// Its revision.
        revision: i64,
    },
    /// The watcher was told of something that nobody of this run did.
    WatchStrange {
        /// What it was told.
        what: String,
    },
    /// The watcher did not get to the last write.
    WatchBehind {
        /// The newest revision that it was told of; nothing: it was told nothing.
        reached: Option<i64>,
        /// The last write's revision.
        last: i64,
    },
    /// At the end the cluster took no writes.
    NoLastWrite,
    /// Members' data differ.
    HashesDiffer {
        /// The revision that was compared.
        revision: i64,
        /// Each member's hash in hexadecimal, with its endpoint.
        hashes: Vec<String>,
    },
    /// A member could not be asked at the end.
    Unread {
        /// Where.
        endpoint: String,
        /// What it said.
        why: String,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, revision, acked_at, missing_on } = self;
        write!(
            f,
            "write {key}, acknowledged at {:.3} s as revision {revision}, is missing on {}",
            acked_at.as_secs_f64(),
            missing_on.join(", ")
        )
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedRevision { revision, first, second } => {
                write!(f, "writes {first} and {second} were both acknowledged as revision {revision}")
            }
            Self::Backwards { earlier, earlier_revision, later, later_revision } => write!(
                f,
                "write {later} began after write {earlier} was acknowledged as revision {earlier_revision} \
                 and got revision {later_revision}"
            ),
            Self::OtherRevision { endpoint, key, promised, found } => {
                write!(f, "{endpoint} has write {key} at revision {found}, acknowledged was {promised}")
            }
            Self::OtherValue { endpoint, key, found } => write!(f, "{endpoint} has value {found} for write {key}"),
            Self::FailedButThere { endpoint, key } => {
                write!(f, "{endpoint} has write {key}, which was refused with an error that means it had no effect")
            }
            Self::NeverWritten { endpoint, what } => write!(f, "{endpoint} has {what}, which nobody wrote"),
            Self::CounterBehind { endpoint, writer, found: Some(found), acked } => {
                write!(f, "{endpoint} has counter {found} for writer {writer}, whose write {acked} was acknowledged")
            }
            Self::CounterBehind { endpoint, writer, found: None, acked } => {
                write!(f, "{endpoint} has no counter for writer {writer}, whose write {acked} was acknowledged")
            }
            Self::CounterAhead { endpoint, writer, found, tried } => {
                write!(f, "{endpoint} has counter {found} for writer {writer}, which tried no more than {tried}")
            }
            Self::CounterRefused { key } => write!(f, "write {key} found its writer's counter changed or gone"),
            Self::OtherCluster { key, why } => write!(f, "write {key} met a stranger: {why}"),
            Self::WatchBackwards { revision, after } => {
                write!(f, "the watcher was told of revision {revision} after {after}")
            }
            Self::WatchTwice { key, revision } => {
                write!(f, "the watcher was told of {key} at revision {revision} twice")
            }
            Self::WatchMissed { key, revision } => {
                write!(f, "the watcher was not told of write {key}, acknowledged as revision {revision}")
            }
            Self::WatchOtherwise { key, told } => write!(f, "the watcher was told of write {key} with {told}"),
            Self::WatchedButGone { endpoint, key, revision } => {
                write!(f, "{endpoint} lacks write {key}, of which the watcher was told as revision {revision}")
            }
            Self::WatchStrange { what } => write!(f, "the watcher was told of {what}, which nobody did"),
            Self::WatchBehind { reached: Some(reached), last } => {
                write!(f, "the watcher got to revision {reached}, not to the last write at {last}")
            }
            Self::WatchBehind { reached: None, last } => {
                write!(f, "the watcher was told nothing; the last write is at revision {last}")
            }
            Self::NoLastWrite => f.write_str("at the end the cluster took no writes"),
            Self::HashesDiffer { revision, hashes } => {
                write!(f, "the members' data differ at revision {revision}: {}", hashes.join(", "))
            }
            Self::Unread { endpoint, why } => write!(f, "{endpoint} could not be read at the end: {why}"),
        }
    }
}
