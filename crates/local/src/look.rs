//! One look at everything of a cluster: files and processes, nothing remembered. The manager and readers in other processes
//! look alike; they only know the notes of the processes from different sides.

use std::collections::BTreeMap;

use etcdop_core::{
    id::{InstanceId, Slot},
    launch::LaunchSpec,
    observation::Blocker,
    permit::Permit,
    record::{Record, Versioned},
};
use etcdop_engine::{
    gate,
    platform::{Ground, GroundInstance, GroundSlot},
};

use crate::{
    directory::{ClusterDir, SlotDir},
    instance::Note,
    port_book,
    ports::Ports,
    record_file::RecordFile,
    state_file::StateError,
    supervisor, volume,
};

/// What is known of a slot without looking at its process and its disk.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) ports: Ports,
    pub(crate) declared: Option<LaunchSpec>,
    pub(crate) note: Result<Option<Note>, Blocker>,
}

/// What a process that keeps nothing knows of the slots.
pub(crate) fn facts_on_disk(dir: &ClusterDir) -> Result<BTreeMap<Slot, Facts>, StateError> {
    let mut declared = supervisor::layout(dir)?;
    let book = port_book::read(dir)?;
    let mut facts = BTreeMap::new();
    for files in dir.slots().map_err(StateError::unreadable(dir.path()))? {
        if let Some(&ports) = book.get(&files.slot) {
            let note = Note::read(&files).map_err(|error| Blocker(error.to_string()));
            facts.insert(files.slot, Facts { ports, declared: declared.remove(&files.slot), note });
        }
    }
    Ok(facts)
}

/// Everything that can be seen now.
pub(crate) fn look(dir: &ClusterDir, record: &RecordFile, facts: BTreeMap<Slot, Facts>) -> Ground {
    let slots = facts.into_iter().filter_map(|(slot, facts)| Some((slot, look_at(dir, &dir.slot(slot), facts)?)));
    Ground { record: record_now(record), slots: slots.collect(), safeguards: dir.safeguards().list() }
}

/// The record, or why it cannot be read.
pub(crate) fn record_now(record: &RecordFile) -> Result<Versioned<Record>, Blocker> {
    record.read().map_err(|error| Blocker(error.to_string()))
}

fn look_at(dir: &ClusterDir, files: &SlotDir, facts: Facts) -> Option<GroundSlot> {
    let Facts { ports, declared, note } = facts;
    let process = note.as_ref().ok().and_then(Option::as_ref).and_then(Note::process);
    let instance = note.map(|note| {
        note.map(|note| {
            let phase = note.phase(files, process.as_ref());
            GroundInstance { id: InstanceId(note.id.0), launch: note.launch, phase }
        })
    });
    // Where nothing is to run, a note is only about the past.
    let instance = if declared.is_none() && process.is_none() { instance.map(|_| None) } else { instance };
    let volume = volume::examine(files, process.as_ref());
    let deserted = declared.is_none() && instance == Ok(None) && volume == Ok(None);
    if deserted {
        return None;
    }
    let (address, dial) = (ports.address(dir.name(), files.slot)?, ports.dial());
    Some(GroundSlot { address, dial, declared, instance, volume, permit: held_permit(files) })
}

fn held_permit(files: &SlotDir) -> Option<Permit> {
    let text = etcdop_guard::read_text(&files.permit()).ok().flatten()?;
    // One that cannot be understood opens no gate, so it is as good as none.
    gate::held_permit(files.slot, &etcdop_guard::Permit::parse(&text).ok()?)
}
