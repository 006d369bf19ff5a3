//! Snapshots from before rolls to another minor, kept on the operator's side: one folder per cluster.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use etcdop_api::Cluster;
use etcdop_core::{id::Incarnation, observation::Safeguard, version::Minor};
use etcdop_engine::outcome::Outcome;

/// The snapshots of one cluster.
pub(crate) struct Safeguards {
    folder: PathBuf,
}

impl Safeguards {
    pub(crate) fn new(all: &Path, cluster: &Cluster) -> Self {
        Self { folder: all.join(&cluster.namespace).join(&cluster.name) }
    }

    /// Where a snapshot is written before it is one. Its folder is made here: who writes it finds it.
    pub(crate) fn unfinished(&self, before: Minor) -> PathBuf {
        if let Err(error) = fs::create_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "no folder for snapshots: set --snapshot-dir");
        }
        self.folder.join(format!(".before-{before}.db.part"))
    }

    /// Makes a written snapshot a safeguard.
    pub(crate) fn keep(&self, before: Minor, incarnation: &Incarnation) -> Outcome {
        let written = self.unfinished(before);
        if let Err(error) = File::open(&written).and_then(|file| file.sync_all()) {
            return Outcome::NotApplied(format!("snapshot {} is not there: {error}", written.display()));
        }
        let kept = fs::rename(&written, self.folder.join(name(before, incarnation)));
        let kept = kept.and_then(|()| File::open(&self.folder)?.sync_all());
        kept.map_or_else(|error| Outcome::Unknown(format!("snapshot cannot be kept: {error}")), |()| Outcome::Done)
    }

    /// The snapshots that are kept. One that cannot be seen is taken again, at worst.
    pub(crate) fn list(&self) -> Vec<Safeguard> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "snapshots cannot be listed");
                return Vec::new();
            }
        };
        entries.flatten().filter_map(|entry| safeguard(entry.file_name().to_str()?)).collect()
    }
}

fn name(before: Minor, incarnation: &Incarnation) -> String {
    format!("before-{before}-{}-{}.db", incarnation.uid, incarnation.number)
}

fn safeguard(name: &str) -> Option<Safeguard> {
    let (before, life) = name.strip_prefix("before-")?.strip_suffix(".db")?.split_once('-')?;
    let (uid, number) = life.rsplit_once('-')?;
    Some(Safeguard { before: before.parse().ok()?, incarnation: format!("{uid}/{number}").parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_snapshot_is_found_and_an_unfinished_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let safeguards = Safeguards { folder: folder.path().join("ns").join("c") };
        let (before, incarnation) = (Minor::new(3, 7), Incarnation::first("4f1c-22"));
        assert!(matches!(safeguards.keep(before, &incarnation), Outcome::NotApplied(_)), "nothing was written");
        fs::write(safeguards.unfinished(before), "snapshot").unwrap();
        assert_eq!(safeguards.list(), []);
        assert_eq!(safeguards.keep(before, &incarnation), Outcome::Done);
        assert_eq!(safeguards.list(), [Safeguard { before, incarnation }]);
    }
}
