//! The custom resources of the operator: what users write (`EtcdCluster`), what they read back (its status), and the way from
//! there to the core's words.
//!
//! What can be wrong with a resource by itself is refused at admission by the rules in its schema. The same is checked again in
//! [`EtcdCluster::checked`], because an older schema may have let it through: the operator works on a [`Cluster`] only.

mod checked;
mod cluster;
mod fragment;
mod pod;
mod quantity;
mod reference;
mod refused;
mod rules;
mod schema;
mod status;

pub use checked::{Cluster, DEFAULT_USER, Exposure, Image, Mode, PodExtras, Storage};
pub use cluster::{
    CompactOnNoSpace, CompactionMode, DebugSidecar, EtcdCluster, EtcdClusterSpec, EtcdSpec, ImageSpec, MaintenanceSpec,
    NetworkPolicySpec, PullPolicy, RecoverySpec, ResourcesSpec, ServiceSpec, ServiceType, StorageSpec, WhenDeleted,
    WhenScaled,
};
pub use fragment::Fragment;
pub use pod::{ExtraContainer, PodTemplateSpec};
pub use quantity::{BadQuantity, Quantity};
pub use reference::reference;
pub use refused::Invalid;
pub use schema::crd;
pub use status::{EtcdClusterStatus, MemberRole, MemberState, Operation, Phase};

/// The API group.
pub const GROUP: &str = "etcd.etcd.io";
