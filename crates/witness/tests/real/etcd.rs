//! One plain etcd process on loopback, killed when the test ends, also by a panic.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use etcdop_etcd::Endpoint;
use tempfile::TempDir;

pub(crate) struct Etcd {
    binary: PathBuf,
    directory: TempDir,
    client_url: String,
    peer_url: String,
    process: Child,
}

impl Etcd {
    /// A new cluster of one member of this minor version.
    pub(crate) fn start(minor: &str) -> Self {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/etcd").join(minor).join("etcd");
        assert!(binary.exists(), "{} is missing: run `make etcd` first", binary.display());
        let directory = TempDir::new().unwrap();
        let (client_url, peer_url) = (free_url(), free_url());
        let process = spawn(&binary, directory.path(), &client_url, &peer_url);
        Self { binary, directory, client_url, peer_url, process }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.client_url.parse().unwrap()
    }

    /// SIGKILL; nothing is said goodbye to.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The same member on the same disk.
    pub(crate) fn start_again(&mut self) {
        self.process = spawn(&self.binary, self.directory.path(), &self.client_url, &self.peer_url);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may be dead already; that is all that is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(binary: &Path, directory: &Path, client_url: &str, peer_url: &str) -> Child {
    Command::new(binary)
        .args(["--name", "m0", "--log-level", "error"])
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(["--listen-client-urls", client_url, "--advertise-client-urls", client_url])
        .args(["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url])
        .args(["--initial-cluster", &format!("m0={peer_url}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A port that nobody listens on, below those that the system gives to outgoing connections: one of those could be taken while the
/// member is down.
fn free_url() -> String {
    const FIRST: u32 = 10_000;
    const SPAN: u32 = 10_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at once begin at different places.
    let start = std::process::id().wrapping_mul(131);
    loop {
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % SPAN;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return format!("http://{address}");
        }
    }
}
