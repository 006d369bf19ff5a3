//! The processes of one cluster as the kernel shows them.

use std::{collections::BTreeMap, fs, path::Path};

use etcdop_core::id::Slot;
use rustix::process::{Pid, Signal, kill_process};

/// One process; another one under the same number began at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// In clock ticks since the machine started.
    began: u64,
}

impl Process {
    /// Its command line.
    pub(crate) fn arguments(self) -> String {
        let arguments = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap();
        String::from_utf8_lossy(&arguments).replace('\0', " ")
    }

    pub(crate) fn signal(self, signal: Signal) {
        // Gone meanwhile is as good: whoever needs it looks.
        let _ = kill_process(Pid::from_raw(self.pid).unwrap(), signal);
    }
}

/// The guard or etcd of every slot below `cluster`.
pub(crate) fn residents(cluster: &Path) -> BTreeMap<Slot, Process> {
    let members = format!("{}/members/", cluster.display());
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((slot(pid, &members)?, Process { pid, began: began(pid)? }))).collect()
}

fn slot(pid: i32, members: &str) -> Option<Slot> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    let (_, rest) = arguments.split_once(members)?;
    rest.split('/').next()?.parse().ok().map(Slot)
}

fn began(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    (fields.next()? != "Z").then_some(())?;
    fields.nth(18)?.parse().ok()
}
