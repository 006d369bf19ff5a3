//! `EtcdCluster`: what a user declares. Doc comments are the descriptions in the schema and in the API reference; the `Default`
//! implementations are the one place where defaults stand.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EtcdClusterStatus, Fragment, PodTemplateSpec, Quantity, rules};

/// What the cluster is to be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdCluster",
    plural = "etcdclusters",
    singular = "etcdcluster",
    shortname = "etcd",
    shortname = "etcds",
    category = "all",
    namespaced,
    status = "EtcdClusterStatus",
    derive = "PartialEq",
    doc = "An etcd cluster: its members, their version, their disks.",
    scale(
        spec_replicas_path = ".spec.size",
        status_replicas_path = ".status.currentSize",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Size", type_ = "integer", json_path = ".spec.size", description = "Voting members asked for"),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyMembers",
        description = "Voting members that answer"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        description = "The lowest etcd version that runs"
    ),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", description = "The member that leads"),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "What the cluster is doing"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "DB Size",
        type_ = "string",
        json_path = ".status.dbSize",
        description = "The largest database of a member",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "The most important thing to know",
        priority = 1
    ),
    validation = rules::NAME_LENGTH,
    validation = rules::NAME_CHARACTERS
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::EXPERIMENTAL_FLAGS)]))]
pub struct EtcdClusterSpec {
    /// Number of voting members: 0, 1, 3, 5, 7 or 9. 0 hibernates the cluster: nothing runs and every disk is kept.
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::SIZE_RANGE), rules::rule(rules::SIZE_ODD)]))]
    pub size: i64,
    /// Version of etcd, MAJOR.MINOR.PATCH as in 3.6.16: 3.5 (3.5.16 or later), 3.6 or 3.7. One minor at a time, up or down.
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::VERSION)]))]
    pub version: String,
    /// Where etcd's image comes from.
    #[serde(default)]
    pub image: ImageSpec,
    /// The members' disks.
    #[serde(default)]
    pub storage: StorageSpec,
    /// CPU and memory of the container etcd of each member. A change restarts the members one by one.
    #[serde(default)]
    pub resources: ResourcesSpec,
    /// What is added to the Pods. Default: nothing.
    #[serde(default, skip_serializing_if = "PodTemplateSpec::is_empty")]
    pub pod_template: PodTemplateSpec,
    /// Adds a container netshoot with network tools to each Pod; `{}` takes the default image. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_sidecar: Option<DebugSidecar>,
    /// Options of etcd. What is left out keeps etcd's own default. A change restarts the members one by one.
    #[serde(default, skip_serializing_if = "EtcdSpec::is_empty")]
    pub etcd: EtcdSpec,
    /// How clients reach the cluster. The Service NAME-client is always there.
    #[serde(default)]
    pub service: ServiceSpec,
    /// Makes a NetworkPolicy that lets in members, operator and clients, and nobody else. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// When a member is given up.
    #[serde(default)]
    pub recovery: RecoverySpec,
    /// Space on disk.
    #[serde(default)]
    pub maintenance: MaintenanceSpec,
    /// Whether the operator changes nothing; it goes on reporting. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never.
    Never,
}

/// Where etcd's image comes from: `REGISTRY/REPOSITORY:vVERSION`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageSpec {
    /// Host of the registry, with a port or a project where there is one, as in registry.example.com:5000/mirror. Default: gcr.io.
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::REGISTRY)]))]
    pub registry: String,
    /// Name of the image in the registry. Default: etcd-development/etcd.
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::REPOSITORY)]))]
    pub repository: String,
    /// Pins the image, as in sha256:8a2c..., instead of the tag vVERSION. It must hold the etcd that `version` names. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::DIGEST)]))]
    pub digest: Option<String>,
    /// When the image is pulled. Default: IfNotPresent.
    pub pull_policy: PullPolicy,
    /// Names of Secrets of type kubernetes.io/dockerconfigjson in the cluster's namespace. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            registry: "gcr.io".to_owned(),
            repository: "etcd-development/etcd".to_owned(),
            digest: None,
            pull_policy: PullPolicy::IfNotPresent,
            pull_secrets: Vec::new(),
        }
    }
}

/// What becomes of the disks when the resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenDeleted {
    /// They stay, with the record that tells whose they are: a resource of the same name gets its data back.
    Retain,
    /// They are deleted, too.
    Delete,
}

/// What becomes of the disk of a member that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenScaled {
    /// It stays until its slot is used again.
    Retain,
    /// It is deleted.
    Delete,
}

/// The members' disks: one PersistentVolumeClaim data-NAME-N each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::STORAGE_CLASS)]))]
pub struct StorageSpec {
    /// Size of each disk in bytes, as a quantity. It can grow where the storage class allows it, and never shrink. Default: 1Gi.
    #[schemars(with = "String", length(max = 32), extend("x-kubernetes-validations" = [rules::rule(rules::STORAGE_SIZE), rules::rule(rules::STORAGE_SHRINK)]))]
    pub size: Quantity,
    /// Name of the StorageClass; cannot be changed. Default: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What becomes of the disks when the resource is deleted. Default: Retain.
    pub when_deleted: WhenDeleted,
    /// What becomes of a removed member's disk when the cluster is scaled in. Default: Delete.
    pub when_scaled: WhenScaled,
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self {
            size: Quantity::literal("1Gi"),
            storage_class_name: None,
            when_deleted: WhenDeleted::Retain,
            when_scaled: WhenScaled::Delete,
        }
    }
}

