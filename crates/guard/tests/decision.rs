//! The decision table row by row, and what must hold for every combination of disk, record, permit and ledger.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::cmp::Ordering;

use etcdop_guard::{
    ClusterState, DataState, Disk, Epoch, Generation, Incarnation, InstanceId, LearnerLimit, Ledger, Marker,
    MarkerState, MemberId, Permit, Refusal, RefusalKind, Seat, Verdict, WaitKind, decide,
};
use proptest::prelude::*;

const A: Option<MemberId> = Some(MemberId(0xa));
const B: Option<MemberId> = Some(MemberId(0xb));
const LIMIT: Option<LearnerLimit> = Some(LearnerLimit(8));

#[derive(Clone, Debug)]
struct Situation {
    marker: MarkerState,
    data: DataState,
    seat: Option<Seat>,
    permit: Option<Permit>,
    ledger: Ledger,
}

impl Situation {
    fn decide(&self) -> Verdict {
        let disk = Disk { marker: self.marker.clone(), data: self.data };
        decide(&disk, self.seat.as_ref(), self.permit.as_ref(), self.ledger, &instance("me"))
    }
}

/// A verdict as the table tells it.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    First(Marker),
    Again(Marker),
    Wait(WaitKind),
    Refuse(RefusalKind),
}

fn told(verdict: Verdict) -> Told {
    match verdict {
        Verdict::Start { marker, first: Some(_) } => Told::First(marker),
        Verdict::Start { marker, first: None } => Told::Again(marker),
        Verdict::Wait(reason) => Told::Wait(reason.kind()),
        Verdict::Refuse(refusal) => Told::Refuse(refusal.kind()),
    }
}

fn incarnation(text: &str) -> Incarnation {
    text.parse().unwrap()
}

