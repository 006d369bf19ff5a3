//! Clusters sleep and wake with all that they had.

use std::fs;

use rstest::rstest;

use crate::stage::Setup;

#[rstest]
#[case::to_its_old_size_on_3_5("3.5", 3)]
#[case::to_its_old_size_on_3_6("3.6", 3)]
#[case::to_its_old_size_on_3_7("3.7", 3)]
#[case::to_more_on_3_5("3.5", 5)]
#[case::to_more_on_3_6("3.6", 5)]
#[case::to_more_on_3_7("3.7", 5)]
#[case::to_less_on_3_6("3.6", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_cluster_wakes(#[case] version: &str, #[case] size: u64) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    stage.set_size(0);
    stage.converged().await;
    stage.eventually("nothing runs", async || stage.processes().is_empty().then_some(())).await;
    for slot in before.members.keys() {
        let data = stage.files(*slot).join("volume/etcd/member/snap/db");
        assert!(fs::metadata(&data).unwrap().len() > 0, "the disk of slot {slot} is kept");
    }
    witness.phase("wake");
    stage.set_size(size);
    stage.converged().await;
    let after = stage.roll_call(size).await;
    assert_eq!(after.cluster, before.cluster);
    let kept = after.members.iter().filter(|(slot, id)| before.members.get(slot) == Some(id)).count();
    assert_eq!(u64::try_from(kept).unwrap(), size.min(3), "who slept wakes as itself");
    stage.settle(witness).await;
}
