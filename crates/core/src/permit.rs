//! The one-time permission to start etcd on an empty disk (DESIGN, rule 1). The guard marks it used outside the data volume
//! before etcd starts; nothing else ever starts on an empty disk.

use serde::{Deserialize, Serialize};

use crate::id::{Generation, Incarnation, InstanceId, MemberId, PeerUrl, Slot};

/// etcd's `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// A founder of the incarnation.
    New,
    /// A learner that is in the member list already.
    Existing,
}

/// Permission for one instance to start one member on an empty disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// Where.
    pub slot: Slot,
    /// Who may use it.
    pub instance: InstanceId,
    /// In which life of the cluster.
    pub incarnation: Incarnation,
    /// For which seat.
    pub generation: Generation,
    /// As whom; founders get their ID from etcd.
    pub member: Option<MemberId>,
    /// Names and peer URLs of all members, exactly as the list was when the permit was made (fast-scaling.md).
    pub initial_cluster: Vec<(String, PeerUrl)>,
    /// How to start.
    pub state: ClusterState,
}
