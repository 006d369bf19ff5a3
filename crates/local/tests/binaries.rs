//! Where etcd comes from, and what is said when it does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy.toml allows it in tests; this reaches their helpers")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use etcdop_local::binaries::{Binaries, BinariesError, VersionWish};
use tempfile::TempDir;

/// A directory with scripts in etcd's place.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn with(self, place: &str, script: &str, mode: u32) -> Self {
        let path = self.path().join(place).join("etcd");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn etcd(self, place: &str, version: &str) -> Self {
        self.with(place, &format!("echo 'etcd Version: {version}'; echo 'Git SHA: x'"), 0o755)
    }

    async fn find(&self) -> Result<Binaries, BinariesError> {
        Binaries::find(Some(self.path())).await
    }

    async fn error(&self) -> String {
        self.find().await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn a_directory_holds_one_etcd_or_one_for_each_minor() {
    let directory = Directory::new().etcd(".", "3.6.11").etcd("3.5", "3.5.30").etcd("3.6", "3.6.9");
    let binaries = directory.find().await.unwrap();
    let versions: Vec<_> = binaries.versions().map(ToString::to_string).collect();
    assert_eq!(versions, ["3.5.30", "3.6.9", "3.6.11"]);
    let newest = binaries.resolve(&"3.6".parse().unwrap()).unwrap();
    assert_eq!(newest.to_string(), "3.6.11", "11 is more than 9");
    assert_eq!(binaries.etcd(&newest).unwrap(), directory.path().join("etcd"));
    assert_eq!(binaries.resolve(&"3.6.9".parse().unwrap()).unwrap().to_string(), "3.6.9");
}

#[tokio::test]
async fn a_missing_version_is_said_with_the_places_and_the_versions_that_are_there() {
    let directory = Directory::new().etcd("3.5", "3.5.30");
    let binaries = directory.find().await.unwrap();
    let wish: VersionWish = "3.6".parse().unwrap();
    let error = binaries.resolve(&wish).unwrap_err().to_string();
    assert!(error.contains("no etcd 3.6 was found"), "{error}");
    assert!(error.contains(&directory.path().display().to_string()) && error.contains("found 3.5.30"), "{error}");
    assert!(error.contains("make etcd"), "{error}");
}

#[tokio::test]
async fn a_named_directory_without_etcd_is_an_error_of_its_own() {
    let error = Directory::new().error().await;
    assert!(error.contains("no etcd in") && error.contains("--etcd-dir"), "{error}");
    let missing = Binaries::find(Some(&PathBuf::from("/nowhere/at/all"))).await.unwrap_err().to_string();
    assert!(missing.contains("no etcd in /nowhere/at/all"), "{missing}");
}

#[tokio::test]
async fn a_file_that_is_not_executable_is_said_to_be_so() {
    let error = Directory::new().with(".", "echo 'etcd Version: 3.6.1'", 0o644).error().await;
    assert!(error.contains("etcd is not executable") && error.contains("chmod +x"), "{error}");
}

#[tokio::test]
async fn an_etcd_of_another_version_than_its_directory_says_is_refused() {
    let error = Directory::new().etcd("3.6", "3.5.30").error().await;
    assert!(error.contains("says that it is etcd 3.5.30, its directory says 3.6"), "{error}");
}

#[tokio::test]
async fn what_does_not_answer_like_etcd_is_none() {
    let failing = Directory::new().with(".", "exit 3", 0o755).error().await;
    assert!(
        failing.contains("does not answer --version as etcd does") && failing.contains("exit status: 3"),
        "{failing}"
    );
    let other = Directory::new().with(".", "echo 'redis 7'", 0o755).error().await;
    assert!(other.contains("does not answer --version as etcd does"), "{other}");
    let future = Directory::new().etcd(".", "3.9.0").error().await;
    assert!(future.contains("is etcd 3.9.0, which is not supported"), "{future}");
}
