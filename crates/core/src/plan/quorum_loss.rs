//! Nothing about the membership changes without a linearizable member list of our own cluster, read in this pass, and a leader
//! that a quorum agrees on (rules 5, 6, 8). Without quorum the instances run on their disks, and nothing else (rule 10).

use super::Verdict;
use crate::{
    id::Slot,
    observation::{Marker, Phase, Probe},
    quorum::quorum,
    reason::Reason,
    record::Seat,
    situation::Situation,
};

/// Holds everything below while it is not known who belongs to the cluster, or nobody leads it.
pub(super) fn guard(s: &Situation<'_>) -> Verdict {
    let Some(expected) = s.cluster() else { return Verdict::DONE };
    if s.desired.size.is_zero() && s.observation.ground.values().all(|view| view.declared.is_none()) {
        return Verdict::hold(Reason::Hibernating);
    }
    let roster = match &s.observation.roster {
        Probe::Known { value, .. } => value,
        Probe::Unknown { why, .. } => {
            return Verdict::Hold(
                lost(s).map_or_else(|| vec![Reason::RosterUnknown(why.clone())], |reason| vec![reason]),
            );
        }
    };
    if roster.cluster != expected {
        return Verdict::hold(Reason::WrongCluster { expected, got: roster.cluster });
    }
    if let Some(unsettled) = &s.observation.unsettled {
        return Verdict::hold(Reason::OutcomeUnknown(unsettled.step.clone()));
    }
    if s.leader.is_none() {
        return Verdict::hold(Reason::NoLeader);
    }
    match s.members.iter().find(|member| member.slot.is_none()) {
        Some(stranger) => Verdict::hold(Reason::ForeignMember { member: stranger.id() }),
        None => Verdict::DONE,
    }
}

/// Whether too few members run for any list to be read. Answers that are late say nothing of the kind yet; nor does somebody who
/// never started, and has no vote.
fn lost(s: &Situation<'_>) -> Option<Reason> {
    let never_started =
        |slot, seat: &Seat| seat.epoch == 0 && s.volume(slot).is_some_and(|volume| volume.marker == Marker::Empty);
    let seats = || {
        let members =
            s.record.slots.iter().filter(|&(&slot, seat)| seat.member.is_some() && !never_started(slot, seat));
        members.map(|(&slot, _)| slot)
    };
    let runs = |slot: &Slot| {
        let process = s.instance(*slot).is_some_and(|instance| instance.phase == Phase::Running);
        process && s.was_heard_lately(*slot)
    };
    let (up, voters) = (seats().filter(runs).count(), seats().count());
    let needed = quorum(voters);
    let missing: Vec<Slot> = seats().filter(|slot| !runs(slot)).collect();
    (up < needed).then_some(Reason::QuorumLost { up, voters, needed, missing })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::ClusterId,
        observation::{Probe, Role, RosterMember},
        plan::{
            Wake,
            scenario::{Scenario, acts, member},
        },
        size::Size,
        step::EtcdStep,
    };

    /// One dead member, so that something below would act.
    fn dead() -> Scenario {
        Scenario::formed("VVD")
    }

    fn list_of(cluster: u64) -> impl FnOnce(&mut Scenario) {
        move |s| {
            if let Probe::Known { value, .. } = &mut s.seen.roster {
                value.cluster = ClusterId(cluster);
            }
        }
    }

    #[rstest]
    #[case::without_a_member_list(dead().no_roster(), "the member list cannot be read: deadline exceeded; membership stays as it is")]
    #[case::without_a_quorum(
        Scenario::formed("VxD").no_roster(),
        "quorum lost: 1 of 3 voters are up and 2 are needed; nothing is removed or wiped. Bring a member with its disk back (missing: \
         slots 1, 2)"
    )]
    #[case::when_processes_run_and_do_not_answer(
        Scenario::formed("Vvv").no_roster().silent_for(1, 3).silent_for(2, 3).standing_for(3),
        "quorum lost: 1 of 3 voters are up"
    )]
    #[case::not_while_answers_are_only_late(
        Scenario::formed("Vvv").no_roster().silent_for(1, 2).silent_for(2, 2), "the member list cannot be read: deadline exceeded"
    )]
    #[case::not_for_learners_that_wait_at_the_gate(
        Scenario::formed("Vuu").no_roster(), "the member list cannot be read: deadline exceeded"
    )]
    #[case::when_another_cluster_answers(
        dead().with(list_of(0xbad)), "the members that answer belong to cluster bad, the record names c0ffee"
    )]
    #[case::while_a_calls_outcome_is_unknown(
        dead().unsettled(EtcdStep::Remove(member(1))),
        "a call to remove member a1 was given up without an answer: looking again"
    )]
    #[case::without_a_leader(Scenario::formed("VxD"), "no leader that a quorum agrees on")]
    #[case::when_a_quorum_names_two_leaders(
        Scenario::formed("VVD").with(|s| s.status_mut(1).leader = Some(member(1))), "no leader that a quorum agrees on"
    )]
    #[case::when_a_quorum_names_one_leader_in_two_terms(
        Scenario::formed("VVD").with(|s| s.status_mut(1).term = 1), "no leader that a quorum agrees on"
    )]
    #[case::when_somebody_else_added_a_member(
        dead().with(|s| {
            let row = RosterMember {
                id: member(77),
                name: String::new(),
                peer_urls: vec!["http://10.0.0.9:2380".to_owned()],
                role: Role::Learner,
            };
            if let Probe::Known { value, .. } = &mut s.seen.roster {
                value.members.push(row);
            }
        }),
        "member ed is not in the record and was not added by us"
    )]
    fn nothing_changes(#[case] scenario: Scenario, #[case] reason: &str) {
        scenario.expect(&format!("wait: {reason}"));
    }

    #[test]
    fn a_cluster_without_quorum_is_looked_at_again_soon() {
        assert_eq!(Scenario::formed("Vxx").no_roster().plan().next, Wake::Soon);
    }

    #[test]
    fn a_sleeping_cluster_needs_no_list() {
        Scenario::formed("VVD").size(Size::ZERO).asleep().expect("wait: hibernating: all disks are kept");
    }

    #[test]
    fn a_healthy_cluster_has_nothing_to_wait_for() {
        let plan = Scenario::formed("VVV").plan();
        assert_eq!((acts(&plan), plan.reasons.len(), plan.next), (None, 0, Wake::OnChange));
    }
}
