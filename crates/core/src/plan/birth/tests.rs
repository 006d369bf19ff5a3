use rstest::rstest;

use crate::{
    id::{ClusterId, Generation, Incarnation},
    observation::{Blocker, Marker, Phase, Probe},
    permit::ClusterState,
    plan::{
        Wake,
        scenario::{Scenario, acts, commits, member, size},
    },
    record::Birth,
    size::Size,
    step::{GroundStep, Step},
};

fn hollow(number: u32) -> Marker {
    let incarnation = Incarnation { uid: "uid".to_owned(), number };
    Marker::Hollow { incarnation, generation: Generation(1) }
}

#[rstest]
#[case::reserves_a_seat_for_each_founder(
    Scenario::unborn(3),
    "forming; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16"
)]
#[case::starts_nothing_at_size_zero(Scenario::unborn(1).size(Size::ZERO), "wait: nothing was ever created")]
#[case::refuses_an_option_that_etcd_would_end_on(
    Scenario::unborn(1).with(|s| { s.desired.template.options.extra_args.insert("name".to_owned(), "x".to_owned()); }),
    "wait: `name` is managed and cannot be set"
)]
#[case::creates_nothing_over_the_data_of_others(
    Scenario::unborn(3).disk(1, Some(Marker::Foreign("an etcd log without a marker".to_owned()))),
    "wait: slot 1 holds an etcd log without a marker: move it away"
)]
#[case::creates_nothing_on_a_disk_that_cannot_be_looked_at(
    Scenario::unborn(3).disk(2, None),
    "wait: the disk of slot 2 cannot be looked at: permission denied"
)]
#[case::an_empty_directory_is_no_data(
    Scenario::unborn(1).disk(0, Some(Marker::Empty)), "forming; reserve seat 0 for 3.6.16"
)]
fn creation(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.expect(next);
}

#[rstest]
#[case("3.5.35", 1)]
#[case("3.6.16", 8)]
#[case("3.7.3", 8)]
fn the_learner_limit_is_a_constant_of_the_incarnation_set_at_birth(#[case] version: &str, #[case] limit: u8) {
    let record = commits(&Scenario::unborn(3).version(version).plan()).unwrap();
    assert_eq!(record.max_learners, limit);
    assert!(record.slots.values().all(|seat| seat.launch.max_learners == limit));
}

#[test]
fn a_cluster_that_waits_for_the_user_is_at_rest() {
    assert_eq!(Scenario::unborn(1).size(Size::ZERO).plan().next, Wake::OnChange);
    assert_eq!(Scenario::forming("ggp").plan().next, Wake::Soon);
}

#[rstest]
#[case::waits_until_all_stand_at_the_gate("ggp", "wait: slot 2 is not at the gate yet: no instance yet")]
#[case::notes_them_together("ggg", "seat 0 is founded by i0; seat 1 is founded by i1; seat 2 is founded by i2")]
#[case::notes_a_single_founder("g", "seat 0 is founded by i0")]
#[case::goes_on_with_those_who_came_late("PgP", "seat 1 is founded by i1")]
#[case::waits_for_the_first_answers("PPP", "wait: founder in slot 0 does not serve yet: deadline exceeded")]
#[case::waits_for_the_last_answer("VVv", "wait: founder in slot 2 does not serve yet")]
#[case::notes_the_cluster("VVV", "formed c0ffee; seat 0 is a0's; seat 1 is a1's; seat 2 is a2's")]
#[case::notes_a_cluster_of_one("V", "formed c0ffee; seat 0 is a0's")]
#[case::a_founder_that_lost_its_disk_is_a_dead_member_of_those_that_answer(
    "VVD",
    "formed c0ffee; seat 0 is a0's; seat 1 is a1's; seat 2 is a2's"
)]
#[case::too_many_lost_founders_are_for_a_human(
    "vDD",
    "wait: founder in slot 1 lost its disk while the cluster was forming"
)]
#[case::one_lost_founder_waits_for_the_others("vvD", "wait: founder in slot 0 does not serve yet")]
#[case::nothing_starts_over_while_a_permit_may_be_in_use("PPD", "wait: founder in slot 0 does not serve yet")]
fn founders(#[case] picture: &str, #[case] next: &str) {
    Scenario::forming(picture).standing_for(5).expect(next);
}

