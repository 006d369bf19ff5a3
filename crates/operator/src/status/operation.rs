//! What is being done to a cluster, and since when this operator has seen it done.

use etcdop_api::{Cluster, Phase};
use k8s_openapi::jiff::Timestamp;

use super::Picture;

/// The operation under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    now: Option<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    kind: (Phase, u8, String),
    name: String,
    since: Timestamp,
}

impl Running {
    /// The operation of this picture and when it began; `None` at rest.
    pub(super) fn follow(&mut self, picture: &Picture<'_>, now: Timestamp) -> Option<(String, Timestamp)> {
        let phase = picture.phase();
        let under_way =
            matches!(phase, Phase::Creating | Phase::Scaling | Phase::Updating | Phase::Recovering | Phase::QuorumLost);
        let falls_asleep = phase == Phase::Hibernated && !picture.summary.converged;
        if !under_way && !falls_asleep {
            self.now = None;
            return None;
        }
        let cluster = picture.cluster;
        let kind = (phase, cluster.desired.size.get(), cluster.desired.template.version.to_string());
        if self.now.as_ref().is_none_or(|known| known.kind != kind) {
            let members = picture.summary.members.iter().filter(|row| row.id.is_some()).count();
            let name = name(phase, cluster, members);
            self.now = Some(Known { kind, name, since: now });
        }
        self.now.as_ref().map(|known| (known.name.clone(), known.since))
    }
}

fn name(phase: Phase, cluster: &Cluster, members: usize) -> String {
    let size = cluster.desired.size;
    match phase {
        Phase::Creating => format!("create {size}"),
        Phase::Updating => format!("update to {}", cluster.desired.template.version),
        Phase::Recovering => "recover".to_owned(),
        Phase::QuorumLost => "wait for a quorum".to_owned(),
        Phase::Hibernated => "hibernate".to_owned(),
        Phase::Scaling | Phase::Pending | Phase::Running | Phase::Deleting | Phase::Paused => {
            if members == usize::from(size.get()) {
                format!("settle {size}")
            } else {
                format!("scale {members} to {size}")
            }
        }
    }
}
