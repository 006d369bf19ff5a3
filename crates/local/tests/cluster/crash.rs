//! Processes die and come back on their disks.

use etcdop_local::faults::Fault;
use futures::future::join_all;
use rstest::rstest;

use crate::stage::Setup;

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_comes_back_as_itself(#[case] version: &str) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    let began = stage.processes();
    stage.inflict(before.leader, Fault::Kill).await;
    let killed = began[&before.leader];
    stage
        .eventually("another process in its slot", async || {
            stage.processes().get(&before.leader).filter(|now| **now != killed).copied()
        })
        .await;
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!(after.members, before.members);
    let others = |slot: &etcdop_core::id::Slot| *slot != before.leader;
    let now = stage.processes();
    assert!(began.iter().filter(|(slot, _)| others(slot)).all(|(slot, process)| now[slot] == *process), "{now:?}");
    stage.settle(witness).await;
}

/// LAB 19: `--force-new-cluster` after such a crash loses acknowledged writes. All members have their disks: nobody needs it.
#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn lab_19_all_killed_at_once_come_back_as_themselves(#[case] version: &str) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    let began = stage.processes();
    join_all(before.members.keys().map(|slot| stage.inflict(*slot, Fault::Kill))).await;
    stage
        .eventually("other processes in all slots", async || {
            let now = stage.processes();
            began.iter().all(|(slot, process)| now.get(slot).is_some_and(|now| now != process)).then_some(())
        })
        .await;
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!((after.members, after.cluster), (before.members, before.cluster));
    for process in stage.processes().values() {
        assert!(!process.arguments().contains("force-new-cluster"));
    }
    stage.settle(witness).await;
}
