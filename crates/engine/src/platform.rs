//! The only interface with effects besides etcd itself: what a platform must show and do so that the engine can keep a
//! cluster on it. The platform never talks to etcd and decides nothing; it keeps its instances running by itself.

use std::{collections::BTreeMap, future::Future, path::PathBuf, time::Duration};

use etcdop_core::{
    id::{InstanceId, RecordRevision, Slot},
    launch::LaunchSpec,
    observation::{Address, Blocker, Phase, Safeguard, SlotPolicy, Volume},
    permit::Permit,
    record::{Record, Versioned},
    step::GroundStep,
    version::Minor,
};

use crate::outcome::{CommitError, Outcome};

/// Where the engine reaches a slot's member from here. May differ from the addresses that etcd advertises.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dial {
    /// Base URL of the gRPC port.
    pub client: String,
    /// Base URL of the peer port.
    pub peer: String,
    /// Base URL of the plain metrics port.
    pub metrics: String,
}

/// An instance as the platform sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundInstance {
    /// Which one.
    pub id: InstanceId,
    /// What it runs.
    pub launch: LaunchSpec,
    /// How far it has come.
    pub phase: Phase,
}

/// A slot as the platform sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroundSlot {
    /// What etcd calls it, and where it is reached by others.
    pub address: Address,
    /// Where it is reached by us.
    pub dial: Dial,
    /// What the platform will start it with; `None` when it is told to run nothing here.
    pub declared: Option<LaunchSpec>,
    /// What is there, or why that cannot be seen.
    pub instance: Result<Option<GroundInstance>, Blocker>,
    /// Its disk, or why that cannot be seen.
    pub volume: Result<Option<Volume>, Blocker>,
    /// The last permit written for it.
    pub permit: Option<Permit>,
}

/// Everything that a platform shows in one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The record; an absent one is `Record::unborn` under the revision that creates it.
    pub record: Result<Versioned<Record>, Blocker>,
    /// Every slot that is declared, or has an instance or a volume.
    pub slots: BTreeMap<Slot, GroundSlot>,
    /// Verified snapshots kept from before rolls.
    pub safeguards: Vec<Safeguard>,
}

/// What a fence holds against what the plan was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footing {
    /// The record's revision, or why it cannot be read.
    pub record: Result<RecordRevision, Blocker>,
    /// Who lives in the slots that were asked for; nobody where that cannot be seen.
    pub instances: BTreeMap<Slot, InstanceId>,
}

impl From<Ground> for Footing {
    fn from(ground: Ground) -> Self {
        let lives_in = |(slot, seen): (Slot, GroundSlot)| Some((slot, seen.instance.ok()??.id));
        Self {
            record: ground.record.map(|record| record.revision),
            instances: ground.slots.into_iter().filter_map(lives_in).collect(),
        }
    }
}

/// A place where members live: Kubernetes, hosts, or this machine.
///
/// # Guarantees asked of an implementation
/// - `observe` reads live, never from a cache that may lag behind the platform's own writes, and ends within a deadline.
/// - `commit` is a compare-and-swap and durable when it returns `Ok`.
/// - `apply` is idempotent, touches exactly the instance or volume named, and never waits for etcd.
/// - `Ensure` holds every slot that can be held, and leaves one that cannot as it was: then it is `NotApplied` and says which and
///   why. One unusable slot keeps no other from running.
/// - Instances that the layout holds are started again when they end, with the launch spec declared at that moment.
pub trait Platform: Send + Sync + 'static {
    /// Which slots it can give up.
    fn slot_policy(&self) -> SlotPolicy;

    /// How long to wait between two looks while something is in flight.
    fn pace(&self) -> Duration;

    /// What is there now. Infallible: what cannot be seen is said in the value.
    fn observe(&self) -> impl Future<Output = Ground> + Send;

    /// The little of it that the fence of a step asks for, read live: who lives in these slots, and the record's revision. A platform
    /// where a look at everything costs much says it for less.
    fn footing(&self, _slots: &[Slot]) -> impl Future<Output = Footing> + Send {
        async { self.observe().await.into() }
    }

    /// Replaces the record when it still has the revision `base`.
    fn commit(
        &self,
        base: &RecordRevision,
        next: &Record,
    ) -> impl Future<Output = Result<RecordRevision, CommitError>> + Send;

    /// Carries out one step; its fence was checked right before.
    fn apply(&self, step: &GroundStep) -> impl Future<Output = Outcome> + Send;

    /// Where a snapshot from before a roll to `before` is written; a name that is no safeguard until it is kept.
    fn snapshot_path(&self, before: Minor) -> PathBuf;

    /// Makes a written and verified snapshot a safeguard, durably.
    fn keep_snapshot(&self, before: Minor) -> impl Future<Output = Outcome> + Send;

    /// Resolves when something may have changed. Only a trigger; may be spurious.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}
