//! The gate of every etcd process (DESIGN §3, rule 1): what it reads, how it decides, what it says.
//!
//! etcd that starts on an empty disk under an old identity silently loses acknowledged writes, and every restart of a
//! process, unit or container can be such a start. So each platform starts `etcdop-guard` in etcd's place; it compares
//! the disk's [`Marker`] with the [`Seat`] that the record gives to this slot, takes a one-time [`Permit`] for an empty
//! disk, and only then becomes etcd, in the same process.
//!
//! This library holds the decision as a pure function ([`decide`]) and the files that guard and platforms exchange, so
//! that both sides render and parse with the same code. The effects, in their order, are in the binary.

mod cluster;
mod decide;
mod disk;
mod durable;
mod fields;
mod identity;
mod ledger;
mod marker;
mod permit;
mod reason;
mod report;
mod status;

pub use cluster::{BadPeer, ClusterState, PeerName, PeerUrl};
pub use decide::{DataState, Disk, Ledger, MarkerState, Verdict, decide};
pub use disk::{examine_data, examine_marker};
pub use durable::{read_text, replace, write_durably};
pub use fields::{ParseError, Problem};
pub use identity::{BadId, Epoch, Generation, Incarnation, InstanceId, LearnerLimit, MemberId, process_instance};
pub use ledger::LedgerEntry;
pub use marker::{Marker, Seat};
pub use permit::Permit;
pub use reason::{Refusal, RefusalKind, WaitKind, WaitReason};
pub use report::{BadReport, DataView, Report};
pub use status::{BadStatus, Progress, Status};
