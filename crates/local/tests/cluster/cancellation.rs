//! The driver is dropped at each of its awaits, and another one goes on: nothing is lost, nobody is a member twice, the record never
//! goes back, and no disk gets a second permit.
//!
//! A scene is played again and again. Whatever its drivers are about, they are dropped at it once, at the n-th time that they let go of
//! their thread since they said what they were about: a call to etcd that was sent and not answered, a commit that goes on without
//! anybody who waits for it. The next play drops them one such time later, until nothing takes that many.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::poll_fn,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use etcdop_core::{
    desired::Desired,
    id::{ClusterId, Generation, InstanceId, RecordRevision},
    observation::{Phase, SlotPolicy},
    record::{Birth, Record, Versioned},
    step::{GroundStep, Step},
    version::Minor,
};
use etcdop_engine::{
    driver::Driver,
    outcome::{CommitError, Outcome},
    platform::{Ground, GroundSlot, Platform},
    publish::Published,
    tuning::Tuning,
};
use etcdop_etcd::{Client, Consistency, Keys, Options, Put, Range};
use etcdop_local::{open::Manager, platform::LocalPlatform, watch::DesiredWatch};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::stage::{DEADLINE, Setup, Stage, summary};

/// Plays that go on at the same time.
const AT_ONCE: usize = 4;
/// Never in a play that is not to be disturbed.
const NEVER: usize = usize::MAX;

