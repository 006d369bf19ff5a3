//! What users add to the Pods, read strictly.

use std::collections::BTreeMap;

use k8s_openapi::{
    DeepMerge,
    api::core::v1::{
        Affinity, Container, PodSecurityContext, ResourceRequirements, SeccompProfile, Toleration,
        TopologySpreadConstraint,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{DebugSidecar, Fragment, Invalid, PodTemplateSpec, Quantity, cluster::ResourcesSpec, rules};

/// User, group and file system group of the Pods: the nonroot user of distroless images.
pub const DEFAULT_USER: i64 = 65_532;

/// The container netshoot's image when none is named.
const NETSHOOT: &str = "docker.io/nicolaka/netshoot:v0.13";

/// What is added to the Pods, in Kubernetes' types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodExtras {
    /// Labels besides the operator's.
    pub labels: BTreeMap<String, String>,
    /// Annotations besides the operator's.
    pub annotations: BTreeMap<String, String>,
    /// Labels that nodes must have.
    pub node_selector: BTreeMap<String, String>,
    /// In place of the default.
    pub affinity: Option<Affinity>,
    /// Taints that are borne.
    pub tolerations: Vec<Toleration>,
    /// In place of the default; empty keeps it.
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// A PriorityClass.
    pub priority_class_name: Option<String>,
    /// Of the Pod: the default with the user's fields in it.
    pub security_context: PodSecurityContext,
    /// Besides etcd and netshoot.
    pub containers: Vec<Container>,
    /// Image of the container netshoot.
    pub netshoot: Option<String>,
}

pub(super) fn extras(spec: &PodTemplateSpec, sidecar: Option<&DebugSidecar>) -> Result<PodExtras, Invalid> {
    own_keys("labels", &spec.labels, rules::OWN_LABELS)?;
    own_keys("annotations", &spec.annotations, rules::OWN_ANNOTATIONS)?;
    let mut security_context = default_security_context();
    if let Some(written) = &spec.security_context {
        security_context.merge_from(written.read("spec.podTemplate.securityContext")?);
    }
    Ok(PodExtras {
        labels: spec.labels.clone(),
        annotations: spec.annotations.clone(),
        node_selector: spec.node_selector.clone(),
        affinity: spec.affinity.as_ref().map(|affinity| affinity.read("spec.podTemplate.affinity")).transpose()?,
        tolerations: list("tolerations", &spec.tolerations)?,
        topology_spread_constraints: list("topologySpreadConstraints", &spec.topology_spread_constraints)?,
        priority_class_name: spec.priority_class_name.clone(),
        security_context,
        containers: spec.containers.iter().map(container).collect::<Result<_, _>>()?,
        netshoot: sidecar.map(|sidecar| sidecar.image.clone().unwrap_or_else(|| NETSHOOT.to_owned())),
    })
}

fn list<T: DeserializeOwned + Serialize>(field: &str, fragments: &[Fragment]) -> Result<Vec<T>, Invalid> {
    let read = |(at, fragment): (usize, &Fragment)| fragment.read(&format!("spec.podTemplate.{field}[{at}]"));
    fragments.iter().enumerate().map(read).collect()
}

fn own_keys(field: &str, map: &BTreeMap<String, String>, rule: (&str, &str)) -> Result<(), Invalid> {
    let own = map.keys().any(|key| rules::OWN_KEYS.contains(&key.as_str()));
    if own { Err(Invalid::new(format!("spec.podTemplate.{field}"), rule.1)) } else { Ok(()) }
}

fn default_security_context() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(DEFAULT_USER),
        run_as_group: Some(DEFAULT_USER),
        fs_group: Some(DEFAULT_USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn container(extra: &crate::ExtraContainer) -> Result<Container, Invalid> {
    let field = format!("spec.podTemplate.containers[{}]", extra.name);
    if rules::OWN_NAMES.contains(&extra.name.as_str()) {
        return Err(Invalid::new(field, rules::OWN_CONTAINERS.1));
    }
    let mut whole = extra.rest.clone();
    whole.0.insert("name".to_owned(), Value::String(extra.name.clone()));
    whole.read(&field)
}

pub(super) fn resources(spec: &ResourcesSpec) -> Result<ResourceRequirements, Invalid> {
    let read = |which: &str, amounts: &BTreeMap<String, Quantity>| {
        let amount = |(name, quantity): (&String, &Quantity)| {
            let checked = quantity.checked(&format!("spec.resources.{which}.{name}"))?;
            Ok((name.clone(), (&checked).into()))
        };
        amounts.iter().map(amount).collect::<Result<BTreeMap<_, _>, Invalid>>()
    };
    let some = |amounts: BTreeMap<_, _>| (!amounts.is_empty()).then_some(amounts);
    Ok(ResourceRequirements {
        requests: some(read("requests", &spec.requests)?),
        limits: some(read("limits", &spec.limits)?),
        claims: None,
    })
}
