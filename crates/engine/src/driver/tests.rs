//! The loop on a platform that does what the test says; no etcd runs.

use etcdop_core::{
    id::{InstanceId, MemberId, RecordRevision, Slot, VolumeId},
    observation::{Observation, Setback},
    step::{GroundStep, Layout},
    version::Minor,
};
use tokio::{sync::oneshot, time::timeout};

use super::{passage::tests::silent, *};
use crate::{
    double::{Stage, desired},
    execute::Retry,
};

const SOON: Duration = Duration::from_secs(5);
/// Of a long step.
const LIMIT: Duration = Duration::from_mins(1);

struct Scene {
    stage: Arc<Stage>,
    driver: Driver<Stage>,
    desired: watch::Sender<Desired>,
    published: watch::Receiver<Published>,
}

impl Scene {
    /// Only triggers wake this one.
    fn new() -> Self {
        let stage = Arc::new(Stage::empty());
        let (sender, receiver) = watch::channel(desired());
        let tuning = Tuning { health: Duration::from_hours(1), ..Tuning::default() };
        let (driver, published) = Driver::new(Arc::clone(&stage), receiver, tuning);
        Self { stage, driver, desired: sender, published }
    }

    async fn act(&mut self, step: &Step) -> Acted {
        let fence = Fence { record: RecordRevision("0".to_owned()), roster: None, instance: None };
        self.driver.act(step, &fence).await
    }

    /// The newest pass saw this member, in the slot of its number, and it was silent.
    fn saw_silent(&self, member: MemberId) {
        self.driver.published.send_modify(|published| {
            let mut seen = Observation::clone(&published.observation);
            silent(&mut seen, member);
            published.observation = Arc::new(seen);
        });
    }

    fn setback(&self) -> Option<Setback> {
        self.published.borrow().setback.clone()
    }
}

fn ensure() -> Step {
    Step::Ground(GroundStep::Ensure(Layout::default()))
}

fn errand(work: impl Future<Output = Attempt> + Send + 'static) -> Errand {
    Errand::begin(&defragment(), Mono::default(), LIMIT, work)
}

fn defragment() -> Step {
    Step::Etcd(EtcdStep::Defragment(MemberId(1)))
}

fn add_learner() -> Step {
    Step::Etcd(EtcdStep::AddLearner(Slot(3), "http://127.0.0.1:9".parse().unwrap()))
}

