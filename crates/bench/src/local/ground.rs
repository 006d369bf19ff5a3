//! Where the bench finds and keeps things: the target folder that it was built in.

use std::path::{Path, PathBuf};

use etcdop_core::version::Minor;
use tempfile::TempDir;

use crate::failure::Failure;

/// The target folder.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    target: PathBuf,
    executable: PathBuf,
}

impl Ground {
    /// The folder `target` above this executable, as `cargo run` and `make etcd` use it.
    pub(crate) fn find() -> Result<Self, Failure> {
        let executable = std::env::current_exe().map_err(Failure::io("find this executable"))?;
        let target = executable.ancestors().find(|ancestor| ancestor.join("etcd").is_dir());
        let missing = || Failure::NoEtcd { path: PathBuf::from("target/etcd") };
        Ok(Self { target: target.ok_or_else(missing)?.to_owned(), executable })
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The etcd of a minor version.
    pub(crate) fn etcd(&self, minor: Minor) -> Result<PathBuf, Failure> {
        let path = self.target.join("etcd").join(minor.to_string()).join("etcd");
        if path.is_file() { Ok(path) } else { Err(Failure::NoEtcd { path }) }
    }

    /// An empty directory on the same disk for every measurement, gone when the value is.
    pub(crate) fn directory(&self, what: &str) -> Result<TempDir, Failure> {
        let prefix = format!("bench-{what}-");
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.target).map_err(Failure::io("make a directory"))
    }

    /// One of our own programs, built beside this one.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let program = self.executable.with_file_name(name);
        if program.is_file() { Ok(program) } else { Err(Failure::NoProgram { program }) }
    }
}
