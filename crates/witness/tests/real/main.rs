//! The witness against real etcd: what it says is true, and it is not blind.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; this reaches their helpers")]

mod etcd;

use std::time::{Duration, Instant};

use etcd::Etcd;
use etcdop_etcd::{Client, Delete, Endpoint, Keys};
use etcdop_witness::{Breach, Options, StartError, Tally, Witness};
use tokio::sync::watch;

/// Until `acked` writes were acknowledged since the call.
async fn acked_more(witness: &Witness, acked: usize) {
    let goal = witness.tally().acked + acked;
    until(witness, "enough writes are acknowledged", |tally| tally.acked >= goal).await;
}

/// Until no write was acknowledged for so long.
async fn quiet(witness: &Witness, long: Duration) {
    until(witness, "nobody can write", |tally| tally.quiet >= long).await;
}

async fn until(witness: &Witness, what: &str, so: impl Fn(Tally) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !so(witness.tally()) {
        assert!(Instant::now() < deadline, "{what}: not so in time: {:?}", witness.tally());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_killed_and_comes_back_costs_time_and_no_data() {
    let mut etcd = Etcd::start("3.6");
    let (_sender, endpoints) = watch::channel(vec![etcd.endpoint()]);
    // So long that a loaded machine does not make a write of the quiet step fail.
    let deadline = Duration::from_secs(10);
    let options = Options { first_phase: "steady".to_owned(), deadline, ..Options::default() };
    let witness = Witness::start(endpoints, options).await.unwrap();
    acked_more(&witness, 50).await;
    witness.phase("kill");
    etcd.kill();
    let down = Duration::from_millis(500);
    quiet(&witness, down).await;
    etcd.start_again();
    acked_more(&witness, 50).await;
    let bill = witness.finish(&[etcd.endpoint()]).await;
    assert!(bill.is_clean(), "{bill}");
    let [steady, kill] = &bill.phases[..] else { panic!("{bill}") };
    assert!(steady.acked >= 50 && kill.acked >= 50, "{bill}");
    assert_eq!((steady.failed, steady.unknown), (0, 0), "{bill}");
    assert!(kill.failed + kill.unknown > 0, "{bill}");
    assert!(kill.longest_gap >= down, "{bill}");
    assert!(bill.watched > bill.total.acked, "every acknowledged write and its counter: {bill}");
    assert!(bill.watch_resumed >= 1, "{bill}");
    assert!(bill.members[0].hash.is_some(), "{bill}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_that_somebody_takes_away_is_on_the_bill() {
    let etcd = Etcd::start("3.6");
    let (_sender, endpoints) = watch::channel(vec![etcd.endpoint()]);
    let witness = Witness::start(endpoints, Options::default()).await.unwrap();
    acked_more(&witness, 20).await;
    let client = Client::new(etcd.endpoint(), &etcdop_etcd::Options::default());
    let deleted = client.delete(Delete::new(Keys::Between("/witness/".into(), "/witness0".into()))).await.unwrap();
    assert!(deleted.value.count > 20);
    let bill = witness.finish(&[etcd.endpoint()]).await;
    assert!(bill.lost.len() >= 20, "{bill}");
    let gone = |breach: &Breach| matches!(breach, Breach::CounterBehind { found: None, .. });
    assert!(bill.breaches.iter().any(gone), "{bill}");
    assert!(bill.breaches.iter().any(|breach| matches!(breach, Breach::WatchStrange { .. })), "{bill}");
}

#[tokio::test]
async fn a_writer_leaves_a_member_that_is_not_there() {
    let etcd = Etcd::start("3.6");
    let nobody: Endpoint = "http://127.0.0.1:9".parse().unwrap();
    let (sender, endpoints) = watch::channel(vec![etcd.endpoint(), nobody.clone()]);
    let witness = Witness::start(endpoints, Options::default()).await.unwrap();
    acked_more(&witness, 40).await;
    sender.send(vec![nobody]).unwrap();
    quiet(&witness, Duration::from_millis(100)).await;
    sender.send(vec![etcd.endpoint()]).unwrap();
    acked_more(&witness, 40).await;
    let bill = witness.finish(&[etcd.endpoint()]).await;
    assert!(bill.is_clean(), "{bill}");
    assert!(bill.total.failed > 0, "{bill}");
}

#[tokio::test]
async fn without_members_there_is_no_witness() {
    let (sender, endpoints) = watch::channel(Vec::new());
    drop(sender);
    let refused = Witness::start(endpoints, Options::default()).await.map(drop);
    assert_eq!(refused, Err(StartError::NoEndpoints));
}
