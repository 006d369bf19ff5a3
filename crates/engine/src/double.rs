//! A platform that does what a test says, and plain etcd processes to stand on it. Tests only.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use etcdop_core::{
    desired::{Desired, Maintenance, Patience, Recovery},
    id::{ClusterId, Generation, Incarnation, InstanceId, MemberId, RecordRevision, Slot},
    launch::{EtcdOptions, LaunchSpec, Template},
    observation::{Address, Blocker, Phase, SlotPolicy},
    record::{Birth, Record, Seat, Versioned},
    size::Size,
    step::GroundStep,
    version::{EtcdVersion, Minor},
};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{
    outcome::{CommitError, Outcome},
    platform::{Ground, GroundInstance, GroundSlot, Platform},
};

pub(crate) mod etcd;

/// A platform that shows what it was given, and notes what it was told.
#[derive(Debug)]
pub(crate) struct Stage {
    ground: Mutex<Ground>,
    applied: Mutex<Vec<GroundStep>>,
    answer: Mutex<Outcome>,
    pub(crate) trigger: Notify,
    pub(crate) files: TempDir,
}

impl Stage {
    /// A formed cluster whose members are these, slot by slot.
    pub(crate) async fn of(members: &[etcd::Etcd]) -> Self {
        let mut record = Record::unborn(Incarnation::first("double"));
        // As everybody was started, or a driver would have to roll them.
        record.max_learners = launch().max_learners;
        let mut slots = BTreeMap::new();
        for (member, slot) in members.iter().zip(0..).map(|(member, slot)| (member, Slot(slot))) {
            let status = member.serving().await;
            let generation = Generation(u64::from(slot.0) + 1);
            let id = Some(MemberId(status.header.member_id.0));
            record.birth = Birth::Formed(ClusterId(status.header.cluster_id.0));
            record.generation = generation;
            record.slots.insert(slot, Seat { generation, member: id, epoch: 1, launch: launch(), founder: None });
            slots.insert(slot, running(member, &format!("first-of-{slot}")));
        }
        Self::new(Ground { record: Ok(revision(1, record)), slots, safeguards: Vec::new() })
    }

    /// Nothing was ever there.
    pub(crate) fn empty() -> Self {
        let record = Record::unborn(Incarnation::first("double"));
        Self::new(Ground { record: Ok(revision(0, record)), slots: BTreeMap::new(), safeguards: Vec::new() })
    }

    fn new(ground: Ground) -> Self {
        Self {
            ground: Mutex::new(ground),
            applied: Mutex::default(),
            answer: Mutex::new(Outcome::Done),
            trigger: Notify::new(),
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// Changes what is there.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Ground) -> T) -> T {
        change(&mut self.ground.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Somebody else commits a record.
    pub(crate) fn somebody_commits(&self, number: u64) {
        self.change(|ground| {
            let record = ground.record.clone().unwrap().value;
            ground.record = Ok(revision(number, record));
        });
    }

    /// Another instance stands in the slot.
    pub(crate) fn replace_instance(&self, slot: Slot, id: &str) {
        self.change(|ground| {
            let place = ground.slots.get_mut(&slot).unwrap();
            place.instance.as_mut().unwrap().as_mut().unwrap().id = InstanceId(id.to_owned());
        });
    }

    /// The record cannot be read any more.
    pub(crate) fn hide_record(&self) {
        self.change(|ground| ground.record = Err(Blocker("the file is locked".to_owned())));
    }

    /// What every ground step becomes from now on.
    pub(crate) fn answer_with(&self, outcome: Outcome) {
        *self.answer.lock().unwrap() = outcome;
    }

    /// What was told so far.
    pub(crate) fn applied(&self) -> Vec<GroundStep> {
        self.applied.lock().unwrap().clone()
    }

    pub(crate) fn revision(&self) -> RecordRevision {
        self.change(|ground| ground.record.clone().unwrap().revision)
    }

    pub(crate) fn record(&self) -> Record {
        self.change(|ground| ground.record.clone().unwrap().value)
    }
}

fn revision(number: u64, value: Record) -> Versioned<Record> {
    Versioned { revision: RecordRevision(number.to_string()), value }
}

/// The slot of a member whose process runs.
pub(crate) fn running(member: &etcd::Etcd, id: &str) -> GroundSlot {
    let instance = GroundInstance { id: InstanceId(id.to_owned()), launch: launch(), phase: Phase::Running };
    GroundSlot {
        address: Address {
            name: member.name.clone(),
            peer: member.dial.peer.parse().unwrap(),
            client: member.dial.client.clone(),
        },
        dial: member.dial.clone(),
        declared: Some(launch()),
        instance: Ok(Some(instance)),
        volume: Ok(None),
        permit: None,
    }
}

pub(crate) fn launch() -> LaunchSpec {
    let template = Template::new(EtcdVersion::new(3, 6, 0), EtcdOptions::default());
    LaunchSpec { template, max_learners: 8 }
}

/// A cluster of three.
pub(crate) fn desired() -> Desired {
    Desired {
        size: Size::try_from(3).unwrap(),
        template: launch().template,
        recovery: Recovery::default(),
        maintenance: Maintenance::default(),
        patience: Patience::default(),
    }
}

impl Platform for Stage {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Any
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(8)
    }

    async fn observe(&self) -> Ground {
        self.change(|ground| ground.clone())
    }

    async fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        self.change(|ground| {
            let now = ground.record.clone().map_err(|why| CommitError::Failed(why.0))?.revision;
            if now != *base {
                return Err(CommitError::Conflict);
            }
            let number = now.0.parse::<u64>().unwrap() + 1;
            ground.record = Ok(revision(number, next.clone()));
            Ok(RecordRevision(number.to_string()))
        })
    }

    async fn apply(&self, step: &GroundStep) -> Outcome {
        self.applied.lock().unwrap().push(step.clone());
        self.answer.lock().unwrap().clone()
    }

    fn snapshot_path(&self, before: Minor) -> PathBuf {
        self.files.path().join(format!("{before}.part"))
    }

    async fn keep_snapshot(&self, before: Minor) -> Outcome {
        let kept = std::fs::rename(self.snapshot_path(before), self.files.path().join(format!("{before}.db")));
        kept.map_or_else(|error| Outcome::NotApplied(error.to_string()), |()| Outcome::Done)
    }

    async fn changed(&self) {
        self.trigger.notified().await;
    }
}
