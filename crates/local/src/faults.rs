//! Faults on purpose: what a machine does to a member, done by hand. Works with and without a manager, which is not told.

use std::{fs, io, path::PathBuf, time::Duration};

use etcdop_core::id::Slot;
use rustix::process::Signal;
use thiserror::Error;

use crate::{
    directory::{ClusterDir, SlotDir},
    discarded,
    member_name::{self, MemberError, MemberName},
    members::{self, Resident},
    volume,
};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);

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
    /// To whom?
    #[error(transparent)]
    Member(#[from] MemberError),
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

/// Does it to the member, and says in which slot it lives; a killed process is gone then. Needs a tokio runtime.
pub async fn inflict(dir: &ClusterDir, member: &MemberName, fault: Fault) -> Result<Slot, FaultError> {
    let files = member_name::find(dir, member)?;
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
