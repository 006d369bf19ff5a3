//! One look at everything of a cluster: files and processes, nothing remembered. The manager and readers in other processes
//! look alike; they only know the notes of the processes from different sides.

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

use etcdop_core::{
    id::{Incarnation, InstanceId, Slot},
    launch::LaunchSpec,
    observation::{Blocker, Safeguard},
    permit::Permit,
    record::{Record, Versioned},
    version::Minor,
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
    Ground { record: record_now(record), slots: slots.collect(), safeguards: safeguards(dir) }
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

/// Where a snapshot is written before it is one.
pub(crate) fn unfinished_snapshot(dir: &ClusterDir, before: Minor) -> PathBuf {
    dir.snapshots().join(format!(".before-{before}.db.part"))
}

/// The name of a kept snapshot.
pub(crate) fn safeguard_name(before: Minor, incarnation: &Incarnation) -> String {
    format!("before-{before}-{}-{}.db", incarnation.uid, incarnation.number)
}

fn safeguards(dir: &ClusterDir) -> Vec<Safeguard> {
    let entries = match fs::read_dir(dir.snapshots()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        // Taken for missing: a snapshot more is taken, at worst.
        Err(error) => {
            tracing::warn!(path = %dir.snapshots().display(), %error, "snapshots cannot be listed");
            return Vec::new();
        }
        Ok(entries) => entries,
    };
    entries.flatten().filter_map(|entry| safeguard(entry.file_name().to_str()?, age(&entry))).collect()
}

/// How long ago the file was written. One of which that is not known, or from the future of this clock, counts as an old one: a
/// snapshot more is taken, at worst.
fn age(file: &fs::DirEntry) -> Duration {
    let written = file.metadata().and_then(|metadata| metadata.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).unwrap_or(Duration::MAX)
}

fn safeguard(name: &str, age: Duration) -> Option<Safeguard> {
    let (before, life) = name.strip_prefix("before-")?.strip_suffix(".db")?.split_once('-')?;
    let (uid, number) = life.rsplit_once('-')?;
    let before: Minor = before.parse().ok()?;
    Some(Safeguard { before, incarnation: format!("{uid}/{number}").parse().ok()?, age })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn kept_snapshots_are_found_by_their_names_and_unfinished_ones_are_not() {
        let incarnation = Incarnation { uid: "4f1c-2".to_owned(), number: 3 };
        let (name, age) = (safeguard_name(Minor::V3_6, &incarnation), Duration::from_secs(7));
        assert_eq!(safeguard(&name, age), Some(Safeguard { before: Minor::V3_6, incarnation, age }));
        for other in [".before-3.6.db.part", "before-3.6.db", "before-x-a-1.db", "notes.txt"] {
            assert_eq!(safeguard(other, age), None, "{other}");
        }
    }

    #[test]
    fn a_snapshot_is_as_old_as_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = fs::File::create(directory.path().join("kept")).unwrap();
        let written = |at: SystemTime| {
            file.set_modified(at).unwrap();
            age(&fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap())
        };
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        assert!((day..day * 2).contains(&written(now - day)));
        assert_eq!(written(now + day), Duration::MAX, "from the future of this clock");
    }
}
