//! Each step against a real etcd: what it does, and that doing it again is "done" (rule 8).

use std::{sync::Arc, time::Duration};

use etcdop_core::{
    fence::Fence,
    id::{MemberId, PeerUrl, Slot},
    observation::{Alarm, AlarmKind, Roster},
    step::{DowngradeOp, EtcdStep, Step},
    version::Minor,
};
use etcdop_etcd::{Consistency, Keys, Put, Range, Role};

use super::{Attempt, Hands, Retry};
use crate::{
    clock::Clock,
    double::{
        Stage, desired,
        etcd::{Etcd, until},
        running,
    },
    observe::Observer,
    outcome::Outcome,
    tuning::Tuning,
};

/// A running cluster and hands that work on it.
struct Scene {
    members: Vec<Etcd>,
    stage: Arc<Stage>,
    observer: Observer,
    hands: Hands<Stage>,
}

impl Scene {
    async fn new(minor: &str, size: usize) -> Self {
        let members = Etcd::cluster(minor, size);
        let stage = Arc::new(Stage::of(&members).await);
        let tuning = Tuning::default();
        let hands = Hands::new(Arc::clone(&stage), tuning.clone());
        Self { members, stage, observer: Observer::new(Clock::start(), tuning), hands }
    }

    /// Takes a step on a plan made right now.
    async fn take(&mut self, step: EtcdStep) -> Attempt {
        // There is none while a leader is being elected.
        let roster = until("a list", async || {
            let seen = self.observer.observe(&*self.stage, &desired()).await.observation;
            seen.roster.known().map(Roster::digest).ok_or_else(|| format!("{:?}", seen.roster))
        })
        .await;
        let fence = Fence { record: self.stage.revision(), roster: Some(roster), instance: None };
        self.hands.carry_out(self.observer.routes(), &Step::Etcd(step), &fence).await
    }

    /// The same until etcd's own 5 s of waiting for its peers are over.
    async fn take_at_last(&mut self, step: &EtcdStep) {
        until("the step is taken", async || {
            let attempt = self.take(step.clone()).await;
            if attempt == Attempt::done() { Ok(()) } else { Err(format!("{attempt:?}")) }
        })
        .await;
    }

    async fn roles(&self) -> Vec<(MemberId, Role, Vec<String>)> {
        let list = self.members[0].client().member_list(Consistency::Linearizable).await.unwrap();
        list.value.into_iter().map(|member| (MemberId(member.id.0), member.role, member.peer_urls)).collect()
    }

    async fn leader(&self) -> MemberId {
        let status = self.members[0].client().status().await.unwrap();
        MemberId(status.value.leader.expect("a leader").0)
    }
}

fn refused(why: &str, retry: Retry) -> Attempt {
    Attempt { outcome: Outcome::NotApplied(why.to_owned()), retry }
}

#[tokio::test]
async fn adding_a_learner_twice_is_done_once() {
    let mut scene = Scene::new("3.6", 1).await;
    let url: PeerUrl = "http://127.0.0.1:9".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(scene.take(EtcdStep::AddLearner(Slot(1), url.clone())).await, Attempt::done());
    }
    let learners: Vec<_> = scene.roles().await.into_iter().filter(|(_, role, _)| *role == Role::Learner).collect();
    assert_eq!(learners.len(), 1);
    assert_eq!(learners[0].2, [url.as_str()]);
}

#[tokio::test]
async fn a_stranger_at_one_of_our_addresses_is_asked_for_nothing() {
    let mut scene = Scene::new("3.6", 1).await;
    let mut stranger = Etcd::cluster("3.6", 1).remove(0);
    stranger.serving().await;
    // Each start is an election: its term is the newest of all.
    for _ in 0..3 {
        stranger.restart("3.6");
        stranger.serving().await;
    }
    scene.stage.change(|ground| ground.slots.insert(Slot(1), running(&stranger, "stranger")));
    let (ours, theirs) = (scene.members[0].client(), stranger.client());
    let (term, newer) = (ours.status().await.unwrap().value.raft_term, theirs.status().await.unwrap().value.raft_term);
    assert!(newer > term);
    until("both are heard", async || {
        let heard = scene.observer.observe(&*scene.stage, &desired()).await.observation.status;
        if heard.values().all(|status| status.known().is_some()) { Ok(()) } else { Err(format!("{heard:?}")) }
    })
    .await;
    let list = async || theirs.member_list(Consistency::Linearizable).await.unwrap().value;
    let before = list().await;
    let leader = scene.leader().await;
    assert_eq!(scene.take(EtcdStep::AddLearner(Slot(2), "http://127.0.0.1:9".parse().unwrap())).await, Attempt::done());
    assert_eq!(scene.take(EtcdStep::MoveLeader { to: leader }).await, Attempt::done());
    let other = MemberId(theirs.status().await.unwrap().header.member_id.0);
    // It is no member of ours, so there is nothing to do, and it keeps its place in its own list.
    assert_eq!(scene.take(EtcdStep::Remove(other)).await, Attempt::done());
    assert_eq!(list().await, before);
    assert_eq!(scene.roles().await.len(), 2);
    assert_eq!(scene.take(EtcdStep::Defragment(other)).await, refused_silent(other));
}

