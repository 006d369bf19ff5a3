//! When a learner becomes a voter.
//!
//! etcd promotes a learner whose log reached 90 % of the leader's (`isLearnerReady`, server/etcdserver/server.go) and asks nobody
//! else: with one voter and one learner that dies, such a promotion stops all writes (LAB 14). So a learner is promoted only on
//! fresh answers from itself and from every voter, and from an odd number of voters only when the learner that makes the number
//! odd again is ready too (rule 3; not possible where one learner is allowed at a time). The last one that is missing needs no
//! second: when the number is odd before it, another member leaves right after it.

use std::collections::BTreeSet;

use super::Verdict;
use crate::{
    id::{MemberId, Slot},
    observation::{Blocker, Marker},
    reason::Reason,
    situation::{Death, Member, Situation},
    step::{EtcdStep, Step},
};

/// Raft entries a learner may be behind and still count as ready: what a healthy follower is behind on a busy leader.
pub(super) const READY_LAG: u64 = 100;

/// Decides whether a learner may vote now.
pub(super) fn promote(s: &Situation<'_>) -> Verdict {
    let target = s.target();
    let wanted = |learner: &&Member<'_>| learner.slot.is_some_and(|slot| target.contains(&slot));
    let learners: Vec<&Member<'_>> = s.learners().filter(wanted).collect();
    if learners.is_empty() {
        return Verdict::DONE;
    }
    if let Some(sick) = s.sick_voter(None) {
        return Verdict::Idle(s.sickness(sick).into_iter().collect());
    }
    let (mut ready, mut waiting): (Vec<MemberId>, Vec<Reason>) = (Vec::new(), Vec::new());
    for learner in learners {
        match readiness(s, learner) {
            Ok(()) => ready.push(learner.id()),
            Err(reason) => waiting.push(reason),
        }
    }
    let in_pairs = s.takes_parallel_learners().is_ok();
    let voters: BTreeSet<Slot> = s.voters().filter_map(|voter| voter.slot).collect();
    // With everybody else there, an odd number before means that somebody leaves right after.
    let is_last = target.difference(&voters).count() == 1;
    let stays_odd = s.voters().count().is_multiple_of(2) || ready.len() >= 2 || is_last || !in_pairs;
    match ready.first() {
        Some(&learner) if stays_odd => Verdict::Act(Step::Etcd(EtcdStep::Promote(learner))),
        Some(&member) => {
            waiting.push(Reason::WaitingForPair { member });
            Verdict::Idle(waiting)
        }
        None => Verdict::Idle(waiting),
    }
}

