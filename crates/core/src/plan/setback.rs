//! A step that keeps failing must not starve what is asked after it: one slot whose disk cannot be made, or one volume that is
//! busy, would stop a whole cluster's care. While such a step waits for its next try, the plan goes on without it, where that is
//! safe.
//!
//! Safe are steps whose absence the concerns below see for themselves and whose late effect harms nobody: what the platform holds,
//! stops or destroys is named exactly and done at most once. Not safe are changes of the membership and of who leads, permits that
//! may have been written after all, and commits: nothing new begins where nothing can be written down.

use crate::{
    observation::{Failure, Setback},
    reason::Reason,
    situation::Situation,
    step::{EtcdStep, GroundStep, Step},
};

/// The setback for which this step waits while the concerns below are asked.
pub(super) fn puts_off<'a>(s: &Situation<'a>, step: &Step) -> Option<&'a Setback> {
    let waits = |setback: &&Setback| setback.step == *step && setback.due > s.now && may_wait(setback);
    s.observation.setbacks.iter().find(waits)
}

/// The first of `steps` that waits for nothing; the first of them where all wait.
pub(super) fn first_due(s: &Situation<'_>, steps: impl Iterator<Item = Step> + Clone) -> Option<Step> {
    let due = steps.clone().find(|step| puts_off(s, step).is_none());
    due.or_else(|| { steps }.next())
}

/// What a person is told of it.
pub(super) fn reason(setback: &Setback) -> Reason {
    Reason::PutOff { step: Box::new(setback.step.clone()), why: setback.why.clone(), tries: setback.tries }
}

