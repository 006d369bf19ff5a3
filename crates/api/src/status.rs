//! What is reported: a projection of one pass over the live cluster, never read back by the operator.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What a cluster is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Not looked at yet, or something outside is missing (see the conditions).
    #[default]
    Pending,
    /// The founders are being started.
    Creating,
    /// As declared.
    Running,
    /// Members are being added or removed.
    Scaling,
    /// Members are being restarted with another version or other settings.
    Updating,
    /// A member is being replaced, or is waited for.
    Recovering,
    /// No majority answers.
    QuorumLost,
    /// Size 0: nothing runs, every disk is kept.
    Hibernated,
    /// Being deleted.
    Deleting,
    /// `paused` is set: nothing is changed.
    Paused,
}

/// Whether a member counts for the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MemberRole {
    /// It does.
    Voter,
    /// Not yet: it is still receiving the data.
    Learner,
}

/// One row of etcd's member list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberState {
    /// The Pod's name, which is etcd's name for it; the ID while no Pod is known for it.
    pub name: String,
    /// etcd's ID of the member, in hexadecimal as etcdctl prints it.
    pub id: String,
    /// Voter or Learner.
    pub role: MemberRole,
    /// The etcd version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it answered within the last look.
    pub healthy: bool,
    /// Size of its database on disk, rounded to about 10 %, as in 24Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_size: Option<String>,
}

/// What is being done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What for, as in `scale 3 to 5`.
    pub name: String,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// What was done last, or what is waited for.
    pub step: String,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EtcdClusterStatus {
    /// The generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the cluster is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The most important thing to know, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Members in etcd's list, learners included.
    pub current_size: i32,
    /// Voting members that answer.
    pub ready_members: i32,
    /// The members, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub members: Vec<MemberState>,
    /// Name of the member that leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// etcd's ID of the cluster, in hexadecimal; set once it was formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The lowest version that a member runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Size of the largest database of a member, rounded to about 10 %, as in 24Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub db_size: Option<String>,
    /// Where clients inside the Kubernetes cluster connect to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Label selector of the Pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// What is being done; absent at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Available, Progressing, Degraded, QuorumLost, MembersUpToDate: each with what blocks and what to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
