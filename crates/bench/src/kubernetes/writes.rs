//! What the API server has been asked, by its own count: of all the kinds that the operator touches, whoever asked. At rest nobody else
//! changes any of these, so it is what the operator did, or more.

use etcdop_etcd::Metrics;
use http::Request;
use kube::Client;

use crate::failure::Failure;

const KINDS: [&str; 11] = [
    "configmaps",
    "controllerrevisions",
    "etcdclusters",
    "events",
    "networkpolicies",
    "persistentvolumeclaims",
    "poddisruptionbudgets",
    "pods",
    "services",
    "statefulsets",
    "endpointslices",
];
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
const READS: [&str; 2] = ["GET", "LIST"];

/// Requests so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

impl Requests {
    /// Asks the API server.
    pub(crate) async fn count(client: &Client) -> Result<Self, Failure> {
        let page = Request::get("/metrics").body(Vec::new()).map_err(Failure::ours("ask for metrics"))?;
        let page = client.request_text(page).await.map_err(Failure::ours("read the API server's metrics"))?;
        let mut so_far = Self::default();
        for sample in Metrics::new(page).samples("apiserver_request_total") {
            let (Some(verb), Some(kind)) = (sample.label("verb"), sample.label("resource")) else { continue };
            if !KINDS.contains(&kind) {
                continue;
            }
            if WRITES.contains(&verb) {
                so_far.writes += sample.value;
            } else if READS.contains(&verb) {
                so_far.reads += sample.value;
            }
        }
        Ok(so_far)
    }
}