fn may_wait(setback: &Setback) -> bool {
    match &setback.step {
        Step::Ground(GroundStep::Ensure(_) | GroundStep::Retire(..) | GroundStep::Discard(..)) => true,
        // The list must stand still while a permit may be in use.
        Step::Ground(GroundStep::Permit(_)) => setback.failure == Failure::NotApplied,
        Step::Etcd(step) => match step {
            EtcdStep::Compact { .. }
            | EtcdStep::Defragment(_)
            | EtcdStep::Disarm(_)
            | EtcdStep::Downgrade(_)
            | EtcdStep::PadLog { .. }
            | EtcdStep::Snapshot { .. } => true,
            EtcdStep::AddLearner(..) | EtcdStep::Promote(_) | EtcdStep::Remove(_) | EtcdStep::MoveLeader { .. } => {
                false
            }
        },
        Step::Record(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        id::{InstanceId, Slot, VolumeId},
        observation::{AlarmKind, Marker},
        permit::ClusterState,
        plan::{
            Wake,
            scenario::{Scenario, acts, member, size},
        },
        step::Layout,
    };

    /// The step that is planned failed just now.
    fn failed(scenario: Scenario, failure: Failure) -> Scenario {
        let step = acts(&scenario.plan()).unwrap();
        scenario.set_back(step, failure)
    }

    /// A voter that lost its disk, and something that comes before it and fails.
    fn dead_and(other: impl FnOnce(&mut Scenario)) -> Scenario {
        Scenario::formed("VVD").with(other)
    }

    #[rstest]
    #[case::a_layout_that_cannot_be_held(dead_and(|s| s.view_mut(0).declared = None))]
    #[case::a_disk_that_is_busy(Scenario::formed("VVD").disk(3, Some(Marker::Empty)))]
    fn does_not_keep_a_dead_member_from_being_replaced(#[case] scenario: Scenario) {
        for failure in [Failure::NotApplied, Failure::Unknown] {
            let next = failed(scenario.clone(), failure);
            next.expect("open leave of 2");
        }
    }

    #[test]
    fn it_is_tried_again_when_it_is_due_and_told_meanwhile() {
        let failed = failed(Scenario::formed("VVV").undeclared(1), Failure::NotApplied);
        let plan = failed.plan();
        assert_eq!(plan.next, Wake::Soon);
        let told = "wait: to hold the layout of slots [0, 1, 2] failed 3 times: no space left";
        failed
            .clone()
            .expect(told)
            .with(|s| s.now = s.seen.setbacks[0].due)
            .expect("hold the layout of slots [0, 1, 2]");
    }

    #[test]
    fn one_busy_disk_does_not_keep_another_from_being_discarded() {
        let two = Scenario::formed("VVV").disk(3, Some(Marker::Empty)).disk(4, Some(Marker::Empty));
        failed(two.clone(), Failure::NotApplied).expect("discard volume d4 of slot 4");
        let both = failed(failed(two, Failure::NotApplied), Failure::Unknown);
        both.expect("wait: to discard volume d3 of slot 3 failed 3 times: no space left");
    }

    #[test]
    fn a_layout_that_cannot_be_held_stops_nobody_over_and_over() {
        // Started again now, it would come up with what the platform still has.
        let stale = Scenario::formed("VVV").version("3.6.17").restarting(1, "3.6.16", 0);
        let stale = stale.with(|s| s.view_mut(1).declared = Some(crate::plan::scenario::launch("3.6.16")));
        let put_off = failed(stale, Failure::NotApplied);
        put_off.clone().expect("wait: slot 1 restarts with etcd 3.6.17");
        put_off
            .with(|s| s.seen.open_since = Some(crate::plan::scenario::ago(60_000)))
            .expect("seat 1 for 3.6.16; close");
    }

    #[rstest]
    #[case::a_removal(Scenario::formed("VVD").leaving(&[2]), "remove member a2")]
    #[case::an_addition(Scenario::formed("Vgg"), "add slot 1 as a learner at http://127.0.0.1:2381")]
    #[case::a_promotion(Scenario::formed("VVL"), "promote learner a2")]
    #[case::a_move_of_the_leader(Scenario::formed("VVV").size(size(1)).leader(2).leaving(&[1, 2]).unlisted(1), "move leadership to member a0")]
    #[case::a_commit(Scenario::formed("VVD"), "open leave of 2")]
    fn is_never_passed_over(#[case] scenario: Scenario, #[case] next: &str) {
        for failure in [Failure::NotApplied, Failure::Unknown] {
            failed(scenario.clone(), failure).expect(next);
        }
    }

    #[test]
    fn a_permit_is_passed_over_only_when_it_certainly_was_not_written() {
        let learners = Scenario::formed("VVuD");
        let permit = acts(&learners.plan()).unwrap();
        learners.clone().set_back(permit.clone(), Failure::NotApplied).expect("open leave of 3");
        learners.set_back(permit, Failure::Unknown).expect("permit the first start in slots [2]");
        let starts = Scenario::formed("VVuD").permitted(2, 100, ClusterState::Existing);
        starts.expect("wait: waiting for slot 2 to serve its peer URL");
    }

    #[test]
    fn a_member_that_cannot_be_defragmented_keeps_nobody_from_joining() {
        let full = Scenario::formed("VVVgg").alarm(AlarmKind::NoSpace, 1).with(|s| {
            s.status_mut(1).db_size = s.status_mut(1).quota.unwrap();
        });
        failed(full.clone().expect("defragment member a1"), Failure::Unknown)
            .expect("add slot 3 as a learner at http://127.0.0.1:2383");
        let other = Step::Etcd(EtcdStep::Defragment(member(2)));
        full.set_back(other, Failure::NotApplied).expect("defragment member a1");
    }

    #[test]
    fn a_long_step_that_is_under_way_is_told_and_what_comes_after_it_is_planned() {
        let full = Scenario::formed("VVVgg").alarm(AlarmKind::NoSpace, 1).with(|s| {
            s.status_mut(1).db_size = s.status_mut(1).quota.unwrap();
        });
        let under_way = |member| full.clone().with(|s| s.seen.errand = Some(Step::Etcd(EtcdStep::Defragment(member))));
        let passed = under_way(member(1)).expect("add slot 3 as a learner at http://127.0.0.1:2383");
        let told: Vec<String> = passed.plan().reasons.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("under way: defragment member a1; "), "{told:?}");
        under_way(member(2)).expect("defragment member a1");
    }

    #[test]
    fn what_is_put_off_is_told_in_words() {
        let retire = Step::Ground(GroundStep::Retire(Slot(1), InstanceId("i1".to_owned())));
        let discard = Step::Ground(GroundStep::Discard(Slot(1), VolumeId("d1".to_owned())));
        let ensure = Step::Ground(GroundStep::Ensure(Layout::default()));
        for step in [retire, discard, ensure] {
            let scenario = Scenario::formed("V").set_back(step, Failure::Unknown);
            let told = reason(&scenario.seen.setbacks[0]).to_string();
            assert!(
                told.ends_with("failed 3 times: no space left; it is tried again, and the rest goes on meanwhile"),
                "{told}"
            );
        }
    }
}
