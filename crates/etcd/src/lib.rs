//! A client for one etcd member at a time: the v3 gRPC API, the HTTP side, TLS, and errors that say what was applied.
//!
//! Why not one of the published clients: they balance over endpoints (so nobody knows who answered), ask for member lists that
//! may be stale, put no deadline on streams, and hand out gRPC codes where an operator must know whether a change may have
//! happened. Here:
//!
//! - a [`Client`] speaks to exactly one member over one HTTP/2 connection, and makes a new one by itself;
//! - every call has a deadline, every stream a progress timeout;
//! - every [`Answer`] says which cluster and member gave it, and [`Client::expect_cluster`] turns a stranger into an error;
//! - every [`Error`] knows its [`Effect`]: definitely not applied, or unknown.

mod answer;
mod auth;
mod channel;
mod client;
mod connect;
mod endpoint;
mod error;
mod generated;
mod http;
mod id;
mod kv;
mod lease;
mod maintenance;
mod membership;
mod metrics;
mod snapshot;
mod tls;
mod watch;

pub use self::{
    answer::{Answer, Header},
    auth::{AuthStatus, Permission, PermissionKind},
    client::Client,
    endpoint::{Credentials, Endpoint, EndpointError, Options},
    error::{Effect, Error, Side},
    http::{Http, PeerMembers, Probe, Versions},
    id::{ClusterId, LeaseId, MemberId},
    kv::{
        Compare, Content, Delete, Deleted, Is, KeyValue, Keys, Op, OpResult, Put, Range, Ranged, Target, Txn, TxnResult,
    },
    lease::{Lease, LeaseLife},
    maintenance::{Alarm, AlarmKind, Compaction, Downgrade, DowngradeAction, HashKv, Status},
    membership::{Added, Consistency, Member, Role},
    metrics::{Metrics, Sample},
    snapshot::SnapshotSummary,
    tls::{Identity, Tls},
    watch::{Event, Previous, Watch, WatchBatch, Watcher},
};
