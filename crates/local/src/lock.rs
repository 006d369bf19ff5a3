//! One manager per cluster directory. The kernel holds the lock and lets go of it when the process dies, however it dies;
//! the file's content only says who it is.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use crate::process::{Identity, Life};

/// How often and how long apart the lock is tried that somebody holds who has not signed: a manager that is about to, or a process that
/// was forked from one that is gone and is about to become another program.
const UNSIGNED_LOOKS: usize = 100;
const UNSIGNED_PAUSE: Duration = Duration::from_millis(5);

/// Why the lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another manager runs.
    #[error("another manager keeps this cluster{}: stop it first, or use it", holder_text(.holder.as_ref()))]
    Held {
        /// Who; unknown where the holder has not signed.
        holder: Option<Identity>,
    },
    /// The file cannot be opened, locked or signed.
    #[error("lock file {path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder_text(holder: Option<&Identity>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (PID {})", holder.pid()))
}

/// The lock of a cluster directory; gone when dropped.
#[derive(Debug)]
pub(crate) struct ManagerLock {
    file: File,
}

impl ManagerLock {
    /// Takes the lock for this process, or says who holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let mut file = open(path).map_err(unusable)?;
        let mut looks = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    sign(&mut file).map_err(unusable)?;
                    return Ok(Self { file });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(unusable(error.into())),
            }
            let holder = signature(&mut file).filter(|holder| holder.life() != Life::Gone);
            if holder.is_some() || looks == UNSIGNED_LOOKS {
                return Err(LockError::Held { holder });
            }
            looks += 1;
            thread::sleep(UNSIGNED_PAUSE);
        }
    }

    /// The manager that runs now. Reads the signature only: trying the lock could refuse a manager that starts meanwhile.
    ///
    /// # Errors
    /// The file is there and cannot be opened.
    pub(crate) fn holder(path: &Path) -> Result<Option<Identity>, LockError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| LockError::Unusable { path: path.to_owned(), source })?,
        };
        Ok(signature(&mut file).filter(|holder| holder.life() != Life::Gone))
    }
}

impl Drop for ManagerLock {
    fn drop(&mut self) {
        // A signature that stays behind is that of a process that lives on and keeps nothing any more.
        let _ = self.file.set_len(0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn sign(file: &mut File) -> io::Result<()> {
    let me = Identity::of(std::process::id())?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{me}")
}

fn signature(file: &mut File) -> Option<Identity> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_manager_is_refused_with_the_pid_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(ManagerLock::holder(&path).unwrap(), None);
        let first = ManagerLock::take(&path).unwrap();
        let refused = ManagerLock::take(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("PID {}", std::process::id())), "{refused}");
        drop(first);
        ManagerLock::take(&path).unwrap();
    }

    #[test]
    fn a_lock_that_nobody_has_signed_is_waited_for_a_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let unsigned = open(&path).unwrap();
        flock(&unsigned, FlockOperation::LockExclusive).unwrap();
        let refused = ManagerLock::take(&path).unwrap_err();
        assert!(matches!(refused, LockError::Held { holder: None }), "{refused}");
        let waits = thread::spawn(move || ManagerLock::take(&path));
        drop(unsigned);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn whoever_looks_for_the_holder_leaves_the_lock_free() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        drop(ManagerLock::take(&path).unwrap());
        assert_eq!(ManagerLock::holder(&path).unwrap(), None);
        let held = ManagerLock::take(&path).unwrap();
        let holder = ManagerLock::holder(&path).unwrap().unwrap();
        assert_eq!(holder.pid(), std::process::id());
        drop(held);
    }
}
