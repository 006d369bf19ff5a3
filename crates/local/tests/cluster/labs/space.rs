//! LAB 20: the database is full, and every write is refused until it is not and somebody says so.

use etcdop_core::reason::Reason;
use etcdop_etcd::{Alarm, AlarmKind, Client, Compaction, Delete, Error, Keys, Put};
use etcdop_local::faults::Fault;
use rstest::rstest;

use crate::stage::{Setup, Stage};

/// Small, and large enough for what etcd keeps for itself.
const QUOTA: &str = "etcd: {quotaBackendBytes: 4194304}";

fn small(version: &str) -> Setup {
    Setup::new(version, 3).edit("etcd: {}", QUOTA)
}

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn lab_20_history_fills_the_database_and_goes_only_when_that_is_allowed(#[case] version: &str) {
    let stage = small(version).formed().await;
    let before = stage.roll_call(3).await;
    let client = stage.patient_client(before.leader);
    let full = |reason: &Reason| matches!(reason, Reason::OutOfSpace { .. });
    // What can be won without dropping anything is won first, and filled as well.
    let filled = async || {
        fill(&client).await;
        stage.published().plan.reasons.iter().any(full).then_some(())
    };
    stage.eventually("a person is asked", filled).await;
    let pass = stage.published().pass;
    stage.until("ten more passes", |now, _| now.pass >= pass + 10).await;
    assert!(!alarms(&client).await.is_empty(), "nothing is disarmed before space is won");
    assert!(stage.published().plan.reasons.iter().any(full), "{}", stage.account());

    stage.edit("compactOnNoSpace: never", "compactOnNoSpace: to-latest");
    stage.heals(&client).await;
    assert_eq!(stage.roll_call(3).await.members, before.members);
}

#[tokio::test(flavor = "multi_thread")]
async fn lab_20_space_that_a_person_made_is_given_back_and_the_alarm_disarmed() {
    let stage = small("3.6").formed().await;
    let before = stage.roll_call(3).await;
    let client = stage.patient_client(before.leader);
    fill(&client).await;
    let deleted = client.delete(Delete::new(Keys::prefix("fill"))).await.unwrap();
    client.compact(deleted.header.revision, Compaction::Physical).await.unwrap();
    stage.heals(&client).await;
    assert_eq!(stage.roll_call(3).await.members, before.members);
}

/// A dead voter keeps anybody from being defragmented, and a full database must not keep it from being replaced.
#[tokio::test(flavor = "multi_thread")]
async fn lab_20_a_full_cluster_with_a_dead_voter_gets_out_of_both() {
    let stage = small("3.6").edit("compactOnNoSpace: never", "compactOnNoSpace: to-latest").formed().await;
    let before = stage.roll_call(3).await;
    let (leader, dead) = (before.leader, before.follower());
    let client = stage.patient_client(leader);
    stage.inflict(dead, Fault::Freeze).await;
    fill(&client).await;
    stage.inflict(dead, Fault::Wipe).await;
    stage.replaced(&before, dead).await;
    stage.heals(&client).await;
}

/// Writes over one key until etcd takes no more.
async fn fill(client: &Client) {
    let value = vec![b'x'; 100 << 10];
    for _ in 0..200 {
        match client.put(Put::new("fill", value.clone())).await {
            Ok(_) => {}
            Err(Error::NoSpace) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the database is never full");
}

async fn alarms(client: &Client) -> Vec<Alarm> {
    let alarms = client.alarms().await.unwrap().value;
    alarms.into_iter().filter(|alarm| alarm.kind == AlarmKind::NoSpace).collect()
}

impl Stage {
    /// Without an alarm, and with room for what was refused.
    async fn heals(&self, client: &Client) {
        // A member that joined meanwhile may be full by itself for a moment.
        self.eventually("there is room, and no alarm", async || {
            client.put(Put::new("fill", vec![b'y'; 100 << 10])).await.ok()?;
            for slot in self.processes().keys() {
                let status = self.client(*slot).status().await.ok()?.value;
                (status.db_size < 2 << 20 && status.alarms.is_empty()).then_some(())?;
            }
            alarms(client).await.is_empty().then_some(())
        })
        .await;
        self.converged().await;
    }
}
