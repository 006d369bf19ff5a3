//! Faults on purpose: what a machine does to a member, done by hand. Works with and without a manager, which is not told.

use std::{fmt, fs, io, path::PathBuf, str::FromStr, time::Duration};

use etcdop_core::id::{MemberId, Slot};
use rustix::process::Signal;
use thiserror::Error;

use crate::{
    directory::{ClusterDir, SlotDir},
    discarded,
    look::record_now,
    members::{self, Resident},
    ports::member_name,
    record_file::RecordFile,
    volume,
};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// A member as people name it: slot number, etcd name, or member ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberName(String);

/// What is done to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL: the process is gone, the disk stays.
    Kill,
    /// SIGSTOP: the process is there and does nothing.
    Freeze,
    /// SIGCONT: it goes on.
    Thaw,
    /// SIGKILL, and everything on its disk is gone.
    Wipe,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum FaultError {
    /// Nobody is called that.
    #[error("no member is called `{name}`: name a slot ({slots}), an etcd name or a member ID")]
    Unknown {
        /// What was asked for.
        name: MemberName,
        /// The slots that there are.
        slots: String,
    },
    /// No process lives there.
    #[error("no process runs in slot {0}")]
    NotRunning(Slot),
    /// It was killed and is still there: a disk or a kernel hangs.
    #[error("the process in slot {0} does not end, although it was killed: look at its disk")]
    Undead(Slot),
    /// The system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for MemberName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does it to the member, and says in which slot it lives; a killed process is gone then. Needs a tokio runtime.
pub async fn inflict(dir: &ClusterDir, member: &MemberName, fault: Fault) -> Result<Slot, FaultError> {
    let files = find(dir, member)?;
    let slot = files.slot;
    let refused = |source| FaultError::System { what: format!("processes of slot {slot} cannot be reached"), source };
    let residents = members::residents(dir).map_err(refused)?;
    let residents: Vec<Resident> = residents.into_iter().filter(|resident| resident.slot == slot).collect();
    if residents.is_empty() && fault != Fault::Wipe {
        return Err(FaultError::NotRunning(slot));
    }
    // The disk first, in one go: whoever restarts the process must not find half of it.
    let away = if fault == Fault::Wipe { take_volume(&files)? } else { None };
    for mut resident in residents {
        let signal = match fault {
            Fault::Kill | Fault::Wipe => Signal::KILL,
            Fault::Freeze => Signal::STOP,
            Fault::Thaw => Signal::CONT,
        };
        resident.process.signal(signal).map_err(refused)?;
        if signal == Signal::KILL {
            let gone = tokio::time::timeout(GONE, resident.process.ended()).await;
            gone.map_err(|_| FaultError::Undead(slot))?.map_err(refused)?;
        }
    }
    if let Some(away) = away {
        let left = |source| FaultError::System { what: format!("{} cannot be deleted", away.display()), source };
        // A manager that starts meanwhile sweeps it, too.
        discarded::delete(&away).map_err(left)?;
    }
    Ok(slot)
}

fn take_volume(files: &SlotDir) -> Result<Option<PathBuf>, FaultError> {
    let path = files.volume();
    let refused = |source| FaultError::System { what: format!("{} cannot be wiped", path.display()), source };
    let away = volume::wiped_name(files).map_err(refused)?;
    match fs::rename(&path, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        renamed => renamed.map_err(refused)?,
    }
    match fs::create_dir(&path) {
        // A manager was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(refused)?,
    }
    Ok(Some(away))
}

fn find(dir: &ClusterDir, member: &MemberName) -> Result<SlotDir, FaultError> {
    let listed = |source| FaultError::System { what: format!("{} cannot be listed", dir.path().display()), source };
    let slots = dir.slots().map_err(listed)?;
    let number = member.0.parse::<u8>().ok().map(Slot);
    let by_name =
        slots.iter().find(|files| Some(files.slot) == number || member_name(dir.name(), files.slot) == member.0);
    if let Some(files) = by_name {
        return Ok(files.clone());
    }
    // Short numbers are slots: no member has an ID with that many zeros in front.
    let id = member.0.parse::<MemberId>().ok();
    let seat = id.and_then(|id| record_now(&RecordFile::new(dir.clone())).ok()?.value.slot_of(id));
    seat.map(|slot| dir.slot(slot)).ok_or_else(|| FaultError::Unknown {
        name: member.clone(),
        slots: slots.iter().map(|files| files.slot.to_string()).collect::<Vec<_>>().join(", "),
    })
}
