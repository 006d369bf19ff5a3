//! The way into a local cluster: create it, open it, become its manager, or read it from beside.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use etcdop_core::size::Size;
use thiserror::Error;
use tokio::sync::Notify;

use crate::{
    binaries::{Binaries, VersionWish},
    directory::ClusterDir,
    discarded,
    home::{ClusterName, Home, HomeError},
    inotify::Inotify,
    keeper::Care,
    lock::{LockError, ManagerLock},
    manifest::{Manifest, ManifestError},
    platform::LocalPlatform,
    process::Identity,
    reader::Reader,
    record_file::{self, RecordFile},
    seats,
    state_file::StateError,
    supervisor::{Supervisor, SupervisorError},
    watch::{self, DesiredWatch},
};

/// Why a cluster cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// There is none of this name.
    #[error("there is no cluster `{name}` in {home}: create it with `etcdop local up {name}`", home = .home.display())]
    Missing {
        /// The name.
        name: ClusterName,
        /// Where it was looked for.
        home: PathBuf,
    },
    /// There is one of this name already.
    #[error("cluster `{name}` exists in {home} already", home = .home.display())]
    Exists {
        /// The name.
        name: ClusterName,
        /// Where.
        home: PathBuf,
    },
    /// The directory cannot be made or watched.
    #[error("{path} cannot be {done}: {source}", path = .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// In the past tense.
        done: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manager's lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// The processes.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

/// A local cluster, whether anybody keeps it or not.
#[derive(Clone, Debug)]
pub struct Cluster {
    home: Home,
    dir: ClusterDir,
}

/// How patient a manager is with the members that it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a member that was asked to end may take before it is killed. etcd waits up to 7 s for clients to let go of their
    /// watches, and hands leadership over and closes its files after that: with less than that every stop under an open watch would
    /// be a crash.
    pub stop: Duration,
}

impl Default for Patience {
    /// 10 s: what etcd may wait, and what closing takes.
    fn default() -> Self {
        Self { stop: Duration::from_secs(10) }
    }
}

/// What the one manager of a cluster works with.
#[derive(Debug)]
pub struct Manager {
    /// For the engine.
    pub platform: LocalPlatform,
    /// What is declared, as it changes.
    pub declared: DesiredWatch,
}

impl Cluster {
    /// Declares a new cluster; nothing is started before it has a manager.
    pub fn create(home: &Home, name: &ClusterName, size: Size, version: &VersionWish) -> Result<Self, OpenError> {
        let dir = home.cluster(name);
        let manifest = dir.manifest();
        if manifest.exists() {
            return Err(OpenError::Exists { name: name.clone(), home: home.root().to_owned() });
        }
        let path = dir.path();
        fs::create_dir_all(path).map_err(|source| OpenError::Directory {
            path: path.to_owned(),
            done: "created",
            source,
        })?;
        // What is left of a creation that was interrupted is used again: without a manifest nothing was ever started.
        if !dir.uid().exists() {
            record_file::create_uid(&dir)?;
        }
        // Last, because it is what makes a directory a cluster.
        let text = Manifest::template(name.as_str(), size, version);
        etcdop_guard::write_durably(&manifest, &text).map_err(StateError::unwritable(&manifest))?;
        Self::open(home, name)
    }

    /// A cluster that was created before.
    pub fn open(home: &Home, name: &ClusterName) -> Result<Self, OpenError> {
        // The home may have been created just now: processes are recognised by its one true spelling.
        let home = Home::at(home.root())?;
        let dir = home.cluster(name);
        if dir.manifest().exists() {
            Ok(Self { home, dir })
        } else {
            Err(OpenError::Missing { name: name.clone(), home: home.root().to_owned() })
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &ClusterDir {
        &self.dir
    }

    /// What is declared now.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        Manifest::read(&self.dir.manifest())
    }

    /// Declares another size.
    pub fn set_size(&self, size: Size) -> Result<(), ManifestError> {
        Manifest::set_size(&self.dir.manifest(), size)
    }

    /// Declares another version.
    pub fn set_version(&self, version: &VersionWish) -> Result<(), ManifestError> {
        Manifest::set_version(&self.dir.manifest(), version)
    }

    /// The process that keeps the cluster now.
    pub fn manager_process(&self) -> Result<Option<Identity>, LockError> {
        ManagerLock::holder(&self.dir.lock())
    }

    /// Becomes the cluster's manager: takes its lock, adopts what runs and starts what was declared to run. Needs a tokio
    /// runtime with I/O and time.
    pub async fn manager(&self, binaries: Binaries) -> Result<Manager, OpenError> {
        self.manager_with(binaries, Patience::default()).await
    }

    /// The same, with a patience of its own.
    pub async fn manager_with(&self, binaries: Binaries, patience: Patience) -> Result<Manager, OpenError> {
        let dir = self.dir.clone();
        let lock = ManagerLock::take(&dir.lock())?;
        let (edits, statuses) = (self.inotify()?, Arc::new(self.inotify()?));
        edits.watch(dir.path()).map_err(|source| self.unwatched(source))?;
        let first = self.manifest()?.desired(&binaries)?;
        let record = RecordFile::new(dir.clone());
        let now = record.read()?;
        let snapshots = dir.snapshots();
        fs::create_dir_all(&snapshots).map_err(|source| OpenError::Directory {
            path: snapshots,
            done: "created",
            source,
        })?;
        discarded::sweep(self.home.root());
        // Before the first guard starts, which goes by them.
        seats::render(&dir, &now.value)?;
        let care = Arc::new(Care {
            cluster: dir.name().clone(),
            binaries: binaries.clone(),
            incarnation: Mutex::new(now.value.incarnation),
            grace: patience.stop,
            changed: Notify::new(),
            closing: AtomicBool::new(false),
        });
        let supervisor =
            Supervisor::start(self.home.clone(), dir.clone(), Arc::clone(&care), Arc::clone(&statuses)).await?;
        let declared = watch::follow(dir.manifest(), first, binaries, edits);
        Ok(Manager { platform: LocalPlatform::new(dir, record, care, supervisor, statuses, lock), declared })
    }

    fn inotify(&self) -> Result<Inotify, OpenError> {
        Inotify::new().map_err(|source| self.unwatched(source))
    }

    fn unwatched(&self, source: io::Error) -> OpenError {
        // The usual cause is a limit of the kernel, whose message is about files.
        OpenError::Directory {
            path: self.dir.path().to_owned(),
            done: "watched (see fs.inotify.max_user_instances and max_user_watches)",
            source,
        }
    }

    /// Looks at the cluster without keeping it.
    pub fn reader(&self) -> Reader {
        Reader::new(self.dir.clone())
    }
}
