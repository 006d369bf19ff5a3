//! A member's disk: a directory with the guard's marker and etcd's data. Its ID lies beside it, not inside: whoever empties
//! the directory has wiped this disk, not brought another one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use etcdop_core::{
    id::VolumeId,
    observation::{Blocker, Volume},
};
use etcdop_engine::gate;
use etcdop_guard::{DataState, LedgerEntry, MarkerState};
use thiserror::Error;

use crate::{directory::SlotDir, discarded, process::Identity, state_file::StateError, token};

/// Why a volume was not made or destroyed.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// A file beside it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A directory.
    #[error("volume {path} cannot be {done}: {source}")]
    Directory {
        /// The volume.
        path: PathBuf,
        /// In the past tense.
        done: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes the slot's volume where there is none, under an ID of its own.
pub(crate) fn ensure(slot: &SlotDir) -> Result<(), VolumeError> {
    let path = slot.volume();
    let failed = |source| VolumeError::Directory { path: path.clone(), done: "created", source };
    fs::create_dir_all(slot.run()).map_err(failed)?;
    if path.is_dir() && id(slot)?.is_some() {
        return Ok(());
    }
    // The ID first: a volume without one would have to be taken for the one before.
    if !path.is_dir() {
        give_id(slot)?;
        return fs::create_dir(&path).map_err(failed);
    }
    give_id(slot)
}

fn give_id(slot: &SlotDir) -> Result<(), VolumeError> {
    let path = slot.volume_id();
    let text = token::random().map_err(StateError::unwritable(&path))?;
    // Not flushed: after a power cut the same disk under another ID is no harm.
    Ok(etcdop_guard::replace(&path, &format!("{text}\n")).map_err(StateError::unwritable(&path))?)
}

fn id(slot: &SlotDir) -> Result<Option<VolumeId>, StateError> {
    let path = slot.volume_id();
    let text = etcdop_guard::read_text(&path).map_err(StateError::unreadable(&path))?;
    Ok(text.map(|text| VolumeId(text.trim().to_owned())).filter(|id| !id.0.is_empty()))
}

/// What a volume turned out to be when it was to be destroyed.
#[derive(Debug)]
pub(crate) enum Discarded {
    /// Moved away, to be deleted when there is time.
    Moved(PathBuf),
    /// Another volume is there already.
    Before,
}

/// Whether a slot whose volume is destroyed gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Successor {
    /// An empty one, for the member to come.
    Empty,
    /// None: nobody is to live there.
    Nothing,
}

/// Takes exactly this volume away.
pub(crate) fn discard(slot: &SlotDir, volume: &VolumeId, successor: Successor) -> Result<Discarded, VolumeError> {
    if id(slot)?.as_ref() != Some(volume) {
        return Ok(Discarded::Before);
    }
    let away = discarded::disk(slot.path(), &volume.0);
    let path = slot.volume();
    match fs::rename(&path, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => done.map_err(|source| VolumeError::Directory { path: path.clone(), done: "moved away", source })?,
    }
    match successor {
        Successor::Empty => ensure(slot)?,
        Successor::Nothing => {
            let path = slot.volume_id();
            fs::remove_file(&path).map_err(StateError::unwritable(&path))?;
        }
    }
    Ok(Discarded::Moved(away))
}

/// Where the contents of a volume go when somebody wipes it.
pub(crate) fn wiped_name(slot: &SlotDir) -> io::Result<PathBuf> {
    Ok(discarded::disk(slot.path(), &token::random()?))
}

/// What stands in the slot's volume. `running` is the process that lives in the slot.
pub(crate) fn examine(slot: &SlotDir, running: Option<&Identity>) -> Result<Option<Volume>, Blocker> {
    let blocked = |error: &dyn std::fmt::Display| Blocker(error.to_string());
    // Only "not there" is a lost disk: one that cannot be read may come back.
    match fs::metadata(slot.volume()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Blocker(format!("{} cannot be read: {error}", slot.volume().display()))),
        Ok(_) => {}
    }
    let id = id(slot).map_err(|error| blocked(&error))?;
    // A directory without an ID is not ours to judge until it was given one at the next start.
    let Some(id) = id else { return Err(Blocker(format!("{} has no ID yet", slot.volume().display()))) };
    let data = etcdop_guard::examine_data(&slot.data(), &slot.marker());
    let data = data.map_err(|error| Blocker(format!("{} cannot be read: {error}", slot.data().display())))?;
    let marker = etcdop_guard::examine_marker(&slot.marker());
    let starts =
        matches!(marker, MarkerState::Present(_)) && running.is_some_and(|own| is_first_start(&slot.ledger(), own));
    let marker = gate::disk(&marker, if starts { DataState::HasWal } else { data });
    Ok(Some(Volume { id, marker }))
}

/// Whether this process used the permit: then the marker is there a moment before the log is.
fn is_first_start(ledger: &Path, process: &Identity) -> bool {
    let entry = etcdop_guard::read_text(ledger).ok().flatten().and_then(|text| LedgerEntry::parse(&text).ok());
    entry.is_some_and(|entry| entry.instance.as_str() == process.as_str())
}
