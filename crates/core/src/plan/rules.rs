//! The rules that keep data (DESIGN §3), as far as a plan can keep or break them: one test each, named after its rule.

use rstest::rstest;

use super::scenario::{Scenario, acts, member, size};
use crate::{
    fence::Fence,
    id::{ClusterId, Generation, Incarnation, InstanceId, MemberId, Slot, VolumeId},
    observation::{Blocker, Marker, Phase, Probe},
    permit::{ClusterState, Permit},
    size::Size,
    step::{EtcdStep, GroundStep, Step},
};

fn permits(scenario: &Scenario) -> Vec<Permit> {
    match acts(&scenario.plan()) {
        Some(Step::Ground(GroundStep::Permit(permits))) => permits,
        _ => Vec::new(),
    }
}

fn fence(scenario: &Scenario) -> Fence {
    scenario.plan().act.unwrap().1
}

/// What is left of a member's disk when its log is gone.
fn hollow(generation: u64) -> Marker {
    Marker::Hollow { incarnation: Incarnation::first("uid"), generation: Generation(generation) }
}

#[rstest]
#[case::an_unnamed_learner_may_start_on_an_empty_disk(Scenario::formed("VVu"), "permit the first start in slots [2]")]
#[case::a_voter_may_not(Scenario::formed("VVD"), "open leave of 2")]
#[case::a_named_learner_may_not(
    Scenario::formed("VVL").phase(2, Phase::AtGate).marker(2, Marker::Empty).silent_for(2, 1), "open leave of 2"
)]
#[case::also_when_its_start_was_not_noted_yet(
    Scenario::formed("VVL")
        .phase(2, Phase::AtGate)
        .marker(2, Marker::Empty)
        .silent_for(2, 1)
        .with(|s| s.seat_mut(2).epoch = 0),
    "open leave of 2"
)]
#[case::a_learner_that_counted_a_start_may_not(Scenario::formed("VVu").with(|s| s.seat_mut(2).epoch = 1), "open leave of 2")]
#[case::nor_one_whose_log_is_gone(Scenario::formed("VVu").marker(2, hollow(3)), "open leave of 2")]
#[case::nor_one_on_an_older_copy_of_its_disk(Scenario::formed("VVV").with(|s| s.seat_mut(2).epoch = 7), "open leave of 2")]
#[case::nor_one_on_the_disk_of_the_member_before(
    Scenario::formed("VVV").with(|s| s.seat_mut(2).generation = Generation(9)), "open leave of 2"
)]
#[case::nobody_is_promoted_whose_marker_was_not_seen(
    Scenario::formed("VVL").with(|s| s.view_mut(2).volume = Probe::Unknown { why: Blocker("refused".to_owned()), since: s.now }),
    "wait: the marker of learner a2 in slot 2 was not seen on its disk yet"
)]
fn rule_1_a_member_is_its_disk(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}

#[test]
fn rule_1_a_permit_is_for_one_instance_one_seat_and_one_start() {
    let learner = Scenario::formed("VVu");
    let [permit] = permits(&learner).try_into().unwrap();
    assert_eq!((permit.instance, permit.generation), (InstanceId("i2".to_owned()), Generation(3)));
    assert_eq!((permit.member, permit.incarnation), (Some(member(2)), Incarnation::first("uid")));
    assert!(permits(&learner.permitted(2, 100, ClusterState::Existing)).is_empty());
}

#[test]
fn rule_2_a_new_cluster_is_formed_once_per_incarnation() {
    let states = |scenario: &Scenario| permits(scenario).iter().map(|permit| permit.state).collect::<Vec<_>>();
    assert_eq!(states(&Scenario::forming("ggg").advance()), [ClusterState::New; 3]);
    assert_eq!(states(&Scenario::formed("Vuu")), [ClusterState::Existing]);
    // A founder that had its permit and has no disk is refused, or dead where the list answers; and a birth that begins again is
    // another incarnation.
    Scenario::forming("vDD").expect("wait: founder in slot 1 lost its disk while the cluster was forming");
    Scenario::forming("VVD").advance().expect("open leave of 2");
    assert!(Scenario::forming("DDD").standing_for(5).next().starts_with("begin incarnation uid/2"));
}

