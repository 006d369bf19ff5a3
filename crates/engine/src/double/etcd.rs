//! Plain etcd processes on loopback, killed when a test lets go of them, also when it panics.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use etcdop_etcd::{Answer, Client, Http, Options, Status};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use crate::platform::Dial;

/// One etcd process, its disk and its ports.
#[derive(Debug)]
pub(crate) struct Etcd {
    pub(crate) name: String,
    pub(crate) dial: Dial,
    disk: TempDir,
    process: Option<Child>,
}

impl Etcd {
    /// Members of one cluster, just started as founders. Stops them again when dropped.
    pub(crate) fn cluster(minor: &str, size: usize) -> Vec<Self> {
        Self::cluster_with(minor, size, &[])
    }

    /// The same with flags of the test's own.
    pub(crate) fn cluster_with(minor: &str, size: usize, flags: &[&str]) -> Vec<Self> {
        let mut members: Vec<Self> = (0..size).map(|n| Self::prepare(&format!("m{n}"))).collect();
        let all: Vec<String> = members.iter().map(|m| format!("{}={}", m.name, m.dial.peer)).collect();
        for member in &mut members {
            member.spawn(minor, &all.join(","), flags);
        }
        members
    }

    /// A place for a member; nothing runs there.
    pub(crate) fn prepare(name: &str) -> Self {
        let url = || format!("http://127.0.0.1:{}", free_port());
        let dial = Dial { client: url(), peer: url(), metrics: url() };
        Self { name: name.to_owned(), dial, disk: tempfile::tempdir().unwrap(), process: None }
    }

    fn spawn(&mut self, minor: &str, all: &str, flags: &[&str]) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let Dial { client, peer, metrics } = &self.dial;
        let child = Command::new(binary(minor))
            .arg(format!("--name={}", self.name))
            .arg(format!("--data-dir={}", self.disk.path().join("data").display()))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--listen-metrics-urls={metrics}"))
            .arg(format!("--initial-cluster={all}"))
            .args(flags)
            // Nothing here survives the machine, so nothing needs to reach its disk.
            .args(["--unsafe-no-fsync", "--log-outputs=stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    /// Starts it on its empty disk beside `members`, whose list has it already.
    pub(crate) fn join(&mut self, minor: &str, members: &[Self]) {
        let all = members.iter().chain([&*self]).map(|m| format!("{}={}", m.name, m.dial.peer));
        let all = all.collect::<Vec<_>>().join(",");
        self.spawn(minor, &all, &["--initial-cluster-state=existing"]);
    }

    /// Starts it again on its disk; on another minor, too.
    pub(crate) fn restart(&mut self, minor: &str) {
        self.kill();
        // Where its log is, etcd asks for no list but its own entry.
        self.spawn(minor, &format!("{}={}", self.name, self.dial.peer), &[]);
    }

    fn log(&self) -> PathBuf {
        self.disk.path().join("log")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.dial.client.parse().unwrap(), &Options::default())
    }

    /// Its status, as soon as it serves.
    pub(crate) async fn serving(&self) -> Answer<Status> {
        let (client, http) = (self.client(), Http::new(self.dial.client.parse().unwrap(), &Options::default()));
        until(&format!("{} serves", self.name), async || {
            let health = http.health().await.map_err(|error| error.to_string())?;
            let status = client.status().await.map_err(|error| error.to_string())?;
            if health.passed { Ok(status) } else { Err(health.text) }
        })
        .await
    }

    /// SIGSTOP, and waits until all of it has stopped: it keeps its connections and answers nobody.
    pub(crate) fn freeze(&self) {
        let pid = Pid::from_child(self.process.as_ref().unwrap());
        kill_process(pid, Signal::STOP).unwrap();
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap();
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(self.process.as_ref().unwrap()), Signal::CONT).unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("last words of {}:\n{}", self.name, lines[lines.len().saturating_sub(10)..].join("\n"));
        }
        self.kill();
    }
}

fn binary(minor: &str) -> PathBuf {
    let root = env::var_os("ETCDOP_ETCD_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/etcd"), PathBuf::from);
    let path = root.join(minor).join("etcd");
    assert!(path.is_file(), "{} is not there: run make etcd", path.display());
    path
}

/// A port that nobody listens on, below those that the system gives to outgoing connections.
fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const SPAN: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at once begin at different places.
    let start = u16::try_from(std::process::id() * 131 % u32::from(SPAN)).unwrap();
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % SPAN) % SPAN;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is the wanted one, for at most a minute; the last answer is in the panic when it never is.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if start.elapsed() > Duration::from_mins(1) => {
                panic!("{what}: not within a minute; last: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
