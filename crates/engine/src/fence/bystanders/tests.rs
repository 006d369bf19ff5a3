//! A voter ends between the plan and the step: whatever would make it one loss too many does not happen.

use std::sync::Arc;

use etcdop_core::{
    fence::Fence,
    id::{InstanceId, MemberId, Slot},
    step::{EtcdStep, GroundStep, Step},
};
use etcdop_etcd::{Consistency, Put};

use crate::{
    clock::Clock,
    double::{
        Stage, desired,
        etcd::{Etcd, until},
    },
    execute::{Attempt, Hands, Retry},
    observe::Observer,
    outcome::Outcome,
    tuning::Tuning,
};

/// A cluster with a plan made of it now: its leader, and two others of its members.
struct Scene {
    members: Vec<Etcd>,
    ids: Vec<MemberId>,
    leader: usize,
    others: [usize; 2],
    stage: Arc<Stage>,
    observer: Observer,
    fence: Fence,
}

impl Scene {
    async fn new() -> Self {
        Self::of(Etcd::cluster("3.6", 3)).await
    }

    async fn of(members: Vec<Etcd>) -> Self {
        let stage = Arc::new(Stage::of(&members).await);
        let (mut ids, mut leads) = (Vec::new(), None);
        for member in &members {
            let status = member.serving().await;
            ids.push(MemberId(status.header.member_id.0));
            leads = status.value.leader.map(|leader| MemberId(leader.0));
        }
        let leader = ids.iter().position(|id| Some(*id) == leads).expect("a leader");
        let others = [(leader + 1) % ids.len(), (leader + 2) % ids.len()];
        let mut observer = Observer::new(Clock::start(), Tuning::default());
        let roster = until("everybody is heard", async || {
            let seen = observer.observe(&*stage, &desired()).await.observation;
            let heard = seen.status.values().all(|status| status.known().is_some_and(|s| s.leader.is_some()));
            let roster = seen.roster.known().filter(|_| heard);
            roster.map(etcdop_core::observation::Roster::digest).ok_or_else(|| format!("{:?}", seen.status))
        })
        .await;
        let fence = Fence { record: stage.revision(), roster: Some(roster), instance: None };
        Self { members, ids, leader, others, stage, observer, fence }
    }

    async fn take(&self, step: Step) -> Attempt {
        let hands = Hands::new(Arc::clone(&self.stage), Tuning::default());
        // As the planner has it: a stop rests on no list.
        let roster = self.fence.roster.clone().filter(|_| matches!(step, Step::Etcd(_)));
        hands.carry_out(self.observer.routes(), &step, &Fence { roster, ..self.fence.clone() }).await
    }

    /// The step is not taken because `silent` does not answer.
    async fn spares(&self, silent: usize, step: Step) {
        let attempt = self.take(step.clone()).await;
        let expected = format!("member {} does not answer any more: ", self.ids[silent]);
        let Attempt { outcome: Outcome::NotApplied(why), retry: Retry::Steady } = attempt else {
            panic!("{step}: {attempt:?}")
        };
        assert!(why.starts_with(&expected), "{step}: {why}");
        assert_eq!(self.stage.applied(), []);
        let list = self.members[self.leader].client().member_list(Consistency::Linearizable).await.unwrap();
        assert_eq!(list.value.len(), self.ids.len());
    }
}

fn retire(position: usize) -> Step {
    let slot = Slot(u8::try_from(position).unwrap());
    Step::Ground(GroundStep::Retire(slot, InstanceId(format!("first-of-{slot}"))))
}

fn add_learner() -> Step {
    Step::Etcd(EtcdStep::AddLearner(Slot(9), "http://127.0.0.1:9".parse().unwrap()))
}

#[tokio::test]
async fn no_voter_is_stopped_or_removed_after_another_ended() {
    let mut scene = Scene::new().await;
    let [ended, other] = scene.others;
    scene.members[ended].kill();
    scene.spares(ended, retire(other)).await;
    scene.spares(ended, retire(scene.leader)).await;
    scene.spares(ended, Step::Etcd(EtcdStep::Remove(scene.ids[other]))).await;
    scene.spares(ended, Step::Etcd(EtcdStep::Defragment(scene.ids[other]))).await;
    scene.spares(ended, add_learner()).await;
    // Writes go on all the while, and whoever ended itself is in nobody's way.
    scene.members[other].client().put(Put::new("key", "value")).await.unwrap();
    assert_eq!(scene.take(retire(ended)).await, Attempt::done());
}

#[tokio::test]
async fn a_voter_that_froze_counts_as_one_that_ended() {
    let scene = Scene::new().await;
    let [frozen, other] = scene.others;
    scene.members[frozen].freeze();
    scene.spares(frozen, retire(other)).await;
    scene.members[frozen].thaw();
    assert_eq!(scene.take(retire(other)).await, Attempt::done());
}

#[tokio::test]
async fn whom_the_plan_knew_to_be_down_stops_nothing() {
    let mut scene = Scene::new().await;
    let [ended, other] = scene.others;
    scene.members[ended].kill();
    scene.observer.observe(&*scene.stage, &desired()).await;
    // The plan is what decides this; it has seen the same.
    assert_eq!(scene.take(retire(other)).await, Attempt::done());
}

#[tokio::test]
async fn no_learner_is_promoted_after_it_ended() {
    let mut members = Etcd::cluster("3.6", 1);
    members[0].serving().await;
    let mut learner = Etcd::prepare("learner");
    members[0].client().member_add_learner(&[&learner.dial.peer]).await.unwrap();
    learner.join("3.6", &members);
    members.push(learner);
    let mut scene = Scene::of(members).await;
    let joined = scene.ids[1];
    scene.members[1].kill();
    scene.spares(1, Step::Etcd(EtcdStep::Promote(joined))).await;
    // One vote of one is still a quorum.
    scene.members[0].client().put(Put::new("key", "value")).await.unwrap();
}

#[tokio::test]
async fn nobody_is_stopped_while_those_who_remain_follow_no_leader() {
    let mut scene = Scene::of(Etcd::cluster("3.6", 2)).await;
    let left = scene.others[0];
    scene.members[scene.leader].kill();
    until("it follows nobody", async || {
        let leader = scene.members[left].client().status().await.unwrap().value.leader;
        leader.map_or(Ok(()), |leader| Err(leader.to_string()))
    })
    .await;
    let why = format!("member {} follows no leader any more", scene.ids[left]);
    let expected = Attempt { outcome: Outcome::NotApplied(why), retry: Retry::Steady };
    assert_eq!(scene.take(retire(scene.leader)).await, expected);
    assert_eq!(scene.stage.applied(), []);
}
