//! What is there at the end, on each member, held against what was tried.

use std::collections::BTreeMap;

use super::{Breach, Lost};
use crate::{
    history::{Consistency, Hash, History, Outcome, Reading, Write},
    key::{Key, WriterId},
};

/// Acknowledged writes that a reading lacks.
pub(super) fn lost(history: &History) -> Vec<Lost> {
    let missing = |write: &Write| {
        let revision = write.acked()?;
        let key = write.key();
        let without = history.readings.iter().filter(|reading| !reading.keys.contains_key(&key));
        let missing_on: Vec<String> = without.map(place).collect();
        (!missing_on.is_empty()).then_some(Lost { key, revision, acked_at: write.ended, missing_on })
    };
    history.writes.iter().filter_map(missing).collect()
}

/// What is there and should not be, or is there in another way.
pub(super) fn differ_from_tries(history: &History, tried: &BTreeMap<Key, &Write>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for reading in &history.readings {
        let endpoint = || place(reading);
        breaches.extend(
            reading.strange.iter().map(|what| Breach::NeverWritten { endpoint: endpoint(), what: what.clone() }),
        );
        for (&key, found) in &reading.keys {
            let Key::Write { n, .. } = key else { continue };
            let Some(write) = tried.get(&key) else {
                breaches.push(Breach::NeverWritten { endpoint: endpoint(), what: format!("write {key}") });
                continue;
            };
            if found.value != n {
                breaches.push(Breach::OtherValue { endpoint: endpoint(), key, found: found.value });
            }
            match write.outcome {
                Outcome::Acked { revision } if revision != found.revision => breaches.push(Breach::OtherRevision {
                    endpoint: endpoint(),
                    key,
                    promised: revision,
                    found: found.revision,
                }),
                Outcome::Failed { .. } | Outcome::CounterRefused => {
                    breaches.push(Breach::FailedButThere { endpoint: endpoint(), key });
                }
                Outcome::Acked { .. } | Outcome::Unknown { .. } => {}
            }
        }
        for seen in history.watched.seen.iter().filter(|seen| matches!(seen.key, Key::Write { .. })) {
            if !reading.keys.contains_key(&seen.key) {
                let (key, revision) = (seen.key, seen.revision);
                breaches.push(Breach::WatchedButGone { endpoint: endpoint(), key, revision });
            }
        }
    }
    breaches
}

/// Counters outside of what was acknowledged and what was tried.
pub(super) fn counters(history: &History) -> Vec<Breach> {
    let mut writers: BTreeMap<WriterId, (u64, u64)> = BTreeMap::new();
    for write in &history.writes {
        let (acked, tried) = writers.entry(write.writer).or_default();
        *tried = write.n.max(*tried);
        if write.acked().is_some() {
            *acked = write.n.max(*acked);
        }
    }
    let mut breaches = Vec::new();
    for reading in &history.readings {
        for (&writer, &(acked, tried)) in &writers {
            let found = reading.keys.get(&Key::Counter(writer)).map(|counter| counter.value);
            if found.is_none_or(|found| found < acked) {
                breaches.push(Breach::CounterBehind { endpoint: place(reading), writer, found, acked });
            }
            if let Some(found) = found.filter(|found| *found > tried) {
                breaches.push(Breach::CounterAhead { endpoint: place(reading), writer, found, tried });
            }
        }
    }
    breaches
}

/// Hashes that may be compared (same revision, same compaction) and differ.
pub(super) fn hashes(hashes: &[Hash]) -> Vec<Breach> {
    let mut groups: BTreeMap<(i64, i64), Vec<&Hash>> = BTreeMap::new();
    for hash in hashes {
        groups.entry((hash.revision, hash.compact_revision)).or_default().push(hash);
    }
    let differ = |group: &[&Hash]| group.windows(2).any(|pair| matches!(pair, [a, b] if a.value != b.value));
    groups
        .into_iter()
        .filter(|(_, group)| differ(group))
        .map(|((revision, _), group)| Breach::HashesDiffer {
            revision,
            hashes: group.iter().map(|hash| format!("{:08x} on {}", hash.value, hash.endpoint)).collect(),
        })
        .collect()
}

/// Where a reading comes from, in words.
fn place(reading: &Reading) -> String {
    let kind = match reading.consistency {
        Consistency::Linearizable => "linearizable",
        Consistency::Serializable => "serializable",
    };
    format!("{} ({kind})", reading.endpoint)
}
