//! What a user may change about the Pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Fragment, rules};

/// What is added to the Pods. Only these fields; all others are the operator's. A change restarts the members one by one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::rule(rules::OWN_LABELS), rules::rule(rules::OWN_ANNOTATIONS), rules::rule(rules::OWN_CONTAINERS)]))]
pub struct PodTemplateSpec {
    /// Further labels of the Pods. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Further annotations of the Pods. Default: none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// Nodes must have these labels. Default: any node.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// As in a Pod's spec. Default: members prefer nodes that have no other member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Fragment>,
    /// As in a Pod's spec. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Fragment>,
    /// As in a Pod's spec. Default: members spread over zones (topology.kubernetes.io/zone), as far as there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<Fragment>,
    /// Name of a PriorityClass. Default: the cluster's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// As a Pod's securityContext; each field takes the place of the default's. Default: user, group and fsGroup 65532, not
    /// root, seccomp profile RuntimeDefault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<Fragment>,
    /// Further containers, as in a Pod's spec. One without a securityContext gets the one that the restricted Pod Security
    /// level asks for. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 8, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub containers: Vec<ExtraContainer>,
}

/// A container beside etcd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ExtraContainer {
    /// Its name; unique in the Pod.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Everything else, as in a Pod's spec.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Fragment,
}

impl PodTemplateSpec {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
