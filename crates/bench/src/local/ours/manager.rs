//! What the manager itself costs, as the process that a user runs.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::Workshop;
use crate::{failure::Failure, process::Process, wait::until};

/// Until a cluster counts as steady.
const SETTLED: Duration = Duration::from_secs(6);
/// How long its manager is measured.
const MEASURED: Duration = Duration::from_secs(20);

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
        let process = Process::new(up.id().unwrap_or_default());
        let before = process.watch()?;
        sleep(MEASURED).await;
        Ok(vec![process.resident()?, process.percent_since(before)?])
    }

    /// Stops manager and members.
    async fn down(&self, up: &mut Child) -> Result<(), Failure> {
        self.command(&["down", "bench"]).status().await.map_err(Failure::io("stop etcdop"))?;
        up.wait().await.map_err(Failure::io("wait for etcdop"))?;
        Ok(())
    }
}
