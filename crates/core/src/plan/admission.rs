//! Scaling out: seats are reserved, their instances come to the gate, and exactly those that stand there are added as learners in
//! one burst (rule 3). etcd learns of a member only when its instance is ready to start.

use super::Verdict;
use crate::{
    id::{PeerUrl, Slot},
    observation::{Blocker, Marker, Phase},
    reason::Reason,
    record::{Record, Seat},
    situation::Situation,
    step::{EtcdStep, Step},
};

/// Adds learners, notes the IDs that they got, reserves seats.
pub(super) fn admit(s: &Situation<'_>) -> Verdict {
    if s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    if let Some(record) = with_current_launch(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    let mut reasons: Vec<Reason> = Vec::new();
    if let Some((slot, url)) = next_to_add(s) {
        match s.sick_voter(None) {
            None => return Verdict::Act(Step::Etcd(EtcdStep::AddLearner(slot, url))),
            Some(voter) => reasons.extend(s.sickness(voter)),
        }
    }
    if let Some(record) = with_new_ids(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    if let Some(record) = without_surplus(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    match reserve(s) {
        Ok(Some(record)) => return Verdict::Act(Step::Record(Box::new(record))),
        Ok(None) => {}
        Err(reason) => reasons.push(reason),
    }
    reasons.extend(s.record.slots.keys().filter_map(|&slot| not_at_gate(s, slot)));
    Verdict::Idle(reasons)
}

/// The reserved seat whose instance can be added now. Nobody is added while others of the same batch are still expected at the
/// gate, unless they take too long.
pub(super) fn next_to_add(s: &Situation<'_>) -> Option<(Slot, PeerUrl)> {
    if s.record.open.is_some() {
        return None;
    }
    let target = s.target();
    let reserved = || s.record.slots.iter().filter(|(_, seat)| seat.member.is_none()).map(|(&slot, _)| slot);
    let waiting: Vec<Slot> = reserved().filter(|slot| target.contains(slot) && !s.is_listed(*slot)).collect();
    let (limit, _) = s.learner_limit();
    if s.learners().count() >= limit {
        return None;
    }
    let ready: Vec<Slot> = waiting.iter().copied().filter(|&slot| stands_at_gate(s, slot)).collect();
    let stragglers = waiting.iter().any(|slot| !ready.contains(slot));
    let longest = ready.iter().filter_map(|&slot| s.instance(slot)).map(|i| s.now.since(i.since)).max();
    if stragglers && longest.is_none_or(|waited| waited < s.desired.patience.gate) {
        return None;
    }
    let slot = ready.first().copied()?;
    Some((slot, s.view(slot)?.address.peer.clone()))
}

fn stands_at_gate(s: &Situation<'_>, slot: Slot) -> bool {
    let at_gate = s.instance(slot).is_some_and(|instance| instance.phase == Phase::AtGate);
    let empty = s.volume(slot).is_some_and(|volume| volume.marker == Marker::Empty);
    at_gate && empty
}

fn not_at_gate(s: &Situation<'_>, slot: Slot) -> Option<Reason> {
    if s.record.slots.get(&slot)?.member.is_some() || stands_at_gate(s, slot) {
        return None;
    }
    let why = match s.instance(slot).map(|instance| &instance.phase) {
        Some(Phase::Pending(why) | Phase::Exited(why) | Phase::Refused(why)) => why.clone(),
        Some(Phase::Stopping) => Blocker("the instance before is being stopped".to_owned()),
        Some(Phase::Running) => Blocker("the member before is still running".to_owned()),
        Some(Phase::AtGate) => Blocker("its disk is not empty".to_owned()),
        None => Blocker("no instance yet".to_owned()),
    };
    Some(Reason::NotAtGate { slot, why })
}

/// Seats that were reserved before the voters were rolled: a member of an older minor could not join any more (F32).
fn with_current_launch(s: &Situation<'_>) -> Option<Record> {
    let waits = |slot: &Slot, seat: &Seat| seat.member.is_none() && !s.is_listed(*slot);
    if !s.record.slots.iter().any(|(slot, seat)| waits(slot, seat)) {
        return None;
    }
    let mut record = s.record.clone();
    let launch = s.launch_for_joiner();
    for (_, seat) in record.slots.iter_mut().filter(|(slot, seat)| waits(slot, seat)) {
        seat.launch.clone_from(&launch);
    }
    (record != *s.record).then_some(record)
}

/// Notes the IDs that etcd gave to the learners of this burst, all at once.
fn with_new_ids(s: &Situation<'_>) -> Option<Record> {
    let unnoted = s.learners().filter(|learner| learner.seat.is_some_and(|seat| seat.member.is_none()));
    let new: Vec<_> = unnoted.filter_map(|learner| Some((learner.slot?, learner.id()))).collect();
    if new.is_empty() {
        return None;
    }
    let mut record = s.record.clone();
    for (slot, id) in new {
        record.slots.entry(slot).and_modify(|seat| seat.member = Some(id));
    }
    Some(record)
}

/// Reserved seats that are not wanted any more: their instances never were members.
fn without_surplus(s: &Situation<'_>) -> Option<Record> {
    let target = s.target();
    let stays = |slot: &Slot, seat: &Seat| seat.member.is_some() || s.is_listed(*slot) || target.contains(slot);
    if s.record.slots.iter().all(|(slot, seat)| stays(slot, seat)) {
        return None;
    }
    let mut record = s.record.clone();
    record.slots.retain(|slot, seat| stays(slot, seat));
    Some(record)
}

/// Seats for the slots that the cluster is to have and has not, as many as may be in flight.
fn reserve(s: &Situation<'_>) -> Result<Option<Record>, Reason> {
    let missing: Vec<Slot> = s.target().into_iter().filter(|slot| !s.record.slots.contains_key(slot)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let (limit, serial) = s.learner_limit();
    let in_flight = s.learners().count()
        + s.record.slots.iter().filter(|(slot, seat)| seat.member.is_none() && !s.is_listed(**slot)).count();
    let free = limit.saturating_sub(in_flight);
    if free == 0 || s.record.open.is_some() {
        return serial.map_or(Ok(None), |why| Err(Reason::OneLearnerAtATime { why }));
    }
    let mut record = s.record.clone();
    for slot in missing.into_iter().take(free) {
        record.reserve(slot, s.launch_for_joiner());
    }
    Ok(Some(record))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        observation::{Blocker, Marker, Phase},
        permit::ClusterState,
        plan::scenario::{Scenario, commits, launch, size},
        version::Minor,
    };

    const ADD_1: &str = "add slot 1 as a learner at http://127.0.0.1:2381";

    fn grow(picture: &str, to: u64) -> Scenario {
        Scenario::formed(picture).size(size(to))
    }

    /// As it was adopted, or born on 3.5.
    fn serial(picture: &str, to: u64) -> Scenario {
        grow(picture, to).serial()
    }

    #[rstest]
    #[case::reserves_all_seats_at_once(
        grow("V", 7),
        "reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16; reserve seat 3 for 3.6.16; \
        reserve seat 4 for 3.6.16; reserve seat 5 for 3.6.16; reserve seat 6 for 3.6.16"
    )]
    #[case::waits_for_the_batch_at_the_gate(grow("Vgp", 3), "wait: slot 2 is not at the gate yet: no instance yet")]
    #[case::adds_when_all_stand_there(grow("Vgg", 3), ADD_1)]
    #[case::adds_the_next_at_once(grow("Vng", 3), "add slot 2 as a learner at http://127.0.0.1:2382")]
    #[case::notes_the_ids_when_all_are_added(grow("Vnn", 3), "seat 1 is a1's; seat 2 is a2's")]
    #[case::goes_on_without_stragglers_after_a_while(grow("Vgp", 3).standing_for(2), ADD_1)]
    #[case::gives_up_a_seat_that_is_not_wanted_any_more(grow("Vpp", 1), "drop seat 1; drop seat 2")]
    #[case::notes_the_ids_before_it_gives_anything_up(grow("Vnp", 1), "seat 1 is a1's")]
    #[case::adds_nobody_while_a_voter_is_silent(
        grow("VVvgg", 5),
        "wait: voter a2 in slot 2 does not answer: deadline exceeded"
    )]
    #[case::adds_nobody_while_one_starts(
        grow("VVVug", 5).permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3 to serve its peer URL"
    )]
    #[case::adds_nobody_with_data_on_its_disk(
        grow("Vgg", 3).marker(1, Marker::Foreign("files".to_owned())), "wait: slot 1 is not at the gate yet: its disk is not empty"
    )]
    fn in_parallel(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[rstest]
    #[case::reserves_one(serial("V", 3), "reserve seat 1 for 3.6.16")]
    #[case::adds_it(serial("Vg", 3), ADD_1)]
    #[case::reserves_no_second(
        serial("Vl", 3),
        "wait: one learner at a time: this incarnation was born with a learner limit of 1"
    )]
    #[case::reserves_the_second_when_the_first_votes(serial("VV", 3), "reserve seat 2 for 3.6.16")]
    #[case::adds_no_second(serial("Vlg", 3), "wait: ")]
    #[case::adds_nobody_beside_an_older_learner_that_nobody_has_heard_of_yet(
        grow("VVVug", 5).running("3.5.35", &[3]).permitted(3, 100, ClusterState::Existing).peers_served(3, None)
            .with(|s| (0..3).for_each(|slot| s.status_mut(slot).cluster_version = Some(Minor::new(3, 5)))),
        "wait: learner a3 does not answer yet: deadline exceeded"
    )]
    #[case::in_a_mixed_cluster(
        Scenario::formed("VVV").size(size(5)).running("3.5.35", &[0]), "reserve seat 3 for 3.6.16"
    )]
    #[case::when_members_apply_different_limits(
        Scenario::formed("VVV").size(size(5)).with(|s| s.instance_mut(1).launch.max_learners = 2), "reserve seat 3 for 3.6.16"
    )]
    fn one_at_a_time(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_large_database_is_sent_to_two_at_most() {
        let large = grow("V", 7).with(|s| s.status_mut(0).db_size = 1 << 31);
        large.expect("reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16");
    }

    #[rstest]
    #[case::pending(Phase::Pending(Blocker("no node".to_owned())), "no node")]
    #[case::exited(Phase::Exited(Blocker("exit code 1".to_owned())), "exit code 1")]
    #[case::refused(Phase::Refused(Blocker("another life".to_owned())), "another life")]
    #[case::stopping(Phase::Stopping, "the instance before is being stopped")]
    fn a_slot_that_does_not_reach_the_gate_says_why(#[case] phase: Phase, #[case] why: &str) {
        grow("Vgg", 3).phase(2, phase).expect(&format!("wait: slot 2 is not at the gate yet: {why}"));
    }

    #[test]
    fn joiners_run_what_the_voters_run_until_one_runs_what_is_wanted() {
        grow("V", 3).version("3.7.3").expect("reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16");
        let rolled = Scenario::formed("VVV").size(size(5)).version("3.7.3").running("3.7.3", &[2]);
        rolled.expect("reserve seat 3 for 3.7.3");
    }

    #[test]
    fn a_seat_whose_voters_moved_on_is_brought_up_to_them_before_it_joins() {
        let moved = grow("VVVg", 5).version("3.7.3").running("3.7.3", &[0, 1, 2]);
        let moved =
            moved.expect("seat 3 for 3.7.3").advance().expect("hold the layout of slots [0, 1, 2, 3]").advance();
        moved.expect("stop instance i3 in slot 3");
    }

    #[test]
    fn reserved_seats_carry_the_learner_limit_of_the_incarnation() {
        let record = commits(&grow("V", 3).plan()).unwrap();
        assert!(record.slots.values().all(|seat| seat.launch == launch("3.6.16")));
    }
}
