//! What members leave behind: seats whose member the list lacks, instances of a former member, disks that nobody owns.
//!
//! A disk is destroyed only when a linearizable list of this pass lacks the member that its marker names (rule 9).

use super::{Verdict, mutation::vacate};
use crate::{
    id::Slot,
    observation::{Instance, Marker, Phase, Volume},
    reason::Reason,
    record::{Record, Seat},
    situation::Situation,
    step::{GroundStep, Step},
};

/// Cleans up one thing.
pub(super) fn clean(s: &Situation<'_>) -> Verdict {
    if let Some(record) = without_the_gone(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    if let Some(record) = with_later_epochs(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    let mut refused = Vec::new();
    for &slot in s.observation.ground.keys() {
        match s.record.slots.get(&slot) {
            Some(seat) if seat.member.is_none() && !is_listed(s, slot) => {
                if let Some(step) = prepare(s, slot, seat) {
                    return Verdict::Act(step);
                }
            }
            None => {
                if let Some(volume) = s.volume(slot).filter(|volume| is_ours_and_gone(s, volume) && is_still(s, slot)) {
                    return Verdict::Act(Step::Ground(GroundStep::Discard(slot, volume.id.clone())));
                }
            }
            Some(_) => {}
        }
        if let Some(Phase::Refused(why)) = s.instance(slot).map(|instance| &instance.phase) {
            refused.push(Reason::GateRefused { slot, why: why.clone() });
        }
    }
    Verdict::Idle(refused)
}

/// Seats whose member was removed by a manager that ended before it said so, or by a human.
fn without_the_gone(s: &Situation<'_>) -> Option<Record> {
    let gone = |seat: &Seat| seat.member.filter(|&id| s.member(id).is_none());
    let gone: Vec<_> = s.record.slots.iter().filter_map(|(&slot, seat)| Some((slot, gone(seat)?))).collect();
    let mut record = s.record.clone();
    for &(slot, id) in &gone {
        vacate(s, &mut record, id, slot);
    }
    (!gone.is_empty()).then_some(record)
}

/// The epochs that the disks have come to: from now on an older copy of a disk is refused (rule 1).
fn with_later_epochs(s: &Situation<'_>) -> Option<Record> {
    let mut record = s.record.clone();
    for (slot, seat) in &mut record.slots {
        if let Some(Marker::Owned { incarnation, generation, epoch, .. }) = s.volume(*slot).map(|volume| &volume.marker)
            && *incarnation == s.record.incarnation
            && *generation == seat.generation
        {
            seat.epoch = seat.epoch.max(*epoch);
        }
    }
    (record != *s.record).then_some(record)
}

/// A reserved seat gets an empty disk and an instance that waits before it.
fn prepare(s: &Situation<'_>, slot: Slot, seat: &Seat) -> Option<Step> {
    let instance = s.instance(slot);
    if let Some(instance) = instance.filter(|instance| outlives_its_member(instance)) {
        return Some(Step::Ground(GroundStep::Retire(slot, instance.id.clone())));
    }
    let volume = s.volume(slot)?;
    let stale = match &volume.marker {
        Marker::Owned { generation, .. } => *generation < seat.generation && is_ours_and_gone(s, volume),
        Marker::Hollow { .. } => true,
        Marker::Empty | Marker::Foreign(_) => false,
    };
    (stale && is_still(s, slot)).then(|| Step::Ground(GroundStep::Discard(slot, volume.id.clone())))
}

/// etcd runs in a slot whose seat has no member: it can only be the one before.
const fn outlives_its_member(instance: &Instance) -> bool {
    matches!(instance.phase, Phase::Running)
}

fn is_still(s: &Situation<'_>, slot: Slot) -> bool {
    let known = s.view(slot).is_some_and(|view| view.instance.known().is_some());
    known && !s.instance(slot).is_some_and(|i| matches!(i.phase, Phase::Running | Phase::Stopping))
}

/// A volume of this incarnation whose member the list lacks. Its member may be unnamed on the marker: then no listed member may
/// hold the slot.
fn is_ours_and_gone(s: &Situation<'_>, volume: &Volume) -> bool {
    if s.roster().is_none() {
        return false;
    }
    match &volume.marker {
        Marker::Owned { incarnation, member, generation, .. } => {
            let listed = member.is_some_and(|id| s.member(id).is_some());
            let seated = s.record.slots.values().any(|seat| seat.generation == *generation);
            *incarnation == s.record.incarnation && !listed && !seated
        }
        Marker::Hollow { incarnation, .. } => *incarnation == s.record.incarnation,
        Marker::Empty => true,
        Marker::Foreign(_) => false,
    }
}

fn is_listed(s: &Situation<'_>, slot: Slot) -> bool {
    s.members.iter().any(|member| member.slot == Some(slot))
}