fn instance(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn marker(life: &str, member: Option<MemberId>, generation: u64, epoch: u64) -> Marker {
    let (incarnation, generation, epoch) = (incarnation(life), Generation(generation), Epoch(epoch));
    Marker { incarnation, member, generation, max_learners: LIMIT, epoch }
}

fn seat(life: &str, member: Option<MemberId>, generation: u64, epoch: u64) -> Seat {
    let (incarnation, generation, epoch) = (incarnation(life), Generation(generation), Epoch(epoch));
    Seat { incarnation, member, generation, max_learners: LIMIT, epoch }
}

fn permit(holder: &str, life: &str, member: Option<MemberId>, generation: u64) -> Permit {
    Permit {
        instance: instance(holder),
        incarnation: incarnation(life),
        generation: Generation(generation),
        member,
        initial_cluster: vec![("m0".parse().unwrap(), "http://127.0.0.1:2380".parse().unwrap())],
        state: ClusterState::Existing,
    }
}

/// A disk that was started three times as member A of generation 2, in the slot that the record gives to it.
fn settled() -> Situation {
    Situation {
        marker: MarkerState::Present(marker("life", A, 2, 3)),
        data: DataState::HasWal,
        seat: Some(seat("life", A, 2, 3)),
        permit: None,
        ledger: Ledger::Unused,
    }
}

/// An empty disk with a permit that fits.
fn fresh() -> Situation {
    Situation {
        marker: MarkerState::Absent,
        data: DataState::Empty,
        seat: Some(seat("life", A, 2, 0)),
        permit: Some(permit("me", "life", A, 2)),
        ledger: Ledger::Unused,
    }
}

fn marked(marker: Marker) -> MarkerState {
    MarkerState::Present(marker)
}

#[track_caller]
fn expect(situation: &Situation, expected: &Told) {
    assert_eq!(told(situation.decide()), *expected, "{situation:?}");
}

#[test]
fn without_a_seat_nothing_is_decided() {
    for situation in [settled(), fresh(), Situation { marker: MarkerState::Unreadable("torn".into()), ..settled() }] {
        expect(&Situation { seat: None, ..situation }, &Told::Wait(WaitKind::NoRecord));
    }
}

#[test]
fn a_seat_that_saw_a_start_takes_no_empty_disk_even_with_a_new_ledger() {
    expect(&Situation { seat: Some(seat("life", A, 2, 1)), ..fresh() }, &Told::Refuse(RefusalKind::PermitUsed));
}

#[test]
fn a_marker_that_cannot_be_read_is_refused_whatever_else_is_there() {
    for situation in [settled(), fresh()] {
        let situation = Situation { marker: MarkerState::Unreadable("line 2: torn".into()), ..situation };
        expect(&situation, &Told::Refuse(RefusalKind::MarkerUnreadable));
        let Verdict::Refuse(refusal) = situation.decide() else { panic!("not refused") };
        assert!(refusal.to_string().contains("line 2: torn"), "{refusal}");
    }
}

#[test]
fn a_disk_starts_again_with_the_next_epoch_in_its_own_slot_only() {
    use RefusalKind::{Foreign, OlderCopy, Retired};
    let table = [
        ("its own", marker("life", A, 2, 3), seat("life", A, 2, 3), Told::Again(marker("life", A, 2, 4))),
        ("the record lags", marker("life", A, 2, 3), seat("life", A, 2, 1), Told::Again(marker("life", A, 2, 4))),
        ("another life", marker("other", A, 2, 3), seat("life", A, 2, 3), Told::Refuse(Foreign)),
        ("another life, newer", marker("other", A, 9, 9), seat("life", A, 2, 3), Told::Refuse(Foreign)),
        ("another life, older", marker("other", A, 1, 1), seat("life", A, 2, 3), Told::Refuse(Foreign)),
        ("replaced", marker("life", A, 1, 9), seat("life", B, 2, 0), Told::Refuse(Retired)),
        ("replaced, same member", marker("life", A, 1, 9), seat("life", A, 2, 0), Told::Refuse(Retired)),
        ("another member", marker("life", B, 2, 3), seat("life", A, 2, 3), Told::Refuse(Foreign)),
        ("another member, older", marker("life", B, 2, 1), seat("life", A, 2, 3), Told::Refuse(Foreign)),
        ("older copy", marker("life", A, 2, 2), seat("life", A, 2, 3), Told::Refuse(OlderCopy)),
        (
            "founder learns its ID",
            marker("life", None, 2, 3),
            seat("life", A, 2, 3),
            Told::Again(marker("life", A, 2, 4)),
        ),
        (
            "nobody knows the ID",
            marker("life", None, 2, 3),
            seat("life", None, 2, 3),
            Told::Again(marker("life", None, 2, 4)),
        ),
        ("seat knows no ID", marker("life", A, 2, 3), seat("life", None, 2, 3), Told::Again(marker("life", A, 2, 4))),
        ("a disk of another slot", marker("life", B, 3, 1), seat("life", A, 2, 7), Told::Refuse(Foreign)),
        ("a disk of another founder", marker("life", None, 3, 1), seat("life", A, 2, 7), Told::Refuse(Foreign)),
        (
            "another founder's while forming",
            marker("life", None, 3, 1),
            seat("life", None, 2, 0),
            Told::Refuse(Foreign),
        ),
        ("a disk for no member yet", marker("life", B, 3, 1), seat("life", None, 2, 0), Told::Refuse(Foreign)),
        (
            "the record was lost and made again without this disk",
            marker("life", A, 3, 1),
            seat("life", A, 2, 7),
            Told::Again(marker("life", A, 3, 2)),
        ),
    ];
    for (what, marker, seat, expected) in table {
        let situation = Situation { marker: marked(marker), seat: Some(seat), ..settled() };
        assert_eq!(told(situation.decide()), expected, "{what}");
    }
}

#[test]
fn a_marked_disk_without_its_log_never_starts_again() {
    for data in [DataState::Empty, DataState::Remnants] {
        for permit in [None, Some(permit("me", "life", A, 2))] {
            expect(&Situation { data, permit, ..settled() }, &Told::Refuse(RefusalKind::DataLost));
        }
    }
}

#[test]
fn a_retired_or_foreign_disk_is_called_so_also_without_its_log() {
    let retired = Situation { marker: marked(marker("life", A, 1, 3)), data: DataState::Empty, ..settled() };
    expect(&retired, &Told::Refuse(RefusalKind::Retired));
    let foreign = Situation { marker: marked(marker("other", A, 2, 3)), data: DataState::Empty, ..settled() };
    expect(&foreign, &Told::Refuse(RefusalKind::Foreign));
}

#[test]
fn data_without_a_marker_is_refused_even_with_a_permit() {
    for data in [DataState::HasWal, DataState::Remnants] {
        expect(&Situation { data, ..fresh() }, &Told::Refuse(RefusalKind::Unmarked));
    }
}

#[test]
fn an_empty_disk_starts_once_with_the_permit_for_exactly_this_process_and_disk() {
    use WaitKind::{NoPermit, PermitForOther, PermitStale};
    let table = [
        ("fits", Some(permit("me", "life", A, 2)), Told::First(marker("life", A, 2, 1))),
        ("none", None, Told::Wait(NoPermit)),
        ("another process", Some(permit("other", "life", A, 2)), Told::Wait(PermitForOther)),
        ("another life", Some(permit("me", "other", A, 2)), Told::Wait(PermitStale)),
        ("an older disk", Some(permit("me", "life", A, 1)), Told::Wait(PermitStale)),
        ("a newer disk", Some(permit("me", "life", A, 3)), Told::Wait(PermitStale)),
        ("another member", Some(permit("me", "life", B, 2)), Told::Wait(PermitStale)),
        ("nobody", Some(permit("me", "life", None, 2)), Told::Wait(PermitStale)),
    ];
    for (what, permit, expected) in table {
        let situation = Situation { permit, ..fresh() };
        assert_eq!(told(situation.decide()), expected, "{what}");
    }
    expect(&Situation { ledger: Ledger::Used, ..fresh() }, &Told::Refuse(RefusalKind::PermitUsed));
    let founder =
        Situation { seat: Some(seat("life", None, 1, 0)), permit: Some(permit("me", "life", None, 1)), ..fresh() };
    expect(&founder, &Told::First(marker("life", None, 1, 1)));
    let seat_without_member = Situation { seat: Some(seat("life", None, 2, 0)), ..fresh() };
    expect(&seat_without_member, &Told::Wait(PermitStale));
}

#[test]
fn a_used_permit_that_is_not_for_this_process_is_still_waited_out() {
    let situation = Situation { permit: Some(permit("other", "life", A, 2)), ledger: Ledger::Used, ..fresh() };
    expect(&situation, &Told::Wait(WaitKind::PermitForOther));
}

#[test]
fn the_last_possible_epoch_is_no_marker_of_ours() {
    let situation = Situation { marker: marked(marker("life", A, 2, u64::MAX)), ..settled() };
    expect(&situation, &Told::Refuse(RefusalKind::MarkerUnreadable));
}

#[test]
fn every_reason_has_its_own_slug_and_every_refusal_its_own_exit_code() {
    let codes: Vec<u8> = RefusalKind::ALL.iter().map(|kind| kind.exit_code()).collect();
    assert_eq!(codes, (70..=79).collect::<Vec<u8>>());
    let mut slugs: Vec<&str> = RefusalKind::ALL.iter().map(|kind| kind.slug()).collect();
    slugs.extend(WaitKind::ALL.iter().map(|kind| kind.slug()));
    let all = slugs.len();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), all);
}

