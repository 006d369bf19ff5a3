//! Every promise in every state that a small cluster can get into. Each test is one scope; its counts are pinned, so that a change of
//! the planner or of the model shows how much of the space it changed, and each must have gone through what it is about.

#![expect(clippy::print_stdout, clippy::panic, reason = "helpers of tests: counts and counterexamples are to be read")]

use etcdop_core::observation::SlotPolicy;
use etcdop_sim::{
    Budget, Clock, Landmark, Patience, Permits, Promises, Release, Restarts, Scope, SilentOnes, State, Violation,
    Writers, explain, explore, formed, mixed, unborn,
};

const NO_FAULTS: Budget = Budget { wipes: 0, crashes: 0, silences: 0, edits: 0, records: 0 };

/// How much a scope holds: states, transitions between them, and states that came to the goal.
type Counts = (usize, usize, usize);

/// Explores the scope to its end, and says how to get to what is wrong.
fn holds(scope: &Scope, promises: Promises, counts: Counts, passed: &[Landmark]) {
    let report = explore(scope, promises);
    println!(
        "{} states, {} transitions, {} plans, {} converged within {} rounds, in {:.1?}",
        report.states, report.transitions, report.plans, report.converged, report.rounds, report.time
    );
    println!("{:?}", report.landmarks);
    if let Some(found) = report.violations.values().next() {
        let stuck = found.way.last().map(|(state, _)| *state).filter(|_| found.violation == Violation::NeverConverges);
        let plan = explain(&stuck.unwrap_or(found.end), scope.policy, scope.mutant, Clock::Old);
        panic!("{found}\nplanned there: {plan:?}");
    }
    for landmark in passed {
        assert!(report.landmarks.contains_key(landmark), "never went through {landmark:?}");
    }
    assert_eq!((report.states, report.transitions, report.converged), counts, "the space has changed");
}

#[test]
fn a_cluster_of_one_is_born() {
    let scope = Scope::new(vec![unborn(1)]).budget(Budget { wipes: 1, crashes: 1, ..NO_FAULTS });
    let passed = [Landmark::Born, Landmark::BornAgain, Landmark::GuardRefused, Landmark::PermitVoid];
    holds(&scope, Promises::All, (128, 200, 114), &passed);
}

#[test]
fn a_cluster_of_three_is_born_while_a_process_dies_and_a_disk_is_lost() {
    let scope = Scope::new(vec![unborn(3)]).budget(Budget { wipes: 1, crashes: 1, ..NO_FAULTS });
    let passed = [Landmark::Born, Landmark::BornAgain, Landmark::DiskLostReplaced, Landmark::QuorumLost];
    holds(&scope, Promises::All, (267_938, 875_547, 220_514), &passed);
}

#[test]
fn a_cluster_of_three_is_born_where_permits_go_with_their_processes() {
    let scope = Scope { permits: Permits::GoWithTheirProcess, ..Scope::new(vec![unborn(3)]) };
    let scope = scope.budget(Budget { wipes: 1, crashes: 1, ..NO_FAULTS });
    let passed = [Landmark::Born, Landmark::BornAgain, Landmark::DiskLostReplaced, Landmark::QuorumLost];
    holds(&scope, Promises::All, (210_783, 703_318, 172_521), &passed);
}

#[test]
fn three_members_outlive_a_crash_a_lost_disk_and_a_silence() {
    let scope = Scope::new(vec![formed(3)]).budget(Budget { wipes: 1, crashes: 1, silences: 1, ..NO_FAULTS });
    let passed =
        [Landmark::DiskLostReplaced, Landmark::SilentReplaced, Landmark::DiskDiscarded, Landmark::LearnerNudged];
    holds(&scope, Promises::All, (155_579, 565_632, 134_711), &passed);
}

#[test]
fn a_member_that_stays_silent_is_replaced() {
    let budget = Budget { wipes: 1, silences: 1, ..NO_FAULTS };
    let scope = Scope { silent_ones: SilentOnes::StaySilent, ..Scope::new(vec![formed(3)]).budget(budget) };
    holds(&scope, Promises::All, (11_470, 35_159, 8_259), &[Landmark::SilentReplaced, Landmark::LearnerTakenOut]);
}

#[test]
fn three_members_lose_two_disks() {
    let scope = Scope::new(vec![formed(3)]).budget(Budget { wipes: 2, ..NO_FAULTS });
    holds(&scope, Promises::All, (7_311, 19_864, 6_063), &[Landmark::DiskLostReplaced, Landmark::QuorumLost]);
}

#[test]
fn five_members_lose_two_disks() {
    let scope = Scope::new(vec![formed(5)]).budget(Budget { wipes: 2, ..NO_FAULTS });
    let passed = [Landmark::DiskLostReplaced, Landmark::ParallelLearners, Landmark::PairedPromotion];
    holds(&scope, Promises::All, (763_667, 4_487_176, 763_667), &passed);
}

#[test]
fn one_becomes_three_and_one_again_at_any_moment() {
    let scope = Scope::new(vec![formed(1)]).sizes(&[1, 3]).budget(Budget { edits: 2, ..NO_FAULTS });
    let passed = [
        Landmark::ScaledOut,
        Landmark::ScaledInToOne,
        Landmark::ParallelLearners,
        Landmark::PairedPromotion,
        Landmark::LearnerTakenOut,
        Landmark::JoinFailed,
        Landmark::RemovalCompensated,
    ];
    holds(&scope, Promises::All, (31_441, 129_313, 31_441), &passed);
}

