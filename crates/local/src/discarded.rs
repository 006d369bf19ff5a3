//! What is to be deleted: moved aside in one go under a name that nobody takes for something else, and deleted when there is time. A
//! large disk takes long to delete, and nothing waits for it. Whatever a crash leaves is found by its name at the next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How the names of discarded disks, in the directory of their slot, begin.
const DISK: &str = ".discarded-";
/// How the names of destroyed clusters, in their home, begin. No name of a cluster begins with a dot.
const CLUSTER: &str = ".destroyed-";

/// Where a disk is moved that is to be deleted.
pub(crate) fn disk(slot: &Path, id: &str) -> PathBuf {
    slot.join(format!("{DISK}{id}"))
}

/// Where a cluster is moved that is to be deleted.
pub(crate) fn cluster(home: &Path, name: &str) -> PathBuf {
    home.join(format!("{CLUSTER}{name}-{}", std::process::id()))
}

/// Deletes what is left in a slot or a home of what was discarded before, on a thread of its own. Needs a tokio runtime.
pub(crate) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let ours = |name: &str| name.starts_with(DISK) || name.starts_with(CLUSTER);
    let left = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(ours));
    left.for_each(|entry| delete_beside(entry.path()));
}

/// Deletes a directory on a thread of its own. Needs a tokio runtime.
pub(crate) fn delete_beside(away: PathBuf) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = delete(&away) {
            tracing::warn!(path = %away.display(), %error, "what was discarded is still there");
        }
    });
}

/// Deletes a directory, also when somebody else does the same. One that is gone is deleted.
pub(crate) fn delete(away: &Path) -> io::Result<()> {
    loop {
        match fs::remove_dir_all(away) {
            // The other one was faster with something in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && away.exists() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_discarded_is_swept_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let names = ["volume", ".ports.lock", "a"];
        for kept in names {
            fs::create_dir(path.join(kept)).unwrap();
        }
        for left in [disk(path, "4f1c"), cluster(path, "a")] {
            fs::create_dir_all(left.join("etcd/member/wal")).unwrap();
            fs::write(left.join("etcd/member/wal/0.wal"), "history").unwrap();
        }
        sweep(path);
        sweep(path);
        let left = || fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        while left().count() > names.len() {
            tokio::task::yield_now().await;
        }
        let mut left: Vec<_> = left().collect();
        left.sort();
        assert_eq!(left, [".ports.lock", "a", "volume"]);
    }

    #[test]
    fn what_is_gone_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        delete(&directory.path().join("gone")).unwrap();
    }
}
