//! What the user set for the Pods besides version and flags, as a short text that differs when it does. From what was declared, not
//! from the rendered Pod: a new operator that renders something differently must not restart every member in the world.

use etcdop_api::Cluster;
use etcdop_core::version::EtcdVersion;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Raised when running Pods must get what this operator renders differently.
const REVISION: u32 = 1;

/// Sixteen hexadecimal digits.
pub(crate) fn digest(cluster: &Cluster) -> String {
    let extras = &cluster.pod;
    let declared = json!([
        REVISION,
        // The version itself is in the launch spec.
        cluster.image.reference(&EtcdVersion::new(0, 0, 0)),
        cluster.image.pull_secrets,
        cluster.resources,
        extras.labels,
        extras.annotations,
        extras.node_selector,
        extras.affinity,
        extras.tolerations,
        extras.topology_spread_constraints,
        extras.priority_class_name,
        extras.security_context,
        extras.containers,
        extras.netshoot,
    ]);
    let hash = Sha256::digest(declared.to_string());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
