//! The HTTP side of a member: probes, versions and metrics on the client or metrics port, the member list and version on the peer port.
//!
//! The peer port answers before a member serves clients and without a quorum, so it is the first sign of life of a joiner. Its
//! `/members` is what that member knows, never a ground for a change of membership.

use std::time::Duration;

use ::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client as Pool, rt::TokioExecutor};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    connect::Connector,
    endpoint::{Endpoint, Options},
    error::{Error, chain},
    id::{ClusterId, MemberId},
    membership::{Member, Role},
    metrics::Metrics,
    tls::Protocol,
};

/// Bytes of the largest page that we read; a metrics page of a busy member has a few hundred thousand.
const LARGEST: usize = 16 << 20;

/// A client of one port of one member. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    connector: Connector,
    pool: Pool<Connector, Empty<Bytes>>,
    deadline: Duration,
}

/// What a health endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it says that all is well.
    pub passed: bool,
    /// Its words.
    pub text: String,
}

/// Which versions a member runs, as etcd writes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Versions {
    /// Of the server (`3.6.16`).
    #[serde(rename = "etcdserver")]
    pub server: String,
    /// Of the cluster (`3.6.0`); `not_decided` in the first moments of a cluster.
    #[serde(rename = "etcdcluster")]
    pub cluster: String,
    /// Of the data's layout; from 3.6 on.
    #[serde(default)]
    pub storage: Option<String>,
}

/// What one member knows of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerMembers {
    /// Its cluster, where the answer says so.
    pub cluster_id: Option<ClusterId>,
    /// The members it knows.
    pub members: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeerMember {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(rename = "clientURLs", default)]
    client_urls: Vec<String>,
    #[serde(default)]
    is_learner: bool,
}

struct Page {
    status: StatusCode,
    cluster_id: Option<ClusterId>,
    body: Bytes,
}

impl Http {
    /// Does no I/O; the first call connects.
    pub fn new(endpoint: Endpoint, options: &Options) -> Self {
        let connector = Connector::new(endpoint, options, Protocol::Http1);
        let pool = Pool::builder(TokioExecutor::new()).build(connector.clone());
        Self { connector, pool, deadline: options.call_timeout }
    }

    /// The port that this client speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        self.connector.endpoint()
    }

    /// The same client with another deadline for each call.
    #[must_use]
    pub fn deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// `/health`: alarms, leader and a linearizable read.
    pub async fn health(&self) -> Result<Probe, Error> {
        self.probe("/health").await
    }

    /// `/readyz`: fit for clients; a learner is not (from 3.5.19 and 3.6.0 on).
    pub async fn readyz(&self) -> Result<Probe, Error> {
        self.probe("/readyz").await
    }

    /// `/livez`: the process works; needs no quorum.
    pub async fn livez(&self) -> Result<Probe, Error> {
        self.probe("/livez").await
    }

    /// `/version`, on client and peer ports.
    pub async fn version(&self) -> Result<Versions, Error> {
        read(&self.page("/version").await?.expect_ok()?)
    }

    /// `/metrics`.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let page = self.page("/metrics").await?.expect_ok()?;
        Ok(Metrics::new(page.text()))
    }

    /// `/members`, on peer ports.
    pub async fn peer_members(&self) -> Result<PeerMembers, Error> {
        let page = self.page("/members").await?.expect_ok()?;
        let members: Vec<PeerMember> = read(&page)?;
        Ok(PeerMembers { cluster_id: page.cluster_id, members: members.into_iter().map(Member::from).collect() })
    }

    async fn probe(&self, path: &str) -> Result<Probe, Error> {
        let page = self.page(path).await?;
        match page.status {
            StatusCode::OK => Ok(Probe { passed: true, text: page.text() }),
            StatusCode::SERVICE_UNAVAILABLE => Ok(Probe { passed: false, text: page.text() }),
            _ => Err(page.unexpected()),
        }
    }

    async fn page(&self, path: &str) -> Result<Page, Error> {
        timeout(self.deadline, self.fetch(path)).await.unwrap_or(Err(Error::DeadlineExceeded { after: self.deadline }))
    }

    async fn fetch(&self, path: &str) -> Result<Page, Error> {
        let request = Request::get(format!("{}{path}", self.endpoint()))
            .body(Empty::new())
            .map_err(|error| Error::InvalidArgument { message: error.to_string() })?;
        let (head, body) = self.pool.request(request).await.map_err(|error| self.failed(&error))?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| self.failed(&*error))?;
        let cluster_id = head
            .headers
            .get("x-etcd-cluster-id")
            .and_then(|id| u64::from_str_radix(id.to_str().ok()?, 16).ok())
            .map(ClusterId);
        Ok(Page { status: head.status, cluster_id, body: body.to_bytes() })
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<Error>() {
                return ours.clone();
            }
            cause = error.source();
        }
        self.connector.refused().unwrap_or_else(|| Error::Unavailable { message: chain(error) })
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn expect_ok(self) -> Result<Self, Error> {
        if self.status == StatusCode::OK { Ok(self) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Error {
        Error::HttpStatus { status: self.status.as_u16(), body: self.text().chars().take(200).collect() }
    }
}

fn read<'page, T: Deserialize<'page>>(page: &'page Page) -> Result<T, Error> {
    serde_json::from_slice(&page.body).map_err(|error| Error::InvalidAnswer { reason: error.to_string() })
}

impl From<PeerMember> for Member {
    fn from(member: PeerMember) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            role: if member.is_learner { Role::Learner } else { Role::Voter },
        }
    }
}
