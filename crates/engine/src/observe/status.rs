//! What a member says of itself, in the planner's terms.

use std::time::Duration;

use etcdop_core::{
    id::{ClusterId, MemberId},
    observation::{Alarm, AlarmKind, Blocker, DowngradeMode, MemberStatus, Role},
    version::{EtcdVersion, Minor},
};
use etcdop_etcd::{Answer, Client, Http, Status};

/// Asks a member how it is.
pub(crate) async fn ask(client: Client, deadline: Duration) -> Result<MemberStatus, Blocker> {
    convert(client.deadline(deadline).status().await.map_err(|error| Blocker(error.to_string()))?)
}

/// Asks a member which cluster version it knows: that is on an HTTP page of its own, beside the gRPC services.
pub(crate) async fn ask_cluster_version(page: Http, deadline: Duration) -> Result<Minor, Blocker> {
    let versions = page.deadline(deadline).version().await.map_err(|error| Blocker(error.to_string()))?;
    minor(&versions.cluster).ok_or_else(|| Blocker(format!("cluster version `{}`", versions.cluster)))
}

fn convert(answer: Answer<Status>) -> Result<MemberStatus, Blocker> {
    let Answer { header, value: status } = answer;
    let version: EtcdVersion = status.version.parse().map_err(|error| Blocker(format!("its version: {error}")))?;
    Ok(MemberStatus {
        member: MemberId(header.member_id.0),
        cluster: ClusterId(header.cluster_id.0),
        version,
        role: role(status.role),
        leader: status.leader.map(|leader| MemberId(leader.0)),
        term: status.raft_term,
        committed: status.raft_index,
        applied: status.raft_applied_index,
        db_size: status.db_size,
        db_in_use: status.db_size_in_use,
        quota: status.db_size_quota,
        storage: status.storage_version.and_then(|version| version.parse().ok()),
        cluster_version: None,
        downgrade: status
            .downgrade
            .and_then(|downgrade| minor(&downgrade.target))
            .map(|target| DowngradeMode { target }),
        alarms: status.alarms.into_iter().map(alarm).collect(),
    })
}

/// The minor of `3.6.0` or `3.6`; nothing for `not_decided`.
fn minor(text: &str) -> Option<Minor> {
    let version = text.parse::<EtcdVersion>().map(|version| version.minor());
    version.ok().or_else(|| text.parse().ok())
}

/// The role in the planner's terms.
pub(crate) fn role(role: etcdop_etcd::Role) -> Role {
    match role {
        etcdop_etcd::Role::Voter => Role::Voter,
        etcdop_etcd::Role::Learner => Role::Learner,
    }
}

/// The alarm in the planner's terms.
pub(crate) fn alarm(alarm: etcdop_etcd::Alarm) -> Alarm {
    let kind = match alarm.kind {
        etcdop_etcd::AlarmKind::NoSpace => AlarmKind::NoSpace,
        etcdop_etcd::AlarmKind::Corrupt => AlarmKind::Corrupt,
    };
    Alarm { member: MemberId(alarm.member.0), kind }
}
