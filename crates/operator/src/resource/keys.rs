//! Labels and annotations.

/// Label: the application, always [`APPLICATION`].
pub(crate) const NAME: &str = "app.kubernetes.io/name";
/// Label: the cluster's name, for tools that know Kubernetes' own labels only.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: who made it, always [`MANAGER`].
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: the cluster's name.
pub(crate) const CLUSTER: &str = "etcd.etcd.io/cluster";
/// Label of a preflight Pod: the cluster's name. It has none of the others, so that nothing takes it for a member.
pub(crate) const PREFLIGHT: &str = "etcd.etcd.io/preflight";
/// Annotation of a StatefulSet: what each slot is to start with, JSON.
pub(crate) const LAYOUT: &str = "etcd.etcd.io/layout";
/// Annotation of a Pod and its template: the launch spec that it starts, JSON.
pub(crate) const LAUNCH: &str = "etcd.etcd.io/launch";
/// Annotation of a Pod: the seat, as the guard reads it.
pub(crate) const SEAT: &str = "etcd.etcd.io/seat";
/// Annotation of a Pod: the one-time permit, as the guard reads it.
pub(crate) const PERMIT: &str = "etcd.etcd.io/permit";
/// Annotation of a claim: what a guard last saw on it.
pub(crate) const DISK: &str = "etcd.etcd.io/disk";
/// Annotation of a claim: its member was removed, the disk is kept until the slot is used again.
pub(crate) const RETIRED: &str = "etcd.etcd.io/retired";
/// Annotation of a Pod: changed to make the kubelet look again.
pub(crate) const TOUCHED: &str = "etcd.etcd.io/touched";

/// The application's name.
pub(crate) const APPLICATION: &str = "etcd";
/// This operator, as field manager and in labels.
pub(crate) const MANAGER: &str = "etcd-operator";