#[test]
fn founders_are_written_down_and_then_permitted_together() {
    let noted = Scenario::forming("ggg").advance();
    noted.clone().expect("permit the first start in slots [0, 1, 2]");
    // A manager that died over the permits is succeeded.
    noted.permitted(0, 100, ClusterState::New).expect("permit the first start in slots [1, 2]");
    Scenario::forming("g").advance().expect("permit the first start in slots [0]");
}

#[test]
fn a_formed_cluster_has_no_founders_any_more() {
    let formed = commits(&Scenario::forming("VVV").plan()).unwrap();
    assert!(formed.slots.values().all(|seat| seat.founder.is_none()));
}

#[rstest]
#[case::is_a_dead_member_where_the_list_answers(
    Scenario::forming("VVV").vanished(2), "formed c0ffee; seat 0 is a0's; seat 1 is a1's; seat 2 is a2's"
)]
#[case::is_for_a_human_where_too_few_are_left(
    Scenario::forming("vvv").vanished(1).vanished(2),
    "wait: founder in slot 1 lost its disk while the cluster was forming, and no member list can be read"
)]
#[case::waits_for_the_others_where_they_may_answer(
    Scenario::forming("vvv").vanished(2), "wait: founder in slot 0 does not serve yet"
)]
#[case::waits_while_the_others_may_use_their_permits(
    Scenario::forming("PPP").vanished(2), "wait: founder in slot 0 does not serve yet"
)]
#[case::begins_again_under_another_token_where_nothing_was_stored(
    Scenario::forming("P").vanished(0), "begin incarnation uid/2; reserve seat 0 for 3.6.16; reject 3.6.16"
)]
#[case::also_when_nobody_knows_whether_it_got_the_permit(
    Scenario::forming("ggg").advance().vanished(0),
    "begin incarnation uid/2; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16; reject 3.6.16"
)]
fn a_founder_that_vanished_with_its_permit_and_its_disk(#[case] scenario: Scenario, #[case] next: &str) {
    scenario.standing_for(5).expect(next);
}

#[test]
fn a_founder_of_an_earlier_record_that_vanished_is_known_by_the_permit_that_is_left() {
    let earlier = Scenario::forming("vDD").with(|s| (0..3).for_each(|slot| s.seat_mut(slot).founder = None));
    earlier.expect("wait: founder in slot 1 lost its disk while the cluster was forming");
}

#[test]
fn a_founders_permit_names_all_founders_and_a_new_cluster() {
    let noted = Scenario::forming("ggg").advance();
    let Some(Step::Ground(GroundStep::Permit(permits))) = acts(&noted.plan()) else { panic!() };
    for (permit, slot) in permits.iter().zip(0..) {
        assert_eq!((permit.state, permit.member, permit.slot.0), (ClusterState::New, None, slot));
        let names: Vec<&str> = permit.initial_cluster.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["m0", "m1", "m2"]);
    }
}

#[test]
fn a_founder_that_stays_silent_for_long_does_not_keep_the_others_from_being_a_cluster() {
    let silent = Scenario::forming("VVv").permitted(2, 60_000, ClusterState::New);
    silent.expect("formed c0ffee; seat 0 is a0's; seat 1 is a1's; seat 2 is a2's");
}

#[test]
fn a_permit_of_an_earlier_attempt_is_not_held_against_a_founder() {
    let silent = Scenario::forming("VVv").permitted(2, 60_000, ClusterState::New).with(|s| {
        s.view_mut(2).permit.as_mut().unwrap().permit.incarnation = Incarnation { uid: "uid".to_owned(), number: 0 };
    });
    silent.expect("wait: founder in slot 2 does not serve yet");
}