fn refused_silent(member: MemberId) -> Attempt {
    refused(&format!("member {member} does not answer"), Retry::BackOff)
}

#[tokio::test]
async fn removing_a_member_twice_is_done_once() {
    let mut scene = Scene::new("3.6", 1).await;
    scene.take(EtcdStep::AddLearner(Slot(1), "http://127.0.0.1:9".parse().unwrap())).await;
    let learner = scene.roles().await.into_iter().find(|(_, role, _)| *role == Role::Learner).expect("a learner").0;
    for _ in 0..2 {
        assert_eq!(scene.take(EtcdStep::Remove(learner)).await, Attempt::done());
        assert_eq!(scene.roles().await.len(), 1);
    }
}

#[tokio::test]
async fn a_learner_that_is_not_ready_is_tried_steadily() {
    let mut scene = Scene::new("3.6", 1).await;
    scene.take(EtcdStep::AddLearner(Slot(1), "http://127.0.0.1:9".parse().unwrap())).await;
    let learner = scene.roles().await.into_iter().find(|(_, role, _)| *role == Role::Learner).expect("a learner").0;
    let attempt = scene.take(EtcdStep::Promote(learner)).await;
    assert_eq!(attempt, refused("can only promote a learner member which is in sync with leader", Retry::Steady));
}

#[tokio::test]
async fn promoting_a_voter_is_done_already() {
    let mut scene = Scene::new("3.6", 1).await;
    let voter = scene.leader().await;
    assert_eq!(scene.take(EtcdStep::Promote(voter)).await, Attempt::done());
}

#[tokio::test]
async fn a_cluster_that_has_just_met_takes_no_learner_yet_and_is_asked_steadily() {
    let mut scene = Scene::new("3.6", 3).await;
    let add = EtcdStep::AddLearner(Slot(3), "http://127.0.0.1:9".parse().unwrap());
    assert_eq!(scene.take(add.clone()).await, refused("unhealthy cluster", Retry::Steady));
    scene.take_at_last(&add).await;
    assert_eq!(scene.roles().await.len(), 4);
}

#[tokio::test]
async fn leadership_goes_where_it_is_sent() {
    let mut scene = Scene::new("3.6", 3).await;
    let leader = scene.leader().await;
    let to = scene.roles().await.into_iter().map(|(id, ..)| id).find(|id| *id != leader).expect("another voter");
    assert_eq!(scene.take(EtcdStep::MoveLeader { to }).await, Attempt::done());
    until("everybody follows", async || {
        let leader = scene.leader().await;
        if leader == to { Ok(()) } else { Err(leader.to_string()) }
    })
    .await;
    assert_eq!(scene.take(EtcdStep::MoveLeader { to }).await, Attempt::done(), "it leads already");
}

#[tokio::test]
async fn a_member_that_is_down_is_removed_through_the_others() {
    let mut scene = Scene::new("3.6", 3).await;
    let gone = MemberId(scene.members[2].client().status().await.unwrap().header.member_id.0);
    scene.members[2].kill();
    scene.take_at_last(&EtcdStep::Remove(gone)).await;
    assert!(scene.roles().await.iter().all(|(id, ..)| *id != gone));
}

