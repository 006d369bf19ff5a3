//! The declared cluster: `cluster.yaml`, a small file with comments that belongs to the user. Editing it is the API; commands
//! only edit it too, one value at a time, and leave every other character as it is.

mod edit;
mod nearest;
mod parse;
mod quantity;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use etcdop_core::{
    desired::{Desired, Maintenance, Patience, Recovery},
    launch::{EtcdOptions, Template},
    size::Size,
};
use thiserror::Error;

use crate::binaries::{Binaries, VersionWish};

/// A place in a file that people edit; both from 1, zero when it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a manifest cannot be used; the cluster stays as it was.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not there, or not readable.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}:{at}: {why}", path = .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where.
        at: Position,
        /// What, and what to write instead.
        why: String,
    },
    /// A command cannot change it.
    #[error("{path} cannot be changed: {why}; edit it by hand", path = .path.display())]
    NotEditable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The new text cannot be written.
    #[error("{path} cannot be written: {source}; it is as it was")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A checked manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Voters; zero hibernates.
    pub size: Size,
    /// Which etcd.
    pub version: VersionWish,
    /// Its options.
    pub options: EtcdOptions,
    /// When a silent member is given up.
    pub recovery: Recovery,
    /// Space on disk.
    pub maintenance: Maintenance,
    path: PathBuf,
    version_at: Position,
    options_at: Position,
}

impl Manifest {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ManifestError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        parse::parse(path, text)
    }

    /// What the engine is told, with the version that the wish comes down to here and now.
    pub fn desired(&self, binaries: &Binaries) -> Result<Desired, ManifestError> {
        let wrong = |at: Position, why: String| ManifestError::Wrong { path: self.path.clone(), at, why };
        let version = binaries.resolve(&self.version).map_err(|error| wrong(self.version_at, error.to_string()))?;
        self.options.check(&version).map_err(|error| wrong(self.options_at, error.to_string()))?;
        Ok(Desired {
            size: self.size,
            template: Template::new(version, self.options.clone()),
            recovery: self.recovery,
            maintenance: self.maintenance,
            patience: Patience::default(),
        })
    }

    /// Changes `size` in the file and nothing else.
    pub fn set_size(path: &Path, size: Size) -> Result<(), ManifestError> {
        edit::set(path, "size", &size.to_string(), |manifest| manifest.size == size)
    }

    /// Changes `version` in the file and nothing else.
    pub fn set_version(path: &Path, version: &VersionWish) -> Result<(), ManifestError> {
        // Quoted: YAML takes 3.6 for a number, and 3.10 for the same as 3.1.
        edit::set(path, "version", &format!("\"{version}\""), |manifest| manifest.version == *version)
    }

    /// The file of a new cluster, with every field explained.
    pub fn template(name: &str, size: Size, version: &VersionWish) -> String {
        format!(
            "\
# Local etcd cluster {name}. Change this file and save it: whoever keeps the cluster (`etcdop local up {name}`)
# notices. A mistake changes nothing; it is shown with its line.

# Voting members: 1, 3, 5, 7 or 9. 0 stops all members and keeps their disks.
size: {size}

# A minor takes the newest patch that is installed; a full version such as 3.6.16 is taken as it is.
# One minor at a time: 3.5 -> 3.6 -> 3.7, and back.
version: \"{version}\"

# Options of etcd. What is left out keeps etcd's default. All members are restarted, one by one.
etcd: {{}}
#  quotaBackendBytes: 2147483648      # the database may grow to this size
#  autoCompactionMode: periodic       # periodic (a duration) or revision (a count)
#  autoCompactionRetention: 1h
#  snapshotCount: 10000
#  heartbeatInterval: 100             # milliseconds
#  electionTimeout: 1000              # milliseconds, at least five heartbeats
#  extraArgs:                         # any other flag, without the dashes
#    log-level: warn

recovery:
  # How long a member with an intact disk may be silent before another one takes its place.
  replaceAfter: 5m

maintenance:
  # When the database is full: never (ask me), or to-latest (drop all history that watchers may still want).
  compactOnNoSpace: never
  # Defragment a member when it holds at least this much that it does not use.
  # defragmentAbove: 100MiB
"
        )
    }
}
