//! The Pod of a member: what every Pod of a cluster has in common. What differs between members comes from the Pod's own name,
//! from the seat that is mounted for it, and from its annotations.

mod digest;
mod member;
mod placement;
mod preflight;
mod probe;
mod sidecar;

use etcdop_api::{Cluster, PullPolicy};
use etcdop_core::launch::LaunchSpec;
use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
        EmptyDirVolumeSource, LocalObjectReference, ObjectFieldSelector, PodSpec, PodTemplateSpec, SecurityContext,
        Volume,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Site, keys, names, owned};

pub(crate) use digest::digest;
pub(crate) use preflight::preflight;

/// Volume: the member's disk; also the first part of the claim's name.
pub(crate) const DATA: &str = "data";
/// Volume: the guard's binary.
const GUARD: &str = "guard";
/// Volume: what the guard writes and what must not lie on the disk.
const RUN: &str = "run";
/// Volume: annotations of the Pod as files.
const POD: &str = "pod";
/// Volume: the ConfigMap with everybody's seat.
const MEMBERS: &str = "members";

/// The container that etcd runs in.
pub(crate) const ETCD: &str = "etcd";

/// The template, for Pods that start with this launch spec.
pub(crate) fn template(cluster: &Cluster, site: &Site, launch: &LaunchSpec) -> PodTemplateSpec {
    let extras = &cluster.pod;
    let mut labels = extras.labels.clone();
    labels.extend(owned::labels(cluster));
    let mut annotations = extras.annotations.clone();
    annotations.insert(keys::LAUNCH.to_owned(), serde_json::to_string(launch).expect("a launch spec is JSON"));
    let mut containers = vec![member::etcd(cluster, site, launch)];
    containers.extend(extras.netshoot.as_deref().map(sidecar::netshoot));
    containers.extend(extras.containers.iter().map(sidecar::extra));
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            init_containers: Some(vec![member::guard_copier(cluster, site)]),
            containers,
            volumes: Some(volumes(cluster)),
            // Process 1 of a container ignores SIGTERM unless it handles it, and the guard, which only waits, does not: it would
            // take the whole grace period to go. So the sandbox's own process is process 1.
            share_process_namespace: Some(true),
            ..common(cluster)
        }),
    }
}

/// What member and preflight have in common.
fn common(cluster: &Cluster) -> PodSpec {
    let extras = &cluster.pod;
    let some = |list: &Vec<_>| (!list.is_empty()).then(|| list.clone());
    PodSpec {
        affinity: Some(extras.affinity.clone().unwrap_or_else(|| placement::apart(cluster))),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(&cluster.image.pull_secrets),
        node_selector: (!extras.node_selector.is_empty()).then(|| extras.node_selector.clone()),
        priority_class_name: extras.priority_class_name.clone(),
        security_context: Some(extras.security_context.clone()),
        termination_grace_period_seconds: Some(30),
        tolerations: some(&extras.tolerations),
        topology_spread_constraints: Some(if extras.topology_spread_constraints.is_empty() {
            vec![placement::spread(cluster)]
        } else {
            extras.topology_spread_constraints.clone()
        }),
        ..PodSpec::default()
    }
}

fn pull_secrets(names: &[String]) -> Option<Vec<LocalObjectReference>> {
    (!names.is_empty()).then(|| names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect())
}

fn volumes(cluster: &Cluster) -> Vec<Volume> {
    let named = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let empty = |name: &str| Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..named(name) };
    let annotation = |file: &str, key: &str| DownwardAPIVolumeFile {
        path: file.to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: format!("metadata.annotations['{key}']"),
            api_version: Some("v1".to_owned()),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    vec![
        empty(GUARD),
        empty(RUN),
        Volume {
            downward_api: Some(DownwardAPIVolumeSource {
                items: Some(vec![annotation("seat", keys::SEAT), annotation("permit", keys::PERMIT)]),
                default_mode: None,
            }),
            ..named(POD)
        },
        Volume {
            config_map: Some(ConfigMapVolumeSource {
                name: names::members(&cluster.name),
                // Its Pod would not start without it, and the guard waits for what it needs from it.
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..named(MEMBERS)
        },
    ]
}

/// What the restricted Pod Security level asks of each container, and no more.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn pull_policy(cluster: &Cluster) -> String {
    match cluster.image.pull_policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
    .to_owned()
}

fn container(name: &str, image: String) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image),
        security_context: Some(restricted()),
        ..Container::default()
    }
}
