//! Every path of a cluster, in one place.
//!
//! ```text
//! NAME/cluster.yaml        what is declared; the user's
//!      uid lock record.json layout.json ports.json
//!      snapshots/          from before rolls
//!      members/N/          one per slot
//!          volume-id
//!          volume/         the member's disk: marker, etcd/
//!          run/            what belongs to the process: seat, permit, ledger, status, launch, instance, log
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use etcdop_core::id::Slot;
use etcdop_engine::safeguards::Safeguards;

use crate::home::ClusterName;

/// The directory of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDir {
    name: ClusterName,
    home: PathBuf,
    path: PathBuf,
}

/// The directory of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotDir {
    pub(crate) slot: Slot,
    path: PathBuf,
}

impl ClusterDir {
    pub(crate) fn new(home: &Path, name: &ClusterName) -> Self {
        Self { name: name.clone(), home: home.to_owned(), path: home.join(name.as_str()) }
    }

    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is declared.
    pub fn manifest(&self) -> PathBuf {
        self.path.join("cluster.yaml")
    }

    pub(crate) fn uid(&self) -> PathBuf {
        self.path.join("uid")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.path.join("record.json")
    }

    pub(crate) fn layout(&self) -> PathBuf {
        self.path.join("layout.json")
    }

    pub(crate) fn ports(&self) -> PathBuf {
        self.path.join("ports.json")
    }

    /// Where snapshots from before rolls are kept.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(crate) fn safeguards(&self) -> Safeguards {
        Safeguards::in_folder(self.snapshots())
    }

    fn members(&self) -> PathBuf {
        self.path.join("members")
    }

    pub(crate) fn slot(&self, slot: Slot) -> SlotDir {
        SlotDir { slot, path: self.members().join(slot.to_string()) }
    }

    /// Every slot that has a directory, in order.
    pub(crate) fn slots(&self) -> io::Result<Vec<SlotDir>> {
        let entries = match fs::read_dir(self.members()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut slots = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            // Only names that we would write: `07` or `+7` is somebody else's.
            let number = name.to_str().and_then(|name| name.parse::<u8>().ok());
            slots.extend(number.filter(|number| *number.to_string() == *name).map(Slot));
        }
        slots.sort_unstable();
        Ok(slots.into_iter().map(|slot| self.slot(slot)).collect())
    }
}

impl SlotDir {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.path.join("volume")
    }

    pub(crate) fn volume_id(&self) -> PathBuf {
        self.path.join("volume-id")
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.volume().join("marker")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.volume().join("etcd")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    pub(crate) fn seat(&self) -> PathBuf {
        self.run().join("seat")
    }

    pub(crate) fn permit(&self) -> PathBuf {
        self.run().join("permit")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.run().join("ledger")
    }

    pub(crate) fn status(&self) -> PathBuf {
        self.run().join("status")
    }

    pub(crate) fn launch(&self) -> PathBuf {
        self.run().join("launch.json")
    }

    pub(crate) fn instance(&self) -> PathBuf {
        self.run().join("instance.json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.run().join("etcd.log")
    }
}
