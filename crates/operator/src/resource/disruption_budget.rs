//! PodDisruptionBudget: drains and evictions leave a quorum. An absolute number: a percentage would count anew from the Pods that
//! are left.

use etcdop_api::Cluster;
use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{names, owned};

/// The budget that keeps `min_available` members: the quorum of the voters that there are or are to be, whichever are more.
pub(crate) fn build(cluster: &Cluster, min_available: i32) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owned::metadata(cluster, names::disruption_budget(&cluster.name)),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(min_available)),
            selector: Some(owned::label_selector(cluster)),
            // A member that is down anyway must not keep a node from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
