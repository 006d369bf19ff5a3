//! Three ports for each slot. The peer port is part of a member's identity and clients keep the others in their
//! configuration, so a slot keeps its ports.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    path::PathBuf,
};

use etcdop_core::{
    id::{PeerUrl, Slot},
    observation::Address,
};
use etcdop_engine::platform::Dial;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    home::{ClusterName, HomeError},
    state_file::StateError,
};

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
    #[error("127.0.0.1 cannot be listened on: {0}")]
    NoLoopback(io::Error),
    /// The home cannot be listed or locked, so what other clusters have is not known.
    #[error("ports cannot be chosen in {path}: {source}", path = .path.display())]
    Home {
        /// The home.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The clusters cannot be listed.
    #[error(transparent)]
    Clusters(#[from] HomeError),
    /// The file with the cluster's ports.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Ports {
    /// The three of them.
    pub(crate) fn all(self) -> [u16; 3] {
        [self.client, self.peer, self.metrics]
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

/// Listens on a port, and stops when the listener is dropped.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}
