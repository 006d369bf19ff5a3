//! The processes of a cluster, found and held without its manager: by their notes, and by their arguments when a manager died
//! before it could write one.

use std::io;

use etcdop_core::id::Slot;

use crate::{
    command,
    directory::{ClusterDir, SlotDir},
    process::{self, Identity, Process},
};

/// A process that lives in a slot.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) slot: Slot,
    pub(crate) process: Process,
}

/// Every process that lives in this cluster now.
pub(crate) fn residents(dir: &ClusterDir) -> io::Result<Vec<Resident>> {
    let slots = dir.slots()?;
    let mut residents = Vec::new();
    for (pid, arguments) in process::command_lines()? {
        let Some(files) = slots.iter().find(|files| command::belongs_to(files, &arguments)) else { continue };
        if let Some(process) = hold(files, pid)? {
            residents.push(Resident { slot: files.slot, process });
        }
    }
    Ok(residents)
}

/// Holds the process with this PID if it lives in the slot; its arguments are read after it is held.
pub(crate) fn hold(files: &SlotDir, pid: u32) -> io::Result<Option<Process>> {
    // A process that ended meanwhile is not there.
    let Ok(identity) = Identity::of(pid) else { return Ok(None) };
    let held = Process::adopt(&identity)?;
    Ok(held.filter(|_| process::arguments(pid).is_some_and(|arguments| command::belongs_to(files, &arguments))))
}
