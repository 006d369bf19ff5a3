//! A dead member is removed before another is added in its place (rule 4, P5); its slot is reserved for the successor when the
//! removal is done.
//!
//! Dead is: its disk is lost, or it is silent for longer than the user wants to wait and a second witness says so (rule 7). In
//! doubt nothing is removed.

use std::collections::BTreeMap;

use super::{Verdict, mutation};
use crate::{
    quorum::quorum,
    reason::Reason,
    record::Mutation,
    situation::{Death, Member, Situation},
    step::Step,
};

/// Begins the removal of one dead member.
pub(super) fn replace(s: &Situation<'_>) -> Verdict {
    let target = s.target();
    let mut dead: Vec<(bool, Death, &Member<'_>)> = s
        .members
        .iter()
        .filter_map(|member| {
            let inside = member.slot.is_some_and(|slot| target.contains(&slot));
            Some((inside, s.death(member)?, member))
        })
        .collect();
    // Those in slots that are to stay first, then those in leaving ones (DESIGN §2, slots and members).
    dead.sort_by_key(|&(inside, death, member)| (!inside, death, member.id()));
    let Some(&(_, _, first)) = dead.first() else { return Verdict::Idle(doubts(s)) };
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    let removable = dead.iter().map(|&(.., member)| member).find(|member| mutation::may_leave(s, member));
    match removable.and_then(|member| Some((member.id(), member.slot?))) {
        Some((id, slot)) if s.record.open.is_none() => {
            let mut record = s.record.clone();
            record.open = Some(Mutation::Leave { members: BTreeMap::from([(id, slot)]) });
            Verdict::Act(Step::Record(Box::new(record)))
        }
        Some(_) => Verdict::DONE,
        None => Verdict::Idle(first.slot.map(|slot| refusal(s, first, slot)).into_iter().collect()),
    }
}

fn refusal(s: &Situation<'_>, member: &Member<'_>, slot: crate::id::Slot) -> Reason {
    let (up, voters) = s.remaining(member.id());
    Reason::CannotRemoveDead { member: member.id(), slot, up, voters, needed: quorum(voters) }
}

/// Voters that are silent and not dead, or not dead yet, and those that answer and are alone.
fn doubts(s: &Situation<'_>) -> Vec<Reason> {
    let doubt = |voter: &Member<'_>| {
        if voter.status.is_some() {
            return s.follows_nobody(voter);
        }
        let (member, Some(slot)) = (voter.id(), voter.slot) else {
            return Some(Reason::VoterAstray { member: voter.id() });
        };
        let Some((why, since)) = s.silence(voter) else {
            let why = crate::observation::Blocker(
                "it was not asked yet, or another member answers at its address".to_owned(),
            );
            return Some(Reason::VoterSilent { member, slot, why });
        };
        let (silent, limit) = (s.now.since(since), s.desired.recovery.replace_after);
        if silent < limit {
            let silent = std::time::Duration::from_secs(silent.as_secs());
            Some(Reason::NotDeadYet { member, slot, silent, limit })
        } else if s.observation.links.known().is_some_and(|links| links.active.contains(&member)) {
            Some(Reason::ReachableByPeers { member, slot })
        } else {
            Some(Reason::VoterSilent { member, slot, why: why.clone() })
        }
    };
    s.voters().filter_map(doubt).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use crate::{
        id::Mono,
        observation::{Blocker, Marker, Phase, Probe},
        permit::ClusterState,
        plan::scenario::{NOW, Scenario, member, size},
    };

    /// Slot 2 of 3 has been silent for so long; its process runs.
    fn silent(seconds: u64) -> Scenario {
        Scenario::formed("VVv").silent_for(2, seconds)
    }

    fn unlinked(scenario: Scenario) -> Scenario {
        scenario.with(|s| s.seen.links = Probe::Unknown { why: Blocker("refused".to_owned()), since: NOW })
    }

    #[rstest]
    #[case::a_lost_disk_is_replaced_at_once(Scenario::formed("VVD"), "open leave of 2")]
    #[case::so_is_a_disk_that_is_gone(Scenario::formed("VVx").with(|s| {
        if let Probe::Known { value, .. } = &mut s.view_mut(2).volume { *value = None }
    }), "open leave of 2")]
    #[case::so_is_a_marker_without_data(Scenario::formed("VVx").with(|s| {
        let Marker::Owned { incarnation, generation, .. } = s.volume_mut(2).marker.clone() else { panic!() };
        s.volume_mut(2).marker = Marker::Hollow { incarnation, generation };
    }), "open leave of 2")]
    #[case::so_is_a_learner_that_lost_its_log(
        Scenario::formed("VVL").phase(2, Phase::AtGate).marker(2, Marker::Empty).silent_for(2, 1), "open leave of 2"
    )]
    #[case::a_silent_one_has_time(silent(299), "wait: silent for 299s of 300s")]
    #[case::a_silent_one_that_its_peers_miss_too_is_replaced(silent(300), "open leave of 2")]
    #[case::a_silent_one_that_its_peers_reach_stays(silent(300).linked(2), "wait: unreachable is not dead")]
    #[case::a_silent_one_that_nobody_else_was_asked_about_stays(
        unlinked(silent(300)),
        "wait: voter a2 in slot 2 does not answer: deadline exceeded"
    )]
    #[case::a_process_that_ended_is_a_witness(Scenario::formed("VVx").silent_for(2, 300).linked(2), "open leave of 2")]
    #[case::no_instance_is_a_witness(unlinked(silent(300)).with(|s| {
        if let Probe::Known { value, .. } = &mut s.view_mut(2).instance { *value = None }
    }), "open leave of 2")]
    #[case::a_platform_that_cannot_look_is_none(unlinked(silent(300)).with(|s| {
        s.view_mut(2).instance = Probe::Unknown { why: Blocker("refused".to_owned()), since: NOW };
    }), "wait: does not answer")]
    #[case::a_founder_that_never_published_itself_is_replaced_too(silent(300).with(|s| {
        if let Probe::Known { value, .. } = &mut s.seen.roster { value.members[2].name.clear() }
    }), "open leave of 2")]
    #[case::one_that_answers_and_follows_nobody_is_told(
        Scenario::formed("VVV").with(|s| s.status_mut(2).leader = None),
        "wait: voter a2 in slot 2 answers, but follows no leader while a quorum follows a0: it is not replaced while it answers"
    )]
    #[case::one_that_answers_and_follows_another_is_told(
        Scenario::formed("VVV").with(|s| s.status_mut(2).leader = Some(member(1))), "wait: voter a2 in slot 2 answers, but follows a1"
    )]
    #[case::another_member_at_its_address_is_a_doubt(
        Scenario::formed("VVV").with(|s| s.status_mut(2).member = member(9)), "wait: another member answers at its address"
    )]
    fn of_three(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[rstest]
    #[case::two_of_five_one_after_the_other(Scenario::formed("VVVDD"), "open leave of 3")]
    #[case::in_a_leaving_slot(Scenario::formed("VVVVD").size(size(3)), "open leave of 4")]
    #[case::in_a_slot_that_stays_first(Scenario::formed("VDVVD").size(size(3)), "open leave of 1")]
    #[case::not_while_a_joiner_starts(
        Scenario::formed("VVDu").permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3 to serve its peer URL"
    )]
    #[case::a_learner_that_froze_with_its_permit_at_hand(
        Scenario::formed("VVVL").silent_for(3, 300).permitted(3, 400_000, ClusterState::Existing).with(|s| {
            if let Probe::Known { value, .. } = &mut s.seen.links { value.active.remove(&member(3)); }
        }),
        "open leave of 3"
    )]
    #[case::while_another_is_silent_but_alive(Scenario::formed("VVVvD"), "open leave of 4")]
    fn dead_members_are_removed(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_dead_member_stays_while_too_few_others_are_known_to_be_up() {
        let stale = Scenario::formed("VVD").with(|s| s.now = Mono(NOW.0 + Duration::from_secs(2)));
        stale.expect("wait: removing it would leave 0 of 2 voters up with 2 needed");
    }

    #[test]
    fn the_successor_joins_after_the_removal() {
        Scenario::formed("VVD")
            .advance()
            .expect("remove member a2")
            .unlisted(2)
            .expect("reserve seat 2 for 3.6.16; close")
            .advance()
            .expect("add slot 2 as a learner at http://127.0.0.1:2382");
    }

    #[test]
    fn a_joiner_is_not_dead_for_having_waited_at_the_gate() {
        let ended = Phase::Exited(Blocker("restarted".to_owned()));
        let joiner = Scenario::formed("VVVL").silent_for(3, 300).phase(3, ended);
        joiner.clone().permitted(3, 400_000, ClusterState::Existing).expect("open leave of 3");
        joiner.permitted(3, 1_000, ClusterState::Existing).expect("reserve seat 4 for 3.6.16");
    }
}