/// What must hold in every situation (DESIGN §3, rule 1), in other words than the decision's own.
fn keeps_the_rule(situation: &Situation) {
    let verdict = situation.decide();
    assert_eq!(verdict, situation.decide(), "two answers in {situation:?}");
    if let Verdict::Start { marker, first } = &verdict {
        let seat = situation.seat.as_ref().expect("no start without a seat");
        assert_eq!(marker.incarnation, seat.incarnation, "foreign disk started in {situation:?}");
        assert!(marker.generation >= seat.generation, "retired disk started in {situation:?}");
        match (&situation.marker, first) {
            (MarkerState::Present(before), None) => {
                assert_eq!(situation.data, DataState::HasWal, "restart without a log in {situation:?}");
                assert!(marker.epoch > before.epoch, "epoch did not grow in {situation:?}");
                assert_eq!((&marker.incarnation, marker.generation), (&before.incarnation, before.generation));
                assert!(before.member.is_none() || marker.member == before.member, "disk renamed in {situation:?}");
                assert!(seat.member.is_none() || marker.member == seat.member, "wrong member in {situation:?}");
                if marker.generation == seat.generation {
                    assert!(before.epoch >= seat.epoch, "older copy started in {situation:?}");
                } else {
                    assert!(before.member.is_some() && before.member == seat.member, "whose disk? {situation:?}");
                }
            }
            (MarkerState::Absent, Some(first)) => {
                assert_eq!(situation.data, DataState::Empty, "first start on data in {situation:?}");
                assert_eq!(situation.ledger, Ledger::Unused, "used permit started again in {situation:?}");
                assert_eq!(situation.permit.as_ref(), Some(first));
                assert_eq!(first.instance, instance("me"), "somebody else's permit in {situation:?}");
                let promised = (&first.incarnation, first.generation, first.member);
                assert_eq!(promised, (&seat.incarnation, seat.generation, seat.member), "stale permit: {situation:?}");
                assert_eq!(promised, (&marker.incarnation, marker.generation, marker.member));
                assert_eq!(marker.epoch, Epoch(1));
                assert_eq!(seat.epoch, Epoch(0), "started before, and started as new again in {situation:?}");
            }
            (state, first) => panic!("started with {state:?} and {first:?}"),
        }
    }
    keeps_its_disk_running(situation, &verdict);
}

