//! Situations in which two concerns could wait for each other for ever, and the way out of each. Unless a test breaks something,
//! whatever is done succeeds (`scenario::world`).

use std::collections::BTreeSet;

use super::scenario::{Scenario, World, member, size};
use crate::{
    id::Slot,
    observation::{AlarmKind, Blocker, Marker, Phase},
    plan::scenario::launch,
    quorum::tolerance,
    record::{Before, Mutation},
    version::Minor,
};

fn settled(scenario: Scenario) -> (Vec<String>, World) {
    let mut world = scenario.world();
    let done = world.settle();
    (done, world)
}

/// These words are among what was done, in this order.
#[track_caller]
fn assert_order(done: &[String], words: &[&str]) {
    let mut rest = done.iter();
    for word in words {
        assert!(rest.any(|step| step.contains(word)), "`{word}` is missing, or too early, in {done:#?}");
    }
}

#[test]
fn a_member_dies_while_anothers_restart_is_open() {
    let dies = Scenario::formed("VVD").version("3.7.3").restarting(1, "3.6.16", 0);
    let (done, world) = settled(dies);
    assert_order(&done, &["seat 1 for 3.6.16; close", "open leave of 2", "remove member a2", "add slot 2", "promote"]);
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2], BTreeSet::from(["3.7.3".to_owned()])));
}

#[test]
fn the_member_whose_restart_is_open_loses_its_disk() {
    let wiped = Scenario::formed("VVV").version("3.7.3").restarting(1, "3.6.16", 0);
    let wiped = wiped.restarted_in_vain(1, Phase::AtGate).marker(1, Marker::Empty);
    let (done, world) = settled(wiped);
    assert_order(&done, &["close", "open leave of 1", "remove member a1", "add slot 1", "promote"]);
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2], BTreeSet::from(["3.7.3".to_owned()])));
}

#[test]
fn a_member_dies_while_another_can_go_neither_on_nor_back() {
    let stuck = Scenario::formed("VVVDV")
        .version("3.7.3")
        .running("3.7.3", &[0, 1, 2, 3])
        .restarting(4, "3.6.16", 61)
        .restarted_in_vain(4, Phase::Exited(Blocker("exit code 2".to_owned())));
    let mut world = stuck.world();
    world.broken = Some("3.7.3".parse().unwrap());
    let done = world.settle();
    // The one that cannot start is a dead member too, once it was silent for long.
    assert_order(&done, &["close", "open leave of 3", "remove member a3", "open leave of 4", "remove member a4"]);
    assert_eq!(world.voters(), [0, 1, 2, 3, 4]);
}

#[test]
fn nospace_with_a_dead_voter() {
    let full = Scenario::formed("VVD").alarm(AlarmKind::NoSpace, 1).with(|s| {
        for slot in 0..2 {
            s.status_mut(slot).db_size = s.status_mut(slot).quota.unwrap();
        }
    });
    let (done, world) = settled(full);
    assert_order(&done, &["remove member a2", "defragment member a1", "defragment member a0", "disarm", "promote"]);
    assert_eq!(world.voters(), [0, 1, 2]);
    assert!(world.now.seen.alarms.known().unwrap().is_empty());
}

#[test]
fn a_roll_to_a_version_that_cannot_start_is_set_back_by_an_edit() {
    let mut world = Scenario::formed("VVV").version("3.7.3").world();
    world.broken = Some("3.7.3".parse().unwrap());
    // Tried on one member, taken back by itself, and not tried again.
    let done = world.settle();
    assert_order(&done, &["open restart of 1", "seat 1 for 3.6.16; close; reject 3.7.3"]);
    assert_eq!(done.iter().filter(|step| step.contains("open restart")).count(), 1, "{done:#?}");
    world.now = world.now.version("3.6.16");
    world.settle();
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2], BTreeSet::from(["3.6.16".to_owned()])));
}

#[test]
fn an_edit_back_in_the_middle_of_a_restart_does_not_wait_for_its_deadline() {
    let bad = Scenario::formed("VVV").version("3.7.3").restarting(1, "3.6.16", 5).restarted_in_vain(1, Phase::Running);
    let mut world = bad.version("3.6.16").world();
    let done = world.settle();
    assert_eq!(done[0], "seat 1 for 3.6.16; close");
    assert_eq!(world.versions(), BTreeSet::from(["3.6.16".to_owned()]));
}

