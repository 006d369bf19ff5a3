//! The life of one slot: its process is started when it is declared, accompanied until it ends, and started again. One task
//! per slot, so that nothing that happens in one slot delays another.

use std::{
    fs::{self, File, OpenOptions},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use etcdop_core::{
    id::{Incarnation, InstanceId},
    launch::LaunchSpec,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use crate::{
    backoff::Backoff,
    binaries::Binaries,
    command::Start,
    directory::SlotDir,
    home::ClusterName,
    instance::{Fate, Note},
    log_words::last_words,
    ports::Ports,
    process::{Ending, Identity, Life, Process},
    state_file, volume,
};

/// Between two looks at a process that was asked to end.
const STOPPING_LOOK: Duration = Duration::from_millis(100);
/// A log that is larger at a start is put aside.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// What all keepers of a cluster share.
#[derive(Debug)]
pub(crate) struct Care {
    pub(crate) cluster: ClusterName,
    pub(crate) binaries: Binaries,
    /// For the first start of a process that is spawned now.
    pub(crate) incarnation: Mutex<Incarnation>,
    /// How long a process that was asked to end may take before it is killed.
    pub(crate) grace: Duration,
    /// Somebody should look again.
    pub(crate) changed: Notify,
    /// Set once: what runs is stopped, and nothing is started any more.
    pub(crate) closing: AtomicBool,
}

/// What is to be known before a process is there, for whoever finds it without its note.
#[derive(Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) launch: LaunchSpec,
    pub(crate) log_from: u64,
}

/// Looks after one slot until it is dropped; its process lives on then.
#[derive(Debug)]
pub(crate) struct Keeper {
    slot: Arc<KeptSlot>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct KeptSlot {
    files: SlotDir,
    ports: Ports,
    care: Arc<Care>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    declared: Option<LaunchSpec>,
    note: Option<Note>,
    /// To be stopped, whatever is declared.
    retired: Option<InstanceId>,
    restart: Restart,
}

/// When a process that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    InTurn,
    AtOnce,
}

impl Keeper {
    /// Starts to look after a slot. `process` is what runs there already, `note` what is known of it or of the last one.
    pub(crate) fn new(
        files: SlotDir,
        ports: Ports,
        care: Arc<Care>,
        declared: Option<LaunchSpec>,
        found: (Option<Process>, Option<Note>),
    ) -> Self {
        let (process, note) = found;
        let stopping = note.as_ref().filter(|note| note.fate == Fate::Stopping).map(|note| note.id.clone());
        let state = State { declared, note, retired: stopping, restart: Restart::InTurn };
        let slot = Arc::new(KeptSlot { files, ports, care, state: Mutex::new(state), wake: Notify::new() });
        let task = tokio::spawn(Arc::clone(&slot).keep(process));
        Self { slot, task }
    }

    pub(crate) fn ports(&self) -> Ports {
        self.slot.ports
    }

    pub(crate) fn declared(&self) -> Option<LaunchSpec> {
        self.slot.state().declared.clone()
    }

    pub(crate) fn note(&self) -> Option<Note> {
        self.slot.state().note.clone()
    }

    /// What runs here from the next start on; nothing when `None`, and then what runs is stopped.
    pub(crate) fn declare(&self, launch: Option<LaunchSpec>) {
        let mut state = self.slot.state();
        if state.declared != launch {
            state.declared = launch;
            state.restart = Restart::AtOnce;
            drop(state);
            self.slot.wake.notify_one();
        }
    }

    /// Stops exactly this instance; one that is not here any more is stopped already.
    pub(crate) fn retire(&self, instance: &InstanceId) {
        let mut state = self.slot.state();
        let Some(note) = state.note.as_mut().filter(|note| note.id == *instance && note.fate == Fate::Started) else {
            return;
        };
        note.fate = Fate::Stopping;
        state.retired = Some(instance.clone());
        drop(state);
        self.slot.wake.notify_one();
    }

    /// Whatever kept the last process from living may be gone: the next is started without a wait.
    pub(crate) fn encourage(&self) {
        self.slot.state().restart = Restart::AtOnce;
        self.slot.wake.notify_one();
    }

    /// Takes notice of [`Care::closing`], and says whether its work is done.
    pub(crate) fn close(&self) -> bool {
        self.slot.wake.notify_one();
        self.task.is_finished()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl KeptSlot {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment: a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.care.closing.load(Ordering::Acquire)
    }

    async fn keep(self: Arc<Self>, found: Option<Process>) {
        let mut backoff = Backoff::default();
        let mut due = Instant::now();
        let mut next = found;
        loop {
            let process = match next.take() {
                Some(process) => process,
                None => match self.next_launch(&mut due, &mut backoff).await {
                    None => return,
                    Some(launch) => match self.start(&launch) {
                        Ok(process) => process,
                        Err(why) => {
                            self.not_started(launch, why);
                            due = Instant::now() + backoff.after(Duration::ZERO);
                            continue;
                        }
                    },
                },
            };
            let born = Instant::now();
            let ending = self.accompany(process).await;
            due = Instant::now() + backoff.after(born.elapsed());
            self.ended(ending);
        }
    }

    /// Waits until a process is to be started, and says with what; `None` when it is time to leave.
    async fn next_launch(&self, due: &mut Instant, backoff: &mut Backoff) -> Option<LaunchSpec> {
        loop {
            let declared = {
                if self.is_closing() {
                    return None;
                }
                let mut state = self.state();
                if state.restart == Restart::AtOnce {
                    state.restart = Restart::InTurn;
                    backoff.forgive();
                    *due = Instant::now();
                }
                state.declared.clone()
            };
            match declared {
                Some(launch) if *due <= Instant::now() => return Some(launch),
                Some(_) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(*due) => {}
                        () = self.wake.notified() => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }

    fn start(&self, launch: &LaunchSpec) -> Result<Process, String> {
        let etcd = self.care.binaries.etcd(launch.version()).map_err(|error| error.to_string())?;
        volume::ensure(&self.files).map_err(|error| error.to_string())?;
        self.ports.check_free(self.files.slot).map_err(|error| error.to_string())?;
        let log_failed = |error: io::Error| format!("{} cannot be written: {error}", self.files.log().display());
        let (log, log_from) = self.open_log().map_err(log_failed)?;
        let intent = Intent { launch: launch.clone(), log_from };
        state_file::replace(&self.files.launch(), &intent).map_err(|error| error.to_string())?;
        let incarnation = self.care.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let start = Start {
            cluster: &self.care.cluster,
            slot: &self.files,
            incarnation: &incarnation,
            ports: self.ports,
            launch,
            guard: self.care.binaries.guard(),
            setsid: self.care.binaries.setsid(),
            etcd,
        };
        let before = self.state().note.as_ref().and_then(|note| note.last_end_of_etcd(&self.files));
        let spawned = start.command(log).and_then(|mut command| Process::spawn(&mut command));
        let process = spawned.map_err(|error| format!("{} cannot be started: {error}", start.guard.display()))?;
        let id = InstanceId(process.identity().to_string());
        tracing::debug!(slot = %self.files.slot, instance = %id, version = %launch.version(), "started");
        self.remember(Note { id, launch: launch.clone(), log_from, fate: Fate::Started, before });
        Ok(process)
    }

    fn open_log(&self) -> io::Result<(File, u64)> {
        let path = self.files.log();
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if size > LOG_LIMIT {
            fs::rename(&path, path.with_extension("log.1"))?;
        }
        let log = OpenOptions::new().append(true).create(true).open(&path)?;
        let from = log.metadata()?.len();
        Ok((log, from))
    }

    /// Waits for the end of a process, and brings it about when it is asked for.
    async fn accompany(&self, mut process: Process) -> Ending {
        let mut kill_at = None;
        loop {
            let now = Instant::now();
            match kill_at {
                None if self.is_to_end(process.identity()) => {
                    self.signalled(process.ask_to_end());
                    self.stopping();
                    kill_at = Some(now + self.care.grace);
                }
                // Also one that froze before it could hear the first signal.
                Some(at) if at <= now || process.identity().life() == Life::Frozen => {
                    self.signalled(process.signal(Signal::KILL));
                    kill_at = Some(now + self.care.grace);
                }
                None | Some(_) => {}
            }
            let look_again = async {
                match kill_at {
                    Some(_) => tokio::time::sleep(STOPPING_LOOK).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ending = process.ended() => return ending.unwrap_or_else(|error| {
                    tracing::error!(slot = %self.files.slot, %error, "process cannot be waited for");
                    Ending::Unknown
                }),
                () = self.wake.notified() => {}
                () = look_again => {}
            }
        }
    }

    fn signalled(&self, sent: io::Result<()>) {
        if let Err(error) = sent {
            tracing::error!(slot = %self.files.slot, %error, "process cannot be signalled");
        }
    }

    fn is_to_end(&self, process: &Identity) -> bool {
        let state = self.state();
        let retired = state.retired.as_ref().is_some_and(|retired| retired.0 == process.as_str());
        retired || state.declared.is_none() || self.is_closing()
    }

    fn stopping(&self) {
        let note = self.state().note.clone();
        if let Some(note) = note {
            self.remember(Note { fate: Fate::Stopping, ..note });
        }
    }

    fn ended(&self, ending: Ending) {
        let note = {
            let mut state = self.state();
            if state.retired.take().is_some() {
                state.restart = Restart::AtOnce;
            }
            state.note.clone()
        };
        if let Some(note) = note {
            let words = last_words(&self.files.log(), note.log_from);
            let why = words.map_or_else(|| ending.to_string(), |words| format!("{ending}; its last words: {words}"));
            tracing::debug!(slot = %self.files.slot, instance = %note.id, why, "ended");
            self.remember(Note { fate: Fate::Ended(why), ..note });
        }
    }

    fn not_started(&self, launch: LaunchSpec, why: String) {
        tracing::debug!(slot = %self.files.slot, why, "not started");
        let before = self.state().note.clone().filter(|note| note.identity().is_some());
        self.remember(if let Some(note) = before {
            Note { fate: Fate::Ended(why), ..note }
        } else {
            let id = InstanceId(format!("none:{}", self.files.slot));
            Note { id, launch, log_from: 0, fate: Fate::NotStarted(why), before: None }
        });
    }

    fn remember(&self, note: Note) {
        // Without the file the next manager finds the process by its arguments: a full disk stops nobody.
        if let Err(error) = state_file::replace(&self.files.instance(), &note) {
            tracing::warn!(slot = %self.files.slot, %error, "instance is not written down");
        }
        self.state().note = Some(note);
        self.care.changed.notify_one();
    }
}
