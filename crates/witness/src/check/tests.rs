//! Hand-made histories: one that is as it should be, and one for each way of breaking a promise.

use std::{collections::BTreeMap, time::Duration};

use etcdop_etcd::{ClusterId, Error, MemberId};
use rstest::rstest;

use super::*;
use crate::{
    bill::Bill,
    history::{Consistency, Found, Hash, Mark, Reading, Seen, Skipped, Unread, Watched},
    key::WriterId,
};

const W0: WriterId = WriterId(0);
const W1: WriterId = WriterId(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(writer: WriterId, n: u64) -> Key {
    Key::Write { writer, n }
}

fn acked(writer: WriterId, n: u64, sent: u64, ended: u64, revision: i64) -> Write {
    Write { writer, n, sent: ms(sent), ended: ms(ended), outcome: Outcome::Acked { revision } }
}

/// Two writers, two members. Writer 0: acknowledged, failed, acknowledged. Writer 1: acknowledged, unknown (and applied all the
/// same), acknowledged.
fn good() -> History {
    let failed = Outcome::Failed { why: Error::NoSpace };
    let unknown = Outcome::Unknown { why: Error::DeadlineExceeded { after: ms(1_000) } };
    let writes = vec![
        acked(W0, 1, 0, 10, 5),
        acked(W1, 1, 5, 20, 6),
        Write { writer: W0, n: 2, sent: ms(20), ended: ms(25), outcome: failed },
        Write { writer: W1, n: 2, sent: ms(30), ended: ms(1_030), outcome: unknown },
        acked(W0, 3, 40, 50, 8),
        acked(W1, 3, 1_040, 1_050, 9),
    ];
    let told = [(key(W0, 1), 5), (key(W1, 1), 6), (key(W1, 2), 7), (key(W0, 3), 8), (key(W1, 3), 9), (Key::End, 10)];
    let value = |key| if let Key::Write { n, .. } = key { n } else { 0 };
    let mut keys: BTreeMap<Key, Found> =
        told.iter().map(|&(key, revision)| (key, Found { value: value(key), revision })).collect();
    keys.insert(Key::Counter(W0), Found { value: 3, revision: 8 });
    keys.insert(Key::Counter(W1), Found { value: 3, revision: 9 });
    let reading = |member: u64, consistency| Reading {
        endpoint: format!("m{member}"),
        consistency,
        keys: keys.clone(),
        strange: Vec::new(),
    };
    let hash = |member: u64| Hash {
        endpoint: format!("m{member}"),
        member: MemberId(member),
        revision: 10,
        compact_revision: -1,
        value: 0xabc,
    };
    History {
        writes,
        marks: vec![Mark { name: "first".to_owned(), at: ms(0) }, Mark { name: "second".to_owned(), at: ms(100) }],
        ended: ms(1_100),
        watched: Watched {
            seen: told.iter().map(|&(key, revision)| Seen { key, value: value(key), revision }).collect(),
            ..Watched::default()
        },
        last: Some(10),
        readings: vec![reading(1, Consistency::Linearizable), reading(2, Consistency::Serializable)],
        hashes: vec![hash(1), hash(2)],
        unread: Vec::new(),
    }
}

#[test]
fn a_run_with_failures_and_unknown_outcomes_can_be_clean() {
    let verdict = check(&good());
    assert_eq!((verdict.lost, verdict.breaches), (vec![], vec![]));
}

#[test]
fn an_acknowledged_write_that_one_member_lacks_is_lost() {
    let mut history = good();
    history.readings[1].keys.remove(&key(W0, 3));
    let verdict = check(&history);
    let lost =
        Lost { key: key(W0, 3), revision: 8, acked_at: ms(50), missing_on: vec!["m2 (serializable)".to_owned()] };
    assert_eq!(verdict.lost, [lost]);
}

#[test]
fn an_unknown_write_may_be_absent_if_nobody_was_told_of_it() {
    let mut history = good();
    for reading in &mut history.readings {
        reading.keys.remove(&key(W1, 2));
    }
    history.watched.seen.retain(|seen| seen.key != key(W1, 2));
    assert_eq!(check(&history), Verdict::default());
}

#[rstest]
#[case::a_revision_given_twice(
    |h: &mut History| h.writes[1].outcome = Outcome::Acked { revision: 5 },
    "writes 0/1 and 1/1 were both acknowledged as revision 5"
)]
#[case::a_revision_that_goes_back_in_time(
    |h: &mut History| h.writes[4].outcome = Outcome::Acked { revision: 4 },
    "write 0/3 began after write 1/1 was acknowledged as revision 6 and got revision 4"
)]
#[case::a_write_at_another_revision(
    |h: &mut History| set(h, key(W0, 1), |found| found.revision = 4),
    "m1 (linearizable) has write 0/1 at revision 4, acknowledged was 5"
)]
#[case::a_write_with_another_value(
    |h: &mut History| set(h, key(W0, 1), |found| found.value = 7),
    "m1 (linearizable) has value 7 for write 0/1"
)]
#[case::a_definite_failure_that_was_none(
    |h: &mut History| { h.readings[0].keys.insert(key(W0, 2), Found { value: 2, revision: 7 }); },
    "m1 (linearizable) has write 0/2, which was refused"
)]
#[case::a_write_that_nobody_made(
    |h: &mut History| { h.readings[0].keys.insert(key(W0, 99), Found { value: 99, revision: 7 }); },
    "m1 (linearizable) has write 0/99, which nobody wrote"
)]
#[case::a_key_that_nobody_made(
    |h: &mut History| h.readings[0].strange.push("/witness/1/x".to_owned()),
    "m1 (linearizable) has /witness/1/x, which nobody wrote"
)]
#[case::a_counter_set_back(
    |h: &mut History| set(h, Key::Counter(W1), |found| found.value = 2),
    "m1 (linearizable) has counter 2 for writer 1, whose write 3 was acknowledged"
)]
#[case::a_counter_gone(
    |h: &mut History| { h.readings[0].keys.remove(&Key::Counter(W1)); },
    "m1 (linearizable) has no counter for writer 1"
)]
#[case::a_counter_from_the_future(
    |h: &mut History| set(h, Key::Counter(W1), |found| found.value = 4),
    "m1 (linearizable) has counter 4 for writer 1, which tried no more than 3"
)]
#[case::a_counter_that_somebody_else_changed(
    |h: &mut History| h.writes[2].outcome = Outcome::CounterRefused,
    "write 0/2 found its writer's counter changed or gone"
)]
#[case::an_answer_from_another_cluster(
    |h: &mut History| {
        let why = Error::WrongCluster { expected: ClusterId(1), got: ClusterId(2) };
        h.writes[3].outcome = Outcome::Unknown { why };
    },
    "write 1/2 met a stranger"
)]
#[case::a_gap_in_the_watch(
    |h: &mut History| { h.watched.seen.remove(1); },
    "the watcher was not told of write 1/1, acknowledged as revision 6"
)]
#[case::a_watch_out_of_order(
    |h: &mut History| h.watched.seen.swap(0, 1),
    "the watcher was told of revision 5 after 6"
)]
#[case::a_write_told_twice(
    |h: &mut History| { let twice = h.watched.seen[4]; h.watched.seen.insert(5, twice); },
    "the watcher was told of 1/3 at revision 9 twice"
)]
#[case::a_write_told_at_another_revision(
    |h: &mut History| h.watched.seen[1].revision = 5,
    "the watcher was told of write 1/1 with revision 5, not 6"
)]
#[case::a_write_told_with_another_value(
    |h: &mut History| h.watched.seen[2].value = 3,
    "the watcher was told of write 1/2 with value 3"
)]
#[case::an_unknown_write_that_was_told_of_and_is_gone(
    |h: &mut History| { h.readings[0].keys.remove(&key(W1, 2)); },
    "m1 (linearizable) lacks write 1/2, of which the watcher was told as revision 7"
)]
#[case::a_deletion(
    |h: &mut History| h.watched.strange.push("the deletion of 0/1 at 9".to_owned()),
    "the watcher was told of the deletion of 0/1 at 9, which nobody did"
)]
#[case::a_watch_that_ends_early(
    |h: &mut History| h.watched.seen.truncate(3),
    "the watcher got to revision 7, not to the last write at 10"
)]
#[case::a_cluster_that_takes_no_writes_at_the_end(
    |h: &mut History| h.last = None,
    "at the end the cluster took no writes"
)]
#[case::members_whose_data_differ(
    |h: &mut History| h.hashes[1].value = 0xdef,
    "the members' data differ at revision 10: 00000abc on m1, 00000def on m2"
)]
#[case::a_member_that_does_not_answer(
    |h: &mut History| h.unread.push(Unread { endpoint: "m3".to_owned(), why: Error::NoLeader }),
    "m3 could not be read at the end: no leader"
)]
fn each_broken_promise_is_found(#[case] break_it: fn(&mut History), #[case] sentence: &str) {
    let mut history = good();
    break_it(&mut history);
    let found: Vec<String> = check(&history).breaches.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|found| found.starts_with(sentence)), "{found:#?}");
    assert!(!Bill::of(&history).is_clean());
}

