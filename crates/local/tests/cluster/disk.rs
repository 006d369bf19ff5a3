//! Disks die. Their members are replaced by others, never started again.

use std::fs;

use etcdop_core::id::Slot;
use etcdop_local::faults::Fault;
use rstest::rstest;

use crate::{
    roll_call::RollCall,
    stage::{Setup, Stage},
};

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn a_running_leader_whose_disk_is_wiped_is_replaced(#[case] version: &str) {
    let (stage, witness, before) = Setup::new(version, 3).under_writers().await;
    let began = stage.processes();
    stage.inflict(before.leader, Fault::Wipe).await;
    let after = stage.replaced(&before, before.leader).await;
    for slot in after.members.keys().filter(|slot| **slot != before.leader) {
        assert_eq!(stage.processes()[slot], began[slot], "slot {slot} is not restarted");
    }
    stage.settle(witness).await;
}

#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_disk_is_wiped_while_nobody_looks_is_replaced(#[case] version: &str) {
    let (mut stage, witness, before) = Setup::new(version, 3).under_writers().await;
    stage.leave().await;
    stage.inflict(before.follower(), Fault::Kill).await;
    stage.inflict(before.follower(), Fault::Wipe).await;
    stage.manage().await;
    stage.replaced(&before, before.follower()).await;
    stage.settle(witness).await;
}

/// A member that joined has another ID than the one that etcd would compute for a founder at its address (LAB 12).
#[tokio::test(flavor = "multi_thread")]
async fn two_disks_of_five_wiped_at_once_are_replaced_founder_or_not() {
    let stage = Setup::new("3.6", 3).formed().await;
    stage.set_size(5);
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.roll_call(5).await;
    let (founder, joined) = (Slot(0), Slot(4));
    stage.inflict(founder, Fault::Wipe).await;
    stage.inflict(joined, Fault::Wipe).await;
    stage.until_listed(|ids| !ids.contains(&before.members[&founder]) && !ids.contains(&before.members[&joined])).await;
    stage.converged().await;
    stage.roll_call(5).await;
    stage.settle(witness).await;
}

impl Stage {
    /// The member of `slot` gives way to another one in the same slot, and nobody else changes.
    pub(crate) async fn replaced(&self, before: &RollCall, slot: Slot) -> RollCall {
        let lost = before.members[&slot];
        self.until_listed(|ids| !ids.contains(&lost)).await;
        self.converged().await;
        let after = self.roll_call(u64::try_from(before.members.len()).unwrap()).await;
        let others = |roll: &RollCall| {
            let mut members = roll.members.clone();
            members.retain(|_, id| before.members.values().any(|old| old == id));
            members.remove(&slot);
            members
        };
        assert_eq!(others(&after), others(before));
        assert_eq!(after.cluster, before.cluster);
        // What etcd says when it was started on an empty disk under an old identity.
        let log = fs::read_to_string(self.files(slot).join("run/etcd.log")).unwrap_or_default();
        assert!(!log.contains("tocommit") && !log.contains("already been bootstrapped"), "{log}");
        after
    }
}
