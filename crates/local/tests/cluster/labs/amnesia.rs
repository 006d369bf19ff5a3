//! Disks that lost what they once acknowledged: nothing starts on them, and nothing is destroyed while too few are left.

use std::{fs, path::PathBuf, process::Command};

use etcdop_core::{id::Slot, reason::Reason};
use etcdop_etcd::{Consistency, Keys, Put, Range};
use etcdop_local::faults::Fault;
use futures::future::join_all;
use rstest::rstest;

use crate::{
    process::Process,
    roll_call::RollCall,
    stage::{Setup, Stage},
};

/// LAB 9: leader and one follower acknowledge a write, the follower's disk is lost, and it votes for the third, which missed the
/// write: it is gone everywhere, and everybody is healthy. Here the empty disk waits until the one that has the write is back.
#[rstest]
#[case::on_3_5("3.5")]
#[case::on_3_6("3.6")]
#[case::on_3_7("3.7")]
#[tokio::test(flavor = "multi_thread")]
async fn lab_9_a_wiped_follower_does_not_vote_an_acknowledged_write_away(#[case] version: &str) {
    let mut stage = Setup::new(version, 3).formed().await;
    let before = stage.roll_call(3).await;
    let [wiped, late] = before.followers()[..] else { panic!("{before:?}") };
    let leader = before.leader;
    let client = stage.patient_client(leader);
    stage.leave().await;
    stage.inflict(late, Fault::Kill).await;
    client.put(Put::new("k1", "acknowledged")).await.unwrap();
    join_all([leader, wiped].map(|slot| stage.inflict(slot, Fault::Kill))).await;
    stage.inflict(wiped, Fault::Wipe).await;
    let disk = stage.take_away(leader);
    stage.manage().await;

    stage.until_quorum_is_lost().await;
    stage.nothing_happens().await;
    stage.stands_at_the_gate(wiped).await;
    assert!(stage.has_log(late) && !stage.has_log(wiped));

    stage.give_back(leader, disk);
    let after = stage.replaced(&before, wiped).await;
    stage.everybody_holds("k1", "acknowledged", &after).await;
}

/// LAB 11: two of three disks are lost, their members start anew and form an empty, healthy cluster under the same ID.
#[tokio::test(flavor = "multi_thread")]
async fn lab_11_two_empty_disks_of_three_form_no_cluster_and_one_that_returns_heals() {
    let (mut stage, witness, before) = Setup::new("3.6", 3).under_writers().await;
    let (survivor, returned, lost) = (Slot(0), Slot(1), Slot(2));
    stage.leave().await;
    join_all(before.members.keys().map(|slot| stage.inflict(*slot, Fault::Kill))).await;
    let disk = stage.take_away(returned);
    stage.inflict(lost, Fault::Wipe).await;
    stage.manage().await;

    let summary = stage.until_quorum_is_lost().await;
    assert!(summary.iter().any(|reason| reason.contains("nothing is removed or wiped")), "{summary:?}");
    // Not even a wish for fewer members makes the survivor a cluster of its own.
    stage.set_size(1);
    stage.nothing_happens().await;
    stage.set_size(3);
    stage.nothing_happens().await;
    assert!(stage.has_log(survivor) && !stage.has_log(returned) && !stage.has_log(lost));
    for slot in [returned, lost] {
        stage.stands_at_the_gate(slot).await;
    }

    stage.give_back(returned, disk);
    stage.replaced(&before, lost).await;
    stage.settle(witness).await;
}

/// LAB 13: a cluster that grew from one seed; the seed's disk is lost, and its peers are down when it starts: alone in its
/// `--initial-cluster` it serves an empty cluster, and what it acknowledges is lost when the peers return.
#[tokio::test(flavor = "multi_thread")]
async fn lab_13_a_wiped_seed_does_not_start_alone_while_its_peers_are_down() {
    let mut stage = Setup::new("3.6", 1).formed().await;
    let witness = stage.witness().await;
    stage.set_size(3);
    stage.converged().await;
    let before = stage.roll_call(3).await;
    let seed = Slot(0);
    stage.leave().await;
    for peer in [Slot(1), Slot(2)] {
        stage.inflict(peer, Fault::Freeze).await;
    }
    stage.inflict(seed, Fault::Wipe).await;
    stage.manage().await;

    stage.until_quorum_is_lost().await;
    stage.nothing_happens().await;
    stage.stands_at_the_gate(seed).await;
    assert!(!stage.has_log(seed));

    for peer in [Slot(1), Slot(2)] {
        stage.inflict(peer, Fault::Thaw).await;
    }
    stage.replaced(&before, seed).await;
    stage.settle(witness).await;
}

