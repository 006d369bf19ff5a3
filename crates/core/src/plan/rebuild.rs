//! A record that was lost is made again from what the disks say of themselves: it costs time, never data.
//!
//! Only disks that carry our marker get a seat. An empty disk beside them gets none, so nothing can start on it; the member
//! list, once it can be read, says who else belongs.

use std::collections::BTreeSet;

use super::Verdict;
use crate::{
    id::{Generation, Slot},
    launch::LaunchSpec,
    observation::Marker,
    reason::Reason,
    record::{Birth, Record, Seat},
    situation::Situation,
    step::Step,
};

/// Makes the record again when there is none, but disks of a cluster are.
pub(super) fn rebuild(s: &Situation<'_>) -> Verdict {
    if s.record.birth != Birth::Unborn {
        return Verdict::DONE;
    }
    let owned: Vec<_> = s.observation.ground.keys().filter_map(|&slot| owned(s, slot)).collect();
    let Some((slot, first, ..)) = owned.first() else { return Verdict::DONE };
    if let Some((_, other, ..)) = owned.iter().find(|(_, incarnation, ..)| incarnation != first) {
        return Verdict::hold(Reason::MixedIncarnations { slot: *slot, first: first.clone(), other: other.clone() });
    }
    let mut record = Record::unborn(first.clone());
    record.birth = Birth::Forming;
    record.max_learners = learner_limit(s);
    for (slot, _, seat) in owned {
        record.generation = Generation(record.generation.0.max(seat.generation.0));
        let launch = LaunchSpec { max_learners: record.max_learners, ..seat.launch };
        record.slots.insert(slot, Seat { launch, ..seat });
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

fn owned(s: &Situation<'_>, slot: Slot) -> Option<(Slot, crate::id::Incarnation, Seat)> {
    let Marker::Owned { incarnation, member, generation, epoch } = &s.volume(slot)?.marker else { return None };
    let running = s.instance(slot).map(|instance| instance.launch.clone());
    let launch = running.or_else(|| s.view(slot)?.declared.clone()).unwrap_or_else(|| s.wanted_launch());
    Some((slot, incarnation.clone(), Seat { generation: *generation, member: *member, epoch: *epoch, launch }))
}

/// What all instances run with, if they agree; else 1, which is never wrong (rule 3).
fn learner_limit(s: &Situation<'_>) -> u8 {
    let declared = s.observation.ground.values().filter_map(|view| {
        let running = view.instance.known().and_then(Option::as_ref).map(|instance| &instance.launch);
        running.or(view.declared.as_ref()).map(|launch| launch.max_learners)
    });
    let limits: BTreeSet<u8> = declared.collect();
    if limits.len() == 1 { limits.into_iter().next().unwrap_or(1) } else { 1 }
}
