//! What etcd's own check of a reconfiguration refuses too late, too early, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use etcdop_core::{id::Slot, record::Birth};
use etcdop_etcd::{Consistency, Member, Role};
use etcdop_local::faults::Fault;
use rstest::rstest;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::{Setup, Stage};

/// LAB 1: in the first seconds after its birth a cluster of three refuses every new member as unhealthy. That is no reason to do
/// anything but to ask again.
#[tokio::test(flavor = "multi_thread")]
async fn lab_1_a_new_cluster_that_takes_no_member_yet_is_asked_again() {
    let stage = Setup::new("3.6", 3).open().await;
    stage.until("it is born", |now, _| matches!(now.observation.record.value.birth, Birth::Formed(_))).await;
    let began = stage.processes();
    stage.set_size(5);
    stage.converged().await;
    stage.roll_call(5).await;
    let now = stage.processes();
    assert!(began.iter().all(|(slot, process)| now[slot] == *process), "{began:?}, {now:?}");
}

/// LAB 2: with one of three down etcd refuses every addition. The dead one has to go first, also when more are wanted.
#[tokio::test(flavor = "multi_thread")]
async fn lab_2_a_dead_member_is_removed_before_any_other_is_added() {
    let (stage, witness, before) = Setup::new("3.6", 3).under_writers().await;
    let lists = Lists::follow(&stage, before.leader);
    let dead = before.members[&before.follower()].0;
    stage.inflict(before.follower(), Fault::Wipe).await;
    stage.set_size(5);
    stage.converged().await;
    stage.roll_call(5).await;
    for list in lists.end().await {
        let ids: BTreeSet<u64> = list.iter().map(|row| row.id.0).collect();
        assert!(!ids.contains(&dead) || ids.len() == 3, "somebody was added beside the dead: {list:#?}");
    }
    stage.settle(witness).await;
}

/// LAB 3: etcd lets a live voter of five go while another is down. We let the one go that is down.
#[tokio::test(flavor = "multi_thread")]
async fn lab_3_those_that_are_down_leave_before_those_that_serve() {
    let (stage, witness, before) = Setup::new("3.6", 5).replace_after("2s").under_writers().await;
    let down: Vec<Slot> = before.members.keys().copied().filter(|slot| *slot != before.leader).take(2).collect();
    let lists = Lists::follow(&stage, before.leader);
    stage.set_size(3);
    for slot in &down {
        stage.inflict(*slot, Fault::Freeze).await;
    }
    stage.converged().await;
    let after = stage.roll_call(3).await;
    let serving = before.members.keys().copied().filter(|slot| !down.contains(slot));
    let seen = lists.end().await;
    // The wish may be heard before the freeze: then who serves may go as well, but never while somebody who stays is down.
    let first = seen.iter().find(|list| list.len() == 4);
    let gone = |list: &Vec<Member>| down.iter().any(|slot| !list.iter().any(|row| row.id.0 == before.members[slot].0));
    if first.is_some_and(gone) {
        assert_eq!(after.members.keys().copied().collect::<Vec<_>>(), serving.collect::<Vec<_>>());
    }
    assert!(after.members.keys().all(|slot| !down.contains(slot) || after.members[slot] != before.members[slot]));
    stage.settle(witness).await;
}

/// LAB 15 and 16: etcd takes two voters in a row that never started, and an update of a learner's URL makes it look like a voter. So
/// nobody is a voter before it published its name, and nobody's URL ever changes.
#[rstest]
#[case::on_3_5("3.5", &[1, 3, 1])]
#[case::on_3_6("3.6", &[1, 5, 3])]
#[case::on_3_7("3.7", &[1, 5, 3])]
#[tokio::test(flavor = "multi_thread")]
async fn lab_15_16_members_join_as_learners_and_keep_their_urls(#[case] version: &str, #[case] sizes: &[u64]) {
    let (stage, witness, before) = Setup::new(version, sizes[0]).under_writers().await;
    let lists = Lists::follow(&stage, before.leader);
    for size in &sizes[1..] {
        stage.set_size(*size);
        stage.converged().await;
    }
    let lists = lists.end().await;
    let mut urls: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut learners = BTreeSet::new();
    for row in lists.iter().flatten() {
        let known = urls.entry(row.id.0).or_insert_with(|| row.peer_urls.clone());
        assert_eq!(*known, row.peer_urls, "the URL of {row:?} changed");
        match row.role {
            Role::Learner => _ = learners.insert(row.id.0),
            Role::Voter => assert!(!row.name.is_empty(), "a voter that never started: {lists:#?}"),
        }
    }
    assert!(!learners.is_empty(), "no learner was seen in {lists:#?}");
    stage.settle(witness).await;
}

/// Every member list that one member showed.
struct Lists {
    stop: CancellationToken,
    task: JoinHandle<Vec<Vec<Member>>>,
}

impl Lists {
    /// From now on, as fast as the member answers.
    fn follow(stage: &Stage, slot: Slot) -> Self {
        let (client, stop) = (stage.client(slot), CancellationToken::new());
        let told = stop.clone();
        let task = tokio::spawn(async move {
            let mut seen: Vec<Vec<Member>> = Vec::new();
            while !told.is_cancelled() {
                if let Ok(list) = client.member_list(Consistency::Linearizable).await
                    && seen.last() != Some(&list.value)
                {
                    seen.push(list.value);
                }
                tokio::task::yield_now().await;
            }
            seen
        });
        Self { stop, task }
    }

    async fn end(self) -> Vec<Vec<Member>> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
