//! How Pods are reached: at their own addresses from inside the cluster, through the API server's port-forward from outside.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::ValueEnum;
use etcdop_engine::platform::Dial;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{call::api, objects::Objects};

const CLIENT: u16 = 2379;
const PEER: u16 = 2380;
const METRICS: u16 = 2381;

/// How Pods are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// At their own addresses: inside the cluster, or where Pod addresses are routed.
    Direct,
    /// Through the API server's port-forward: from anywhere that the API server can be reached from.
    Forward,
}

impl Way {
    /// Directly where this process runs as a Pod.
    pub(crate) fn here() -> Self {
        if is_in_cluster() { Self::Direct } else { Self::Forward }
    }
}

/// Whether this process runs as a Pod.
pub(crate) fn is_in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        && std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}

/// For a permit to be brought.
const HAND_OVER: Duration = Duration::from_secs(2);

/// The way to the Pods of one cluster.
#[derive(Clone)]
pub(crate) struct Reach {
    way: Way,
    pods: Api<Pod>,
    forwards: Arc<Mutex<HashMap<(String, u16), Forward>>>,
}

/// A local port that leads to one port of one Pod, while this is held.
struct Forward {
    address: SocketAddr,
    _listener: AbortOnDropHandle<()>,
}

impl Reach {
    pub(crate) fn new(way: Way, client: &Client, namespace: &str) -> Self {
        Self { way, pods: api(client, namespace), forwards: Arc::default() }
    }

    /// Where to connect to for a port of a Pod; `None` before it has an address.
    pub(crate) fn address(&self, pod: &Pod, port: u16) -> Option<SocketAddr> {
        let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
        match self.way {
            Way::Direct => Some(SocketAddr::new(ip, port)),
            Way::Forward => self.forwarded(pod, port),
        }
    }

    /// Where the engine reaches a Pod's etcd; `None` before it has an address.
    pub(crate) fn dial(&self, pod: &Pod) -> Option<Dial> {
        let url = |port| Some(format!("http://{}", self.address(pod, port)?));
        Some(Dial { client: url(CLIENT)?, peer: url(PEER)?, metrics: url(METRICS)? })
    }

    /// Says something on a port of a Pod's loopback, which only the API server leads to; the answer.
    pub(super) async fn hand_over(&self, pod: &str, port: u16, text: &str) -> Result<String, String> {
        let said = async {
            let mut forwarder =
                self.pods.portforward(pod, &[port]).await.map_err(|error| super::answer::words(&error))?;
            let mut stream = forwarder.take_stream(port).ok_or("the API server opened no stream")?;
            stream.write_all(text.as_bytes()).await.map_err(|error| error.to_string())?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\n") && stream.read_buf(&mut answer).await.map_err(|error| error.to_string())? > 0
            {
            }
            drop(stream);
            forwarder.abort();
            Ok::<_, String>(String::from_utf8_lossy(&answer).trim().to_owned())
        };
        timeout(HAND_OVER, said).await.unwrap_or_else(|_| Err(format!("no answer within {HAND_OVER:?}")))
    }

    /// Closes the ways to Pods that are gone.
    pub(crate) fn forget_others(&self, objects: &Objects) {
        let there = |uid: &str| objects.pods.values().any(|pod| pod.metadata.uid.as_deref() == Some(uid));
        self.forwards.lock().unwrap_or_else(PoisonError::into_inner).retain(|(uid, _), _| there(uid));
    }

    fn forwarded(&self, pod: &Pod, port: u16) -> Option<SocketAddr> {
        let key = (pod.uid()?, port);
        let mut forwards = self.forwards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forward) = forwards.get(&key) {
            return Some(forward.address);
        }
        let forward = Forward::open(self.pods.clone(), pod.name_any(), port).inspect_err(|error| {
            tracing::warn!(pod = pod.name_any(), port, %error, "no local port to forward from");
        });
        let forward = forward.ok()?;
        let address = forward.address;
        forwards.insert(key, forward);
        Some(address)
    }
}

impl Forward {
    fn open(pods: Api<Pod>, pod: String, port: u16) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pods, pod) = (pods.clone(), pod.clone());
                tokio::spawn(async move {
                    if let Err(why) = forward(&pods, &pod, port, stream).await {
                        tracing::debug!(pod, port, why, "forwarded connection");
                    }
                });
            }
        };
        Ok(Self { address, _listener: AbortOnDropHandle::new(tokio::spawn(serve)) })
    }
}

/// Carries one connection until either side closes it.
async fn forward(pods: &Api<Pod>, pod: &str, port: u16, mut here: TcpStream) -> Result<(), String> {
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|error| super::answer::words(&error))?;
    let mut there = forwarder.take_stream(port).ok_or("the API server opened no stream")?;
    let done = copy_bidirectional(&mut here, &mut there).await;
    drop(there);
    forwarder.abort();
    done.map(|_| ()).map_err(|error| error.to_string())
}