#[test]
fn one_becomes_three_and_one_again_while_a_disk_is_lost() {
    let scope = Scope::new(vec![formed(1)]).sizes(&[1, 3]).budget(Budget { wipes: 1, edits: 2, ..NO_FAULTS });
    let passed = [Landmark::ScaledOut, Landmark::DiskLostReplaced];
    holds(&scope, Promises::All, (220_683, 789_954, 156_106), &passed);
}

#[test]
fn any_slot_of_three_can_be_given_up() {
    let scope = Scope::new(vec![formed(3)]).policy(SlotPolicy::Any).sizes(&[1, 3]);
    let scope = scope.budget(Budget { wipes: 1, edits: 2, ..NO_FAULTS });
    holds(
        &scope,
        Promises::All,
        (118_321, 397_070, 92_919),
        &[Landmark::ScaledInToOne, Landmark::ScaledOut, Landmark::DiskLostReplaced],
    );
}

#[test]
fn three_become_five() {
    let scope = Scope::new(vec![formed(3)]).sizes(&[3, 5]).budget(Budget { edits: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (35_097, 206_926, 35_097), &[Landmark::ParallelLearners, Landmark::PairedPromotion]);
}

#[test]
fn five_become_fewer_while_a_disk_is_lost() {
    let scope = Scope::new(vec![formed(5)]).sizes(&[1, 3, 5]).budget(Budget { wipes: 1, edits: 1, ..NO_FAULTS });
    let passed = [Landmark::LeadershipMoved, Landmark::ScaledInToOne, Landmark::DiskLostReplaced];
    holds(&scope, Promises::All, (22_001, 137_262, 21_965), &passed);
}

#[test]
fn any_of_five_leave_while_a_disk_is_lost() {
    let scope = Scope::new(vec![formed(5)]).policy(SlotPolicy::Any).sizes(&[1, 3, 5]);
    let scope = scope.budget(Budget { wipes: 1, edits: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (20_305, 130_827, 20_269), &[Landmark::ScaledInToOne, Landmark::DiskLostReplaced]);
}

#[test]
fn three_members_sleep_and_wake_while_a_disk_is_lost() {
    let scope = Scope::new(vec![formed(3)]).sizes(&[0, 3]).budget(Budget { wipes: 1, edits: 2, ..NO_FAULTS });
    holds(&scope, Promises::All, (12_897, 37_372, 11_661), &[Landmark::Hibernated, Landmark::DiskLostReplaced]);
}

#[test]
fn a_lost_record_is_made_again_from_the_disks() {
    let scope = Scope::new(vec![formed(3)]).sizes(&[1, 3]);
    let scope = scope.budget(Budget { wipes: 1, crashes: 1, edits: 1, records: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (146_205, 516_117, 128_390), &[Landmark::RecordRebuilt, Landmark::DiskLostReplaced]);
}

#[test]
fn a_record_that_is_lost_while_the_cluster_sleeps_wakes_nobody_and_is_made_again_at_the_wake() {
    let scope = Scope::new(vec![formed(3)]).sizes(&[0, 3]);
    let scope = scope.budget(Budget { wipes: 1, edits: 2, records: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (52_913, 162_401, 46_931), &[Landmark::Hibernated, Landmark::RecordRebuilt]);
}

#[test]
fn one_learner_at_a_time_from_3_5_on() {
    let mut start = mixed(&[Release::V3_5], Release::V3_5);
    (start.limit, start.born) = (1, 1);
    let scope = Scope::new(vec![start]).sizes(&[1, 3]).budget(Budget { wipes: 1, edits: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (6_614, 17_234, 4_946), &[Landmark::ScaledOut]);
}

#[test]
fn a_mixed_cluster_grows_in_the_middle_of_a_roll() {
    let mut start = mixed(&[Release::V3_5; 3], Release::V3_6);
    start.size = 5;
    let scope = Scope { writers: Writers::Quiet, patience: Patience::Endless, ..Scope::new(vec![start]) };
    holds(&scope, Promises::All, (1_213, 2_374, 1_213), &[Landmark::Rolled, Landmark::JoinedMixed]);
}

/// Both releases may be asked for.
fn releases(start: State, budget: Budget) -> Scope {
    let releases = &[Release::V3_5, Release::V3_6];
    Scope { releases, writers: Writers::Quiet, ..Scope::new(vec![start]).budget(budget) }
}

#[test]
fn a_release_is_set_back_and_forth() {
    let scope = releases(formed(3), Budget { edits: 2, ..NO_FAULTS });
    holds(&scope, Promises::All, (13_042, 25_260, 13_042), &[Landmark::Rolled, Landmark::Downgraded]);
}

#[test]
fn a_release_is_set_back_in_the_middle_of_a_roll_while_a_process_dies() {
    let start = mixed(&[Release::V3_6, Release::V3_5, Release::V3_6], Release::V3_6);
    let scope = releases(start, Budget { crashes: 1, edits: 1, ..NO_FAULTS });
    holds(&scope, Promises::All, (255_852, 566_107, 255_852), &[Landmark::Rolled]);
}

#[test]
fn a_platform_that_names_its_instances_too_coarsely_is_saved_by_the_ledger() {
    let budget = Budget { wipes: 2, crashes: 1, ..NO_FAULTS };
    let scope = Scope { restarts: Restarts::KeepTheirName, ..Scope::new(vec![formed(3)]).budget(budget) };
    holds(&scope, Promises::Safety, (141_851, 433_114, 0), &[Landmark::GuardRefused, Landmark::DiskLostReplaced]);
}