/// Whether the learner itself shows that it has the log, on a disk of its own.
fn readiness(s: &Situation<'_>, learner: &Member<'_>) -> Result<(), Reason> {
    let member = learner.id();
    if !s.is_fresh(learner) {
        let why = s.silence(learner).map_or_else(|| Blocker("no fresh answer".to_owned()), |(why, _)| why.clone());
        return Err(Reason::LearnerSilent { member, why });
    }
    if !learner.is_named() {
        return Err(Reason::LearnerSilent { member, why: Blocker("it has not published itself yet".to_owned()) });
    }
    if let (Some(slot), Some(seat)) = (learner.slot, learner.seat) {
        let marked = matches!(
            learner.volume().map(|volume| &volume.marker),
            Some(Marker::Owned { incarnation, generation, .. })
                if *incarnation == s.record.incarnation && *generation == seat.generation
        );
        if !marked {
            return Err(Reason::MarkerNotSeen { member, slot, generation: seat.generation });
        }
    }
    if s.death(learner) == Some(Death::DiskLost) {
        return Err(Reason::LearnerSilent { member, why: Blocker("its disk is gone".to_owned()) });
    }
    match s.behind(learner).filter(|&behind| behind > READY_LAG) {
        Some(behind) => Err(Reason::CatchingUp { member, behind }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::Slot,
        observation::{Blocker, Marker, Probe},
        plan::scenario::{NOW, Scenario, ago, launch, size},
    };

    #[rstest]
    #[case::one_voter_takes_two_ready_learners("VLL", "promote learner a1")]
    #[case::the_second_of_the_pair_follows_at_once("VVL", "promote learner a2")]
    #[case::a_single_ready_learner_waits_for_its_pair("VLl", "wait: learner a1 is ready and waits for a second one")]
    #[case::one_far_behind_catches_up_first("VVl", "wait: learner a2 is 9999 entries behind the leader")]
    #[case::nobody_while_a_voter_is_silent("VVvLL", "wait: voter a2 in slot 2 does not answer: deadline exceeded")]
    #[case::six_at_once_in_pairs("VLLLLLL", "promote learner a1")]
    fn promotes(#[case] picture: &str, #[case] next: &str) {
        Scenario::formed(picture).expect(next);
    }

    fn unnamed(s: &mut Scenario) {
        if let Probe::Known { value, .. } = &mut s.seen.roster {
            value.members[2].name.clear();
        }
    }

    #[rstest]
    #[case::one_at_a_time_has_no_pairs(Scenario::formed("VL").serial(), "promote learner a1")]
    #[case::it_follows_no_leader(Scenario::formed("VVVLL").with(|s| s.status_mut(2).leader = None), "wait: voter a2 in slot 2 answers, but follows no leader while a quorum follows a0")]
    #[case::it_has_not_published_itself(Scenario::formed("VVL").with(unnamed), "wait: learner a2 does not answer yet: it has not published itself yet")]
    #[case::it_does_not_answer(Scenario::formed("VVL").silent_for(2, 1), "wait: learner a2 does not answer yet: deadline exceeded")]
    #[case::its_answer_is_old(
        Scenario::formed("VVL").with(|s| {
            let Some(Probe::Known { at, .. }) = s.seen.status.get_mut(&Slot(2)) else { panic!() };
            *at = ago(1001);
        }),
        "wait: learner a2 does not answer yet: no fresh answer"
    )]
    #[case::a_voters_answer_is_old(
        Scenario::formed("VVL").with(|s| {
            let Some(Probe::Known { at, .. }) = s.seen.status.get_mut(&Slot(1)) else { panic!() };
            *at = ago(1001);
        }),
        "wait: voter a1 in slot 1 does not answer"
    )]
    #[case::its_disk_cannot_be_looked_at(
        Scenario::formed("VVL").with(|s| {
            s.view_mut(2).volume = Probe::Unknown { why: Blocker("refused".to_owned()), since: NOW };
        }),
        "wait: the marker of learner a2 in slot 2 was not seen on its disk yet"
    )]
    #[case::its_disk_is_that_of_another_life(
        Scenario::formed("VVL").with(|s| {
            if let Marker::Owned { incarnation, .. } = &mut s.volume_mut(2).marker { *incarnation = incarnation.next() }
        }),
        "wait: the marker of learner a2 in slot 2 was not seen on its disk yet"
    )]
    #[case::a_hundred_entries_are_what_a_healthy_follower_is_behind(
        Scenario::formed("VVL").with(|s| s.status_mut(2).applied -= 100), "promote learner a2"
    )]
    #[case::more_are_not(Scenario::formed("VVL").with(|s| s.status_mut(2).applied -= 101), "wait: learner a2 is 101 entries behind")]
    #[case::it_leaves(Scenario::formed("VVVL").size(size(3)), "open leave of 3")]
    #[case::members_differ_and_there_are_no_pairs(
        Scenario::formed("VL").running("3.5.35", &[0]), "promote learner a1"
    )]
    fn a_learner(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn the_last_one_that_is_missing_needs_no_pair_when_others_leave_after_it() {
        // 5→3 with slots 2 and 4 dead, both removed: slot 3 leaves as soon as slot 2 has its voter.
        Scenario::formed("VVLV").size(size(3)).expect("promote learner a2");
        Scenario::formed("VVVV").size(size(3)).expect("open leave of 3");
    }

    #[test]
    fn a_learner_with_another_launch_spec_is_no_obstacle() {
        Scenario::formed("VVL").with(|s| s.instance_mut(2).launch = launch("3.6.15")).expect("promote learner a2");
    }
}
