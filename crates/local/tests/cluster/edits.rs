//! People change their minds while something is under way.

use etcdop_core::{size::Size, summary::Summary};
use etcdop_local::faults::Fault;
use rstest::rstest;

use crate::stage::{Setup, Stage};

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn three_five_three_seven_in_one_breath_ends_at_seven(#[case] version: &str) {
    let stage = Setup::new(version, 3).formed().await;
    let witness = stage.witness().await;
    let began = stage.processes();
    for size in [5, 3, 7] {
        // Each edit meets what the one before has begun.
        stage.heard(size).await;
    }
    stage.converged().await;
    stage.roll_call(7).await;
    let now = stage.processes();
    assert!(began.iter().all(|(slot, process)| now[slot] == *process), "no voter was restarted: {began:?}, {now:?}");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_birth_over_a_flag_that_etcd_does_not_know_quotes_etcd_and_is_healed_by_an_edit() {
    let wrong = "etcd: {extraArgs: {no-such-flag: x}}";
    let stage = Setup::new("3.6", 3).edit("etcd: {}", wrong).open().await;
    let words = "flag provided but not defined: -no-such-flag";
    let quoted = |summary: &Summary| summary.reasons.iter().any(|reason| reason.contains(words));
    stage.until("etcd's own words", |_, summary| quoted(summary)).await;
    // It is tried a second time, and what was said stands to be read.
    stage
        .until("a second attempt", |now, summary| now.observation.record.value.rejected.is_some() && quoted(summary))
        .await;
    stage.edit(wrong, "etcd: {}");
    stage.converged().await;
    stage.roll_call(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_asked_to_grow_in_the_middle_of_a_roll_does_both() {
    let stage = Setup::new("3.5", 3).formed().await;
    let witness = stage.witness().await;
    stage.set_version("3.6");
    stage.until_on("3.6.", 1).await;
    stage.set_size(5);
    stage.converged().await;
    let roll = stage.roll_call(5).await;
    assert!(roll.version().starts_with("3.6."), "{roll:?}");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_put_to_sleep_in_the_middle_of_a_roll_wakes_and_ends_it() {
    let stage = Setup::new("3.6", 3).formed().await;
    let witness = stage.witness().await;
    stage.set_version("3.7");
    stage.until_on("3.7.", 1).await;
    stage.set_size(0);
    stage.converged().await;
    stage.set_size(3);
    stage.converged().await;
    let roll = stage.roll_call(3).await;
    assert!(roll.version().starts_with("3.7."), "{roll:?}");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_dies_while_another_member_restarts_is_replaced_and_the_roll_ends() {
    let (stage, witness, before) = Setup::new("3.6", 3).under_writers().await;
    stage.edit("etcd: {}", "etcd: {snapshotCount: 5000}");
    stage.until("a restart is open", |now, _| now.observation.record.value.open.is_some()).await;
    stage.inflict(before.leader, Fault::Wipe).await;
    stage.until_listed(|ids| !ids.contains(&before.members[&before.leader])).await;
    stage.converged().await;
    stage.roll_call(3).await;
    stage.settle(witness).await;
}

impl Stage {
    /// Declares this size, and waits until a pass was made for it and something was done about it.
    async fn heard(&self, size: u64) {
        // Counted from before the edit: all that it asks for may be done before anybody looks.
        let before = self.published().steps.last().map(|step| step.seq);
        self.set_size(size);
        let size = Size::try_from(size).unwrap();
        self.until("the edit is heard", |now, _| {
            let last = now.steps.last().map(|step| step.seq);
            now.desired.size == size && (last > before || now.plan.act.is_some())
        })
        .await;
    }
}
