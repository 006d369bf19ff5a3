//! The operator as a process of its own, seeing one namespace.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::ground::Ground;

/// An operator at work; killed when dropped.
pub(crate) struct Operator {
    child: Child,
    _directory: TempDir,
    log: PathBuf,
}

impl Operator {
    /// Starts one for these namespaces.
    pub(crate) fn start(ground: &Ground, namespaces: &[&str], environment: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let file = File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-operator"));
        command
            .args(["run", "--metrics-addr", "none", "--health-addr", "none", "--image", &ground.operator_image])
            .args(["--namespace", &namespaces.join(",")])
            .arg("--snapshot-dir")
            .arg(directory.path().join("snapshots"))
            .args(["--log", "info,kube_client=off,etcd_operator=debug"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .kill_on_drop(true);
        Self { child: command.spawn().unwrap(), _directory: directory, log }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