fn set(history: &mut History, key: Key, change: fn(&mut Found)) {
    change(history.readings[0].keys.get_mut(&key).unwrap());
}

#[test]
fn a_watcher_is_not_blamed_for_what_was_compacted_away() {
    let mut history = good();
    history.watched.seen.remove(1);
    history.watched.skipped.push(Skipped { first: 6, last: 6 });
    assert_eq!(check(&history), Verdict::default());
}

#[test]
fn hashes_of_different_histories_are_not_compared() {
    let mut history = good();
    history.hashes[1].value = 0xdef;
    history.hashes[1].compact_revision = 7;
    assert_eq!(check(&history), Verdict::default());
}

/// Acknowledgements at 10, 20, 50 and 1050 ms; the second step begins at 100 ms, all ends at 1100 ms.
#[test]
fn each_step_pays_for_the_gaps_that_lie_mostly_in_it() {
    let bill = Bill::of(&good());
    let lines: Vec<_> = bill
        .phases
        .iter()
        .map(|line| (line.name.as_str(), line.acked, line.failed, line.unknown, line.longest_gap, line.worst_call))
        .collect();
    assert_eq!(
        lines,
        [
            ("first", 3, 1, 0, ms(30), ms(15)),
            // The gap from 50 to 1050 ms and the call from 30 to 1030 ms: before it began too, and charged in full.
            ("second", 1, 0, 1, ms(1_000), ms(1_000)),
        ]
    );
    assert_eq!((bill.total.acked, bill.total.longest_gap, bill.total.worst_call), (4, ms(1_000), ms(1_000)));
}

