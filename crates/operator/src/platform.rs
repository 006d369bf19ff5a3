//! The Kubernetes side of a cluster: what the engine sees of it and does to it, all of it read live but at rest. It never talks to etcd and
//! decides nothing.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcdop_api::{Cluster, Mode};
use etcdop_core::{
    id::{RecordRevision, Slot},
    observation::{Blocker, SlotPolicy},
    plan::Wake,
    record::Record,
    step::GroundStep,
    version::Minor,
};
use etcdop_engine::{
    outcome::{CommitError, Outcome},
    platform::{Footing, Ground, GroundSlot, Platform},
    safeguards::Safeguards,
};
use kube::Client;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};

use self::{
    chores::{Chores, chores},
    drift::Drift,
    lacking::Lacking,
    objects::{Objects, Reader, Wished},
    reach::Reach,
    reports::Reports,
    rest::{Rest, Still},
};
use crate::resource::Site;

mod answer;
pub(crate) mod call;
mod chores;
mod disk;
mod drift;
mod ensure;
mod kept;
mod lacking;
mod look;
pub(crate) mod objects;
pub(crate) mod owner;
mod permits;
pub(crate) mod phase;
pub(crate) mod reach;
mod reports;
mod rest;
mod retire;
mod template;

pub(crate) use self::{answer::words, look::launch};

/// Between two looks while something is in flight: a look is two rounds of reads, 20 ms on an idle machine and 50 on a busy one.
const PACE: Duration = Duration::from_millis(40);
/// Why nothing is done for a resource that is going.
const NO_MORE: &str = "the EtcdCluster is being deleted: nothing is made or changed for it any more";
/// For everything that is read in one look.
const LOOK: Duration = Duration::from_secs(3);

/// What all clusters of one operator share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) client: Client,
    pub(crate) site: Site,
    pub(crate) reach: reach::Way,
    /// Where snapshots from before rolls are kept.
    pub(crate) snapshots: PathBuf,
    /// How many clusters are looked at at the same moment.
    pub(crate) looks: Arc<Semaphore>,
}

/// The platform of one cluster. Clones are the same platform.
#[derive(Clone)]
pub(crate) struct KubernetesPlatform {
    inner: Arc<Inner>,
}

struct Inner {
    around: Surroundings,
    cluster: watch::Receiver<Arc<Cluster>>,
    reader: Reader,
    reach: Reach,
    reports: Reports,
    chores: Chores,
    drift: Drift,
    safeguards: Safeguards,
    changed: Notify,
    rest: Rest,
    lacking: Lacking,
    /// What the cluster around does not give.
    lacks: watch::Sender<Option<String>>,
    /// The object of one of our names that is somebody else's.
    in_the_way: watch::Sender<Option<String>>,
    /// The newest look, for steps that were planned on it. Each change of theirs names what it was seen as.
    seen: Mutex<Arc<Objects>>,
    /// Its slots: where members are still asked when the API server does not answer.
    slots: Mutex<BTreeMap<Slot, GroundSlot>>,
}

/// Why nothing can be shown.
struct Unseen {
    why: String,
    /// Whether it is only for now: what was there stays there.
    passes: bool,
}

impl Unseen {
    /// The API server did not say.
    const fn now(why: String) -> Self {
        Self { why, passes: true }
    }

    /// There is nothing that is ours.
    fn by_right(why: impl Into<String>) -> Self {
        Self { why: why.into(), passes: false }
    }
}

impl KubernetesPlatform {
    pub(crate) fn new(around: Surroundings, cluster: watch::Receiver<Arc<Cluster>>) -> Self {
        let declared = Arc::clone(&cluster.borrow());
        let reader = Reader::new(&around.client, &declared);
        let reach = Reach::new(around.reach, &around.client, &declared.namespace);
        let safeguards = Safeguards::in_folder(around.snapshots.join(&declared.namespace).join(&declared.name));
        let inner = Inner {
            cluster,
            reader,
            reach,
            reports: Reports::default(),
            chores: Chores::default(),
            drift: Drift::default(),
            safeguards,
            changed: Notify::new(),
            rest: Rest::default(),
            lacking: Lacking::default(),
            lacks: watch::Sender::default(),
            in_the_way: watch::Sender::default(),
            seen: Mutex::default(),
            slots: Mutex::default(),
            around,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Something in the cluster of objects may have changed: a reason to look again.
    pub(crate) fn trigger(&self) {
        self.inner.rest.stir();
        self.inner.changed.notify_one();
    }

    /// What the cluster around does not give, and what to do about it.
    pub(crate) fn lacks(&self) -> Option<String> {
        self.inner.lacks.borrow().clone()
    }

    /// When the planner wants to look again.
    pub(crate) fn follow(&self, next: Wake) {
        self.inner.rest.follow(next);
    }

    /// The newest look.
    pub(crate) fn objects(&self) -> Arc<Objects> {
        self.inner.objects()
    }

    /// What keeps everything from being done: an object of one of our names that is somebody else's.
    pub(crate) fn in_the_way(&self) -> Option<String> {
        self.inner.in_the_way.borrow().clone()
    }
}

impl Inner {
    fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster.borrow())
    }

    fn seen(&self) -> MutexGuard<'_, Arc<Objects>> {
        // Replaced whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn objects(&self) -> Arc<Objects> {
        Arc::clone(&self.seen())
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Slot, GroundSlot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed. While Pods start, something does all the time: looks that follow each other without a pause take from the
    /// machine what the Pods need.
    async fn stirred(&self) {
        self.changed.notified().await;
        self.rest.pause(PACE).await;
    }

