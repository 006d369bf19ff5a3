//! The container etcd and the one that brings the guard.

use etcdop_api::Cluster;
use etcdop_core::launch::LaunchSpec;
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, SecurityContext, VolumeMount,
};

use super::{
    super::{
        Site,
        names::{self, CLIENT_PORT, HAND_OVER_PORT, METRICS_PORT, PEER_PORT, REPORT_PORT},
    },
    DATA, ETCD, GUARD, MEMBERS, POD, RUN, container, probe, pull_policy, restricted,
};

/// The guard as the container's command sees it.
const GUARD_BINARY: &str = "/etcdop/guard";
/// etcd's `--data-dir`; the marker lies beside it on the same disk.
const DATA_DIR: &str = "/var/lib/etcd/data";

/// etcd behind its guard.
pub(super) fn etcd(cluster: &Cluster, site: &Site, launch: &LaunchSpec) -> Container {
    let mut arguments = guard_arguments();
    arguments.extend(["--".to_owned(), "etcd".to_owned()]);
    arguments.extend(etcd_arguments(cluster, site, launch));
    let mount = |name: &str, path: &str, access: Access| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: (access == Access::Read).then_some(true),
        ..VolumeMount::default()
    };
    Container {
        command: Some(vec![GUARD_BINARY.to_owned()]),
        args: Some(arguments),
        env: Some(environment()),
        image_pull_policy: Some(pull_policy(cluster)),
        ports: Some(
            [("client", CLIENT_PORT), ("peer", PEER_PORT), ("metrics", METRICS_PORT), ("report", REPORT_PORT)]
                .map(|(name, port)| ContainerPort {
                    name: Some(name.to_owned()),
                    container_port: i32::from(port),
                    protocol: Some("TCP".to_owned()),
                    ..ContainerPort::default()
                })
                .into(),
        ),
        startup_probe: Some(probe::startup()),
        liveness_probe: Some(probe::liveness()),
        readiness_probe: Some(probe::readiness()),
        resources: Some(cluster.resources.clone()),
        security_context: Some(SecurityContext { read_only_root_filesystem: Some(true), ..restricted() }),
        // etcd's last words, where the guard left none.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![
            mount(DATA, "/var/lib/etcd", Access::Write),
            mount(GUARD, "/etcdop", Access::Read),
            mount(RUN, "/run/etcdop", Access::Write),
            mount(POD, "/etc/etcdop/pod", Access::Read),
            mount(MEMBERS, "/etc/etcdop/members", Access::Read),
        ]),
        ..container(ETCD, cluster.image.reference(launch.version()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Copies the guard out of the operator's image. It only copies: it does not run again when etcd's container restarts.
pub(super) fn guard_copier(cluster: &Cluster, site: &Site) -> Container {
    Container {
        args: Some(vec!["guard".to_owned(), GUARD_BINARY.to_owned()]),
        // As much as etcd's: a quota that wants limits is content, and no Pod becomes larger by it.
        resources: Some(cluster.resources.clone()),
        security_context: Some(SecurityContext { read_only_root_filesystem: Some(true), ..restricted() }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: GUARD.to_owned(),
            mount_path: "/etcdop".to_owned(),
            ..VolumeMount::default()
        }]),
        ..container(GUARD, site.operator_image.clone())
    }
}

fn guard_arguments() -> Vec<String> {
    [
        ("--marker", "/var/lib/etcd/marker"),
        ("--data-dir", DATA_DIR),
        ("--seat", "/etc/etcdop/members/$(POD_NAME)"),
        ("--seat", "/etc/etcdop/pod/seat"),
        ("--permit", "/etc/etcdop/pod/permit"),
        ("--ledger", "/run/etcdop/ledger"),
        ("--status", "/run/etcdop/status"),
        ("--termination", "/dev/termination-log"),
        ("--instance", "$(POD_UID)"),
    ]
    .iter()
    .map(|(option, value)| format!("{option}={value}"))
    .chain([
        format!("--report=0.0.0.0:{REPORT_PORT}"),
        format!("--rehearse=127.0.0.1:{METRICS_PORT}"),
        format!("--hand-over=127.0.0.1:{HAND_OVER_PORT}"),
    ])
    .collect()
}

/// Who it is and where it listens; then what the launch spec says. The guard adds what belongs to a first start.
fn etcd_arguments(cluster: &Cluster, site: &Site, launch: &LaunchSpec) -> Vec<String> {
    let host = format!("$(POD_NAME).{}", names::peer_domain(cluster, site));
    let own = [
        ("name", "$(POD_NAME)".to_owned()),
        ("data-dir", DATA_DIR.to_owned()),
        ("listen-client-urls", format!("http://0.0.0.0:{CLIENT_PORT}")),
        ("advertise-client-urls", format!("http://{host}:{CLIENT_PORT}")),
        ("listen-peer-urls", format!("http://0.0.0.0:{PEER_PORT}")),
        ("initial-advertise-peer-urls", format!("http://{host}:{PEER_PORT}")),
        ("listen-metrics-urls", format!("http://0.0.0.0:{METRICS_PORT}")),
    ];
    own.iter().map(|(flag, value)| format!("--{flag}={value}")).chain(flags(launch)).collect()
}

/// The launch spec's flags; what looks like a variable in a value is none.
pub(super) fn flags(launch: &LaunchSpec) -> impl Iterator<Item = String> {
    launch.flags().into_iter().map(|(flag, value)| format!("--{flag}={}", value.replace("$(", "$$(")))
}

fn environment() -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: Some("v1".to_owned()) }),
            ..EnvVarSource::default()
        }),
        value: None,
    };
    vec![
        field("POD_NAME", "metadata.name"),
        field("POD_UID", "metadata.uid"),
        // etcdctl in this container needs no flag.
        EnvVar {
            name: "ETCDCTL_ENDPOINTS".to_owned(),
            value: Some(format!("http://127.0.0.1:{CLIENT_PORT}")),
            value_from: None,
        },
    ]
}
