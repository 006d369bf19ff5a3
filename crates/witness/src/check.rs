//! What was promised and not kept: a pure judgement over a [`History`].
//!
//! A write that was acknowledged is there at the end, on every member, at the revision that was promised. Revisions follow real time:
//! who begins after another's acknowledgement gets the higher one. What definitely failed is not there. The watcher is told of
//! every acknowledged write once, in order. The members' hashes agree.

mod breach;
mod order;
mod readings;
mod watch;

use std::collections::BTreeMap;

pub use self::breach::{Breach, Lost};
use crate::{
    history::{History, Outcome, Write},
    key::Key,
};

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lost: Vec<Lost>,
    pub(crate) breaches: Vec<Breach>,
}

/// Judges a run that has ended.
pub(crate) fn check(history: &History) -> Verdict {
    let tried: BTreeMap<Key, &Write> = history.writes.iter().map(|write| (write.key(), write)).collect();
    let mut verdict = Verdict { lost: readings::lost(history), breaches: Vec::new() };
    let breaches = &mut verdict.breaches;
    breaches.extend(history.writes.iter().filter_map(refused));
    breaches.extend(order::shared_revisions(&history.writes));
    breaches.extend(order::backwards(&history.writes));
    breaches.extend(readings::differ_from_tries(history, &tried));
    breaches.extend(readings::counters(history));
    breaches.extend(readings::hashes(&history.hashes));
    breaches.extend(watch::told_in_order(&history.watched));
    breaches.extend(watch::told_of_all(history, &tried));
    breaches.extend(
        history
            .unread
            .iter()
            .map(|unread| Breach::Unread { endpoint: unread.endpoint.clone(), why: unread.why.to_string() }),
    );
    verdict
}

/// Answers to a single write that no healthy cluster gives.
fn refused(write: &Write) -> Option<Breach> {
    match &write.outcome {
        Outcome::CounterRefused => Some(Breach::CounterRefused { key: write.key() }),
        Outcome::Failed { why } | Outcome::Unknown { why } => match why {
            etcdop_etcd::Error::WrongCluster { .. } => {
                Some(Breach::OtherCluster { key: write.key(), why: why.to_string() })
            }
            _ => None,
        },
        Outcome::Acked { .. } => None,
    }
}

#[cfg(test)]
mod tests;
