//! Doubles of members, for what an operator costs that keeps many clusters: three hundred etcds do not fit on a small machine, and it is
//! not they who are measured. Everything that the operator does is real (its objects, the Pods of stateful sets, the permits, the status),
//! up to a node that is none: what would run there answers from here, at addresses of the range for benchmarks (RFC 2544). Needs root
//! for these addresses, and an operator that reaches Pods at their own.

mod etcd;
mod guard;
mod node;
mod world;

use std::{net::Ipv4Addr, sync::Arc};

use kube::Client;
use tokio::{net::TcpListener, process::Command};
use tokio_util::task::AbortOnDropHandle;

use self::{node::Node, world::World};
use crate::failure::Failure;

/// Addresses of the doubles.
const RANGE: &str = "198.18.0.0/16";
const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The ports of a member's Pod: the guard's, then etcd's for clients, peers and metrics.
const REPORT: u16 = 2378;
const ETCD: [u16; 3] = [2379, 2380, 2381];

pub(crate) use self::node::LABEL;

/// A node full of doubles.
pub(crate) struct Doubles {
    node: Node,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Doubles {
    /// Brings up a node that runs whatever Pods of this namespace are bound to it.
    pub(crate) async fn start(client: &Client, namespace: &str) -> Result<Self, Failure> {
        let world = Arc::new(World::default());
        let mut tasks = Vec::new();
        for port in ETCD {
            let listener = listen(port).await?;
            tasks.push(AbortOnDropHandle::new(tokio::spawn(etcd::serve(listener, Arc::clone(&world)))));
        }
        let listener = listen(REPORT).await?;
        tasks.push(AbortOnDropHandle::new(tokio::spawn(guard::serve(listener, Arc::clone(&world)))));
        route("replace").await?;
        let node = Node::join(client, namespace, world).await?;
        Ok(Self { node, _tasks: tasks })
    }

    /// Takes the node and the addresses away.
    pub(crate) async fn end(self) {
        self.node.leave().await;
        // Nobody is at these addresses anyway.
        let _ = route("delete").await;
    }
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(Failure::io("listen in place of etcd"))
}

/// Whether this machine answers at the doubles' addresses.
async fn route(verb: &str) -> Result<(), Failure> {
    let arguments = ["route", verb, "local", RANGE, "dev", "lo"];
    let done = Command::new("ip").args(arguments).output().await.map_err(Failure::io("run ip"))?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(Failure::Missing { what: format!("ip {}: {why}: the doubles' addresses need root", arguments.join(" ")) })
}
