//! Holds the layout: every slot of the cluster has a keeper, and every process that runs in one of them has exactly one, also
//! when it was started by a manager that is gone.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use etcdop_core::{
    id::{InstanceId, Slot},
    launch::LaunchSpec,
    step::Layout,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    command,
    directory::{ClusterDir, SlotDir},
    discarded,
    home::Home,
    inotify::Inotify,
    instance::{Fate, Note},
    keeper::{Care, Intent, Keeper},
    look::Facts,
    port_book,
    ports::PortError,
    process::{self, Identity, Process},
    state_file::{self, StateError},
    volume::{self, VolumeError},
};

/// How long a stray process may take to die of SIGKILL.
const STRAY: Duration = Duration::from_secs(5);
/// Between two looks at what is still to be stopped.
const CLOSING: Duration = Duration::from_millis(5);

/// Why the layout cannot be held.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// A state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ports of a slot.
    #[error(transparent)]
    Ports(#[from] PortError),
    /// The disk of a slot.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The system refuses to list, hold or watch something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The layout as it lies on the disk.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutFile {
    slots: BTreeMap<Slot, LaunchSpec>,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    home: Home,
    dir: ClusterDir,
    care: Arc<Care>,
    statuses: Arc<Inotify>,
    keepers: Mutex<BTreeMap<Slot, Keeper>>,
}

/// The layout that the last manager was told to hold; for readers too.
pub(crate) fn layout(dir: &ClusterDir) -> Result<BTreeMap<Slot, LaunchSpec>, StateError> {
    Ok(state_file::read::<LayoutFile>(&dir.layout())?.unwrap_or_default().slots)
}

impl Supervisor {
    /// Takes over whatever runs, and starts what is declared and does not.
    pub(crate) async fn start(
        home: Home,
        dir: ClusterDir,
        care: Arc<Care>,
        statuses: Arc<Inotify>,
    ) -> Result<Self, SupervisorError> {
        let declared = layout(&dir)?;
        let system = |what: String| move |source| SupervisorError::System { what, source };
        let slots = dir.slots().map_err(system(format!("{} cannot be listed", dir.path().display())))?;
        let processes = process::command_lines().map_err(system("/proc cannot be listed".to_owned()))?;
        let book = port_book::read(&dir)?;
        let supervisor = Self { home, dir, care, statuses, keepers: Mutex::default() };
        for files in slots {
            discarded::sweep(files.path());
            let running = processes.iter().filter(|(_, arguments)| command::belongs_to(&files, arguments));
            let running: Vec<u32> = running.map(|(pid, _)| *pid).collect();
            let found = take_over(&files, &running).await.map_err(system(format!("slot {}", files.slot)))?;
            let launch = declared.get(&files.slot).cloned();
            if launch.is_some() || found.0.is_some() || book.contains_key(&files.slot) {
                supervisor.add(&files, launch, found)?;
            }
        }
        // A slot whose directory somebody removed while nobody looked. One that cannot be held is asked for again by the planner.
        if let Err(error) = supervisor.hold(&Layout { slots: declared }) {
            tracing::warn!(%error, "a slot of the layout");
        }
        Ok(supervisor)
    }

    /// Holds this layout from now on, also across restarts of the manager. A slot that cannot be held stays as it was, and is the
    /// error; all others are held.
    pub(crate) fn ensure(&self, layout: &Layout) -> Result<(), SupervisorError> {
        let path = self.dir.layout();
        let before = state_file::read::<LayoutFile>(&path)?;
        let (mut slots, mut unusable) = (layout.slots.clone(), Ok(()));
        if before.as_ref().is_none_or(|before| before.slots != slots) {
            let before = before.unwrap_or_default().slots;
            // One write for all. Where that fails, the slots are asked one by one, and those that can have none are told apart.
            if let Err(error) = port_book::assign(&self.home, &self.dir, layout.slots.keys().copied()) {
                tracing::debug!(%error, "ports for all slots at once");
            }
            for &slot in layout.slots.keys() {
                // Ports and disks first: what is declared can be started.
                if let Err(error) = self.prepare(slot) {
                    match before.get(&slot) {
                        Some(launch) => slots.insert(slot, launch.clone()),
                        None => slots.remove(&slot),
                    };
                    unusable = unusable.and(Err(error));
                }
            }
            if slots != before {
                state_file::write_durably(&path, &LayoutFile { slots: slots.clone() })?;
            }
        }
        let held = self.hold(&Layout { slots });
        unusable.and(held)
    }

    fn prepare(&self, slot: Slot) -> Result<(), SupervisorError> {
        volume::ensure(&self.dir.slot(slot))?;
        port_book::assign(&self.home, &self.dir, std::iter::once(slot))?;
        Ok(())
    }

