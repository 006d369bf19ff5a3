//! Snapshots from before rolls to another minor (DESIGN §6), as files of one folder per cluster; for every platform that has one.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    time::Duration,
};

use etcdop_core::{id::Incarnation, observation::Safeguard, version::Minor};

use crate::outcome::Outcome;

/// The snapshots of one cluster.
#[derive(Clone, Debug)]
pub struct Safeguards {
    folder: PathBuf,
}

impl Safeguards {
    /// Those in this folder, which need not be there yet.
    pub const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a snapshot is written before it is one: a name that counts as none. Its folder is made here: who writes it finds it.
    pub fn unfinished(&self, before: Minor) -> PathBuf {
        if let Err(error) = fs::create_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "no folder for snapshots");
        }
        self.folder.join(format!(".before-{before}.db.part"))
    }

    /// Makes a written snapshot a safeguard, durably.
    pub fn keep(&self, before: Minor, incarnation: &Incarnation) -> Outcome {
        let written = self.unfinished(before);
        if let Err(error) = File::open(&written).and_then(|file| file.sync_all()) {
            return Outcome::NotApplied(format!("snapshot {} is not there: {error}", written.display()));
        }
        let kept = fs::rename(&written, self.folder.join(name(before, incarnation)));
        let kept = kept.and_then(|()| File::open(&self.folder)?.sync_all());
        kept.map_or_else(|error| Outcome::Unknown(format!("snapshot cannot be kept: {error}")), |()| Outcome::Done)
    }

    /// The snapshots that are kept. One that cannot be seen is taken again, at worst.
    pub fn list(&self) -> Vec<Safeguard> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "snapshots cannot be listed");
                return Vec::new();
            }
        };
        entries.flatten().filter_map(|entry| safeguard(entry.file_name().to_str()?, age(&entry))).collect()
    }
}

fn name(before: Minor, incarnation: &Incarnation) -> String {
    format!("before-{before}-{}-{}.db", incarnation.uid, incarnation.number)
}

/// How long ago the file was written. One of which that is not known, or from the future of this clock, counts as an old one: a
/// snapshot more is taken, at worst.
#[expect(clippy::disallowed_methods, reason = "nothing else says when a manager that is gone has written a file")]
fn age(file: &fs::DirEntry) -> Duration {
    let written = file.metadata().and_then(|metadata| metadata.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).unwrap_or(Duration::MAX)
}

fn safeguard(name: &str, age: Duration) -> Option<Safeguard> {
    let (before, life) = name.strip_prefix("before-")?.strip_suffix(".db")?.split_once('-')?;
    let (uid, number) = life.rsplit_once('-')?;
    Some(Safeguard { before: before.parse().ok()?, incarnation: format!("{uid}/{number}").parse().ok()?, age })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> (tempfile::TempDir, Safeguards) {
        let folder = tempfile::tempdir().unwrap();
        let safeguards = Safeguards::in_folder(folder.path().join("ns").join("c"));
        (folder, safeguards)
    }

    #[test]
    fn a_kept_snapshot_is_found_and_an_unfinished_one_is_not() {
        let (_folder, safeguards) = empty();
        let (before, incarnation) = (Minor::V3_6, Incarnation { uid: "4f1c-2".to_owned(), number: 3 });
        assert!(matches!(safeguards.keep(before, &incarnation), Outcome::NotApplied(_)), "nothing was written");
        fs::write(safeguards.unfinished(before), "snapshot").unwrap();
        assert_eq!(safeguards.list(), []);
        assert_eq!(safeguards.keep(before, &incarnation), Outcome::Done);
        let [Safeguard { before: found, incarnation: life, age }] = safeguards.list().try_into().unwrap();
        assert_eq!((found, life), (before, incarnation));
        assert!(age < Duration::from_mins(1), "{age:?}");
    }

    #[test]
    fn other_files_are_no_snapshots() {
        let (_folder, safeguards) = empty();
        safeguards.unfinished(Minor::V3_6);
        for other in ["before-3.6.db", "before-x-a-1.db", "notes.txt"] {
            fs::write(safeguards.folder.join(other), "").unwrap();
        }
        assert_eq!(safeguards.list(), []);
    }

    #[test]
    fn a_snapshot_is_as_old_as_its_file() {
        let (_folder, safeguards) = empty();
        fs::write(safeguards.unfinished(Minor::V3_6), "snapshot").unwrap();
        safeguards.keep(Minor::V3_6, &Incarnation::first("4f1c"));
        let path = safeguards.folder.join(name(Minor::V3_6, &Incarnation::first("4f1c")));
        let file = File::options().write(true).open(path).unwrap();
        let (now, day) = (file.metadata().unwrap().modified().unwrap(), Duration::from_hours(24));
        file.set_modified(now - day).unwrap();
        assert!((day..day * 2).contains(&safeguards.list()[0].age));
        file.set_modified(now + day).unwrap();
        assert_eq!(safeguards.list()[0].age, Duration::MAX, "from the future of this clock");
    }
}
