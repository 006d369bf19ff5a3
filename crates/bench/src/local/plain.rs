//! Plain etcd processes, started by hand as somebody would who knows exactly what to do next: the floors are measured on them. They get
//! the flags that our own members get, and die with the value that holds them.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
};

use etcdop_core::version::Minor;
use etcdop_etcd::{Client, Endpoint, Http, Options};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{failure::Failure, ground::Ground};

/// Ports that we take: below those that the system hands out by itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// More learners than any step adds at a time.
const MAX_LEARNERS: &str = "8";

/// Some members that are to be one cluster.
#[derive(Debug)]
pub(crate) struct Plain {
    binary: PathBuf,
    minor: Minor,
    disks: TempDir,
    members: Vec<Member>,
}

/// One member: its addresses for ever, its process when it runs.
#[derive(Debug)]
struct Member {
    name: String,
    client: Endpoint,
    peer: Endpoint,
    metrics: Endpoint,
    process: Option<Child>,
}

/// How a member starts on an empty disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Founds,
    Joins,
}

impl Plain {
    /// Places for `size` members of this minor version; nothing runs.
    pub(crate) fn new(ground: &Ground, minor: Minor, size: usize) -> Result<Self, Failure> {
        let mut plain =
            Self { binary: ground.etcd(minor)?, minor, disks: ground.directory("plain")?, members: Vec::new() };
        for _ in 0..size {
            plain.add_place()?;
        }
        Ok(plain)
    }

    fn add_place(&mut self) -> Result<(), Failure> {
        let name = format!("m{}", self.members.len());
        let (client, peer, metrics) = (free()?, free()?, free()?);
        self.members.push(Member { name, client, peer, metrics, process: None });
        Ok(())
    }

    /// Starts a member on whatever its disk holds; `with` are the places in its initial cluster.
    pub(crate) fn start(&mut self, place: usize, with: &[usize], first: First) -> Result<(), Failure> {
        let initial: Vec<String> =
            with.iter().map(|&at| &self.members[at]).map(|member| format!("{}={}", member.name, member.peer)).collect();
        let state = match first {
            First::Founds => "new",
            First::Joins => "existing",
        };
        let disk = self.disk(place);
        let member = &mut self.members[place];
        let mut command = Command::new(&self.binary);
        command
            .args(["--name", &member.name])
            .arg("--data-dir")
            .arg(disk)
            .args(["--listen-client-urls", &member.client.to_string()])
            .args(["--advertise-client-urls", &member.client.to_string()])
            .args(["--listen-peer-urls", &member.peer.to_string()])
            .args(["--initial-advertise-peer-urls", &member.peer.to_string()])
            .args(["--listen-metrics-urls", &member.metrics.to_string()])
            .args(["--initial-cluster", &initial.join(",")])
            .args(["--initial-cluster-state", state])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if self.minor >= Minor::V3_6 {
            command.args(["--max-learners", MAX_LEARNERS]);
        }
        member.process = Some(command.spawn().map_err(Failure::io("start etcd"))?);
        Ok(())
    }

    /// SIGKILL, and the process is gone when this returns.
    pub(crate) async fn kill(&mut self, place: usize) -> Result<(), Failure> {
        match self.members[place].process.take() {
            Some(mut process) => process.kill().await.map_err(Failure::io("kill etcd")),
            None => Ok(()),
        }
    }

    /// Forgets everything that a member without a process ever wrote.
    pub(crate) fn wipe(&self, place: usize) -> Result<(), Failure> {
        std::fs::remove_dir_all(self.disk(place)).map_err(Failure::io("wipe a disk"))
    }

    fn disk(&self, place: usize) -> PathBuf {
        self.disks.path().join(&self.members[place].name)
    }

    pub(crate) fn client(&self, place: usize) -> Client {
        Client::new(self.members[place].client.clone(), &Options::default())
    }

    pub(crate) fn peer(&self, place: usize) -> Http {
        Http::new(self.members[place].peer.clone(), &Options::default())
    }

    pub(crate) fn metrics(&self, place: usize) -> Http {
        Http::new(self.members[place].metrics.clone(), &Options::default())
    }

    pub(crate) fn peer_url(&self, place: usize) -> String {
        self.members[place].peer.to_string()
    }

    /// The client URLs of these places.
    pub(crate) fn endpoints(&self, places: impl IntoIterator<Item = usize>) -> Vec<Endpoint> {
        places.into_iter().map(|place| self.members[place].client.clone()).collect()
    }
}

/// A loopback address that nobody listens on. Ports go round, so that one is not used again soon after its member's death.
fn free() -> Result<Endpoint, Failure> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let none = || Failure::NoPort { from: PORTS.start, to: PORTS.end };
    let span = PORTS.end - PORTS.start;
    // Two runs at once begin at different ports.
    let begin = u16::try_from(std::process::id() % u32::from(span)).map_err(|_| none())?;
    for _ in 0..span {
        let offset = (begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % span;
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("http://127.0.0.1:{port}").parse().map_err(|_| none());
        }
    }
    Err(none())
}