#[test]
fn a_version_that_cannot_start_and_cannot_go_back_is_left_by_naming_another() {
    let mut world = Scenario::formed("VVV")
        .version("3.7.3")
        .running("3.7.3", &[0, 2])
        .restarting(1, "3.6.16", 61)
        .restarted_in_vain(1, Phase::Exited(Blocker("exit code 2".to_owned())))
        .world();
    world.now.clone().expect("wait: the cluster version has moved on");
    world.now = world.now.version("3.7.4");
    let done = world.settle();
    assert_order(&done, &["close", "open restart of 1"]);
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2], BTreeSet::from(["3.7.4".to_owned()])));
}

#[test]
fn a_slot_that_never_gets_to_the_gate() {
    let mut world = Scenario::formed("V").size(size(3)).world();
    world.pending = BTreeSet::from([Slot(2)]);
    // The other joins without it, and one voter stays alone: two would be worse than one.
    let done = world.settle();
    assert_order(&done, &["reserve seat 1", "add slot 1", "permit the first start in slots [1]"]);
    assert_eq!(world.voters(), [0]);
    world.now.clone().expect("wait: slot 2 is not at the gate yet: no node");
    let mut back = world.clone();
    // Either it gets there after all,
    world.pending.clear();
    world.now = world.now.phase(2, Phase::AtGate);
    world.settle();
    assert_eq!(world.voters(), [0, 1, 2]);
    // or the edit is taken back.
    back.now = back.now.size(size(1));
    back.settle();
    assert_eq!((back.voters(), back.now.record().slots.len()), (vec![0], 1));
}

#[test]
fn a_slot_that_never_gets_to_the_gate_keeps_nobody_from_being_replaced() {
    let mut world = Scenario::formed("VVVp").size(size(5)).world();
    world.pending = BTreeSet::from([Slot(3), Slot(4)]);
    world.settle();
    world.now = world.now.marker(1, Marker::Empty).phase(1, Phase::AtGate).silent_for(1, 1);
    let done = world.settle();
    assert_order(&done, &["open leave of 1", "remove member a1", "add slot 1", "promote"]);
    assert_eq!(world.voters(), [0, 1, 2]);
}

#[test]
fn a_slot_that_the_platform_can_make_nothing_of() {
    let mut world = Scenario::formed("VVV").size(size(5)).world();
    world.unusable = BTreeSet::from([Slot(3)]);
    let done = world.settle();
    // Its neighbour is made ready, and a dead member is replaced, though the layout as a whole cannot be held.
    assert_order(
        &done,
        &["hold the layout of slots [0, 1, 2, 3, 4]", "add slot 4", "permit the first start in slots [4]"],
    );
    world.now = world.now.marker(1, Marker::Empty).phase(1, Phase::AtGate).silent_for(1, 1);
    let done = world.settle();
    assert_order(&done, &["open leave of 1", "remove member a1", "promote", "add slot 1"]);
    assert!(done.iter().filter(|step| step.starts_with("hold the layout")).count() > 1, "it is tried again: {done:#?}");
    assert_eq!(world.voters(), [0, 2, 4]);
    world.now.clone().expect("wait: slot 3 is not at the gate yet");
    world.unusable.clear();
    world.settle();
    assert_eq!(world.voters(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_disk_that_cannot_be_destroyed() {
    let mut world = Scenario::formed("VVD").disk(3, Some(Marker::Empty)).world();
    world.busy = BTreeSet::from([Slot(3)]);
    let done = world.settle();
    assert_order(&done, &["discard volume d3", "open leave of 2", "remove member a2", "add slot 2", "promote"]);
    assert_eq!(world.voters(), [0, 1, 2]);
    world.busy.clear();
    world.settle();
    assert!(!world.now.seen.ground.contains_key(&Slot(3)));
}

#[test]
fn a_permit_holder_that_never_serves() {
    let mut world = Scenario::formed("V").size(size(3)).world();
    world.mute = BTreeSet::from([Slot(1)]);
    let done = world.settle();
    // Its neighbour does not wait for it; it is taken out in time, and tried again under another identity.
    assert_order(
        &done,
        &[
            "permit the first start in slots [1]",
            "permit the first start in slots [2]",
            "open leave of 1",
            "remove member 1003",
            "add slot 1",
        ],
    );
    assert_eq!(world.voters(), [0]);
    world.mute.clear();
    world.settle();
    assert_eq!(world.voters(), [0, 1, 2]);
}

#[test]
fn three_to_one_with_slot_0_dead_under_prefix() {
    let (done, world) = settled(Scenario::formed("DVV").size(size(1)));
    assert_order(&done, &["remove member a0", "add slot 0", "promote", "open leave of 1, 2", "move leadership"]);
    assert_eq!((world.voters(), world.now.record().slots.len()), (vec![0], 1));
}

#[test]
fn five_to_three_with_one_dead_on_either_side_under_prefix() {
    let (done, world) = settled(Scenario::formed("VVDVD").size(size(3)));
    assert_order(&done, &["remove member a2", "remove member a4", "add slot 2", "promote", "open leave of 3"]);
    assert_eq!((world.voters(), world.now.record().slots.len()), (vec![0, 1, 2], 3));
}

#[test]
fn a_mixed_cluster_asked_to_grow_in_mid_roll() {
    let mixed = Scenario::formed("VVV").size(size(5)).serial().version("3.6.16").running("3.5.35", &[0, 1]);
    let (done, world) = settled(mixed);
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2, 3, 4], BTreeSet::from(["3.6.16".to_owned()])));
    let learners = |at: usize| done[..=at].iter().filter(|step| step.starts_with("add slot")).count();
    let promoted = |at: usize| done[..=at].iter().filter(|step| step.starts_with("promote")).count();
    assert!((0..done.len()).all(|at| learners(at) <= promoted(at) + 1), "one learner at a time: {done:#?}");
}

