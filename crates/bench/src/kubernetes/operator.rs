//! The operator as a process of its own, as `make run` starts it.

use std::{fs::File, process::Stdio};

use tokio::process::{Child, Command};

use crate::{
    failure::Failure,
    ground::{Ground, program},
    process::Process,
};

/// How it reaches Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reach {
    /// At their own addresses, as inside the cluster; needs a route to them.
    Direct,
    /// Through the API server's port-forward, as on a laptop.
    Forward,
}

/// An operator at work; killed when dropped.
#[derive(Debug)]
pub(crate) struct Operator {
    child: Child,
}

impl Operator {
    /// Starts one that sees this namespace alone. `ETCD_OPERATOR_LOG` says what it writes into its log in the target folder.
    pub(crate) fn start(ground: &Ground, namespace: &str, reach: Reach) -> Result<Self, Failure> {
        let log = ground.target.join(format!("{namespace}-operator.log"));
        let log = File::create(log).map_err(Failure::io("make the operator's log"))?;
        let mut command = Command::new(program("etcd-operator")?);
        command
            .args(["run", "--metrics-addr", "none", "--health-addr", "none", "--namespace", namespace])
            .args(["--image", &ground.images.operator])
            .args(["--reach", if reach == Reach::Direct { "direct" } else { "forward" }])
            .arg("--snapshot-dir")
            .arg(ground.target.join(format!("{namespace}-snapshots")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        Ok(Self { child: command.spawn().map_err(Failure::io("start the operator"))? })
    }

    /// What it costs.
    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id().unwrap_or_default())
    }
}
