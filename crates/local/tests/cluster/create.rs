//! Clusters come into being.

use rstest::rstest;

use crate::stage::Setup;

#[rstest]
#[case::one_on_3_5("3.5", 1)]
#[case::one_on_3_6("3.6", 1)]
#[case::one_on_3_7("3.7", 1)]
#[case::three_on_3_5("3.5", 3)]
#[case::three_on_3_6("3.6", 3)]
#[case::three_on_3_7("3.7", 3)]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_takes_writes_on_every_member(#[case] version: &str, #[case] size: u64) {
    let stage = Setup::new(version, size).formed().await;
    let began = stage.processes();
    let witness = stage.witness().await;
    stage.settle(witness).await;
    let roll = stage.roll_call(size).await;
    assert!(roll.version().starts_with(version), "{roll:?}");
    assert_eq!(stage.processes(), began, "nobody is restarted once it serves");
}