#[tokio::test]
async fn history_is_dropped_and_space_given_back() {
    let mut scene = Scene::new("3.6", 1).await;
    let (client, member) = (scene.members[0].client(), scene.leader().await);
    for _ in 0..40 {
        client.put(Put::new("key", vec![b'x'; 64 * 1024])).await.unwrap();
    }
    assert_eq!(scene.take(EtcdStep::Compact { at: member }).await, Attempt::done());
    let nothing_left = Attempt::not_applied("there is no history left to drop");
    assert_eq!(
        scene.take(EtcdStep::Compact { at: member }).await,
        nothing_left,
        "whoever asks again would ask for ever"
    );
    let old = Range { revision: Some(10), ..Range::new(Keys::one("key")) };
    assert!(matches!(client.range(old).await, Err(etcdop_etcd::Error::Compacted { .. })));
    assert_eq!(scene.take(EtcdStep::Defragment(member)).await, Attempt::done());
    let after = client.status().await.unwrap().value;
    assert!(after.db_size < 10 * 64 * 1024, "{} bytes are left", after.db_size);
}

#[tokio::test]
async fn padding_makes_the_log_longer_and_changes_no_key() {
    let mut scene = Scene::new("3.6", 1).await;
    let (client, at) = (scene.members[0].client(), scene.leader().await);
    let before = client.status().await.unwrap();
    assert_eq!(scene.take(EtcdStep::PadLog { at, entries: 300 }).await, Attempt::done());
    let after = client.status().await.unwrap();
    assert!(after.value.raft_applied_index >= before.value.raft_applied_index + 300, "{after:?}");
    assert_eq!(after.header.revision, before.header.revision);
}

#[tokio::test]
async fn an_alarm_that_is_not_raised_is_disarmed_already() {
    let mut scene = Scene::new("3.6", 1).await;
    let alarm = Alarm { member: scene.leader().await, kind: AlarmKind::NoSpace };
    assert_eq!(scene.take(EtcdStep::Disarm(alarm)).await, Attempt::done());
}

#[tokio::test]
async fn downgrade_mode_is_entered_one_minor_down_and_left_again() {
    let mut scene = Scene::new("3.6", 1).await;
    let enable = |minor| EtcdStep::Downgrade(DowngradeOp::Enable(minor));
    until("the cluster version is decided", async || match scene.take(enable(Minor::new(3, 4))).await.outcome {
        Outcome::NotApplied(why) if why == "invalid downgrade target version" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(scene.take(enable(Minor::new(3, 5))).await, Attempt::done());
    let mode = scene.members[0].client().status().await.unwrap().value.downgrade.expect("downgrade mode");
    assert_eq!(mode.target, "3.5.0");
    for _ in 0..2 {
        assert_eq!(scene.take(EtcdStep::Downgrade(DowngradeOp::Cancel)).await, Attempt::done());
    }
    assert_eq!(scene.members[0].client().status().await.unwrap().value.downgrade, None);
}

#[tokio::test]
async fn a_snapshot_is_kept_when_it_is_whole() {
    let mut scene = Scene::new("3.6", 1).await;
    scene.members[0].client().put(Put::new("acknowledged", "yes")).await.unwrap();
    let from = scene.leader().await;
    assert_eq!(scene.take(EtcdStep::Snapshot { from, before: Minor::new(3, 7) }).await, Attempt::done());
    let file = std::fs::read(scene.stage.files.path().join("3.7.db")).unwrap();
    assert!(file.windows(12).any(|bytes| bytes == b"acknowledged"));
    assert_eq!(file.len() % 512, 32, "a database and its checksum");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_leaves_nothing_that_could_be_taken_for_one() {
    let mut scene = Scene::new("3.6", 1).await;
    let before = Minor::new(3, 7);
    std::fs::create_dir(scene.stage.files.path().join("3.7.part")).unwrap();
    let attempt = scene.take(EtcdStep::Snapshot { from: scene.leader().await, before }).await;
    assert!(matches!(&attempt.outcome, Outcome::NotApplied(why) if why.contains("3.7.part")), "{attempt:?}");
    assert!(!scene.stage.files.path().join("3.7.db").exists());
}

#[tokio::test]
async fn a_call_that_got_no_answer_has_an_unknown_outcome() {
    let mut scene = Scene::new("3.6", 3).await;
    let leader = scene.leader().await;
    let other = scene.roles().await.into_iter().map(|(id, ..)| id).find(|id| *id != leader).expect("another voter");
    // The plan is made, the fence was checked, and then the quorum freezes.
    scene.observer.observe(&*scene.stage, &desired()).await;
    for member in &scene.members {
        member.freeze();
    }
    let attempt = super::membership::remove(scene.observer.routes(), other, Duration::from_millis(200)).await;
    assert!(matches!(attempt.outcome, Outcome::Unknown(_)), "{attempt:?}");
    for member in &scene.members {
        member.thaw();
    }
}
