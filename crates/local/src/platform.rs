//! The manager's side of a local cluster: what the engine sees of it and does to it. It never talks to etcd.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError},
    thread,
    time::Duration,
};

use etcdop_core::{
    id::{RecordRevision, Slot, VolumeId},
    observation::{Blocker, Phase, SlotPolicy},
    permit::Permit,
    record::Record,
    step::GroundStep,
    version::Minor,
};
use etcdop_engine::{
    gate,
    outcome::{CommitError, Outcome},
    platform::{Ground, Platform},
};

use crate::{
    aside::{Aside, Hung},
    directory::ClusterDir,
    discarded,
    inotify::Inotify,
    instance::Note,
    keeper::Care,
    lock::ManagerLock,
    look,
    record_file::RecordFile,
    seats,
    supervisor::Supervisor,
    volume::{self, Discarded, Successor},
};

/// Between two looks while something is in flight. What happens mostly tells by itself; a look costs members that start on the same
/// machine some milliseconds of their start (3 to 5 members: 195 ms at a pace of 8 ms, 179 ms at 16 ms).
pub(crate) const PACE: Duration = Duration::from_millis(16);
/// Files and `/proc` answer in microseconds; a disk that hangs must not hang the loop.
pub(crate) const LOOK: Duration = Duration::from_secs(2);
/// For a change, which a busy disk may take seconds to flush.
const CHANGE: Duration = Duration::from_secs(5);
/// Between the starts of two founders. Started at one moment they count their heartbeats in step and stand for election together: of 15
/// births of three, two took over 2 s for a second vote, and the median was 0.66 s; 12 ms apart 0.48 s, and none took over 1 s.
const FOUNDERS_APART: Duration = Duration::from_millis(12);
/// For the last flush of a snapshot. Nothing waits for it but the roll.
const SNAPSHOT: Duration = Duration::from_mins(1);

/// The platform of the one manager of a cluster. Clones are the same platform; members live on when all are dropped.
#[derive(Clone, Debug)]
pub struct LocalPlatform {
    inner: Arc<Inner>,
    looks: Aside,
    changes: Aside,
    snapshots: Aside,
}

#[derive(Debug)]
struct Inner {
    dir: ClusterDir,
    record: RecordFile,
    care: Arc<Care>,
    supervisor: Supervisor,
    statuses: tokio::task::JoinHandle<()>,
    _lock: ManagerLock,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.statuses.abort();
    }
}

impl LocalPlatform {
    pub(crate) fn new(
        dir: ClusterDir,
        record: RecordFile,
        care: Arc<Care>,
        supervisor: Supervisor,
        statuses: Arc<Inotify>,
        lock: ManagerLock,
    ) -> Self {
        let statuses = tokio::spawn(forward_statuses(statuses, Arc::clone(&care)));
        let inner = Arc::new(Inner { dir, record, care, supervisor, statuses, _lock: lock });
        Self { inner, looks: Aside::default(), changes: Aside::default(), snapshots: Aside::default() }
    }

    /// Stops all members, each in order and all at the same time, and starts none any more: for the end of `up`.
    /// Whoever takes longer than [`Patience`](crate::open::Patience) allows is killed.
    pub async fn stop_members(&self) {
        self.inner.supervisor.close().await;
    }

    /// One after the other: a change that hung comes to its end before the next one is begun.
    async fn change<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Result<T, Hung> {
        let inner = Arc::clone(&self.inner);
        self.changes.run(CHANGE, move || work(&inner)).await
    }
}

/// A guard that says something new is a reason to look again.
async fn forward_statuses(statuses: Arc<Inotify>, care: Arc<Care>) {
    loop {
        match statuses.touched("status").await {
            Ok(()) => care.changed.notify_one(),
            Err(error) => {
                tracing::error!(%error, "guards are not heard any more, only seen at each look");
                return;
            }
        }
    }
}

impl Platform for LocalPlatform {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Any
    }

    fn pace(&self) -> Duration {
        PACE
    }

    async fn observe(&self) -> Ground {
        let inner = Arc::clone(&self.inner);
        let look = move || look::look(&inner.dir, &inner.record, inner.supervisor.facts());
        self.looks.run(LOOK, look).await.unwrap_or_else(|hung| unseen(&hung))
    }

    async fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        let (base, next) = (base.clone(), next.clone());
        let done = self.change(move |inner| inner.commit(&base, &next)).await;
        done.unwrap_or_else(|hung| Err(hung.into()))
    }

    async fn apply(&self, step: &GroundStep) -> Outcome {
        let step = step.clone();
        self.change(move |inner| inner.apply(&step)).await.unwrap_or_else(Outcome::from)
    }

    fn snapshot_path(&self, before: Minor) -> PathBuf {
        self.inner.dir.safeguards().unfinished(before)
    }

    async fn keep_snapshot(&self, before: Minor) -> Outcome {
        let inner = Arc::clone(&self.inner);
        let kept = self.snapshots.run(SNAPSHOT, move || inner.keep_snapshot(before)).await;
        kept.unwrap_or_else(Outcome::from)
    }

    async fn changed(&self) {
        self.inner.care.changed.notified().await;
    }
}