    fn hold(&self, layout: &Layout) -> Result<(), SupervisorError> {
        let mut held = Ok(());
        for (&slot, launch) in &layout.slots {
            if !self.keepers().contains_key(&slot) {
                let added = self.add(&self.dir.slot(slot), Some(launch.clone()), (None, None));
                held = held.and(added);
            }
        }
        for (slot, keeper) in self.keepers().iter() {
            keeper.declare(layout.slots.get(slot).cloned());
        }
        held
    }

    fn add(
        &self,
        files: &SlotDir,
        launch: Option<LaunchSpec>,
        found: (Option<Process>, Option<Note>),
    ) -> Result<(), SupervisorError> {
        let ports = port_book::assign(&self.home, &self.dir, std::iter::once(files.slot))?[&files.slot];
        // Its volume is made when something is to start there: a slot that is only remembered has none.
        let watched = fs::create_dir_all(files.run()).and_then(|()| self.statuses.watch(&files.run()));
        watched.map_err(|source| SupervisorError::System {
            what: format!("{} cannot be watched (see fs.inotify.max_user_watches)", files.run().display()),
            source,
        })?;
        let keeper = Keeper::new(files.clone(), ports, Arc::clone(&self.care), launch, found);
        self.keepers().insert(files.slot, keeper);
        Ok(())
    }

    /// What is known of every slot, to be looked at together with its files.
    pub(crate) fn facts(&self) -> BTreeMap<Slot, Facts> {
        let facts =
            |keeper: &Keeper| Facts { ports: keeper.ports(), declared: keeper.declared(), note: Ok(keeper.note()) };
        self.keepers().iter().map(|(&slot, keeper)| (slot, facts(keeper))).collect()
    }

    /// The last process of a slot.
    pub(crate) fn note(&self, slot: Slot) -> Option<Note> {
        self.keepers().get(&slot)?.note()
    }

    pub(crate) fn retire(&self, slot: Slot, instance: &InstanceId) {
        if let Some(keeper) = self.keepers().get(&slot) {
            keeper.retire(instance);
        }
    }

    /// Starts a slot's next process without a wait.
    pub(crate) fn encourage(&self, slot: Slot) {
        if let Some(keeper) = self.keepers().get(&slot) {
            keeper.encourage();
        }
    }

    /// Stops every process in order; starts none any more. Each is killed when its grace is over, so this ends.
    pub(crate) async fn close(&self) {
        self.care.closing.store(true, Ordering::Release);
        loop {
            let open = self.keepers().values().filter(|keeper| !keeper.close()).count();
            if open == 0 {
                return;
            }
            tokio::time::sleep(CLOSING).await;
        }
    }

    fn keepers(&self) -> MutexGuard<'_, BTreeMap<Slot, Keeper>> {
        // Keepers are added and taken whole.
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one process of a slot that is kept, and its note. Strays are killed: two etcd on one disk must not be.
async fn take_over(files: &SlotDir, running: &[u32]) -> io::Result<(Option<Process>, Option<Note>)> {
    let note = Note::read(files).unwrap_or_else(|error| {
        // The processes speak for themselves.
        tracing::warn!(slot = %files.slot, %error, "note of the last process");
        None
    });
    let mut kept = None;
    let mut strays = Vec::new();
    for &pid in running {
        let Ok(identity) = Identity::of(pid) else { continue };
        // Between the listing and now the PID may have gone to somebody else.
        let ours = process::arguments(pid).is_some_and(|arguments| command::belongs_to(files, &arguments));
        let Some(process) = Process::adopt(&identity)?.filter(|_| ours) else { continue };
        let noted = note.as_ref().is_some_and(|note| note.id.0 == identity.as_str());
        if noted { kept = Some(process) } else { strays.push(process) }
    }
    if kept.is_some() {
        kill(strays).await?;
        return Ok((kept, note));
    }
    // Started in the instant before its manager died: what it was started with was written down before.
    let intent = state_file::read::<Intent>(&files.launch()).ok().flatten();
    let (Some(intent), Some(process)) = (intent, strays.pop()) else {
        kill(strays).await?;
        return Ok((None, note));
    };
    kill(strays).await?;
    let id = InstanceId(process.identity().to_string());
    let note = Note { id, launch: intent.launch, log_from: intent.log_from, fate: Fate::Started, before: None };
    // For those who only read: they would take it for gone.
    if let Err(error) = state_file::replace(&files.instance(), &note) {
        tracing::warn!(slot = %files.slot, %error, "note of an adopted process");
    }
    Ok((Some(process), Some(note)))
}

async fn kill(strays: Vec<Process>) -> io::Result<()> {
    for mut stray in strays {
        tracing::warn!(instance = %stray.identity(), "second process in one slot is killed");
        stray.signal(Signal::KILL)?;
        let ended = tokio::time::timeout(STRAY, stray.ended()).await;
        ended.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "a stray process does not die"))??;
    }
    Ok(())
}