#[test]
fn an_edit_of_size_and_version_at_once() {
    let (_, world) = settled(Scenario::formed("V").size(size(5)).version("3.7.3"));
    assert_eq!((world.voters(), world.versions()), (vec![0, 1, 2, 3, 4], BTreeSet::from(["3.7.3".to_owned()])));
}

#[test]
fn a_record_lost_and_rebuilt_from_markers_and_roster() {
    let lost = Scenario::formed("VVV").size(size(5)).without_record();
    let (done, world) = settled(lost);
    assert_eq!(done[0], "forming; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16");
    assert_eq!(done[1], "formed c0ffee", "nothing is stopped on the way");
    assert_eq!(world.voters(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_record_lost_together_with_a_disk() {
    let (done, world) = settled(Scenario::formed("VVD").without_record());
    assert_order(&done, &["formed c0ffee", "open leave of 2", "remove member a2", "add slot 2", "promote"]);
    assert_eq!(world.voters(), [0, 1, 2]);
}

#[test]
fn a_record_lost_in_the_middle_of_a_scale_in() {
    // Slot 2's member was removed already, its disk is still there.
    let (done, world) = settled(Scenario::formed("VVV").size(size(1)).unlisted(2).without_record());
    assert_order(&done, &["formed c0ffee; drop seat 2", "discard volume d2", "open leave of 1"]);
    assert_eq!(world.voters(), [0]);
}

#[test]
fn a_manager_that_died_over_each_open_mutation_is_succeeded() {
    for (size_wanted, open) in [(1, [1, 2].as_slice()), (3, &[2]), (0, &[1])] {
        let open = Scenario::formed("VVV").size(size(size_wanted)).leaving(open);
        let (done, _) = settled(open);
        assert!(done.iter().any(|step| step.contains("close")), "{done:#?}");
    }
    let restart = Scenario::formed("VVV").version("3.7.3").with(|s| {
        let (slot, from) = (Slot(1), launch("3.6.16"));
        s.record_mut().open = Some(Mutation::Restart { slot, from, before: Before::Serving });
        s.seat_mut(1).launch = launch("3.7.3");
    });
    let (_, world) = settled(restart);
    assert_eq!(world.versions(), BTreeSet::from(["3.7.3".to_owned()]));
    let status = world.now.seen.status[&Slot(0)].known().unwrap();
    assert_eq!(status.cluster_version, Some(Minor::new(3, 7)));
    assert_ne!(status.leader, Some(member(0)), "leadership was moved before the leader's restart");
}

/// From every size to every other, under either policy, in parallel or one at a time, with any minority dead; of the large ones
/// only neighbours, which take the same ways in less time.
#[test]
fn every_size_reaches_every_other_whatever_minority_is_dead() {
    let odd = [1_u8, 3, 5, 7, 9];
    for (from, to) in odd.iter().flat_map(|&from| odd.map(|to| (from, to))) {
        for dead in 0_u16..1 << from {
            let neighbours = dead.count_ones() + dead.leading_zeros() + dead.trailing_zeros() >= 16;
            if dead.count_ones() as usize > tolerance(from.into()) || (from > 5 && !neighbours) {
                continue;
            }
            let picture: String = (0..from).map(|slot| if dead >> slot & 1 == 1 { 'D' } else { 'V' }).collect();
            let scenario = Scenario::formed(&picture).size(size(to.into()));
            for scenario in [scenario.clone(), scenario.clone().serial(), scenario.slots_any()] {
                let (done, world) = settled(scenario);
                let told = || format!("{picture} to {to}: {done:#?}");
                assert_eq!(world.voters().len(), usize::from(to), "{}", told());
                assert_eq!(
                    (world.now.record().slots.len(), &world.now.record().open),
                    (to.into(), &None),
                    "{}",
                    told()
                );
            }
        }
    }
}
