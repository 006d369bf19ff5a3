//! Routine defragmentation, when the user asked for it: one member at a time, the leader last and not while it leads, and never
//! while anything else is going on (F42, H87).

use super::{Verdict, mutation::heir};
use crate::{
    reason::Reason,
    situation::{Member, Situation},
    step::{EtcdStep, Step},
};

/// Gives free pages back on the member that holds most of them.
pub(super) fn defragment(s: &Situation<'_>) -> Verdict {
    let Some(limit) = s.desired.maintenance.defragment_above else { return Verdict::DONE };
    if s.record.open.is_some() || s.learners().next().is_some() || s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    let free = |member: &Member<'_>| member.status.map_or(0, |status| status.db_size.saturating_sub(status.db_in_use));
    let fragmented = s.voters().filter(|voter| free(voter) >= limit.max(1));
    let Some(next) = fragmented.min_by_key(|voter| (Some(voter.id()) == s.leader, std::cmp::Reverse(free(voter))))
    else {
        return Verdict::DONE;
    };
    if let Some(unfit) = s.unfit_voter(None) {
        let silent = Reason::DefragmentBlocked { member: unfit.id() };
        return Verdict::wait(s.sickness(unfit).filter(|_| unfit.status.is_some()).unwrap_or(silent));
    }
    let id = next.id();
    let step = match heir(s, &[id]).filter(|_| Some(id) == s.leader) {
        Some(to) => EtcdStep::MoveLeader { to },
        None => EtcdStep::Defragment(id),
    };
    Verdict::Act(Step::Etcd(step))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::plan::scenario::{Scenario, size};

    /// Members with these free bytes; defragmented from 1000 on.
    fn fragmented(picture: &str, free: &[u64]) -> Scenario {
        Scenario::formed(picture).with(|s| {
            s.desired.maintenance.defragment_above = Some(1000);
            for (slot, free) in (0..).zip(free) {
                s.status_mut(slot).db_size = s.status_mut(slot).db_in_use + free;
            }
        })
    }

    #[rstest]
    #[case::the_most_fragmented_follower_first(fragmented("VVV", &[9000, 1000, 2000]), "defragment member a2")]
    #[case::not_the_leader_while_it_leads(fragmented("VVV", &[9000, 0, 0]), "move leadership to member a1")]
    #[case::the_leader_when_nobody_else_can_lead(fragmented("V", &[9000]), "defragment member a0")]
    #[case::nobody_below_the_limit(fragmented("VVV", &[999, 999, 999]), "wait: ")]
    #[case::nobody_while_a_voter_is_silent(fragmented("VVv", &[0, 2000]), "wait: no member is defragmented while voter a2 does not answer")]
    #[case::nobody_while_a_voter_is_far_behind(
        fragmented("VVV", &[0, 2000]).behind(2, 1_001), "wait: voter a2 in slot 2 is 1001 entries behind"
    )]
    #[case::nobody_while_a_learner_joins(fragmented("VVVll", &[0, 2000]), "wait: entries behind")]
    #[case::scaling_goes_first(fragmented("VVV", &[0, 2000]).size(size(1)), "open leave of 1, 2")]
    #[case::a_roll_goes_first(
        fragmented("VVV", &[0, 2000]).version("3.7.3"), "save a snapshot of member a1 before going to 3.7"
    )]
    fn routine(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn nobody_unless_the_user_asked_for_it() {
        fragmented("VVV", &[0, 1 << 30]).with(|s| s.desired.maintenance.defragment_above = None).expect("wait: ");
    }
}