#[test]
fn rule_2_a_founder_is_written_down_before_it_is_permitted_and_never_starts_twice() {
    Scenario::forming("ggg").expect("seat 0 is founded by i0; seat 1 is founded by i1; seat 2 is founded by i2");
    // Instance, permit and disk are gone together: only the record knows.
    let vanished = Scenario::forming("vvv").vanished(1).vanished(2).standing_for(3600);
    vanished.expect("wait: founder in slot 1 lost its disk while the cluster was forming");
}

#[rstest]
#[case::nobody_is_added_before_the_gate(Scenario::formed("Vpp"), "wait: slot 1 is not at the gate yet")]
#[case::those_at_the_gate_are_added_as_learners(
    Scenario::formed("Vgg"),
    "add slot 1 as a learner at http://127.0.0.1:2381"
)]
#[case::all_of_them_before_the_first_permit(
    Scenario::formed("Vng"),
    "add slot 2 as a learner at http://127.0.0.1:2382"
)]
#[case::then_they_are_permitted_in_order(Scenario::formed("Vuu"), "permit the first start in slots [1]")]
#[case::nobody_is_added_while_one_starts(
    Scenario::formed("VVVug").permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3"
)]
#[case::nobody_is_removed_while_one_starts(
    Scenario::formed("VVDu").permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3"
)]
#[case::unless_it_missed_its_deadline(Scenario::formed("VVVu").permitted(3, 60_000, ClusterState::Existing), "open leave of 3")]
#[case::an_odd_number_becomes_odd_again_at_once(Scenario::formed("VLl"), "wait: waits for a second one")]
#[case::in_pairs(Scenario::formed("VLL"), "promote learner a1")]
#[case::a_mixed_cluster_takes_one_at_a_time(
    Scenario::formed("VVVgg").running("3.5.35", &[0]), "add slot 3 as a learner at http://127.0.0.1:2383"
)]
#[case::and_no_second(Scenario::formed("VVVng").running("3.5.35", &[0]), "seat 3 is a3's")]
fn rule_3_only_learners_are_added_and_only_from_the_gate(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}

#[test]
fn rule_3_the_learner_limit_never_changes() {
    let mut world = Scenario::formed("VVV").serial().size(size(5)).version("3.7.3").world();
    world.settle();
    assert_eq!(world.now.record().max_learners, 1);
    assert!(world.now.record().slots.values().all(|seat| seat.launch.max_learners == 1));
}

#[test]
fn rule_4_dead_is_removed_before_another_is_added() {
    // Slots 3 and 4 are at the gate, and wait for it as well.
    let mut world = Scenario::formed("VVDgg").world();
    let done = world.settle();
    let at = |word: &str| done.iter().position(|step| step.contains(word)).unwrap();
    assert!(at("remove member a2") < at("add slot"), "{done:#?}");
}

#[test]
fn rule_4_alive_is_removed_after_another_was_added() {
    Scenario::formed("lVV")
        .size(size(1))
        .expect("wait: waiting for slot 0 to have a healthy voter before others leave");
    // Slot 0 is to stay, and has nobody yet.
    let mut world = Scenario::formed("gVV").size(size(1)).world();
    let done = world.settle();
    let at = |word: &str| done.iter().position(|step| step.contains(word)).unwrap();
    assert!(at("add slot 0") < at("promote") && at("promote") < at("open leave of 1, 2"), "{done:#?}");
}

#[test]
fn rule_4_an_even_number_is_passed_without_a_pause() {
    let mut world = Scenario::formed("VVVVV").size(size(3)).world();
    let done = world.settle();
    assert_eq!(done[..3], ["open leave of 3, 4", "remove member a3", "remove member a4"]);
}

#[rstest]
#[case::before_its_removal(Scenario::formed("VVV").leader(2).size(size(1)).leaving(&[2]), "move leadership to member a0")]
#[case::before_its_restart(Scenario::formed("VVV").version("3.7.3").restarting(0, "3.6.16", 0), "move leadership to member a1")]
fn rule_4_leadership_is_moved_away(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}

