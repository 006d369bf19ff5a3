//! What the manager itself costs, as the process that a user runs.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::Workshop;
use crate::{failure::Failure, wait::until};

/// Until a cluster counts as steady.
const SETTLED: Duration = Duration::from_secs(6);
/// How long its manager is measured.
const MEASURED: Duration = Duration::from_secs(20);
/// The clock that the kernel counts processor time with, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident megabytes, and percent of a core when steady, of the manager of one cluster of `size` members.
pub(crate) async fn manager(shop: &Workshop, size: u8) -> Result<Vec<f64>, Failure> {
    let home = shop.ground.directory("manager")?;
    let program = shop.ground.program("etcdop")?;
    let mut etcdop = Etcdop { program, home: home.path().to_owned(), etcd: shop.ground.target().join("etcd") };
    let mut up = etcdop.up(size)?;
    let measured = etcdop.measure(&mut up, size).await;
    etcdop.down(&mut up).await?;
    measured
}

struct Etcdop {
    program: PathBuf,
    home: PathBuf,
    etcd: PathBuf,
}

impl Etcdop {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("local").arg("--dir").arg(&self.home).arg("--etcd-dir").arg(&self.etcd).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }

    fn up(&mut self, size: u8) -> Result<Child, Failure> {
        let arguments = ["up", "bench", "--size", &size.to_string(), "--version", "3.6", "--log-format", "text"];
        self.command(&arguments).spawn().map_err(Failure::io("start etcdop"))
    }

    async fn measure(&self, up: &mut Child, size: u8) -> Result<Vec<f64>, Failure> {
        let size = size.to_string();
        until("a cluster as declared", || async {
            let done = self.command(&["--name", "bench", "scale", &size, "--wait=1s"]).status().await;
            done.is_ok_and(|status| status.success()).then_some(())
        })
        .await?;
        sleep(SETTLED).await;
        let process = PathBuf::from("/proc").join(up.id().unwrap_or_default().to_string());
        let (before, began) = (ticks(&process)?, Instant::now());
        sleep(MEASURED).await;
        let share = (ticks(&process)? - before) / TICKS_PER_SECOND / began.elapsed().as_secs_f64();
        Ok(vec![resident(&process)?, share * 100.0])
    }

    /// Stops manager and members.
    async fn down(&self, up: &mut Child) -> Result<(), Failure> {
        self.command(&["down", "bench"]).status().await.map_err(Failure::io("stop etcdop"))?;
        up.wait().await.map_err(Failure::io("wait for etcdop"))?;
        Ok(())
    }
}

/// Processor time of a process, user and system together.
fn ticks(process: &std::path::Path) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(process.join("stat")).map_err(Failure::io("read /proc/PID/stat"))?;
    // The name in parentheses may hold anything; the fields after it are numbers. utime and stime are the 14th and 15th of all.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
    let ticks: Option<Vec<f64>> = fields.map(|fields| fields.filter_map(|field| field.parse().ok()).collect());
    ticks
        .filter(|ticks| ticks.len() == 2)
        .map(|ticks| ticks.iter().sum())
        .ok_or(Failure::Unreadable { what: "/proc/PID/stat" })
}

/// Megabytes that a process holds in memory.
fn resident(process: &std::path::Path) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(process.join("status")).map_err(Failure::io("read /proc/PID/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.map(|kilobytes| kilobytes / 1024.0).ok_or(Failure::Unreadable { what: "/proc/PID/status" })
}