#[tokio::test(flavor = "multi_thread")]
async fn a_birth_goes_on_wherever_its_driver_was_dropped() {
    at_each_await(born).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_join_wherever_their_driver_was_dropped() {
    at_each_await(joined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn learners_that_are_not_wanted_any_more_leave_wherever_their_driver_was_dropped() {
    at_each_await(learners_left).await;
}

/// etcd refuses the first removal for 5 s: time enough for a driver to be dropped at each of its awaits over the same one.
#[tokio::test(flavor = "multi_thread")]
async fn voters_leave_though_one_driver_after_the_other_is_dropped() {
    let plays = join_all((1..=AT_ONCE).map(|nth| tokio::spawn(voters_left(nth)))).await;
    let dropped: Vec<usize> = plays.into_iter().map(Result::unwrap).collect();
    assert!(dropped.iter().all(|&drops| drops > 3), "hardly anything was disturbed: {dropped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_rolled_wherever_its_driver_was_dropped() {
    at_each_await(rolled).await;
}

async fn born(nth: usize) -> usize {
    let (mut stage, mut relay) = Relay::declared(3).await;
    relay.drops_at(nth);
    relay.converge().await;
    relay.end(&mut stage, 3).await
}

async fn joined(nth: usize) -> usize {
    let (mut stage, mut relay) = Relay::formed(1).await;
    relay.drops_at(nth);
    relay.resize(&stage, 3).await;
    relay.converge().await;
    relay.end(&mut stage, 3).await
}

async fn learners_left(nth: usize) -> usize {
    let (mut stage, mut relay) = Relay::formed(1).await;
    relay.resize(&stage, 3).await;
    relay.until(|now| matches!(&now.plan.act, Some((Step::Ground(GroundStep::Permit(_)), _)))).await;
    relay.drops_at(nth);
    relay.resize(&stage, 1).await;
    relay.converge().await;
    relay.end(&mut stage, 1).await
}

async fn voters_left(nth: usize) -> usize {
    let (mut stage, mut relay) = Relay::formed(3).await;
    relay.drops_at(nth);
    relay.again = Some(AT_ONCE);
    relay.resize(&stage, 1).await;
    relay.converge().await;
    relay.end(&mut stage, 1).await
}

async fn rolled(nth: usize) -> usize {
    let (mut stage, mut relay) = Relay::formed(1).await;
    relay.drops_at(nth);
    stage.edit("etcd: {}", "etcd: {snapshotCount: 5000}");
    relay.hears(|desired| desired.template.options.snapshot_count == Some(5000)).await;
    relay.converge().await;
    let drops = relay.end(&mut stage, 1).await;
    assert_eq!(stage.starts(), [2], "it was restarted once");
    drops
}

/// Plays the scene with its drivers dropped ever later, until none is.
async fn at_each_await<F: Future<Output = usize> + Send + 'static>(scene: impl Fn(usize) -> F) {
    let mut all = Vec::new();
    while all.last() != Some(&0) {
        let plays = (all.len() + 1..=all.len() + AT_ONCE).map(|nth| tokio::spawn(scene(nth)));
        // All of them come to their end, also when one fails: each has processes to end.
        all.extend(join_all(plays).await.into_iter().map(Result::unwrap));
    }
    eprintln!("drivers dropped, by the await: {all:?}");
    assert!(all[0] > 3, "hardly anything was disturbed: {all:?}");
}

/// Drivers, one after the other, on one platform.
struct Relay {
    platform: Arc<Watched>,
    declared: DesiredWatch,
    /// Whether there is something to lose.
    wrote: bool,
    drop_at: usize,
    /// Over the same again, and so many awaits later each time.
    again: Option<usize>,
    /// What drivers were about when they were dropped, and how often: the step, or nothing, after the last one.
    dropped: HashMap<(Option<Step>, Option<Step>), usize>,
    last: Option<Step>,
}

impl Relay {
    /// Of a cluster of which nothing is there yet.
    async fn declared(size: u64) -> (Stage, Self) {
        let stage = Setup::new("3.6", size).declare().await;
        let Manager { platform, declared } = stage.cluster.manager(stage.binaries.clone()).await.unwrap();
        let platform = Arc::new(Watched { inner: platform, sequence: AtomicU64::new(0), permitted: Mutex::default() });
        (
            stage,
            Self { platform, declared, wrote: false, drop_at: NEVER, again: None, dropped: HashMap::new(), last: None },
        )
    }

    /// Of one that is there, with something to lose.
    async fn formed(size: u64) -> (Stage, Self) {
        let (stage, mut relay) = Self::declared(size).await;
        relay.converge().await;
        relay.client().await.put(Put::new("kept", "yes")).await.unwrap();
        relay.wrote = true;
        (stage, relay)
    }

    /// From now on, at the `nth` await of whatever a driver is about.
    fn drops_at(&mut self, nth: usize) {
        self.drop_at = nth;
    }

    async fn resize(&mut self, stage: &Stage, size: u64) {
        stage.set_size(size);
        self.hears(|desired| u64::from(desired.size.get()) == size).await;
    }

    async fn hears(&mut self, wanted: impl Fn(&Desired) -> bool) {
        tokio::time::timeout(DEADLINE, self.declared.desired.wait_for(|desired| wanted(desired)))
            .await
            .unwrap()
            .unwrap();
    }

    async fn converge(&mut self) {
        let declared = self.declared.desired.borrow().clone();
        self.until(|now| now.desired == declared && summary(now).converged).await;
    }

    /// One driver after the other, until a pass shows it.
    async fn until(&mut self, wanted: impl Fn(&Published) -> bool) {
        let mut shown = None;
        let drivers = async {
            while !self.drive(&wanted, &mut shown).await {
                self.look_round().await;
            }
        };
        let late = tokio::time::timeout(DEADLINE, drivers).await.is_err();
        assert!(!late, "dropped at await {}, and never there: {shown:#?}", self.drop_at);
    }

    /// A driver until it is dropped. Whether a pass of it showed what is wanted.
    async fn drive(&mut self, wanted: &impl Fn(&Published) -> bool, shown: &mut Option<Published>) -> bool {
        let desired = self.declared.desired.clone();
        let (driver, published) = Driver::new(Arc::clone(&self.platform), desired, Tuning::default());
        let mut run = Box::pin(driver.run(CancellationToken::new()));
        let (mut pass, mut polls) = (None, 0);
        poll_fn(|context| {
            assert!(run.as_mut().poll(context).is_pending(), "nobody stops it");
            let now = published.borrow();
            if pass != Some(now.pass) {
                (pass, polls) = (Some(now.pass), 0);
                *shown = Some(now.clone());
                if wanted(&now) {
                    return Poll::Ready(true);
                }
            }
            polls += 1;
            if let Some(report) = now.steps.last() {
                self.last = Some(report.step.clone());
            }
            let about = (now.plan.act.as_ref().map(|(step, _)| step.clone()), self.last.clone());
            let times = self.dropped.get(&about).copied().unwrap_or_default();
            let due = match (times, self.again) {
                (0, _) => Some(self.drop_at),
                (_, again) => again.map(|again| self.drop_at + times * again),
            };
            if due != Some(polls) {
                return Poll::Pending;
            }
            self.dropped.insert(about, times + 1);
            Poll::Ready(false)
        })
        .await
    }

    /// What must be true at any moment.
    async fn look_round(&self) {
        let ground = self.platform.observe().await;
        // Not within its time, perhaps, on a busy machine.
        let Ok(Versioned { value: record, .. }) = ground.record else { return };
        let seated: Vec<_> = record.slots.values().filter_map(|seat| seat.member).collect();
        assert_eq!(seated.iter().collect::<BTreeSet<_>>().len(), seated.len(), "a member in two seats: {record:?}");
        if !matches!(record.birth, Birth::Formed(_)) {
            return;
        }
        for place in ground.slots.values().filter(|place| runs(place)) {
            let client = client(place).deadline(Duration::from_millis(300));
            let Ok(list) = client.member_list(Consistency::Linearizable).await else { continue };
            let urls: Vec<_> = list.value.iter().flat_map(|member| &member.peer_urls).collect();
            assert_eq!(urls.iter().collect::<BTreeSet<_>>().len(), urls.len(), "a member twice: {list:?}");
            return;
        }
    }

    async fn client(&self) -> Client {
        let ground = self.platform.observe().await;
        client(ground.slots.values().find(|place| runs(place)).unwrap()).deadline(DEADLINE)
    }

    /// Hands over to an ordinary manager, and lets etcd say that all is well. How many drivers were dropped that were about a step.
    async fn end(self, stage: &mut Stage, size: u64) -> usize {
        let Self { platform, declared, dropped, wrote, .. } = self;
        let record = platform.observe().await.record.unwrap().value;
        assert_eq!(record.incarnation.number, 1, "it was born once");
        drop((platform, declared));
        stage.unkept().await;
        stage.manage().await;
        stage.converged().await;
        let roll = stage.roll_call(size).await;
        assert_eq!(Birth::Formed(ClusterId(roll.cluster.0)), record.birth);
        let kept = stage.patient_client(roll.leader).range(Range::new(Keys::one("kept"))).await.unwrap().value;
        assert_eq!(kept.kvs.len(), usize::from(wrote), "{kept:?}");
        dropped.iter().filter(|((step, _), _)| step.is_some()).map(|(_, times)| times).sum()
    }
}

fn runs(place: &GroundSlot) -> bool {
    let instance = place.instance.as_ref().ok().and_then(Option::as_ref);
    instance.is_some_and(|instance| instance.phase == Phase::Running)
}

fn client(place: &GroundSlot) -> Client {
    Client::new(place.dial.client.parse().unwrap(), &Options::default())
}

/// The local platform, which notices what must not be.
struct Watched {
    inner: LocalPlatform,
    /// The record's highest.
    sequence: AtomicU64,
    /// Who got the permit for the disk of a seat's generation.
    permitted: Mutex<BTreeMap<Generation, InstanceId>>,
}

impl Platform for Watched {
    fn slot_policy(&self) -> SlotPolicy {
        self.inner.slot_policy()
    }

    fn pace(&self) -> Duration {
        self.inner.pace()
    }

    async fn observe(&self) -> Ground {
        let ground = self.inner.observe().await;
        if let Ok(record) = &ground.record {
            let sequence = record.revision.0.parse().unwrap();
            let before = self.sequence.fetch_max(sequence, Ordering::Relaxed);
            assert!(sequence >= before, "the record went back from {before} to {sequence}");
        }
        ground
    }

    async fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        self.inner.commit(base, next).await
    }

    async fn apply(&self, step: &GroundStep) -> Outcome {
        if let GroundStep::Permit(permits) = step {
            let mut permitted = self.permitted.lock().unwrap();
            for permit in permits {
                let first = permitted.entry(permit.generation).or_insert_with(|| permit.instance.clone());
                assert_eq!(*first, permit.instance, "a second permit for one disk");
            }
        }
        self.inner.apply(step).await
    }

    fn snapshot_path(&self, before: Minor) -> PathBuf {
        self.inner.snapshot_path(before)
    }

    async fn keep_snapshot(&self, before: Minor) -> Outcome {
        self.inner.keep_snapshot(before).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }
}
