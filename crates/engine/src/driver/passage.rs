//! What may be done while a long step is under way beside the passes. Whatever could disturb a member or the membership waits for its
//! end. A long step may hang for as long as its deadline, though, and a dead member must not stay for that: who does not answer is
//! disturbed by nothing.

use etcdop_core::{
    id::{MemberId, Slot},
    observation::Observation,
    step::{EtcdStep, GroundStep, Step},
};

/// How a step and the long step that is under way get along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Both go on.
    Beside,
    /// The step waits for the end of the long one.
    Waits,
    /// The long step is about a member that is dead and is being removed.
    Instead,
}

/// Whether `step` waits for `errand`, by what the newest pass saw.
pub(super) fn passage(step: &Step, errand: &Step, seen: &Observation) -> Passage {
    match step {
        Step::Ground(GroundStep::Ensure(_) | GroundStep::Permit(_)) | Step::Record(_) => Passage::Beside,
        Step::Ground(GroundStep::Retire(slot, _) | GroundStep::Discard(slot, _)) if is_vacant(*slot, seen) => {
            Passage::Beside
        }
        Step::Etcd(EtcdStep::Remove(member)) if is_silent(*member, seen) => {
            if subject(errand) == Some(*member) {
                Passage::Instead
            } else {
                Passage::Beside
            }
        }
        Step::Etcd(_) | Step::Ground(GroundStep::Retire(..) | GroundStep::Discard(..)) => Passage::Waits,
    }
}

/// The member that does the long step.
fn subject(errand: &Step) -> Option<MemberId> {
    match errand {
        Step::Etcd(
            EtcdStep::Compact { at: member }
            | EtcdStep::Defragment(member)
            | EtcdStep::PadLog { at: member, .. }
            | EtcdStep::Snapshot { from: member, .. },
        ) => Some(*member),
        Step::Etcd(_) | Step::Ground(_) | Step::Record(_) => None,
    }
}

/// Whether it was asked and does not answer. Whether that makes it dead is the planner's to say.
fn is_silent(member: MemberId, seen: &Observation) -> bool {
    let asked = seen.record.value.slot_of(member).and_then(|slot| seen.status.get(&slot));
    asked.is_some_and(|status| status.known().is_none())
}

/// Whether no member lives there: what is left of one that was removed is cleaned up.
fn is_vacant(slot: Slot, seen: &Observation) -> bool {
    seen.record.value.slots.get(&slot).is_none_or(|seat| seat.member.is_none())
}

#[cfg(test)]
pub(super) mod tests {
    use etcdop_core::{
        id::{InstanceId, Mono, VolumeId},
        observation::{Blocker, Probe},
        step::Layout,
        version::Minor,
    };
    use rstest::rstest;

    use super::*;
    use crate::{
        clock::Clock,
        double::{Stage, launch},
        observe::Observer,
        tuning::Tuning,
    };

    const DEAD: MemberId = MemberId(7);
    const OTHER: MemberId = MemberId(8);

    /// Seats `member` in the slot of its number, where nobody answers.
    pub(in crate::driver) fn silent(seen: &mut Observation, member: MemberId) {
        let slot = Slot(u8::try_from(member.0).unwrap());
        let record = &mut seen.record.value;
        record.reserve(slot, launch());
        record.slots.entry(slot).and_modify(|seat| seat.member = Some(member));
        seen.status.insert(slot, Probe::Unknown { why: Blocker("frozen".to_owned()), since: Mono::default() });
    }

    /// Slot 7 holds a silent member, slot 8 one that nobody was asked about, slot 9 is reserved.
    fn seen() -> Observation {
        let mut seen = Observer::new(Clock::start(), Tuning::default()).nothing(&Stage::empty());
        silent(&mut seen, DEAD);
        silent(&mut seen, OTHER);
        seen.status.remove(&Slot(8));
        seen.record.value.reserve(Slot(9), launch());
        seen
    }

    fn retire(slot: u8) -> Step {
        Step::Ground(GroundStep::Retire(Slot(slot), InstanceId("a".to_owned())))
    }

    fn discard(slot: u8) -> Step {
        Step::Ground(GroundStep::Discard(Slot(slot), VolumeId("a".to_owned())))
    }

    fn remove(member: MemberId) -> Step {
        Step::Etcd(EtcdStep::Remove(member))
    }

    #[rstest]
    #[case::the_layout_is_held(Step::Ground(GroundStep::Ensure(Layout::default())), Passage::Beside)]
    #[case::permits_are_given(Step::Ground(GroundStep::Permit(Vec::new())), Passage::Beside)]
    #[case::a_member_is_not_stopped(retire(7), Passage::Waits)]
    #[case::nor_does_it_lose_its_disk(discard(7), Passage::Waits)]
    #[case::what_a_removed_one_left_is_stopped(retire(9), Passage::Beside)]
    #[case::and_its_disk_destroyed(discard(9), Passage::Beside)]
    #[case::also_where_no_seat_is(discard(3), Passage::Beside)]
    #[case::a_dead_member_is_removed(remove(DEAD), Passage::Beside)]
    #[case::one_that_was_not_asked_stays(remove(OTHER), Passage::Waits)]
    #[case::one_that_the_record_does_not_know_stays(remove(MemberId(3)), Passage::Waits)]
    #[case::nobody_is_promoted(Step::Etcd(EtcdStep::Promote(DEAD)), Passage::Waits)]
    #[case::a_second_long_step(Step::Etcd(EtcdStep::Defragment(DEAD)), Passage::Waits)]
    fn beside_the_defragmentation_of_another_member(#[case] step: Step, #[case] expected: Passage) {
        assert_eq!(passage(&step, &Step::Etcd(EtcdStep::Defragment(OTHER)), &seen()), expected);
    }

    #[rstest]
    #[case(EtcdStep::Compact { at: DEAD })]
    #[case(EtcdStep::Defragment(DEAD))]
    #[case(EtcdStep::PadLog { at: DEAD, entries: 1 })]
    #[case(EtcdStep::Snapshot { from: DEAD, before: Minor::V3_6 })]
    fn what_a_dead_member_was_to_do_is_given_up_for_its_removal(#[case] errand: EtcdStep) {
        assert_eq!(passage(&remove(DEAD), &Step::Etcd(errand), &seen()), Passage::Instead);
    }
}
