//! Plain etcd processes on loopback, started by hand and killed when a test lets go of them, also when it panics.

use std::{
    env, fs,
    fs::File,
    net::TcpListener,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use etcdop_etcd::{Added, Client, Endpoint, Error, Http, MemberId, Options};
use futures::{FutureExt, future::join_all};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// For everything that has to happen sooner or later; a loaded machine takes its time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A minor version of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Minor {
    V3_5,
    V3_6,
    V3_7,
}

/// Runs a test against every supported minor version, all at once: most of a test's time is etcd's waiting.
pub(crate) async fn on_every_minor(test: impl AsyncFn(Minor)) {
    let minors = [Minor::V3_5, Minor::V3_6, Minor::V3_7];
    let runs = minors.map(|minor| AssertUnwindSafe(test(minor)).catch_unwind());
    let results = join_all(runs).await;
    let failed: Vec<_> = minors.iter().zip(results).filter(|(_, result)| result.is_err()).collect();
    assert!(failed.is_empty(), "failed on {:?}", failed.iter().map(|(minor, _)| minor.text()).collect::<Vec<_>>());
}

impl Minor {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
            Self::V3_7 => "3.7",
        }
    }

    pub(crate) fn binary(self, name: &str) -> PathBuf {
        let root = env::var_os("ETCDOP_ETCD_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/etcd"), PathBuf::from);
        let path = root.join(self.text()).join(name);
        assert!(path.is_file(), "{} is not there: run make etcd", path.display());
        path
    }
}

/// One etcd process, its disk and its ports.
pub(crate) struct Member {
    pub(crate) name: String,
    minor: Minor,
    disk: TempDir,
    client_url: String,
    peer_url: String,
    flags: Vec<String>,
    process: Option<Child>,
}

/// How clients and peers speak to a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    /// Clients come over TLS; peers stay in plain text.
    Https,
}

impl Member {
    /// Finds ports and makes a disk; starts nothing.
    pub(crate) fn prepare(minor: Minor, name: &str, scheme: Scheme) -> Self {
        let scheme = if scheme == Scheme::Https { "https" } else { "http" };
        Self {
            name: name.to_owned(),
            minor,
            disk: tempfile::tempdir().expect("a temporary directory"),
            client_url: format!("{scheme}://127.0.0.1:{}", free_port()),
            peer_url: format!("http://127.0.0.1:{}", free_port()),
            flags: Vec::new(),
            process: None,
        }
    }

    /// Adds flags of the test's own.
    pub(crate) fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn peer_url(&self) -> &str {
        &self.peer_url
    }

    pub(crate) fn client_url(&self) -> &str {
        &self.client_url
    }

    /// `name=peer URL`, as `--initial-cluster` wants it.
    pub(crate) fn entry(&self) -> String {
        format!("{}={}", self.name, self.peer_url)
    }

    /// Starts the process; does not wait for it to serve.
    pub(crate) fn spawn(&mut self, state: &str, cluster: &str) {
        self.flags.push(format!("--initial-cluster-state={state}"));
        self.flags.push(format!("--initial-cluster={cluster}"));
        self.start();
    }