#[test]
fn founders_without_data_begin_again_under_another_token() {
    Scenario::forming("DDD").expect("wait: founder in slot 0 does not serve yet");
    let over = "begin incarnation uid/2; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16; \
                reject 3.6.16";
    let again = Scenario::forming("DDD").standing_for(5).expect(over).advance();
    assert_eq!(again.record().generation, Generation(6), "no generation is used twice");
    // The permits of before are void now: all get new ones.
    again.advance().expect("permit the first start in slots [0, 1, 2]");
}

/// A founder whose etcd did not know a flag: its marker was written, nothing else.
fn unknown_flag() -> Scenario {
    let words = "exit code 2; its last words: flag provided but not defined: -foo";
    Scenario::forming("D").marker(0, hollow(1)).phase(0, Phase::Exited(Blocker(words.to_owned())))
}

#[test]
fn a_birth_that_etcd_ends_says_so_in_etcds_words_and_is_tried_again_only_now_and_then() {
    let told = "wait: etcd 3.6.16 ended in slot 0 before anything was stored: exit code 2; its last words: flag provided but not \
                defined: -foo; set another version or other options";
    let began_again = unknown_flag().expect(told).standing_for(2).advance();
    assert_eq!(began_again.record().rejected, Some(began_again.desired.template.clone()));
    // In the next attempt the same happens.
    let again = unknown_flag().with(|s| s.record_mut().rejected = began_again.record().rejected.clone());
    again.clone().standing_for(59).expect(told);
    let third = again.standing_for(60).expect("begin incarnation uid/2; reserve seat 0 for 3.6.16").advance();
    assert_eq!(third.record().rejected, began_again.record().rejected);
}

#[test]
fn a_birth_that_etcd_ends_is_healed_by_an_edit_at_once() {
    let rejected = unknown_flag().with(|s| s.record_mut().rejected = Some(s.desired.template.clone()));
    let edited = rejected.with(|s| s.desired.template.options.snapshot_count = Some(5000));
    let healed =
        edited.expect("begin incarnation uid/2; reserve seat 0 for 3.6.16; forget what was rejected").advance();
    assert_eq!(healed.record().slots[&crate::id::Slot(0)].launch.template, healed.desired.template);
}

#[test]
fn an_edit_that_etcd_would_end_on_changes_no_birth() {
    let wrong = |s: &mut Scenario| s.desired.template.options.election_timeout = Some(1);
    let noted = "seat 0 is founded by i0; seat 1 is founded by i1; seat 2 is founded by i2";
    Scenario::forming("ggg").with(wrong).expect(noted);
    unknown_flag().standing_for(3600).with(wrong).expect("wait: electionTimeout 1 ms is too short");
}

#[test]
fn a_founder_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone() {
    let unseen = Scenario::forming("P").with(|s| {
        s.view_mut(0).instance = Probe::Unknown { why: Blocker("refused".to_owned()), since: s.now };
    });
    unseen.expect("wait: slot 0 is not at the gate yet");
}

#[test]
fn founders_with_data_that_serve_nobody_get_the_options_that_are_asked_for_now() {
    let options = |s: &mut Scenario| s.desired.template.options.snapshot_count = Some(5000);
    let silent = Scenario::forming("vvv").with(options);
    let edited = silent.expect("seat 0 for 3.6.16; seat 1 for 3.6.16; seat 2 for 3.6.16").advance();
    edited.advance().standing_for(3).expect("stop instance i0 in slot 0");
    // Where somebody serves, the roll that comes after the birth restarts one at a time.
    Scenario::forming("Vvv").with(options).expect("wait: founder in slot 1 does not serve yet");
}

#[test]
fn a_cluster_that_was_born_at_last_forgets_what_was_tried_in_vain() {
    let born = Scenario::forming("V").with(|s| s.record_mut().rejected = Some(s.desired.template.clone()));
    born.advance().expect("forget what was rejected");
}

