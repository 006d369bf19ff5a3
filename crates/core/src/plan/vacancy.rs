//! What members leave behind: seats whose member the list lacks, instances of a former member, disks that nobody owns.
//!
//! A disk is destroyed only when a linearizable list of this pass lacks the member that its marker names (rule 9).

use super::{Verdict, mutation::vacate, setback};
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
    let slots = s.observation.ground.keys().copied();
    if let Some(step) = setback::first_due(s, slots.clone().filter_map(|slot| clear(s, slot))) {
        return Verdict::Act(step);
    }
    let refused = slots.filter_map(|slot| match &s.instance(slot)?.phase {
        Phase::Refused(why) => Some(Reason::GateRefused { slot, why: why.clone() }),
        _ => None,
    });
    Verdict::Idle(refused.collect())
}

/// What is in the way of the member to come, or left of the one that nobody comes after.
fn clear(s: &Situation<'_>, slot: Slot) -> Option<Step> {
    match s.record.slots.get(&slot) {
        Some(seat) if seat.member.is_none() && !s.is_listed(slot) => prepare(s, slot, seat),
        None => {
            let volume = s.volume(slot).filter(|volume| is_ours_and_gone(s, volume) && is_still(s, slot))?;
            Some(Step::Ground(GroundStep::Discard(slot, volume.id.clone())))
        }
        Some(_) => None,
    }
}

/// Seats whose member was removed by a manager that ended before it said so, or by a human.
fn without_the_gone(s: &Situation<'_>) -> Option<Record> {
    let gone = |seat: &Seat| seat.member.filter(|&id| s.member(id).is_none());
    let gone: Vec<_> = s.record.slots.iter().filter_map(|(&slot, seat)| Some((slot, gone(seat)?))).collect();
    if gone.is_empty() {
        return None;
    }
    let mut record = s.record.clone();
    for (slot, id) in gone {
        vacate(s, &mut record, id, slot);
    }
    Some(record)
}

