//! What the watcher was told, held against what was written.

use std::collections::{BTreeMap, BTreeSet};

use super::Breach;
use crate::{
    history::{History, Outcome, Watched, Write},
    key::Key,
};

/// Order and uniqueness.
pub(super) fn told_in_order(watched: &Watched) -> Vec<Breach> {
    let mut breaches: Vec<Breach> =
        watched.strange.iter().map(|what| Breach::WatchStrange { what: what.clone() }).collect();
    let mut highest = 0;
    let mut known = BTreeSet::new();
    for seen in &watched.seen {
        let (key, revision) = (seen.key, seen.revision);
        if revision < highest {
            breaches.push(Breach::WatchBackwards { revision, after: highest });
        }
        highest = revision.max(highest);
        // A counter is written again and again, a write only once.
        let once = if let Key::Write { .. } = key { (key, 0) } else { (key, revision) };
        if !known.insert(once) {
            breaches.push(Breach::WatchTwice { key, revision });
        }
    }
    breaches
}

/// Completeness, and that what was told is true.
pub(super) fn told_of_all(history: &History, tried: &BTreeMap<Key, &Write>) -> Vec<Breach> {
    let watched = &history.watched;
    let mut breaches = Vec::new();
    let Some(last) = history.last else { return vec![Breach::NoLastWrite] };
    let reached = watched.seen.iter().map(|seen| seen.revision).max();
    if reached.is_none_or(|reached| reached < last) {
        breaches.push(Breach::WatchBehind { reached, last });
    }
    let told: BTreeSet<Key> = watched.seen.iter().map(|seen| seen.key).collect();
    let skipped = |revision: i64| watched.skipped.iter().any(|gap| (gap.first..=gap.last).contains(&revision));
    for write in &history.writes {
        let Some(revision) = write.acked() else { continue };
        // What lies behind the point that the watcher got to is one breach, not thousands.
        let in_reach = reached.is_some_and(|reached| revision <= reached);
        if in_reach && !told.contains(&write.key()) && !skipped(revision) {
            breaches.push(Breach::WatchMissed { key: write.key(), revision });
        }
    }
    for seen in &watched.seen {
        let Key::Write { n, .. } = seen.key else { continue };
        let key = seen.key;
        match tried.get(&key).map(|write| &write.outcome) {
            None => breaches.push(Breach::WatchStrange { what: format!("write {key}") }),
            Some(Outcome::Acked { revision }) if *revision != seen.revision => breaches
                .push(Breach::WatchOtherwise { key, told: format!("revision {}, not {revision}", seen.revision) }),
            Some(_) if seen.value != n => {
                breaches.push(Breach::WatchOtherwise { key, told: format!("value {}", seen.value) });
            }
            Some(_) => {}
        }
    }
    breaches
}