    /// Nothing is planned on this, because its record is missing; but members that were there are asked how they are.
    fn blind(&self, unseen: Unseen) -> Ground {
        let slots = if unseen.passes { self.slots().clone() } else { BTreeMap::new() };
        Ground { record: Err(Blocker(unseen.why)), slots, safeguards: Vec::new() }
    }

    /// One look; at what the API server has only where it is not `known`.
    async fn look(self: &Arc<Self>, known: Option<Arc<Objects>>) -> Result<Ground, Unseen> {
        let _turn = self.around.looks.acquire().await.map_err(|error| Unseen::now(error.to_string()))?;
        let (look, cluster) = (self.rest.begin(Instant::now()), self.cluster());
        let objects = match &known {
            Some(known) => Objects::clone(known),
            None => self.reader.read(&cluster).await.map_err(|error| Unseen::now(answer::words(&error)))?,
        };
        if objects.wished == Wished::NoMore {
            return Err(Unseen::by_right(NO_MORE));
        }
        let foreign = owner::obstacle(&objects, &cluster);
        self.in_the_way.send_if_modified(|now| std::mem::replace(now, foreign.clone()) != foreign);
        if let Some(foreign) = foreign {
            return Err(Unseen::by_right(foreign));
        }
        self.reach.forget_others(&objects);
        let lacks = self.lacking.look(&self.around.client, &cluster, &objects).await;
        self.lacks.send_if_modified(|now| std::mem::replace(now, lacks.clone()) != lacks);
        let reports = self.reports.ask(&objects, &self.reach).await;
        let named = self.reader.resolvable(&objects, &reports).await;
        let dials: BTreeMap<Slot, _> = objects.pods.iter().map(|(&slot, pod)| (slot, self.reach.dial(pod))).collect();
        let view = look::View {
            cluster: &cluster,
            site: &self.around.site,
            objects: &objects,
            reports: &reports,
            named: &named,
            dials: &dials,
        };
        let mut ground = look::ground(&view);
        ground.safeguards = self.safeguards.list();
        // A paused cluster is left as it is.
        let mut due = Vec::new();
        if cluster.mode == Mode::Managed {
            due = chores(&view, &ground);
            due.extend(self.drift.chore(&cluster, &objects));
        }
        let objects = Arc::new(objects);
        *self.seen() = Arc::clone(&objects);
        // What is to be done something about is looked at live until it is done.
        if due.is_empty() {
            self.rest.remember(look, &ground, known.is_none().then_some(objects), Instant::now());
        } else {
            self.rest.stir();
        }
        *self.slots() = ground.slots.clone();
        self.chores.start(self, due);
        Ok(ground)
    }
}

impl Platform for KubernetesPlatform {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Prefix
    }

    fn pace(&self) -> Duration {
        PACE
    }

    async fn observe(&self) -> Ground {
        let known = match self.inner.rest.still(Instant::now()) {
            Still::Ground(ground) => return *ground,
            Still::Objects(objects) => Some(objects),
            Still::Nothing => None,
        };
        match timeout(LOOK, self.inner.look(known)).await {
            Ok(Ok(ground)) => ground,
            Ok(Err(unseen)) => self.inner.blind(unseen),
            Err(_) => self.inner.blind(Unseen::now(format!("the API server did not answer within {LOOK:?}"))),
        }
    }

    async fn footing(&self, slots: &[Slot]) -> Footing {
        // A step that was planned on what is not of now is taken on a look at everything.
        if self.inner.rest.is_old() {
            self.inner.rest.stir();
            return self.observe().await.into();
        }
        let unknown = |why: String| Footing { record: Err(Blocker(why)), instances: BTreeMap::new() };
        let cluster = self.inner.cluster();
        match timeout(LOOK, self.inner.reader.footing(&cluster, slots)).await {
            Ok(Ok(Some(footing))) => footing,
            Ok(Ok(None)) => unknown(NO_MORE.to_owned()),
            Ok(Err(error)) => unknown(answer::words(&error)),
            Err(_) => unknown(format!("the API server did not answer within {LOOK:?}")),
        }
    }

    async fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        self.inner.rest.stir();
        self.inner.commit(base, next).await
    }

    async fn apply(&self, step: &GroundStep) -> Outcome {
        self.inner.rest.stir();
        match step {
            GroundStep::Ensure(layout) => self.inner.ensure(layout).await,
            GroundStep::Permit(permits) => self.inner.permit(permits).await,
            GroundStep::Retire(slot, instance) => self.inner.retire(*slot, instance).await,
            GroundStep::Discard(slot, volume) => {
                self.inner.reader.forget_claim(*slot);
                self.inner.discard(*slot, volume).await
            }
        }
    }

    fn snapshot_path(&self, before: Minor) -> PathBuf {
        self.inner.safeguards.unfinished(before)
    }

    async fn keep_snapshot(&self, before: Minor) -> Outcome {
        let record = self.inner.objects().record(&self.inner.cluster());
        match record {
            Ok(record) => self.inner.safeguards.keep(before, &record.value.incarnation),
            Err(why) => Outcome::NotApplied(why),
        }
    }

    async fn changed(&self) {
        tokio::select! {
            () = self.inner.stirred() => {}
            () = self.inner.rest.vigil() => {}
        }
    }
}