#[test]
fn rule_5_members_are_addressed_by_id() {
    // The list comes in another order, under other names; slot 1's member is dead.
    let confused = Scenario::formed("VDV").with(|s| {
        let Probe::Known { value, .. } = &mut s.seen.roster else { panic!() };
        value.members.reverse();
        for (row, name) in value.members.iter_mut().zip(["m1", "m0", "m1"]) {
            row.name = name.to_owned();
        }
    });
    confused.expect("open leave of 1").advance().expect("remove member a1");
}

#[test]
fn rule_5_ten_slots_and_more_sort_right() {
    let top = Scenario::formed("VVVVVVVVV..V").size(size(9));
    top.expect("open leave of 11").advance().expect("remove member ab");
}

#[test]
fn rule_5_an_answer_of_another_member_or_cluster_is_no_answer() {
    let other = Scenario::formed("VVL").with(|s| s.status_mut(2).member = MemberId(0xbad));
    other.expect("wait: learner a2 does not answer yet");
    let foreign = Scenario::formed("VVL").with(|s| s.status_mut(1).cluster = ClusterId(0xbad));
    foreign.expect("wait: no leader that a quorum agrees on");
}

#[rstest]
#[case::to_remove_the_dead("VVD")]
#[case::to_add("VVVgg")]
#[case::to_promote("VVL")]
#[case::to_permit("VVu")]
#[case::to_scale_in("VVVV")]
fn rule_6_no_membership_change_without_a_linearizable_list(#[case] picture: &str) {
    let known = Scenario::formed(picture).size(size(if picture == "VVVgg" { 5 } else { 3 }));
    assert!(acts(&known.plan()).is_some());
    known.no_roster().expect("wait: the member list cannot be read");
}

#[rstest]
#[case::to_add("VVvgg", 5)]
#[case::to_promote("VVvLL", 5)]
#[case::to_scale_in("VVvV", 3)]
fn rule_6_no_membership_change_while_a_voter_that_stays_is_down(#[case] picture: &str, #[case] to: u64) {
    Scenario::formed(picture).size(size(to)).expect("wait: slot 2");
}

#[test]
fn rule_6_no_open_removal_goes_on_while_a_voter_that_stays_is_down() {
    Scenario::formed("VVxVV").size(size(3)).leaving(&[3, 4]).expect("close");
}

#[rstest]
#[case::leaves(Scenario::formed("VVV").size(size(1)).behind(0, 5_000), "wait: voter a0 in slot 0 is 5000 entries behind")]
#[case::goes_on_leaving(Scenario::formed("VVVVV").size(size(3)).leaving(&[3, 4]).behind(1, 5_000), "close")]
#[case::is_rolled(
    Scenario::formed("VVV").version("3.6.17").running("3.6.17", &[2]).behind(2, 5_000),
    "wait: voter a2 in slot 2 is 5000 entries behind"
)]
#[case::is_stopped(
    Scenario::formed("VVV").version("3.6.17").restarting(1, "3.6.16", 0).behind(2, 5_000), "seat 1 for 3.6.16; close"
)]
fn rule_6_nobody_alive_goes_while_a_voter_that_stays_lacks_what_was_acknowledged(
    #[case] scenario: Scenario,
    #[case] next: &str,
) {
    scenario.expect(next);
}

#[test]
fn rule_6_no_membership_change_of_another_cluster() {
    let other = Scenario::formed("VVD").with(|s| {
        let Probe::Known { value, .. } = &mut s.seen.roster else { panic!() };
        value.cluster = ClusterId(0xbad);
        (0..2).for_each(|slot| s.status_mut(slot).cluster = ClusterId(0xbad));
    });
    other.expect("wait: the members that answer belong to cluster bad, the record names c0ffee");
}

#[test]
fn rule_6_unless_the_target_is_the_dead_one() {
    Scenario::formed("VVVvD").expect("open leave of 4").advance().expect("remove member a4");
}

#[rstest]
#[case::silent_from_here_only(Scenario::formed("VVv").silent_for(2, 3600).linked(2), "wait: unreachable is not dead")]
#[case::not_silent_for_long(Scenario::formed("VVv").silent_for(2, 299), "wait: silent for 299s of 300s")]
#[case::missed_by_the_leader_too(Scenario::formed("VVv").silent_for(2, 300), "open leave of 2")]
#[case::gone_says_the_platform(Scenario::formed("VVx").silent_for(2, 300).linked(2), "open leave of 2")]
#[case::missed_by_one_who_does_not_lead(Scenario::formed("VVv").silent_for(2, 300).with(|s| {
    if let Probe::Known { value, .. } = &mut s.seen.links { value.leader = member(1) }
}), "wait: voter a2 in slot 2 does not answer")]
fn rule_7_unreachable_is_not_dead(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}

