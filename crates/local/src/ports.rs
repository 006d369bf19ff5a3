//! Three ports for each slot, chosen once and kept: the peer port is part of a member's identity, and clients keep the others
//! in their configuration.
//!
//! They lie outside the range from which the kernel takes ports for outgoing connections, since one of those could sit on
//! a member's port just when the member restarts; and no other cluster of the same home has them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    path::Path,
};

use etcdop_core::{
    id::{PeerUrl, Slot},
    observation::Address,
};
use etcdop_engine::platform::Dial;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    directory::SlotDir,
    home::{ClusterName, Home},
    state_file::{self, StateError},
    token,
};

/// Below are services that are installed, not chosen.
const LOWEST: u16 = 10_000;
/// What Linux takes for outgoing connections when it does not say otherwise.
const USUAL_EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// The ports of one slot, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) peer: u16,
    pub(crate) metrics: u16,
}

/// Why a slot has no ports, or cannot use them.
#[derive(Debug, Error)]
pub enum PortError {
    /// Another process listens there.
    #[error(
        "{role} port {port} of slot {slot} is used by another process: stop it (`ss -ltnp sport = :{port}` names it), the port \
         belongs to the member and is not changed"
    )]
    Taken {
        /// What for.
        role: &'static str,
        /// Which.
        port: u16,
        /// Whose.
        slot: Slot,
    },
    /// The machine has no three ports left.
    #[error("no free port was found outside {}-{}, the range of outgoing connections", .ephemeral.start(), .ephemeral.end())]
    NoneLeft {
        /// Where none was looked for.
        ephemeral: RangeInclusive<u16>,
    },
    /// Not even a free port can be bound.
    #[error("127.0.0.1 cannot be listened on")]
    NoLoopback(#[source] io::Error),
    /// The home cannot be listed or locked.
    #[error("ports of other clusters below {0} cannot be read")]
    Home(std::path::PathBuf, #[source] io::Error),
    /// The file with the slot's ports.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Ports {
    /// The slot's ports, chosen now when it has none yet.
    pub(crate) fn of(home: &Home, slot: &SlotDir) -> Result<Self, PortError> {
        match Self::read(slot)? {
            Some(ports) => Ok(ports),
            None => Self::choose(home, slot),
        }
    }

    /// The slot's ports, if it has any.
    pub(crate) fn read(slot: &SlotDir) -> Result<Option<Self>, StateError> {
        state_file::read(&slot.ports())
    }

    fn choose(home: &Home, slot: &SlotDir) -> Result<Self, PortError> {
        let home_error = |source| PortError::Home(home.root().to_owned(), source);
        // Two managers that choose at the same time would find the same ports free.
        let lock = File::create(home.root().join(".ports.lock")).map_err(home_error)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| home_error(error.into()))?;
        let mut used = all_used(home).map_err(home_error)?;
        let ephemeral = ephemeral();
        let start = token::number().map_err(home_error)?;
        let mut next = || -> Result<u16, PortError> {
            let mut candidates = candidates(&ephemeral, start).filter(|port| !used.contains(port));
            let port = candidates
                .find(|port| is_free(*port))
                .ok_or_else(|| PortError::NoneLeft { ephemeral: ephemeral.clone() })?;
            used.insert(port);
            Ok(port)
        };
        let ports = Self { client: next()?, peer: next()?, metrics: next()? };
        state_file::write_durably(&slot.ports(), &ports)?;
        Ok(ports)
    }

    /// Whether etcd could listen on all of them now.
    pub(crate) fn check_free(self, slot: Slot) -> Result<(), PortError> {
        let taken = |(role, port)| match bind(port) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(PortError::Taken { role, port, slot }),
            Err(error) => Err(PortError::NoLoopback(error)),
        };
        [("client", self.client), ("peer", self.peer), ("metrics", self.metrics)].into_iter().try_for_each(taken)
    }

    /// What etcd calls this slot, and where others reach it.
    pub(crate) fn address(self, cluster: &ClusterName, slot: Slot) -> Option<Address> {
        let peer: PeerUrl = url(self.peer).parse().ok()?;
        Some(Address { name: member_name(cluster, slot), peer, client: url(self.client) })
    }

    /// Where this program reaches it.
    pub(crate) fn dial(self) -> Dial {
        Dial { client: url(self.client), peer: url(self.peer), metrics: url(self.metrics) }
    }
}

/// etcd's `--name`.
pub(crate) fn member_name(cluster: &ClusterName, slot: Slot) -> String {
    format!("{cluster}-{slot}")
}

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    bind(port).is_ok()
}

fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
        _ => USUAL_EPHEMERAL,
    }
}

/// From a random one on. Clusters of other homes and users, which nobody can list, begin elsewhere, so that two do not
/// choose alike while neither listens yet.
fn candidates(ephemeral: &RangeInclusive<u16>, start: usize) -> impl Iterator<Item = u16> {
    let all: Vec<u16> = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).collect();
    let start = start % all.len().max(1);
    let turn = all.len();
    all.into_iter().cycle().skip(start).take(turn)
}

/// The ports of every slot below the home, whether it runs or not. A file that cannot be read costs the knowledge of three
/// ports, which the check by listening makes up for while their members run.
fn all_used(home: &Home) -> io::Result<BTreeSet<u16>> {
    let mut used = BTreeSet::new();
    for cluster in directories(home.root())? {
        let Ok(slots) = directories(&cluster.join("members")) else { continue };
        for slot in slots {
            let ports = state_file::read::<Ports>(&slot.join("ports.json")).ok().flatten();
            used.extend(ports.iter().flat_map(|ports| [ports.client, ports.peer, ports.metrics]));
        }
    }
    Ok(used)
}

fn directories(path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}
