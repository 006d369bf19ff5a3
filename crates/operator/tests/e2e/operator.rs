//! The operator as a process of its own, seeing one namespace.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use crate::{ground::Ground, metrics::Page};

/// An operator at work; killed when dropped.
pub(crate) struct Operator {
    process: Option<Process>,
}

struct Process {
    child: Child,
    _directory: TempDir,
    log: PathBuf,
    metrics: SocketAddr,
    health: SocketAddr,
}

impl Operator {
    /// Starts one for these namespaces. What `environment` says counts more than what tests have by default.
    pub(crate) fn start(ground: &Ground, namespaces: &[&str], environment: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let file = File::create(&log).unwrap();
        let (metrics, health) = (free_port(), free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-operator"));
        command
            .args(["run", "--image", &ground.operator_image])
            .args(["--namespace", &namespaces.join(",")])
            .args(["--log", "info,kube_client=off,etcd_operator=debug"])
            .env("ETCD_OPERATOR_METRICS_ADDR", metrics.to_string())
            .env("ETCD_OPERATOR_HEALTH_ADDR", health.to_string())
            .env("ETCD_OPERATOR_SNAPSHOT_DIR", directory.path().join("snapshots"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .kill_on_drop(true);
        let child = command.spawn().unwrap();
        Self { process: Some(Process { child, _directory: directory, log, metrics, health }) }
    }

    /// No operator: none is there yet, or it runs elsewhere.
    pub(crate) const fn none() -> Self {
        Self { process: None }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().child.id().unwrap()
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().map(|process| fs::read_to_string(&process.log).unwrap_or_default()).unwrap_or_default()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.process.as_mut().unwrap().child.kill().await.unwrap();
    }

    /// SIGTERM; returns at once.
    pub(crate) fn ask_to_end(&self) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.process.as_mut().unwrap().child.wait().await.unwrap()
    }

    /// How it ended; `None` while it runs.
    #[allow(clippy::unwrap_in_result, reason = "the None is an answer, not a failure")]
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().unwrap().child.try_wait().unwrap()
    }

    /// What it has counted.
    pub(crate) async fn metrics(&self) -> Page {
        let (code, page) = get(self.process().metrics, "/metrics").await.expect("/metrics is served");
        assert_eq!(code, 200, "{page}");
        Page::new(page)
    }

    /// Code and text of one of its pages on health; `None` while nothing is served.
    pub(crate) async fn health(&self, path: &str) -> Option<(u16, String)> {
        get(self.process().health, path).await
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