/// The second step begins at 100 ms, all ends at 1100 ms.
#[rstest]
#[case::just_before_the_border(90, 99, [1, 0])]
#[case::on_the_border(90, 100, [0, 1])]
#[case::across_the_border(90, 1_000, [0, 1])]
#[case::mostly_before_the_border(10, 101, [0, 1])]
#[case::still_under_way_at_the_end(1_090, 2_000, [0, 1])]
fn a_write_counts_for_the_step_in_which_it_ended(#[case] sent: u64, #[case] ended: u64, #[case] counted: [usize; 2]) {
    let outcome = || Outcome::Unknown { why: Error::DeadlineExceeded { after: ms(1_000) } };
    let write = Write { writer: W0, n: 4, sent: ms(sent), ended: ms(ended), outcome: outcome() };
    let mut history = good();
    history.writes.retain(|write| write.outcome != outcome());
    history.writes.push(write);
    let bill = Bill::of(&history);
    assert_eq!(bill.phases.iter().map(|line| line.unknown).collect::<Vec<_>>(), counted);
    assert_eq!(bill.total.unknown, 1);
}

/// Otherwise a call that was stuck in a step and ended just after it would be the next one's.
#[test]
fn a_call_is_charged_to_the_step_in_which_most_of_it_lies() {
    let mut history = good();
    history.writes.push(acked(W0, 4, 10, 101, 11));
    let worst: Vec<_> = Bill::of(&history).phases.iter().map(|line| line.worst_call).collect();
    assert_eq!(worst, [ms(91), ms(1_000)]);
}

#[test]
fn the_bill_reads_as_a_table_and_names_what_was_lost() {
    let mut history = good();
    history.readings[1].keys.remove(&key(W0, 3));
    let text = Bill::of(&history).to_string();
    assert_eq!(
        text,
        "\
step         took    acked  failed  unknown  longest gap  worst call
first      100 ms        3       1        0        30 ms       15 ms
second     1.00 s        1       0        1       1.00 s      1.00 s
total      1.10 s        4       1        1       1.00 s      1.00 s

acknowledged writes 4, lost 1
watcher: told of 6 writes, began anew 0 times
members: m2 00000abc at 10

lost:
- write 0/3, acknowledged at 0.050 s as revision 8, is missing on m2 (serializable)

broken promises:
- m2 (serializable) lacks write 0/3, of which the watcher was told as revision 8"
    );
}

#[test]
fn the_bill_counts_in_seconds_where_programs_read_it() {
    let json = serde_json::to_value(Bill::of(&good())).unwrap();
    assert_eq!(json["phases"][1]["longestGapSeconds"], 1.0);
    assert_eq!(json["lost"], serde_json::json!([]));
}