/// Whoever has its disk runs: no permit, ledger or rebuilt record stops it.
fn keeps_its_disk_running(situation: &Situation, verdict: &Verdict) {
    let (MarkerState::Present(marker), Some(seat)) = (&situation.marker, &situation.seat) else { return };
    let own = marker.incarnation == seat.incarnation
        && marker.member == seat.member
        && match marker.generation.cmp(&seat.generation) {
            Ordering::Less => false,
            Ordering::Equal => marker.epoch >= seat.epoch,
            Ordering::Greater => marker.member.is_some(),
        }
        && marker.epoch.0 < u64::MAX;
    if own && situation.data == DataState::HasWal {
        assert!(matches!(verdict, Verdict::Start { first: None, .. }), "{verdict:?} in {situation:?}");
    }
}

const DATA: [DataState; 3] = [DataState::Empty, DataState::HasWal, DataState::Remnants];

/// Every combination over two lives, three members (one unknown), three generations, three epochs, two processes.
#[test]
fn the_rule_holds_in_every_combination() {
    let mut markers = Vec::new();
    let mut seats = vec![None];
    let mut permits = vec![None];
    for life in ["life", "other"] {
        for member in [None, A, B] {
            for generation in 1..=3 {
                permits.extend(["me", "other"].map(|holder| Some(permit(holder, life, member, generation))));
                for epoch in 0..=2 {
                    markers.push(marked(marker(life, member, generation, epoch)));
                    seats.push(Some(seat(life, member, generation, epoch)));
                }
            }
        }
    }
    markers.extend([MarkerState::Absent, MarkerState::Unreadable("torn".into())]);
    let (mut first, mut again) = (0, 0);
    for marker in &markers {
        for seat in &seats {
            for permit in &permits {
                for (data, ledger) in DATA.iter().flat_map(|data| [(*data, Ledger::Unused), (*data, Ledger::Used)]) {
                    let (marker, seat, permit) = (marker.clone(), seat.clone(), permit.clone());
                    let situation = Situation { marker, data, seat, permit, ledger };
                    keeps_the_rule(&situation);
                    match situation.decide() {
                        Verdict::Start { first: Some(_), .. } => first += 1,
                        Verdict::Start { first: None, .. } => again += 1,
                        Verdict::Wait(_) | Verdict::Refuse(_) => {}
                    }
                }
            }
        }
    }
    // Pinned, so that a rule that refuses everything does not pass: each seat that saw no start has one permit that fits it.
    let unused = seats.iter().flatten().filter(|seat| seat.epoch == Epoch(0)).count();
    assert_eq!(first, unused);
    assert!(again > 0);
}