    /// Starts the process again as it was.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let child = Command::new(self.minor.binary("etcd"))
            .arg(format!("--name={}", self.name))
            .arg(format!("--data-dir={}", self.disk.path().join("data").display()))
            .arg(format!("--listen-client-urls={}", self.client_url))
            .arg(format!("--advertise-client-urls={}", self.client_url))
            .arg(format!("--listen-peer-urls={}", self.peer_url))
            .arg(format!("--initial-advertise-peer-urls={}", self.peer_url))
            // Nothing here survives the machine, so nothing needs to reach its disk.
            .args(["--initial-cluster-token=etcdop-etcd-tests", "--unsafe-no-fsync", "--log-outputs=stderr"])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd starts");
        self.process = Some(child);
    }

    fn pid(&self) -> Pid {
        let child = self.process.as_ref().expect("it runs");
        Pid::from_child(child)
    }

    /// SIGSTOP, and waits until every thread of it has stopped. It keeps its connections and answers nobody.
    pub(crate) fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).expect("it can be frozen");
        waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED).expect("it is our child");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).expect("it can be thawed");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.client_url.parse().expect("our own URL")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.endpoint(), &Options::default())
    }

    /// The HTTP side of the client port.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.endpoint(), &Options::default())
    }

    /// The HTTP side of the peer port.
    pub(crate) fn peer(&self) -> Http {
        Http::new(self.peer_url.parse().expect("our own URL"), &Options::default())
    }

    fn log_path(&self) -> PathBuf {
        self.disk.path().join("log")
    }

    /// The end of its log, for people who look at a failed test.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("last words of {} ({}):\n{}", self.name, self.minor.text(), self.last_words());
        }
        self.kill();
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const SPAN: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at once begin at different places.
    let start = u16::try_from(std::process::id() * 131 % u32::from(SPAN)).expect("less than the span");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % SPAN) % SPAN;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is the wanted one; the last answer is in the panic when it never is.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if start.elapsed() > PATIENCE => panic!("{what}: not within {PATIENCE:?}; last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A cluster of plain processes.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
}

impl Cluster {
    /// One member that serves.
    pub(crate) async fn single(minor: Minor, flags: &[&str]) -> Self {
        Self::of(minor, 1, flags).await
    }

    /// Members that were born together and all serve.
    pub(crate) async fn of(minor: Minor, size: usize, flags: &[&str]) -> Self {
        let members = (0..size).map(|n| Member::prepare(minor, &format!("m{n}"), Scheme::Http).with_flags(flags));
        let mut cluster = Self { members: members.collect() };
        cluster.bootstrap();
        cluster.serving().await;
        cluster
    }

    /// Starts all members as founders.
    pub(crate) fn bootstrap(&mut self) {
        let entries = self.entries();
        self.members.iter_mut().for_each(|member| member.spawn("new", &entries));
    }

    pub(crate) fn entries(&self) -> String {
        self.members.iter().map(Member::entry).collect::<Vec<_>>().join(",")
    }

    /// Waits until all members serve linearizable reads.
    pub(crate) async fn serving(&self) {
        for member in &self.members {
            let http = member.http();
            until(&format!("{} serves", member.name), async || match http.health().await {
                Ok(probe) if probe.passed => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
        }
    }

    /// Adds a learner, starts it, and waits until it answers.
    pub(crate) async fn join(&mut self, flags: &[&str]) -> MemberId {
        let mut learner =
            Member::prepare(self.members[0].minor, &format!("m{}", self.members.len()), Scheme::Http).with_flags(flags);
        let added = self.add_learner(learner.peer_url()).await;
        let entries = format!("{},{}", self.entries(), learner.entry());
        learner.spawn("existing", &entries);
        let client = learner.client();
        until("the learner answers", async || client.status().await.map_err(|error| error.to_string())).await;
        self.members.push(learner);
        added.member.id
    }

    /// Adds a learner once the members are connected for as long as etcd wants it.
    pub(crate) async fn add_learner(&self, url: &str) -> Added {
        let client = self.members[0].client();
        until("a learner is added", async || match client.member_add_learner(&[url]).await {
            Ok(added) => Ok(added.value),
            Err(Error::UnhealthyCluster) => Err("unhealthy cluster".to_owned()),
            Err(other) => panic!("a learner cannot be added: {other}"),
        })
        .await
    }

    pub(crate) fn client(&self) -> Client {
        self.members[0].client()
    }

    /// The leader and one that is not, by position.
    pub(crate) async fn leader_and_follower(&self) -> (usize, usize) {
        let leader = self.leader().await;
        (leader, (leader + 1) % self.members.len())
    }

    /// Who leads, by position.
    pub(crate) async fn leader(&self) -> usize {
        until("one member leads", async || {
            for (position, member) in self.members.iter().enumerate() {
                let status = member.client().status().await.map_err(|error| error.to_string())?;
                if status.value.leader == Some(status.header.member_id) {
                    return Ok(position);
                }
            }
            Err("none says that it leads".to_owned())
        })
        .await
    }
}