/// Notes the epochs that the disks have come to: from now on an older copy of a disk is refused (rule 1). Asked last, so that it
/// delays nothing and many starts are one commit.
pub(super) fn note_epochs(s: &Situation<'_>) -> Verdict {
    let later = |(&slot, seat): (&Slot, &Seat)| match s.volume(slot).map(|volume| &volume.marker) {
        Some(Marker::Owned { incarnation, generation, epoch, .. }) => {
            let own = *incarnation == s.record.incarnation && *generation == seat.generation;
            (own && *epoch > seat.epoch).then_some((slot, *epoch))
        }
        _ => None,
    };
    let later: Vec<(Slot, u64)> = s.record.slots.iter().filter_map(later).collect();
    if later.is_empty() {
        return Verdict::DONE;
    }
    let mut record = s.record.clone();
    for (slot, epoch) in later {
        record.slots.entry(slot).and_modify(|seat| seat.epoch = epoch);
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

/// A reserved seat gets an empty disk and an instance that waits before it.
fn prepare(s: &Situation<'_>, slot: Slot, seat: &Seat) -> Option<Step> {
    let instance = s.instance(slot);
    let is_over = |instance: &&Instance| outlives_its_member(instance) || missed_its_start(s, slot, seat, instance);
    if let Some(instance) = instance.filter(is_over) {
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

/// It was given a permit for a member that was taken out again without it: whoever hangs at the gate once does not get a second
/// member to wait for.
fn missed_its_start(s: &Situation<'_>, slot: Slot, seat: &Seat, instance: &Instance) -> bool {
    let permit = s.view(slot).and_then(|view| view.permit.as_ref()).map(|view| &view.permit);
    let missed = permit.is_some_and(|permit| permit.instance == instance.id && permit.generation < seat.generation);
    missed && instance.phase == Phase::AtGate
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::{Generation, MemberId, Slot},
        observation::{Blocker, Marker, Phase, Probe},
        permit::ClusterState,
        plan::scenario::{Scenario, member, size},
    };

    fn owned(incarnation: &str, member: Option<MemberId>, generation: u64) -> Marker {
        let incarnation = incarnation.parse().unwrap();
        Marker::Owned { incarnation, member, generation: Generation(generation), epoch: 1, max_learners: None }
    }

    /// The disk of a member that left.
    fn old() -> Marker {
        owned("uid/1", Some(MemberId(0xdead)), 0)
    }

    fn hollow() -> Marker {
        Marker::Hollow { incarnation: "uid/1".parse().unwrap(), generation: Generation(0) }
    }

    #[test]
    fn a_member_that_somebody_removed_leaves_its_seat_to_a_successor() {
        Scenario::formed("VVV").unlisted(2).expect("reserve seat 2 for 3.6.16");
    }

    #[test]
    fn a_member_that_somebody_removed_from_a_leaving_slot_leaves_no_seat() {
        Scenario::formed("VVV").size(size(1)).unlisted(2).expect("drop seat 2");
    }

    #[test]
    fn who_hung_at_the_gate_with_a_permit_is_stopped_before_its_slot_is_used_again() {
        let hung = Scenario::formed("VVu").permitted(2, 61_000, ClusterState::Existing).unlisted(2);
        hung.expect("reserve seat 2 for 3.6.16").advance().expect("stop instance i2 in slot 2");
        let patient = Scenario::formed("VVu").unlisted(2).expect("reserve seat 2 for 3.6.16").advance();
        assert!(patient.next().starts_with("add slot 2 as a learner"), "{}", patient.next());
    }

    #[test]
    fn starts_are_noted_so_that_an_older_copy_of_the_disk_is_refused() {
        let started = |epoch| {
            let marker = |slot: u8| Marker::Owned {
                incarnation: "uid/1".parse().unwrap(),
                member: Some(member(slot)),
                generation: Generation(u64::from(slot) + 1),
                epoch,
                max_learners: None,
            };
            Scenario::formed("VVV").marker(1, marker(1))
        };
        started(3).expect("seat 1 at epoch 3").advance().expect("wait: ");
        started(3).advance().marker(1, started(2).volume_mut(1).marker.clone()).expect("open leave of 1");
    }

    #[rstest]
    #[case::of_a_member_that_left(old(), "discard volume d2 of slot 2")]
    #[case::of_a_member_that_never_learnt_its_name(owned("uid/1", None, 0), "discard volume d2 of slot 2")]
    #[case::that_lost_its_data(hollow(), "discard volume d2 of slot 2")]
    #[case::of_a_member_of_the_list(owned("uid/1", Some(member(1)), 0), "wait: its disk is not empty")]
    #[case::that_another_seat_counts_on(owned("uid/1", None, 2), "wait: its disk is not empty")]
    #[case::of_another_life(owned("uid/2", Some(MemberId(0xdead)), 0), "wait: its disk is not empty")]
    #[case::of_somebody_else(Marker::Foreign("files without a marker".to_owned()), "wait: its disk is not empty")]
    fn a_reserved_seat_has_a_disk(#[case] marker: Marker, #[case] next: &str) {
        Scenario::formed("VVg").marker(2, marker).expect(next);
    }

    #[rstest]
    #[case::of_a_member_that_left(old(), "discard volume d3 of slot 3")]
    #[case::that_is_empty(Marker::Empty, "discard volume d3 of slot 3")]
    #[case::that_lost_its_data(hollow(), "discard volume d3 of slot 3")]
    #[case::of_a_member_of_the_list(owned("uid/1", Some(member(1)), 0), "wait: ")]
    #[case::of_another_life(owned("uid/2", Some(MemberId(0xdead)), 0), "wait: ")]
    #[case::of_somebody_else(Marker::Foreign("files without a marker".to_owned()), "wait: ")]
    fn a_slot_without_a_seat_has_a_disk(#[case] marker: Marker, #[case] next: &str) {
        Scenario::formed("VVV").disk(3, Some(marker)).expect(next);
    }

    #[test]
    fn a_former_member_that_runs_on_is_stopped_before_its_disk_goes() {
        let former = Scenario::formed("VVg").marker(2, old()).phase(2, Phase::Running);
        former.expect("stop instance i2 in slot 2").phase(2, Phase::Stopping).expect("wait: is being stopped");
    }

    #[rstest]
    #[case::runs(Some(Phase::Running))]
    #[case::is_being_stopped(Some(Phase::Stopping))]
    #[case::cannot_be_looked_at(None)]
    fn no_disk_goes_whose_instance(#[case] phase: Option<Phase>) {
        let left = Scenario::formed("VVVV").size(size(3)).unlisted(3).undeclared(3).with(|s| {
            s.record_mut().slots.remove(&Slot(3));
            match phase {
                Some(phase) => s.instance_mut(3).phase = phase,
                None => s.view_mut(3).instance = Probe::Unknown { why: Blocker("refused".to_owned()), since: s.now },
            }
        });
        left.expect("wait: ");
    }

    #[test]
    fn a_refused_disk_is_told() {
        let refused = Scenario::formed("VVx").phase(2, Phase::Refused(Blocker("an older copy".to_owned())));
        refused.expect("wait: slot 2 refused its disk: an older copy");
    }
}
