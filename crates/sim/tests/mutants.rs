//! Each rule of DESIGN §3 that the model knows, broken once: the model must notice, and say which promise it breaks.

#![expect(clippy::print_stdout, reason = "a helper of tests: counterexamples are to be read")]

use etcdop_sim::{
    Budget, Mutant, Permits, Promises, Release, Restarts, Scope, State, Violation, explore, formed, mixed, unborn,
};

const NO_FAULTS: Budget = Budget { wipes: 0, crashes: 0, silences: 0, edits: 0, records: 0 };

/// One voter that is to become three: two members come with permits of their own.
fn growing() -> State {
    let mut start = formed(1);
    start.size = 3;
    start
}

/// The violation that a run finds, and how many moves it takes.
fn finds(scope: &Scope, promises: Promises) -> Option<(Violation, usize)> {
    let report = explore(scope, promises);
    println!("{:?} in {} states, {:.1?}", scope.mutant, report.states, report.time);
    let found = report.violations.into_values().next()?;
    println!("{found}");
    Some((found.violation, found.way.len()))
}

/// The broken rule breaks this promise. That the whole rules keep it in such scopes, the other tests show.
fn breaks(scope: &Scope, violation: Violation) {
    assert_eq!(finds(scope, Promises::Safety).map(|(found, _)| found), Some(violation));
}

#[test]
fn a_guard_at_the_first_start_only_starts_members_without_their_memory() {
    let scope = Scope::new(vec![growing()]).budget(Budget { wipes: 1, ..NO_FAULTS }).mutant(Mutant::GuardedOnce);
    breaks(&scope, Violation::Amnesia);
}

#[test]
fn a_guard_at_the_first_start_only_loses_acknowledged_writes_in_the_end() {
    let scope = Scope::new(vec![growing()]).budget(Budget { wipes: 1, ..NO_FAULTS }).mutant(Mutant::GuardedOnce);
    let found = finds(&scope, Promises::Only(Violation::AcknowledgedWriteLost));
    assert_eq!(found.map(|(found, _)| found), Some(Violation::AcknowledgedWriteLost));
}

#[test]
fn a_first_start_that_is_noted_nowhere_happens_again_on_a_wiped_disk() {
    let scope = Scope { restarts: Restarts::KeepTheirName, ..Scope::new(vec![growing()]) };
    let scope = scope.budget(Budget { wipes: 1, ..NO_FAULTS }).mutant(Mutant::StartsUnnoted);
    breaks(&scope, Violation::Amnesia);
}

#[test]
fn a_start_that_is_written_down_before_it_happens_is_taken_for_a_lost_disk_over_and_over() {
    let scope = Scope::new(vec![growing()]).budget(NO_FAULTS).mutant(Mutant::StartedBeforeItsStart);
    assert_eq!(finds(&scope, Promises::All).map(|(found, _)| found), Some(Violation::NeverConverges));
}

#[test]
fn a_founder_that_nobody_remembers_starts_again_when_its_permit_goes_with_it() {
    let scope = Scope { permits: Permits::GoWithTheirProcess, ..Scope::new(vec![unborn(3)]) };
    let scope = scope.budget(Budget { wipes: 1, ..NO_FAULTS }).mutant(Mutant::FounderForgotten);
    breaks(&scope, Violation::Amnesia);
}

#[test]
fn a_promotion_that_nobody_witnessed_takes_the_quorum_away() {
    let scope = Scope::new(vec![growing()]).budget(Budget { crashes: 1, ..NO_FAULTS }).mutant(Mutant::PromotedUnseen);
    breaks(&scope, Violation::LiveQuorumLost);
}

#[test]
fn a_record_that_is_made_again_without_its_learner_limit_replays_logs_under_another() {
    let scope = Scope::new(vec![formed(3)]).budget(Budget { records: 1, ..NO_FAULTS }).mutant(Mutant::LimitForgotten);
    breaks(&scope, Violation::LearnerLimitChanged);
}

#[test]
fn whoever_takes_the_unreachable_for_dead_removes_the_living() {
    let scope = Scope::new(vec![formed(3)]).budget(Budget { silences: 1, ..NO_FAULTS });
    breaks(&scope.mutant(Mutant::UnreachableIsDead), Violation::NeededMemberRemoved);
}

#[test]
fn the_newest_member_is_not_the_one_in_the_highest_slot() {
    let scope = Scope::new(vec![formed(3)]).sizes(&[1]).budget(Budget { wipes: 1, edits: 1, ..NO_FAULTS });
    breaks(&scope.mutant(Mutant::NewestLeaves), Violation::NeededMemberRemoved);
}

#[test]
fn parallel_learners_in_a_mixed_cluster_exceed_a_members_limit() {
    let mut start = mixed(&[Release::V3_5, Release::V3_6, Release::V3_6], Release::V3_6);
    start.size = 5;
    breaks(&Scope::new(vec![start]).mutant(Mutant::ParallelInMixed), Violation::TooManyLearners);
}
