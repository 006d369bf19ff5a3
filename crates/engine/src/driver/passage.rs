//! What may be done while a long step is under way beside the passes.
//!
//! A snapshot, a compaction and a longer log take nobody's vote or service away: everything but a second long step goes on beside
//! them, and whom the membership can do without is for the plan and the fence to say, as ever. A defragmentation does take its
//! member away (F42), though that may answer all the while: whatever could take away another, or change who votes, waits for its
//! end. It may hang until it is given up, and a dead member must not stay for that: who does not answer is disturbed by nothing.

use etcdop_core::{
    id::{MemberId, Slot},
    observation::Observation,
    record::{Mutation, Record},
    step::{EtcdStep, GroundStep, Step},
};

use super::errand::{subject, takes_long};

/// How a step and the long step that is under way get along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Both go on.
    Beside,
    /// The step waits for the end of the long one.
    Waits,
    /// The long step is about a member that is being removed.
    Instead,
}

/// Whether `step` waits for `errand`, by what the newest pass saw.
pub(super) fn passage(step: &Step, errand: &Step, seen: &Observation) -> Passage {
    let takes_away = matches!(errand, Step::Etcd(EtcdStep::Defragment(_)));
    match step {
        _ if takes_long(step) => Passage::Waits,
        Step::Etcd(EtcdStep::Remove(member)) if is_silent(*member, seen) || !takes_away => {
            if subject(errand) == Some(*member) { Passage::Instead } else { Passage::Beside }
        }
        _ if !takes_away => Passage::Beside,
        Step::Ground(GroundStep::Ensure(_) | GroundStep::Permit(_)) => Passage::Beside,
        Step::Ground(GroundStep::Retire(slot, _) | GroundStep::Discard(slot, _)) if is_vacant(*slot, seen) => {
            Passage::Beside
        }
        Step::Record(next) if !begins_what_would_wait(next, seen) => Passage::Beside,
        Step::Etcd(_) | Step::Ground(GroundStep::Retire(..) | GroundStep::Discard(..)) | Step::Record(_) => {
            Passage::Waits
        }
    }
}

/// Whether it opens a mutation that could not be resolved yet, and would only keep others from joining.
fn begins_what_would_wait(next: &Record, seen: &Observation) -> bool {
    let begun = next.open.as_ref().filter(|_| seen.record.value.open.is_none());
    match begun {
        Some(Mutation::Leave { members }) => !members.keys().all(|&member| is_silent(member, seen)),
        Some(Mutation::Restart { slot, .. }) => !is_vacant(*slot, seen),
        None => false,
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
        record::Before,
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

    fn add_learner() -> Step {
        Step::Etcd(EtcdStep::AddLearner(Slot(9), "http://127.0.0.1:9".parse().unwrap()))
    }

    /// The record that was seen, with this mutation.
    fn commit(open: Option<Mutation>) -> Step {
        Step::Record(Box::new(Record { open, ..seen().record.value }))
    }

    fn leave(members: &[MemberId]) -> Step {
        commit(Some(Mutation::Leave { members: members.iter().map(|&member| (member, Slot(0))).collect() }))
    }

    fn restart() -> Step {
        commit(Some(Mutation::Restart { slot: Slot(8), from: launch(), before: Before::Serving }))
    }

    #[rstest]
    #[case::the_layout_is_held(Step::Ground(GroundStep::Ensure(Layout::default())), Passage::Beside)]
    #[case::permits_are_given(Step::Ground(GroundStep::Permit(Vec::new())), Passage::Beside)]
    #[case::the_record_is_kept(commit(None), Passage::Beside)]
    #[case::a_dead_member_may_be_about_to_leave(leave(&[DEAD]), Passage::Beside)]
    #[case::no_living_one(leave(&[DEAD, OTHER]), Passage::Waits)]
    #[case::nobody_is_about_to_be_restarted(restart(), Passage::Waits)]
    #[case::a_member_is_not_stopped(retire(7), Passage::Waits)]
    #[case::nor_does_it_lose_its_disk(discard(7), Passage::Waits)]
    #[case::what_a_removed_one_left_is_stopped(retire(9), Passage::Beside)]
    #[case::and_its_disk_destroyed(discard(9), Passage::Beside)]
    #[case::also_where_no_seat_is(discard(3), Passage::Beside)]
    #[case::a_dead_member_is_removed(remove(DEAD), Passage::Beside)]
    #[case::one_that_was_not_asked_stays(remove(OTHER), Passage::Waits)]
    #[case::one_that_the_record_does_not_know_stays(remove(MemberId(3)), Passage::Waits)]
    #[case::nobody_is_added(add_learner(), Passage::Waits)]
    #[case::nor_promoted(Step::Etcd(EtcdStep::Promote(DEAD)), Passage::Waits)]
    #[case::a_second_long_step(Step::Etcd(EtcdStep::Defragment(DEAD)), Passage::Waits)]
    fn beside_the_defragmentation_of_another_member(#[case] step: Step, #[case] expected: Passage) {
        assert_eq!(passage(&step, &Step::Etcd(EtcdStep::Defragment(OTHER)), &seen()), expected);
    }

    #[rstest]
    #[case::joins(add_learner(), Passage::Beside)]
    #[case::gets_its_vote(Step::Etcd(EtcdStep::Promote(OTHER)), Passage::Beside)]
    #[case::is_removed(remove(OTHER), Passage::Beside)]
    #[case::is_about_to_leave(leave(&[OTHER]), Passage::Beside)]
    #[case::is_restarted(retire(7), Passage::Beside)]
    #[case::is_defragmented(Step::Etcd(EtcdStep::Defragment(OTHER)), Passage::Waits)]
    fn beside_what_takes_nobody_away_a_member(#[case] step: Step, #[case] expected: Passage) {
        for errand in [
            EtcdStep::Compact { at: DEAD },
            EtcdStep::PadLog { at: DEAD, entries: 1 },
            EtcdStep::Snapshot { from: DEAD, before: Minor::V3_6 },
        ] {
            assert_eq!(passage(&step, &Step::Etcd(errand), &seen()), expected);
        }
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
