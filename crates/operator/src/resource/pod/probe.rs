//! Probes, all on the metrics port: it serves without TLS and authentication. `/livez` needs no quorum and no disk space, so that
//! nobody is restarted for what a restart does not cure; `/readyz` is what clients need.

use k8s_openapi::{
    api::core::v1::{HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// Whether etcd was started. A Pod may stand at the gate for as long as it takes: more than any start takes is allowed.
pub(super) fn startup() -> Probe {
    Probe { period_seconds: Some(1), timeout_seconds: Some(2), failure_threshold: Some(86_400), ..get("/livez") }
}

/// Whether etcd hangs. Half a minute: a disk may stall. Whoever hangs does not hear SIGTERM either, so he is not waited for as long as
/// one that ends in peace.
pub(super) fn liveness() -> Probe {
    let probe =
        Probe { period_seconds: Some(5), timeout_seconds: Some(5), failure_threshold: Some(6), ..get("/livez") };
    Probe { termination_grace_period_seconds: Some(5), ..probe }
}

/// Whether clients are served.
pub(super) fn readiness() -> Probe {
    Probe { period_seconds: Some(1), timeout_seconds: Some(2), failure_threshold: Some(3), ..get("/readyz") }
}

fn get(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("metrics".to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}
