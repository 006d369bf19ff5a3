//! The Pod that proves an image and its flags before a member gets them: etcd as a cluster of its own, on no disk and on loopback.
//! Ready means that the image was pulled, the binary runs, and it took every flag.

use std::collections::BTreeMap;

use etcdop_api::Cluster;
use etcdop_core::launch::LaunchSpec;
use k8s_openapi::api::core::v1::{Container, ContainerPort, EmptyDirVolumeSource, Pod, PodSpec, Volume, VolumeMount};

use super::{
    super::{
        keys,
        names::{self, METRICS_PORT},
        owned,
    },
    DATA, ETCD, common, container, member, probe, pull_policy,
};

/// The longest that it may take, pulling included, before the kubelet ends it.
const DEADLINE: i64 = 600;

/// The Pod for this launch spec.
pub(crate) fn preflight(cluster: &Cluster, launch: &LaunchSpec) -> Pod {
    let mut metadata = owned::metadata(cluster, names::preflight(&cluster.name));
    metadata.labels = Some(BTreeMap::from([
        (keys::PREFLIGHT.to_owned(), cluster.name.clone()),
        (keys::MANAGED_BY.to_owned(), keys::MANAGER.to_owned()),
    ]));
    let declared = serde_json::to_string(launch).expect("a launch spec is JSON");
    metadata.annotations = Some(BTreeMap::from([(keys::LAUNCH.to_owned(), declared)]));
    Pod {
        metadata,
        spec: Some(PodSpec {
            active_deadline_seconds: Some(DEADLINE),
            containers: vec![etcd(cluster, launch)],
            restart_policy: Some("Never".to_owned()),
            // Nothing is kept, so nothing is waited for.
            termination_grace_period_seconds: Some(1),
            volumes: Some(vec![Volume {
                name: DATA.to_owned(),
                empty_dir: Some(EmptyDirVolumeSource::default()),
                ..Volume::default()
            }]),
            ..common(cluster)
        }),
        status: None,
    }
}

fn etcd(cluster: &Cluster, launch: &LaunchSpec) -> Container {
    let own = [
        "--name=preflight".to_owned(),
        "--data-dir=/var/lib/etcd/data".to_owned(),
        "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
        "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--initial-advertise-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--initial-cluster=preflight=http://127.0.0.1:2380".to_owned(),
        format!("--listen-metrics-urls=http://0.0.0.0:{METRICS_PORT}"),
    ];
    Container {
        command: Some(vec!["etcd".to_owned()]),
        args: Some(own.into_iter().chain(member::flags(launch)).collect()),
        image_pull_policy: Some(pull_policy(cluster)),
        ports: Some(vec![ContainerPort {
            name: Some("metrics".to_owned()),
            container_port: i32::from(METRICS_PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(probe::readiness()),
        resources: Some(cluster.resources.clone()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: DATA.to_owned(),
            mount_path: "/var/lib/etcd".to_owned(),
            ..VolumeMount::default()
        }]),
        ..container(ETCD, cluster.image.reference(launch.version()))
    }
}