/// A lost record is made again from the disks alone, also while nobody runs who could tell the limit.
#[test]
fn a_disk_remembers_the_learner_limit_that_it_was_started_under() {
    let limits = |disk: Option<u8>, record: Option<u8>| {
        let mut situation = settled();
        let limit = |limit: Option<u8>| limit.map(LearnerLimit);
        situation.marker = MarkerState::Present(Marker { max_learners: limit(disk), ..marker("life", A, 2, 3) });
        situation.seat = Some(Seat { max_learners: limit(record), ..seat("life", A, 2, 3) });
        let Verdict::Start { marker, first: None } = situation.decide() else { panic!("{situation:?}") };
        marker.max_learners.map(|limit| limit.0)
    };
    assert_eq!(limits(None, Some(8)), Some(8), "a disk of an earlier release learns it");
    assert_eq!(limits(Some(8), None), Some(8), "a seat of an earlier release forgets nothing");
    assert_eq!(limits(None, None), None);
}

fn any_life() -> impl Strategy<Value = Incarnation> {
    prop_oneof![Just(incarnation("life")), Just(incarnation("other"))]
}

fn any_member() -> impl Strategy<Value = Option<MemberId>> {
    prop_oneof![Just(None), Just(A), Just(B), any::<u64>().prop_map(|id| Some(MemberId(id)))]
}

/// Near each other, so that they meet, and at the edge.
fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..4_u64, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

fn any_marker() -> impl Strategy<Value = Marker> {
    (any_life(), any_member(), any_count(), any_count()).prop_map(|(incarnation, member, generation, epoch)| Marker {
        incarnation,
        member,
        generation: Generation(generation),
        max_learners: LIMIT,
        epoch: Epoch(epoch),
    })
}

fn any_situation() -> impl Strategy<Value = Situation> {
    let marker = prop_oneof![
        3 => Just(MarkerState::Absent),
        3 => any_marker().prop_map(MarkerState::Present),
        1 => Just(MarkerState::Unreadable("torn".into())),
    ];
    let seat = prop::option::weighted(0.9, any_marker()).prop_map(|seat| {
        seat.map(|Marker { incarnation, member, generation, max_learners, epoch }| Seat {
            incarnation,
            member,
            generation,
            max_learners,
            epoch,
        })
    });
    let holder = prop_oneof![2 => Just("me"), 1 => Just("other")];
    let permit = prop::option::of((holder, any_marker()).prop_map(|(holder, of)| Permit {
        incarnation: of.incarnation,
        ..permit(holder, "life", of.member, of.generation.0)
    }));
    let data = prop::sample::select(DATA.as_slice());
    let ledger = prop_oneof![Just(Ledger::Unused), Just(Ledger::Used)];
    (marker, data, seat, permit, ledger).prop_map(|(marker, data, seat, permit, ledger)| Situation {
        marker,
        data,
        seat,
        permit,
        ledger,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rule_holds_for_any_numbers(situation in any_situation()) {
        keeps_the_rule(&situation);
    }

    /// The next start of the disk that a start leaves behind needs nothing but its seat, and never the permit again.
    #[test]
    fn a_started_disk_starts_again_and_an_emptied_one_never(situation in any_situation()) {
        let Verdict::Start { marker, first } = situation.decide() else { return Ok(()) };
        let ledger = if first.is_some() { Ledger::Used } else { situation.ledger };
        let after = Situation { marker: marked(marker.clone()), data: DataState::HasWal, ledger, ..situation };
        prop_assert_eq!(
            matches!(after.decide(), Verdict::Start { first: None, .. }),
            marker.epoch.0 < u64::MAX && (marker.generation > after.seat.as_ref().unwrap().generation
                || marker.epoch >= after.seat.as_ref().unwrap().epoch)
        );
        let emptied = Situation { data: DataState::Empty, ..after.clone() };
        let starts = matches!(emptied.decide(), Verdict::Start { .. });
        prop_assert!(!starts);
        let wiped = Situation { marker: MarkerState::Absent, ..emptied };
        if first.is_some() {
            let used_up = matches!(wiped.decide(), Verdict::Refuse(Refusal::PermitUsed { .. }));
            prop_assert!(used_up);
        }
    }
}