/// CPU and memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourcesSpec {
    /// What is reserved, by resource name, as quantities (cores, bytes). Default: cpu 100m, memory 128Mi.
    #[schemars(extend("maxProperties" = 16, "x-kubernetes-validations" = [rules::rule(rules::RESOURCES)]))]
    pub requests: BTreeMap<String, Quantity>,
    /// What is never exceeded, by resource name, as quantities (cores, bytes). Default: no limits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "x-kubernetes-validations" = [rules::rule(rules::RESOURCES)]))]
    pub limits: BTreeMap<String, Quantity>,
}

impl Default for ResourcesSpec {
    fn default() -> Self {
        let requests = [("cpu", "100m"), ("memory", "128Mi")];
        Self {
            requests: requests.map(|(name, amount)| (name.to_owned(), Quantity::literal(amount))).into(),
            limits: BTreeMap::new(),
        }
    }
}

/// The container netshoot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DebugSidecar {
    /// Its image; must have the command `sleep`. Default: docker.io/nicolaka/netshoot:v0.13.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What `autoCompactionRetention` counts: periodic (a time span) or revision (a number of revisions). Default: etcd's, periodic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompactionMode {
    /// Keeps a time span.
    Periodic,
    /// Keeps a number of revisions.
    Revision,
}

/// Options of etcd, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::ELECTION_RATIO), rules::rule(rules::RETENTION)]))]
pub struct EtcdSpec {
    /// Largest database in bytes; beyond it writes are refused (NOSPACE). Default: etcd's, 2147483648 (2 GiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub quota_backend_bytes: Option<i64>,
    /// How etcd compacts its history by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_compaction_mode: Option<CompactionMode>,
    /// History that is kept: a time span such as 1h or 30m (a plain number means hours), or a number of revisions such as 10000.
    /// 0 keeps all. Default: etcd's, 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub auto_compaction_retention: Option<String>,
    /// Committed transactions between two raft snapshots on disk. Default: etcd's, 10000 (3.5: 100000).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub snapshot_count: Option<i64>,
    /// Milliseconds between two heartbeats of the leader. Default: etcd's, 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub heartbeat_interval: Option<i64>,
    /// Milliseconds without a heartbeat until a follower stands for election; at least five heartbeats. Default: etcd's, 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 50_000))]
    pub election_timeout: Option<i64>,
    /// Any other flag of etcd and its value, without the dashes in front. Flags that decide identity, membership, addresses or
    /// durability are refused. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[schemars(extend("x-kubernetes-validations" = rules::extra_args()))]
    pub extra_args: BTreeMap<String, String>,
}

impl EtcdSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How clients outside the Kubernetes cluster come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// They do not: NAME-client has an address inside only.
    #[default]
    ClusterIP,
    /// Through a port of every node: a further Service NAME-nodeport.
    NodePort,
    /// Through a load balancer: NAME-client gets one.
    LoadBalancer,
}

/// The Services for clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::NODE_PORT)]))]
pub struct ServiceSpec {
    /// ClusterIP, NodePort or LoadBalancer. Default: ClusterIP.
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// Port of the nodes for type NodePort, as in 30379. Default: chosen by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub node_port: Option<i32>,
    /// Annotations of the Services for clients, as load balancers want them. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// Clients, as the `from` of a NetworkPolicy: podSelector, namespaceSelector, ipBlock. Default: every Pod of the namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Fragment>,
}

/// When a member is given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RecoverySpec {
    /// How long a member whose disk may still exist must have been silent, for its peers too, before another takes its place: a
    /// duration such as 90s, 5m or 1h30m, 10s at least. A member whose disk is gone is replaced at once. Default: 5m.
    #[schemars(length(max = 32))]
    #[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::DURATION), rules::rule(rules::REPLACE_AFTER)]))]
    pub replace_after: String,
}

impl Default for RecoverySpec {
    fn default() -> Self {
        // The core's default, as its users write it.
        let seconds = etcdop_core::desired::Recovery::default().replace_after.as_secs();
        let replace_after = if seconds % 60 == 0 { format!("{}m", seconds / 60) } else { format!("{seconds}s") };
        Self { replace_after }
    }
}

/// Whether history may be dropped when the database is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompactOnNoSpace {
    /// Watchers may need it: a human decides.
    #[default]
    Never,
    /// All of it, down to the newest revision.
    ToLatest,
}

/// Space on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MaintenanceSpec {
    /// Whether all history may be dropped when a database has reached its quota. Default: Never.
    pub compact_on_no_space: CompactOnNoSpace,
    /// A member is defragmented when its database holds at least this much that it does not use, in bytes, as a quantity such as
    /// 100Mi. Default: never by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 32), extend("x-kubernetes-validations" = [rules::rule(rules::POSITIVE_QUANTITY)]))]
    pub defragment_above: Option<Quantity>,
}
