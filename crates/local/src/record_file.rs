//! The Record of a local cluster: one file, replaced as a whole by the holder of the manager's lock, compared by a sequence
//! number before each replacement. A file that cannot be understood is never overwritten: what it says may be all there is.

use std::sync::Mutex;

use etcdop_core::{
    id::{Incarnation, RecordRevision},
    record::{Record, Versioned},
};
use etcdop_engine::outcome::CommitError;
use serde::{Deserialize, Serialize};

use crate::{
    directory::ClusterDir,
    state_file::{self, StateError},
    token,
};

/// What this program writes; a newer one may mean something else by the same names.
const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    schema: u32,
    sequence: u64,
    record: Record,
}

/// Read before the record itself, so that a newer form is called newer and not broken.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

/// The record's file, and the only writer that there is.
#[derive(Debug)]
pub(crate) struct RecordFile {
    dir: ClusterDir,
    /// Two commits at once would both find their base unchanged.
    writing: Mutex<()>,
}

impl RecordFile {
    pub(crate) fn new(dir: ClusterDir) -> Self {
        Self { dir, writing: Mutex::new(()) }
    }

    /// The record as it is on the disk; an absent one is unborn.
    pub(crate) fn read(&self) -> Result<Versioned<Record>, StateError> {
        let path = self.dir.record();
        let Some(head) = state_file::read::<Head>(&path)? else {
            let incarnation = Incarnation::first(uid(&self.dir)?);
            return Ok(Versioned { revision: revision(0), value: Record::unborn(incarnation) });
        };
        if head.schema != SCHEMA {
            let why = format!("schema {}, this program knows {SCHEMA}: use the version that wrote it", head.schema);
            return Err(StateError::NotOurs { path, why });
        }
        let missing = || StateError::NotOurs { path: path.clone(), why: "it went away while it was read".to_owned() };
        let file: File = state_file::read(&path)?.ok_or_else(missing)?;
        Ok(Versioned { revision: revision(file.sequence), value: file.record })
    }

    /// Replaces the record when it still has the revision `base`.
    pub(crate) fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        let failed = |error: StateError| CommitError::Failed(error.to_string());
        let _writing =
            self.writing.lock().map_err(|_| CommitError::Failed("a commit before this one panicked".to_owned()))?;
        let now = self.read().map_err(failed)?;
        if now.revision != *base {
            return Err(CommitError::Conflict);
        }
        let sequence: u64 = now.revision.0.parse().map_err(|_| CommitError::Conflict)?;
        let sequence = sequence + 1;
        let file = File { schema: SCHEMA, sequence, record: next.clone() };
        match state_file::write_durably(&self.dir.record(), &file) {
            Ok(()) => Ok(revision(sequence)),
            // The last flush may have failed after the new file took its place.
            Err(error) => match self.read() {
                Ok(found) if found.revision == *base => Err(failed(error)),
                Ok(_) | Err(_) => Err(CommitError::Unknown(error.to_string())),
            },
        }
    }
}

fn revision(sequence: u64) -> RecordRevision {
    RecordRevision(sequence.to_string())
}

/// The cluster's UID, made when the cluster is.
pub(crate) fn create_uid(dir: &ClusterDir) -> Result<(), StateError> {
    let path = dir.uid();
    let text = token::random().map_err(StateError::unwritable(&path))?;
    etcdop_guard::write_durably(&path, &format!("{text}\n")).map_err(StateError::unwritable(&path))
}

fn uid(dir: &ClusterDir) -> Result<String, StateError> {
    let path = dir.uid();
    let text = etcdop_guard::read_text(&path).map_err(StateError::unreadable(&path))?;
    let uid = text.map(|text| text.trim().to_owned()).unwrap_or_default();
    let plain = !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // Made up anew, equal names and ports would be taken for the same cluster by chance only; so it is asked for.
    let wrong = || StateError::NotOurs { path, why: "the cluster's UID is missing or no plain word".to_owned() };
    plain.then_some(uid).ok_or_else(wrong)
}
