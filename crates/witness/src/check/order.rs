//! Revisions and real time.

use std::cmp::Reverse;

use super::Breach;
use crate::{history::Write, key::Key};

/// Acknowledged writes, each a transaction of its own, that share a revision.
pub(super) fn shared_revisions(writes: &[Write]) -> Vec<Breach> {
    let mut acked: Vec<(i64, Key)> = writes.iter().filter_map(|write| Some((write.acked()?, write.key()))).collect();
    acked.sort_unstable();
    acked
        .windows(2)
        .filter_map(|pair| match *pair {
            [(one, first), (other, second)] if one == other => {
                Some(Breach::SharedRevision { revision: one, first, second })
            }
            _ => None,
        })
        .collect()
}

/// Writes that began after another was acknowledged and yet got a lower revision. Of all the earlier ones the highest is named.
pub(super) fn backwards(writes: &[Write]) -> Vec<Breach> {
    let mut by_sent: Vec<(&Write, i64)> = writes.iter().filter_map(|write| Some((write, write.acked()?))).collect();
    let mut by_ended = by_sent.clone();
    by_sent.sort_by_key(|(write, _)| write.sent);
    by_ended.sort_by_key(|(write, _)| Reverse(write.ended));
    let mut highest: Option<(&Write, i64)> = None;
    let mut breaches = Vec::new();
    for (later, later_revision) in by_sent {
        while let Some((earlier, revision)) = by_ended.pop_if(|(earlier, _)| earlier.ended < later.sent) {
            if highest.is_none_or(|(_, known)| known < revision) {
                highest = Some((earlier, revision));
            }
        }
        if let Some((earlier, earlier_revision)) = highest
            && later_revision < earlier_revision
        {
            let (earlier, later) = (earlier.key(), later.key());
            breaches.push(Breach::Backwards { earlier, earlier_revision, later, later_revision });
        }
    }
    breaches
}
