//! What was true when the plan was made is not true any more: each fence refuses, and nothing is done.

use std::sync::Arc;

use etcdop_core::{
    fence::Fence,
    id::{InstanceId, MemberId, Slot},
    step::{EtcdStep, GroundStep, Step},
};
use etcdop_etcd::Consistency;

use crate::{
    clock::Clock,
    double::{Stage, desired, etcd::Etcd},
    execute::{Attempt, Hands, Retry},
    observe::Observer,
    outcome::Outcome,
    tuning::Tuning,
};

/// A cluster of one member, and the fence that a plan made of it now has.
struct Scene {
    member: Etcd,
    stage: Arc<Stage>,
    observer: Observer,
    fence: Fence,
}

impl Scene {
    async fn new() -> Self {
        let mut members = Etcd::cluster("3.6", 1);
        let stage = Arc::new(Stage::of(&members).await);
        let mut observer = Observer::new(Clock::start(), Tuning::default());
        let seen = observer.observe(&*stage, &desired()).await.observation;
        let roster = seen.roster.known().expect("a member that serves has a list").digest();
        let fence = Fence { record: stage.revision(), roster: Some(roster), instance: None };
        Self { member: members.remove(0), stage, observer, fence }
    }

    async fn take(&self, step: &Step, fence: &Fence) -> Attempt {
        let hands = Hands::new(Arc::clone(&self.stage), Tuning::default());
        hands.carry_out(self.observer.routes(), step, fence).await
    }

    async fn is_refused(&self, step: &Step, fence: &Fence, why: &str) {
        let expected = Attempt { outcome: Outcome::NotApplied(why.to_owned()), retry: Retry::Steady };
        assert_eq!(self.take(step, fence).await, expected);
        assert_eq!(self.stage.applied(), []);
        let list = self.member.client().member_list(Consistency::Linearizable).await.unwrap();
        assert!(list.value.iter().all(|member| !member.peer_urls.contains(&LEARNER.to_owned())));
    }
}

const LEARNER: &str = "http://127.0.0.1:9";

fn add_learner() -> Step {
    Step::Etcd(EtcdStep::AddLearner(Slot(1), LEARNER.parse().unwrap()))
}

fn retire(instance: &str) -> Step {
    Step::Ground(GroundStep::Retire(Slot(0), InstanceId(instance.to_owned())))
}

#[tokio::test]
async fn a_fence_that_holds_lets_the_step_through() {
    let scene = Scene::new().await;
    let fence = Fence { instance: Some((Slot(0), InstanceId("first-of-0".to_owned()))), ..scene.fence.clone() };
    assert_eq!(scene.take(&retire("first-of-0"), &fence).await, Attempt::done());
    assert_eq!(scene.stage.applied().len(), 1);
    assert_eq!(scene.take(&add_learner(), &scene.fence).await, Attempt::done());
}

#[tokio::test]
async fn a_record_that_moved_stops_the_step() {
    let scene = Scene::new().await;
    scene.stage.somebody_commits(2);
    scene.is_refused(&add_learner(), &scene.fence, "the record has changed since").await;
    scene.is_refused(&retire("first-of-0"), &scene.fence, "the record has changed since").await;
}

#[tokio::test]
async fn a_record_that_moved_stops_the_commit() {
    let scene = Scene::new().await;
    let next = Step::Record(Box::new(scene.stage.record()));
    scene.stage.somebody_commits(2);
    scene.is_refused(&next, &scene.fence, "the record was changed by somebody else in the meantime").await;
    assert_eq!(scene.stage.revision().0, "2");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_the_step() {
    let scene = Scene::new().await;
    scene.stage.hide_record();
    scene.is_refused(&add_learner(), &scene.fence, "the record cannot be read: the file is locked").await;
}

#[tokio::test]
async fn a_member_list_that_moved_stops_the_step() {
    let scene = Scene::new().await;
    scene.member.client().member_add_learner(&["http://127.0.0.1:10"]).await.unwrap();
    scene.is_refused(&add_learner(), &scene.fence, "the member list has changed since").await;
}

#[tokio::test]
async fn a_member_list_that_cannot_be_read_stops_the_step() {
    let mut scene = Scene::new().await;
    scene.member.kill();
    let attempt = scene.take(&add_learner(), &scene.fence).await;
    let Outcome::NotApplied(why) = attempt.outcome else { panic!("{attempt:?}") };
    assert!(why.starts_with("the member list cannot be read: "), "{why}");
}

#[tokio::test]
async fn another_instance_in_the_slot_stops_the_step() {
    let scene = Scene::new().await;
    scene.stage.replace_instance(Slot(0), "second-of-0");
    let fence = Fence { instance: Some((Slot(0), InstanceId("first-of-0".to_owned()))), ..scene.fence.clone() };
    scene.is_refused(&retire("first-of-0"), &fence, "slot 0 holds another instance than before").await;
    // Also when the planner forgot to fence it.
    scene.is_refused(&retire("first-of-0"), &scene.fence, "slot 0 holds another instance than before").await;
}

#[tokio::test]
async fn no_membership_change_without_a_linearizable_roster() {
    let scene = Scene::new().await;
    let fence = Fence { roster: None, ..scene.fence.clone() };
    for step in [add_learner(), Step::Etcd(EtcdStep::Remove(MemberId(1))), Step::Etcd(EtcdStep::Promote(MemberId(1)))] {
        scene.is_refused(&step, &fence, "the plan came without a member list to hold against etcd's").await;
    }
}