/// Nothing was seen, and why.
pub(crate) fn unseen(why: &impl ToString) -> Ground {
    Ground { record: Err(Blocker(why.to_string())), slots: BTreeMap::new(), safeguards: Vec::new() }
}

impl From<Hung> for Outcome {
    fn from(hung: Hung) -> Self {
        match hung {
            Hung::Before => Self::NotApplied(hung.to_string()),
            Hung::Late(_) | Hung::Panicked(_) => Self::Unknown(hung.to_string()),
        }
    }
}

impl From<Hung> for CommitError {
    fn from(hung: Hung) -> Self {
        match hung {
            Hung::Before => Self::Failed(hung.to_string()),
            Hung::Late(_) | Hung::Panicked(_) => Self::Unknown(hung.to_string()),
        }
    }
}

impl Inner {
    fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        let revision = self.record.commit(base, next)?;
        self.care.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&next.incarnation);
        match seats::render(&self.dir, next) {
            Ok(changed) => changed.into_iter().for_each(|slot| self.supervisor.encourage(slot)),
            // The record stands. Guards go by the old seats, which lag behind and permit nothing that the new ones do not.
            Err(error) => return Err(CommitError::Unknown(error.to_string())),
        }
        Ok(revision)
    }

    fn apply(&self, step: &GroundStep) -> Outcome {
        match step {
            GroundStep::Ensure(layout) => match self.supervisor.ensure(layout) {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::NotApplied(error.to_string()),
            },
            GroundStep::Permit(permits) => self.permit(permits),
            GroundStep::Retire(slot, instance) => {
                self.supervisor.retire(*slot, instance);
                Outcome::Done
            }
            GroundStep::Discard(slot, volume) => self.discard(*slot, volume),
        }
    }

    fn permit(&self, permits: &[Permit]) -> Outcome {
        let mut files = Vec::new();
        for permit in permits {
            let slot = permit.slot;
            let note = self.supervisor.note(slot);
            if !note.is_some_and(|note| note.id == permit.instance && note.process().is_some()) {
                return Outcome::NotApplied(format!("instance {} is not in slot {slot} any more", permit.instance));
            }
            match gate::permit(permit) {
                Ok(file) => files.push((self.dir.slot(slot).permit(), file.render())),
                Err(why) => return Outcome::NotApplied(why),
            }
        }
        for (written, (path, text)) in files.iter().enumerate() {
            if written > 0 {
                thread::sleep(FOUNDERS_APART);
            }
            // Not flushed: it is for a process, and no process outlives a power cut.
            if let Err(error) = etcdop_guard::replace(path, text) {
                let why = format!("{} cannot be written: {error}", path.display());
                return if written == 0 { Outcome::NotApplied(why) } else { Outcome::Unknown(why) };
            }
        }
        Outcome::Done
    }

    fn discard(&self, slot: Slot, volume: &VolumeId) -> Outcome {
        let files = self.dir.slot(slot);
        if let Some(note) = self.supervisor.note(slot)
            && let Some(why) = holds_disk(&note, &files)
        {
            return Outcome::NotApplied(why);
        }
        let lived_in = self.supervisor.facts().get(&slot).is_some_and(|facts| facts.declared.is_some());
        let successor = if lived_in { Successor::Empty } else { Successor::Nothing };
        match volume::discard(&files, volume, successor) {
            Ok(Discarded::Before) => Outcome::Done,
            Ok(Discarded::Moved(away)) => {
                self.supervisor.encourage(slot);
                discarded::delete_beside(away);
                Outcome::Done
            }
            Err(error) => Outcome::NotApplied(error.to_string()),
        }
    }

    fn keep_snapshot(&self, before: Minor) -> Outcome {
        match self.record.read() {
            Ok(record) => self.dir.safeguards().keep(before, &record.value.incarnation),
            Err(error) => Outcome::NotApplied(error.to_string()),
        }
    }
}

/// Why a volume cannot be taken from under this process; `None` when it does not use it and cannot begin to.
fn holds_disk(note: &Note, files: &crate::directory::SlotDir) -> Option<String> {
    let process = note.process()?;
    match note.phase(files, Some(&process)) {
        Phase::Exited(_) | Phase::Refused(_) => None,
        Phase::AtGate | Phase::Pending(_) => {
            let permit = etcdop_guard::read_text(&files.permit()).ok().flatten();
            let permit = permit.and_then(|text| etcdop_guard::Permit::parse(&text).ok());
            // It may use it any moment.
            let permitted = permit.is_some_and(|permit| permit.instance.as_str() == process.as_str());
            permitted.then(|| format!("instance {process} in slot {} holds a permit for this disk", files.slot))
        }
        Phase::Running | Phase::Stopping => Some(format!("instance {process} runs on the disk of slot {}", files.slot)),
    }
}