#[tokio::test]
async fn an_unreadable_record_is_shown_and_nothing_is_planned() {
    let mut scene = Scene::new();
    scene.stage.hide_record();
    scene.driver.pass().await;
    let shown = scene.published.borrow().clone();
    assert_eq!(shown.pass, 1);
    assert_eq!(shown.plan.act, None);
    assert!(matches!(&shown.plan.reasons[..], [Reason::RecordUnknown(why)] if why.0 == "the file is locked"));
    assert_eq!(scene.stage.applied(), []);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_failed_is_shown_and_waits_before_it_is_tried_again() {
    let mut scene = Scene::new();
    scene.stage.answer_with(Outcome::NotApplied("no space left".to_owned()));
    assert!(matches!(scene.act(&ensure()).await, Acted::Not { .. }));
    let setback = scene.setback().expect("a setback");
    assert_eq!((setback.why.0.as_str(), setback.tries, setback.step), ("no space left", 1, ensure()));
    assert!(matches!(scene.act(&ensure()).await, Acted::Not { retry: Some(_) }));
    assert_eq!(scene.stage.applied().len(), 1);

    tokio::time::advance(Duration::from_millis(50)).await;
    scene.stage.answer_with(Outcome::Done);
    assert!(matches!(scene.act(&ensure()).await, Acted::Changed));
    assert_eq!(scene.setback(), None);
    let outcomes: Vec<_> = scene.published.borrow().steps.iter().map(|report| report.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::NotApplied("no space left".to_owned()), Outcome::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_obstacle_passes_by_itself_is_tried_at_a_steady_pace() {
    let mut scene = Scene::new();
    scene.stage.answer_with(Outcome::NotYet("the budget is spent".to_owned()));
    for _ in 0..6 {
        assert!(matches!(scene.act(&ensure()).await, Acted::Not { .. }));
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!(scene.stage.applied().len(), 6);
    assert_eq!(scene.setback().map(|setback| setback.failure), Some(Failure::NotApplied));
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_in_the_next_observation_and_what_can_wait_is_planned_around() {
    let mut scene = Scene::new();
    scene.driver.pass().await;
    scene.stage.answer_with(Outcome::NotApplied("no space left".to_owned()));
    scene.driver.pass().await;
    let (step, _) = scene.published.borrow().plan.act.clone().expect("the layout is to be held");
    assert!(matches!(step, Step::Ground(GroundStep::Ensure(_))), "{step}");
    scene.driver.pass().await;
    let shown = scene.published.borrow().clone();
    let failed: Vec<_> = shown.observation.setbacks.iter().map(|s| (&s.step, s.failure, s.tries)).collect();
    assert_eq!(failed, [(&step, Failure::NotApplied, 1)]);
    assert!(
        matches!(&shown.plan.reasons[0], Reason::PutOff { why, .. } if why.0 == "no space left"),
        "{:?}",
        shown.plan
    );
    assert_eq!(scene.stage.applied().len(), 1);
}

#[tokio::test]
async fn while_a_long_step_runs_members_are_left_alone_and_the_layout_is_held() {
    let mut scene = Scene::new();
    scene.saw_silent(MemberId(0));
    scene.driver.errand = Some(errand(std::future::pending()));
    let blocked = [
        Step::Ground(GroundStep::Retire(Slot(0), InstanceId("a".to_owned()))),
        Step::Ground(GroundStep::Discard(Slot(0), VolumeId("a".to_owned()))),
        Step::Etcd(EtcdStep::Remove(MemberId(1))),
    ];
    for step in &blocked {
        assert!(matches!(scene.act(step).await, Acted::Not { retry: None }), "{step}");
    }
    assert_eq!(scene.stage.applied(), []);
    assert!(matches!(scene.act(&ensure()).await, Acted::Changed));
    assert!(matches!(scene.act(&Step::Ground(GroundStep::Permit(Vec::new()))).await, Acted::Changed));
    assert_eq!(scene.stage.applied().len(), 2);
    scene.driver.pass().await;
    assert_eq!(scene.published.borrow().busy.as_deref(), Some("defragment member 1"));
}

#[tokio::test]
async fn a_long_step_that_hangs_lets_the_removal_of_another_dead_member_through() {
    let mut scene = Scene::new();
    scene.saw_silent(MemberId(2));
    let remove = Step::Etcd(EtcdStep::Remove(MemberId(2)));
    scene.driver.errand = Some(errand(std::future::pending()));
    scene.act(&remove).await;
    assert_eq!(scene.setback().map(|setback| setback.step), Some(remove), "tried, and refused by its fence");
    assert!(scene.driver.errand.is_some());
}

#[tokio::test]
async fn a_long_step_of_a_member_that_is_to_be_removed_is_given_up() {
    let mut scene = Scene::new();
    scene.saw_silent(MemberId(1));
    let remove = Step::Etcd(EtcdStep::Remove(MemberId(1)));
    let (held, dropped) = oneshot::channel::<()>();
    scene.driver.errand = Some(errand(async move {
        let _held = held;
        std::future::pending().await
    }));
    scene.act(&remove).await;
    assert!(scene.driver.errand.is_none());
    timeout(SOON, dropped).await.expect("its task is gone").unwrap_err();
    let shown = scene.published.borrow().steps.iter().map(|report| report.text.clone()).collect::<Vec<_>>();
    assert_eq!(shown, ["defragment member 1", "remove member 1"]);
}

#[tokio::test]
async fn a_snapshot_that_hangs_keeps_nobody_from_joining() {
    let mut scene = Scene::new();
    let snapshot = Step::Etcd(EtcdStep::Snapshot { from: MemberId(1), before: Minor::V3_6 });
    scene.driver.errand = Some(Errand::begin(&snapshot, Mono::default(), LIMIT, std::future::pending()));
    scene.act(&add_learner()).await;
    assert_eq!(scene.setback().map(|setback| setback.step), Some(add_learner()), "tried, and refused by its fence");
    assert!(scene.driver.errand.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_defragmentation_that_hangs_keeps_others_from_joining_until_it_is_given_up() {
    let mut scene = Scene::new();
    scene.driver.errand = Some(errand(std::future::pending()));
    scene.act(&add_learner()).await;
    assert_eq!(scene.setback(), None, "not tried");

    let plan = Plan { act: None, reasons: Vec::new(), next: Wake::OnChange };
    let began = tokio::time::Instant::now();
    scene.driver.rest(&plan, None).await;
    assert!(began.elapsed() >= LIMIT);
    let given_up = scene.setback().expect("a setback");
    assert_eq!((given_up.step, given_up.failure), (defragment(), Failure::Unknown));
    // As much time for others as it took from them.
    assert!(matches!(scene.act(&defragment()).await, Acted::Not { retry: Some(wait) } if wait >= LIMIT));
    scene.act(&add_learner()).await;
    assert_eq!(scene.setback().map(|setback| setback.step), Some(add_learner()), "tried, and refused by its fence");
}

#[tokio::test]
async fn a_long_step_that_is_under_way_is_in_the_next_observation_and_is_planned_around() {
    let mut scene = Scene::new();
    scene.driver.errand = Some(errand(std::future::pending()));
    scene.driver.pass().await;
    assert_eq!(scene.published.borrow().observation.errand, Some(defragment()));
}

#[tokio::test]
async fn the_end_of_a_long_step_ends_the_rest_and_is_shown() {
    let mut scene = Scene::new();
    let (end, ended) = oneshot::channel::<()>();
    scene.driver.errand = Some(errand(async {
        let _ = ended.await;
        Attempt::done()
    }));
    let plan = Plan { act: None, reasons: Vec::new(), next: Wake::OnChange };
    end.send(()).unwrap();
    timeout(SOON, scene.driver.rest(&plan, None)).await.expect("the rest ends");
    assert!(scene.driver.errand.is_none());
    assert_eq!(scene.published.borrow().steps[0].text, "defragment member 1");
}

#[tokio::test]
async fn a_long_step_that_panicked_has_an_unknown_outcome() {
    let mut scene = Scene::new();
    scene.driver.errand = Some(errand(async { panic!("a test's panic") }));
    let plan = Plan { act: None, reasons: Vec::new(), next: Wake::OnChange };
    timeout(SOON, scene.driver.rest(&plan, None)).await.expect("the rest ends");
    assert!(matches!(scene.published.borrow().steps[0].outcome, Outcome::Unknown(_)));
}

#[tokio::test]
async fn the_newest_sixty_four_steps_are_shown() {
    let mut scene = Scene::new();
    for _ in 0..70 {
        scene.act(&ensure()).await;
    }
    let seqs: Vec<u64> = scene.published.borrow().steps.iter().map(|report| report.seq).collect();
    assert_eq!(seqs, (7..=70).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_membership_call_of_unknown_outcome_is_in_the_next_observation() {
    let mut scene = Scene::new();
    let lost = Attempt { outcome: Outcome::Unknown("no answer".to_owned()), retry: Retry::BackOff };
    let (remove, defragment) = (EtcdStep::Remove(MemberId(1)), EtcdStep::Defragment(MemberId(1)));
    scene.driver.conclude(Step::Etcd(defragment), lost.clone(), Mono::default());
    scene.driver.pass().await;
    assert_eq!(scene.published.borrow().observation.unsettled, None);
    scene.driver.conclude(Step::Etcd(remove.clone()), lost, Mono::default());
    scene.driver.pass().await;
    assert_eq!(scene.published.borrow().observation.unsettled.as_ref().map(|unsettled| &unsettled.step), Some(&remove));
}

#[tokio::test]
async fn another_wish_or_a_trigger_makes_it_look_again_and_a_token_stops_it() {
    let Scene { stage, driver, desired: wishes, mut published } = Scene::new();
    stage.hide_record();
    let stop = CancellationToken::new();
    let task = tokio::spawn(driver.run(stop.clone()));
    let mut larger = desired();
    larger.size = 5.try_into().unwrap();
    wishes.send_replace(larger.clone());
    timeout(SOON, published.wait_for(|shown| shown.desired == larger)).await.expect("it looks again").unwrap();
    let pass = published.borrow().pass;
    stage.trigger.notify_one();
    timeout(SOON, published.wait_for(|shown| shown.pass > pass)).await.expect("it looks again").unwrap();
    stop.cancel();
    timeout(SOON, task).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn at_rest_only_a_trigger_or_another_wish_ends_the_rest() {
    let mut scene = Scene::new();
    let plan = Plan { act: None, reasons: Vec::new(), next: Wake::OnChange };
    assert!(timeout(Duration::from_millis(300), scene.driver.rest(&plan, None)).await.is_err());
    scene.stage.trigger.notify_one();
    timeout(SOON, scene.driver.rest(&plan, None)).await.expect("a trigger");
    scene.desired.send_replace(desired());
    timeout(SOON, scene.driver.rest(&plan, None)).await.expect("another wish");
    // Nobody is left who could wish for anything: that is no reason to spin.
    drop(scene.desired);
    assert!(timeout(Duration::from_millis(300), scene.driver.rest(&plan, None)).await.is_err());
}

#[tokio::test]
async fn looking_does_nothing() {
    let stage = Stage::empty();
    let before = stage.revision();
    let shown = look(&stage, desired(), Tuning::default()).await;
    assert!(shown.plan.act.is_some(), "there is a cluster to create");
    assert_eq!(stage.applied(), []);
    assert_eq!(stage.revision(), before);
}