/// A disk from a backup tool is as amnesic as an empty one. It is noticed by the starts that it missed.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_a_disk_is_refused_and_its_member_replaced() {
    let (mut stage, witness, before) = Setup::new("3.6", 3).under_writers().await;
    let slot = before.follower();
    let volume = stage.files(slot).join("volume");
    let copy = stage.cluster.directory().path().join("copy");
    stage.leave().await;
    stage.inflict(slot, Fault::Kill).await;
    copy_disk(&volume, &copy);
    stage.manage().await;
    stage.converged().await;
    stage.leave().await;
    stage.inflict(slot, Fault::Kill).await;
    fs::remove_dir_all(&volume).unwrap();
    copy_disk(&copy, &volume);
    stage.manage().await;
    stage.replaced(&before, slot).await;
    stage.settle(witness).await;
}

fn copy_disk(from: &PathBuf, to: &PathBuf) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

impl RollCall {
    fn followers(&self) -> Vec<Slot> {
        self.members.keys().copied().filter(|slot| *slot != self.leader).collect()
    }
}

impl Stage {
    /// Until the manager says so; what it says.
    async fn until_quorum_is_lost(&self) -> Vec<String> {
        let lost = |reason: &Reason| matches!(reason, Reason::QuorumLost { .. });
        self.until("quorum is lost", |now, _| now.plan.reasons.iter().any(lost)).await.reasons
    }

    /// Over many passes: no step of any kind, whatever there would be to do.
    async fn nothing_happens(&self) {
        let declared = self.cluster.manifest().unwrap().size;
        let first =
            self.until("the edit is heard", |now, _| now.desired.size == declared && now.plan.act.is_none()).await;
        let before = self.published();
        self.until("ten more passes", |now, _| now.pass >= before.pass + 10).await;
        let last = |now: &etcdop_engine::publish::Published| now.steps.last().map(|step| step.seq);
        assert_eq!(last(&self.published()), last(&before), "{first:?}\n{}", self.account());
    }

    /// Moves a disk out of the machine, with all that is on it.
    fn take_away(&self, slot: Slot) -> PathBuf {
        let aside = self.cluster.directory().path().join(format!("aside-{slot}"));
        fs::rename(self.files(slot).join("volume"), &aside).unwrap();
        aside
    }

    /// Puts it back, in place of the empty one that is there now.
    fn give_back(&self, slot: Slot, disk: PathBuf) {
        let volume = self.files(slot).join("volume");
        fs::remove_dir_all(&volume).unwrap();
        fs::rename(disk, volume).unwrap();
    }

    fn has_log(&self, slot: Slot) -> bool {
        self.files(slot).join("volume/etcd/member/wal").exists()
    }

    /// The guard runs in the slot, and has not become etcd. On a loaded machine it may just be starting.
    async fn stands_at_the_gate(&self, slot: Slot) {
        self.eventually("a guard in the slot", async || {
            let Process { pid, .. } = *self.processes().get(&slot)?;
            let program = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (program.trim() == "etcdop-guard").then_some(())
        })
        .await;
    }

    /// Asked of each member's own store.
    async fn everybody_holds(&self, key: &'static str, value: &str, roll: &RollCall) {
        for slot in roll.members.keys() {
            let range = Range { consistency: Consistency::Serializable, ..Range::new(Keys::one(key)) };
            let found = self.patient_client(*slot).range(range).await.unwrap().value.kvs;
            assert_eq!(found.iter().map(|kv| &*kv.value).collect::<Vec<_>>(), [value.as_bytes()], "slot {slot}");
        }
    }
}