#[rstest]
#[case::version(
    "ggg",
    "3.7.3",
    "begin incarnation uid/2; reserve seat 0 for 3.7.3; reserve seat 1 for 3.7.3; reserve seat 2 for 3.7.3"
)]
#[case::version_that_cannot_start(
    "DDD",
    "3.7.3",
    "begin incarnation uid/2; reserve seat 0 for 3.7.3; reserve seat 1 for 3.7.3; reserve seat 2 for 3.7.3"
)]
#[case::not_while_permits_are_used("PPP", "3.7.3", "wait: founder in slot 0 does not serve yet")]
#[case::not_once_there_is_data("vvv", "3.7.3", "wait: founder in slot 0 does not serve yet")]
fn an_edit_before_anything_was_stored_takes_effect_at_once(
    #[case] picture: &str,
    #[case] version: &str,
    #[case] next: &str,
) {
    Scenario::forming(picture).version(version).expect(next);
}

#[test]
fn a_birth_that_went_wrong_can_be_called_off() {
    let off = Scenario::forming("DDD").size(Size::ZERO).standing_for(5);
    off.expect("begin incarnation uid/2; unborn; drop seat 0; drop seat 1; drop seat 2")
        .advance()
        .expect("hold the layout of slots []")
        .advance()
        .expect("wait: nothing was ever created");
}

#[test]
fn two_clusters_at_the_founders_addresses_are_told_apart() {
    Scenario::forming("VVV")
        .with(|s| s.status_mut(1).cluster = ClusterId(0xbad))
        .expect("wait: founders report different clusters (bad and c0ffee)");
}

#[rstest]
#[case::left_by_an_earlier_attempt("ggg", hollow(0), "discard volume d1 of slot 1")]
#[case::lost_after_its_permit_was_used(
    "VgV",
    hollow(1),
    "formed c0ffee; seat 0 is a0's; seat 1 is a1's; seat 2 is a2's"
)]
#[case::lost_before_anything_was_stored(
    "gg",
    hollow(1),
    "begin incarnation uid/2; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16; reject 3.6.16"
)]
fn a_marker_without_data(#[case] picture: &str, #[case] marker: Marker, #[case] next: &str) {
    Scenario::forming(picture).marker(1, marker).standing_for(5).expect(next);
}

#[rstest]
#[case::refused(Phase::Refused(Blocker("another life".to_owned())), "wait: slot 1 refused its disk: another life")]
#[case::pending(Phase::Pending(Blocker("no node".to_owned())), "wait: slot 1 is not at the gate yet: no node")]
#[case::exited(Phase::Exited(Blocker("exit code 1".to_owned())), "wait: slot 1 is not at the gate yet: exit code 1")]
#[case::stopping(Phase::Stopping, "wait: slot 1 is not at the gate yet: it is being stopped")]
fn a_founder_that_does_not_reach_the_gate_says_why(#[case] phase: Phase, #[case] next: &str) {
    Scenario::forming("ggg").phase(1, phase).expect(next);
}

#[rstest]
#[case::at_the_gate(Phase::AtGate)]
#[case::pending(Phase::Pending(Blocker("not bound".to_owned())))]
fn founders_wait_for_a_disk_that_cannot_be_looked_at(#[case] phase: Phase) {
    let unknown = Scenario::forming("ggg").phase(1, phase).with(|s| {
        s.view_mut(1).volume = Probe::Unknown { why: Blocker("not mounted".to_owned()), since: s.now };
    });
    unknown.expect("wait: slot 1 is not at the gate yet");
}

#[test]
fn a_member_of_the_list_that_no_slot_belongs_to_is_named() {
    let stranger = Scenario::forming("VVV").with(|s| {
        let Probe::Known { value, .. } = &mut s.seen.roster else { panic!() };
        value.members[2].peer_urls = vec!["http://10.0.0.9:2380".to_owned()];
    });
    stranger.expect("wait: member a2 is not in the record and was not added by us");
}

#[test]
fn a_list_that_cannot_be_read_is_the_reason_once_all_answer() {
    Scenario::forming("VVV").no_roster().expect("wait: the member list cannot be read: deadline exceeded");
}

#[test]
fn an_edit_of_the_size_waits_for_the_birth() {
    let grown = Scenario::forming("VVV").size(size(5));
    assert!(matches!(commits(&grown.plan()).unwrap().birth, Birth::Formed(_)));
    assert_eq!(commits(&grown.plan()).unwrap().slots[&crate::id::Slot(2)].member, Some(member(2)));
}
