//! The end of a cluster's processes without its manager, and of the cluster.

use std::{fs, io, time::Duration};

use rustix::process::Signal;
use thiserror::Error;
use tokio::time::Instant;

use crate::{
    directory::ClusterDir,
    discarded,
    lock::{LockError, ManagerLock},
    members::{self, Resident},
    process::{Identity, Process},
};

/// How long all members together may take to stop in order.
const ORDERLY: Duration = Duration::from_secs(15);
/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(5);
/// How long a manager may take to stop its members and end.
const MANAGER: Duration = Duration::from_secs(30);

/// What to do with a manager that keeps the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfKept {
    /// Leave everything as it is.
    Refuse,
    /// SIGTERM the manager and wait for its end.
    StopManager,
}

/// Why something still runs, or is still there.
#[derive(Debug, Error)]
pub enum DownError {
    /// A manager keeps the cluster.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It was asked to end and does not.
    #[error("the manager (PID {0}) does not end within {MANAGER:?}: look at its output, or kill it")]
    ManagerStays(u32),
    /// Not even SIGKILL helped in time: a disk or a kernel hangs.
    #[error("process {0} does not end, although it was killed: look at its disk")]
    Undead(Identity),
    /// The system refuses.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Stops all members, and their manager when there is one and it may be stopped. Says how many members ran.
pub async fn down(dir: &ClusterDir, if_kept: IfKept) -> Result<usize, DownError> {
    let (_lock, stopped) = stop(dir, if_kept).await?;
    Ok(stopped)
}

/// Stops everything and deletes the cluster with all its data.
pub async fn destroy(dir: &ClusterDir, if_kept: IfKept) -> Result<(), DownError> {
    let (lock, _) = stop(dir, if_kept).await?;
    let path = dir.path();
    let failed = |source| DownError::System { what: format!("{} cannot be deleted", path.display()), source };
    // Out of the way in one go: what is half deleted is no cluster any more.
    let away = discarded::cluster(dir.home(), dir.name().as_str());
    fs::rename(path, &away).map_err(failed)?;
    discarded::delete(&away).map_err(failed)?;
    drop(lock);
    Ok(())
}

async fn stop(dir: &ClusterDir, if_kept: IfKept) -> Result<(ManagerLock, usize), DownError> {
    let before = count(dir)?;
    let lock = match ManagerLock::take(&dir.lock()) {
        Err(LockError::Held { holder: Some(holder) }) if if_kept == IfKept::StopManager => {
            stop_manager(&holder).await?;
            ManagerLock::take(&dir.lock())?
        }
        taken => taken?,
    };
    stop_residents(dir).await?;
    Ok((lock, before))
}

fn count(dir: &ClusterDir) -> Result<usize, DownError> {
    Ok(residents(dir)?.len())
}

fn residents(dir: &ClusterDir) -> Result<Vec<Resident>, DownError> {
    let failed = |source| DownError::System { what: "members' processes cannot be listed".to_owned(), source };
    members::residents(dir).map_err(failed)
}

async fn stop_manager(holder: &Identity) -> Result<(), DownError> {
    let failed = |source| DownError::System { what: format!("manager {} cannot be stopped", holder.pid()), source };
    let Some(mut manager) = Process::adopt(holder).map_err(failed)? else { return Ok(()) };
    manager.signal(Signal::TERM).map_err(failed)?;
    let ended = tokio::time::timeout(MANAGER, manager.ended()).await;
    ended.map_err(|_| DownError::ManagerStays(holder.pid()))?.map_err(failed)?;
    Ok(())
}

/// Nobody starts any meanwhile: the caller holds the lock.
async fn stop_residents(dir: &ClusterDir) -> Result<(), DownError> {
    let mut residents = residents(dir)?;
    let failed = |source| DownError::System { what: "members cannot be stopped".to_owned(), source };
    for resident in &residents {
        resident.process.ask_to_end().map_err(failed)?;
    }
    let deadline = Instant::now() + ORDERLY;
    for resident in &mut residents {
        match tokio::time::timeout_at(deadline, resident.process.ended()).await {
            Ok(ended) => ended.map(drop).map_err(failed)?,
            Err(_) => kill(&mut resident.process).await?,
        }
    }
    Ok(())
}

async fn kill(process: &mut Process) -> Result<(), DownError> {
    let failed = |source| DownError::System { what: "a member cannot be killed".to_owned(), source };
    process.signal(Signal::KILL).map_err(failed)?;
    let ended = tokio::time::timeout(KILLED, process.ended()).await;
    ended.map_err(|_| DownError::Undead(process.identity().clone()))?.map(drop).map_err(failed)
}
