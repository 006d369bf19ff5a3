//! Members stop to answer, and are neither gone nor dead yet.

use etcdop_core::reason::Reason;
use etcdop_local::faults::Fault;
use rstest::rstest;

use crate::stage::Setup;

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_silent_for_a_while_stays_the_member_that_it_is(#[case] version: &str) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    let began = stage.processes();
    stage.inflict(before.leader, Fault::Freeze).await;
    let silent = |reason: &Reason| matches!(reason, Reason::NotDeadYet { slot, .. } if *slot == before.leader);
    stage.until("the silence is noticed", |now, _| now.plan.reasons.iter().any(silent)).await;
    stage.until("another one leads", |_, now| now.leader.is_some_and(|id| id != before.members[&before.leader])).await;
    stage.inflict(before.leader, Fault::Thaw).await;
    stage.converged().await;
    let after = stage.roll_call(3).await;
    assert_eq!((after.members, stage.processes()), (before.members, began));
    stage.settle(witness).await;
}

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_silent_for_too_long_is_replaced(#[case] version: &str) {
    let (stage, witness, before) = Setup::new(version, 3).replace_after("2s").under_writers().await;
    let began = stage.processes();
    let frozen = before.follower();
    stage.inflict(frozen, Fault::Freeze).await;
    let after = stage.replaced(&before, frozen).await;
    for (slot, process) in stage.processes() {
        let stayed = began.get(&slot) == Some(&process);
        assert_eq!(stayed, slot != frozen, "slot {slot} of {:?}", after.members);
    }
    stage.settle(witness).await;
}
