//! Scaling in: learners first, then voters, all of them named in one open mutation and removed back to back, so that an even
//! number of voters is passed in milliseconds (rule 4). Dead ones are gone before: see [`replacement`](super::replacement).

use std::collections::BTreeMap;

use super::{Verdict, mutation};
use crate::{
    id::{MemberId, Slot},
    reason::Reason,
    record::Mutation,
    situation::{Member, Situation},
    step::Step,
};

/// Begins the removal of everybody who is to leave.
pub(super) fn shrink(s: &Situation<'_>) -> Verdict {
    if s.desired.size.is_zero() || s.record.open.is_some() {
        return Verdict::DONE;
    }
    let target = s.target();
    let leaving: BTreeMap<MemberId, Slot> = s
        .members
        .iter()
        .filter_map(|member| Some((member.id(), member.slot?)))
        .filter(|(_, slot)| !target.contains(slot))
        .collect();
    if leaving.is_empty() {
        return Verdict::DONE;
    }
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    let learners: BTreeMap<_, _> = leaving
        .iter()
        .filter(|(id, _)| s.member(**id).is_some_and(Member::is_learner))
        .map(|(&id, &slot)| (id, slot))
        .collect();
    if !learners.is_empty() {
        return open(s, learners);
    }
    // Everybody who stays must be there before anybody leaves: 3→1 with slot 0 dead passes through a new slot 0.
    let seated = |slot: &Slot| s.voters().any(|voter| voter.slot == Some(*slot) && s.is_healthy(voter));
    if let Some(&slot) = target.iter().find(|slot| !seated(slot)) {
        return Verdict::wait(Reason::TargetNotHealthy { slot });
    }
    let first = leaving.keys().filter_map(|&id| s.member(id)).find(|member| mutation::may_leave(s, member));
    match (first, s.unfit_voter(None)) {
        (Some(_), _) => open(s, leaving),
        (None, Some(unfit)) => Verdict::Idle(s.sickness(unfit).into_iter().collect()),
        (None, None) => Verdict::DONE,
    }
}

fn open(s: &Situation<'_>, members: BTreeMap<MemberId, Slot>) -> Verdict {
    let mut record = s.record.clone();
    record.open = Some(Mutation::Leave { members });
    Verdict::Act(Step::Record(Box::new(record)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        permit::ClusterState,
        plan::scenario::{Scenario, size},
        size::Size,
    };

    fn shrink(picture: &str, to: u64) -> Scenario {
        Scenario::formed(picture).size(size(to))
    }

    #[rstest]
    #[case::the_top_slots_leave_together(shrink("VVVVVVV", 1), "open leave of 1, 2, 3, 4, 5, 6")]
    #[case::also_when_the_leader_is_among_them(shrink("VVV", 1).leader(2), "open leave of 1, 2")]
    #[case::learners_first(shrink("VVVLL", 1), "open leave of 3, 4")]
    #[case::not_before_everybody_who_stays_is_there(shrink("lVV", 1), "wait: learner a0 is 9999 entries behind")]
    #[case::not_while_one_who_stays_is_sick(
        shrink("xVV", 1),
        "wait: waiting for slot 0 to have a healthy voter before others leave"
    )]
    #[case::not_while_one_who_stays_is_far_behind(
        shrink("VVV", 1).behind(0, 1_001), "wait: voter a0 in slot 0 is 1001 entries behind"
    )]
    #[case::one_that_is_far_behind_may_go(shrink("VVVVV", 3).behind(4, 1_001), "open leave of 3, 4")]
    #[case::a_sick_one_that_leaves_may_go(shrink("VVVVx", 3), "open leave of 3, 4")]
    #[case::two_sick_ones_that_leave_wait(
        shrink("VVVVVxx", 5),
        "wait: voter a5 in slot 5 does not answer: deadline exceeded"
    )]
    #[case::not_while_a_joiner_starts(
        shrink("VVVu", 1).permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3 to serve its peer URL"
    )]
    fn under_prefix(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[rstest]
    #[case::the_leader_stays(shrink("VVVVVVV", 1).leader(4), "open leave of 0, 1, 2, 3, 5, 6")]
    #[case::the_healthy_stay(shrink("xVV", 1).leader(2), "open leave of 0, 1")]
    #[case::voters_stay_before_learners(shrink("LVV", 1), "open leave of 0")]
    #[case::the_dead_leave_first(shrink("VDVVV", 3), "open leave of 1")]
    fn under_any(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.slots_any().expect(next);
    }

    #[test]
    fn seven_to_one_under_prefix_moves_leadership_once_at_the_end() {
        let mut scenario = shrink("VVVVVVV", 1).leader(4).advance();
        for slot in [1, 2, 3, 5, 6] {
            scenario = scenario.expect(&format!("remove member a{slot}")).unlisted(slot);
        }
        scenario.expect("move leadership to member a0").leader(0).expect("remove member a4");
    }

    #[test]
    fn nobody_leaves_a_cluster_that_is_to_sleep() {
        Scenario::formed("VVV").size(Size::ZERO).expect("hold the layout of slots []");
    }
}