#[rstest]
#[case::remove(EtcdStep::Remove(member(2)))]
#[case::add(EtcdStep::AddLearner(Slot(3), "http://127.0.0.1:2383".parse().unwrap()))]
#[case::promote(EtcdStep::Promote(member(2)))]
fn rule_8_an_unknown_outcome_is_looked_at_again(#[case] step: EtcdStep) {
    let open = Scenario::formed("VVV").size(size(1)).leaving(&[1, 2]);
    open.unsettled(step).expect("wait: was given up without an answer: looking again");
}

#[test]
fn rule_8_what_happened_after_all_is_done() {
    // The removal was applied though its answer was lost; so was the addition.
    Scenario::formed("VVD").leaving(&[2]).unlisted(2).expect("reserve seat 2 for 3.6.16; close");
    Scenario::formed("VVn").expect("seat 2 is a2's");
}

#[test]
fn rule_9_deletes_name_one_thing_and_rest_on_the_list() {
    let former = Marker::Owned {
        incarnation: Incarnation::first("uid"),
        member: Some(MemberId(0xdead)),
        generation: Generation(0),
        epoch: 1,
        max_learners: None,
    };
    let gone = Scenario::formed("VVg").marker(2, former.clone());
    assert_eq!(acts(&gone.plan()), Some(Step::Ground(GroundStep::Discard(Slot(2), VolumeId("d2".to_owned())))));
    assert_eq!(fence(&gone).roster, gone.seen.roster.known().map(crate::observation::Roster::digest));

    let listed = Scenario::formed("VVg").marker(
        2,
        Marker::Owned {
            incarnation: Incarnation::first("uid"),
            member: Some(member(1)),
            generation: Generation(0),
            epoch: 1,
            max_learners: None,
        },
    );
    listed.expect("wait: its disk is not empty");

    let retired = Scenario::formed("VVV").version("3.7.3").restarting(1, "3.6.16", 0);
    assert_eq!(fence(&retired).instance, Some((Slot(1), InstanceId("i1".to_owned()))));

    gone.clone().no_roster().expect("wait: the member list cannot be read");
    gone.size(Size::ZERO).asleep().expect("wait: hibernating: all disks are kept");
}

#[rstest]
#[case::nobody_is_removed("VxD", "wait: quorum lost: 1 of 3 voters are up")]
#[case::nobody_is_rolled("Vxx", "wait: quorum lost: 1 of 3 voters are up")]
fn rule_10_without_quorum_instances_run_and_nothing_else_happens(#[case] picture: &str, #[case] next: &str) {
    let lost = Scenario::formed(picture).version("3.7.3").silent_for(1, 3600).no_roster();
    lost.clone().expect(next);
    lost.clone().size(size(1)).expect(next);
    lost.undeclared(1).expect("hold the layout of slots [0, 1, 2]");
}

#[rstest]
#[case::of_the_size(size(1), "3.6.16")]
#[case::to_nothing(Size::ZERO, "3.6.16")]
#[case::of_the_version(size(3), "3.7.3")]
fn rule_11_no_edit_cancels_what_is_not_known(#[case] to: Size, #[case] version: &str) {
    let unknown = Scenario::formed("VVV").leaving(&[2]).unsettled(EtcdStep::Remove(member(2)));
    unknown.size(to).version(version).expect("wait: a call to remove member a2 was given up without an answer");
}

#[rstest]
#[case::a_removal_ends_where_it_is(
    Scenario::formed("VVV").size(size(1)).leaving(&[1, 2]).unlisted(1).size(size(3)), "reserve seat 1 for 3.6.16; close"
)]
#[case::a_restart_is_taken_back(
    Scenario::formed("VVV").version("3.7.3").restarting(1, "3.6.16", 1).restarted_in_vain(1, Phase::Running).version("3.6.16"),
    "seat 1 for 3.6.16; close"
)]
fn rule_11_an_edit_chooses_the_compensation(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}
