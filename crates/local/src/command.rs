//! What a slot's process is started with: the guard, the files that it compares, and etcd's own command behind it.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use etcdop_core::{id::Incarnation, launch::LaunchSpec};

use crate::{
    directory::SlotDir,
    home::ClusterName,
    ports::{Ports, member_name, url},
};

/// Everything that a command line is made of.
pub(crate) struct Start<'a> {
    pub(crate) cluster: &'a ClusterName,
    pub(crate) slot: &'a SlotDir,
    pub(crate) incarnation: &'a Incarnation,
    pub(crate) ports: Ports,
    pub(crate) launch: &'a LaunchSpec,
    pub(crate) guard: &'a Path,
    pub(crate) setsid: Option<&'a Path>,
    pub(crate) etcd: &'a Path,
}

impl Start<'_> {
    /// The command, writing to `log`. It does not end with this program, nor with the terminal: a Ctrl-C is for the manager
    /// alone, which stops the members in order.
    pub(crate) fn command(&self, log: File) -> io::Result<Command> {
        let mut command = self.detached();
        command
            .args(guard_arguments(self.slot))
            .arg("--")
            .arg(self.etcd)
            .args(self.etcd_arguments())
            .current_dir(self.slot.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // etcd takes every flag from the environment too, and some user's shell is set up for another etcd.
        let foreign = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("ETCD_") && name != "ETCD_UNSUPPORTED_ARCH");
        for name in foreign {
            command.env_remove(name);
        }
        Ok(command)
    }

    /// In a session of its own. A process group would keep Ctrl-C away as well, but Linux sends SIGHUP to a group that has a
    /// frozen process in it and loses its last relative in the session: members would die with their manager. `setsid`
    /// becomes the guard in the same process, as the guard becomes etcd.
    fn detached(&self) -> Command {
        let Some(setsid) = self.setsid else {
            let mut command = Command::new(self.guard);
            command.process_group(0);
            return command;
        };
        let mut command = Command::new(setsid);
        command.arg(self.guard);
        command
    }

    fn etcd_arguments(&self) -> Vec<OsString> {
        let Self { cluster, slot, incarnation, ports, launch, .. } = self;
        let peer = url(ports.peer);
        let client = url(ports.client);
        let own = [
            format!("--name={}", member_name(cluster, slot.slot)),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--listen-metrics-urls={}", url(ports.metrics)),
            format!("--initial-cluster-token={}-{}", incarnation.uid, incarnation.number),
        ];
        let flags = launch.flags().into_iter().map(|(flag, value)| format!("--{flag}={value}"));
        let mut arguments = vec![data_argument(slot)];
        arguments.extend(own.into_iter().chain(flags).map(OsString::from));
        arguments
    }
}

fn guard_arguments(slot: &SlotDir) -> [OsString; 12] {
    [
        "--marker".into(),
        slot.marker().into(),
        "--data-dir".into(),
        slot.data().into(),
        "--seat".into(),
        slot.seat().into(),
        "--permit".into(),
        slot.permit().into(),
        "--ledger".into(),
        slot.ledger().into(),
        "--status".into(),
        slot.status().into(),
    ]
}

fn data_argument(slot: &SlotDir) -> OsString {
    let mut argument = OsString::from("--data-dir=");
    argument.push(slot.data());
    argument
}

/// Whether these are the arguments of the guard or of the etcd of this slot.
pub(crate) fn belongs_to(slot: &SlotDir, arguments: &[Vec<u8>]) -> bool {
    let data = data_argument(slot);
    arguments.iter().skip(1).any(|argument| argument == data.as_encoded_bytes())
}
