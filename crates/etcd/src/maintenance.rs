//! How a member is, and its upkeep: status, leadership, alarms, defragmentation, hashes, compaction, downgrade.

use std::time::Duration;

use crate::{
    answer::Answer,
    client::Client,
    error::Error,
    generated::etcdserverpb::{
        AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DowngradeRequest, HashKvRequest,
        MoveLeaderRequest, StatusRequest, StatusResponse, alarm_request::AlarmAction,
        downgrade_request::DowngradeAction as WireAction, kv_client::KvClient, maintenance_client::MaintenanceClient,
    },
    id::MemberId,
    membership::Role,
};

/// What one member says about itself. Local knowledge: a member that is cut off believes in an old leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The version of the running server, as etcd writes it (`3.6.16`).
    pub version: String,
    /// Size of the database file in bytes, free pages included.
    pub db_size: u64,
    /// Bytes of it in use; what a defragmentation would leave.
    pub db_size_in_use: u64,
    /// The size in bytes at which the NOSPACE alarm is raised; from 3.6 on.
    pub db_size_quota: Option<u64>,
    /// The version of the data's layout; from 3.6 on, and only when it is known.
    pub storage_version: Option<String>,
    /// Whom the member believes to be the leader.
    pub leader: Option<MemberId>,
    /// The newest raft index that the member knows to be committed.
    pub raft_index: u64,
    /// The raft term.
    pub raft_term: u64,
    /// The newest raft index that the member has applied.
    pub raft_applied_index: u64,
    /// Whether it votes.
    pub role: Role,
    /// A downgrade that is under way; from 3.6 on.
    pub downgrade: Option<Downgrade>,
    /// The cluster's alarms as this member knows them, read from `errors`. Unlike [`Client::alarms`] this costs no raft entry.
    pub alarms: Vec<Alarm>,
    /// What the member complains about, in etcd's words (the alarms are in here, too).
    pub errors: Vec<String>,
}

/// A downgrade that was enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// The version to go to, as etcd writes it (`3.5.0`).
    pub target: String,
}

/// An alarm: the cluster refuses writes until it is disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alarm {
    /// Who raised it.
    pub member: MemberId,
    /// Why.
    pub kind: AlarmKind,
}

/// Why an alarm was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmKind {
    /// The member's database reached its quota.
    NoSpace,
    /// The member's data differ from the others'.
    Corrupt,
}

/// A member's hash over the key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashKv {
    /// The hash. Comparable between members with the same `revision` and `compact_revision`.
    pub hash: u32,
    /// The revision that was hashed.
    pub revision: i64,
    /// The revision up to which history was compacted at that member; -1 when it never was.
    pub compact_revision: i64,
}

/// When a compaction answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compaction {
    /// When it is decided; the work goes on behind.
    Logical,
    /// When the old revisions are out of the member's database.
    Physical,
}

/// What to do about a downgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DowngradeAction {
    /// Ask whether it could begin.
    Validate,
    /// Let it begin.
    Enable,
    /// End it.
    Cancel,
}

impl Client {
    /// How the member is. Answers without a quorum, and on learners.
    pub async fn status(&self) -> Result<Answer<Status>, Error> {
        let got =
            self.call(StatusRequest {}, |channel, request| async move {
                MaintenanceClient::new(channel).status(request).await
            })
            .await?;
        self.answer(got.header, got.into())
    }

    /// Hands leadership to a voter. Only the leader takes this call; it answers when the other one leads.
    ///
    /// etcd's answer has no header, so the one given here is of a status asked just before; a wrong cluster is noticed in time.
    pub async fn move_leader(&self, to: MemberId) -> Result<Answer<()>, Error> {
        let before = self.status().await?;
        self.call(MoveLeaderRequest { target_id: to.0 }, |channel, request| async move {
            MaintenanceClient::new(channel).move_leader(request).await
        })
        .await?;
        Ok(before.map(|_| ()))
    }

    /// The cluster's alarms. etcd sends this question through the raft log like a write: it needs a quorum and adds an entry. Where
    /// one member's knowledge is enough, take [`Status::alarms`].
    pub async fn alarms(&self) -> Result<Answer<Vec<Alarm>>, Error> {
        self.alarm(AlarmRequest { action: AlarmAction::Get.into(), ..AlarmRequest::default() }).await
    }

    /// Takes an alarm back. The answer holds the alarms that this changed: none when it was not raised.
    pub async fn disarm(&self, alarm: Alarm) -> Result<Answer<Vec<Alarm>>, Error> {
        let kind = match alarm.kind {
            AlarmKind::NoSpace => AlarmType::Nospace,
            AlarmKind::Corrupt => AlarmType::Corrupt,
        };
        let action = AlarmAction::Deactivate.into();
        self.alarm(AlarmRequest { action, member_id: alarm.member.0, alarm: kind.into() }).await
    }

    async fn alarm(&self, question: AlarmRequest) -> Result<Answer<Vec<Alarm>>, Error> {
        let got = self
            .call(question, |channel, request| async move { MaintenanceClient::new(channel).alarm(request).await })
            .await?;
        self.answer(got.header, got.alarms.into_iter().filter_map(Alarm::from_wire).collect())
    }

    /// Gives the free pages of the member's database back to the file system. The member answers nobody meanwhile, so the time that this
    /// may take is the caller's to choose; a deadline that passes does not stop it.
    ///
    /// etcd's answer has no header, so the one given here is of a status asked just before; a wrong cluster is noticed in time.
    pub async fn defragment(&self, within: Duration) -> Result<Answer<()>, Error> {
        let before = self.status().await?;
        self.deadline(within)
            .call(DefragmentRequest {}, |channel, request| async move {
                MaintenanceClient::new(channel).defragment(request).await
            })
            .await?;
        Ok(before.map(|_| ()))
    }

    /// The member's hash over the key space up to `revision` (nothing: the newest).
    pub async fn hash_kv(&self, revision: Option<i64>) -> Result<Answer<HashKv>, Error> {
        let got = self
            .call(HashKvRequest { revision: revision.unwrap_or(0) }, |channel, request| async move {
                MaintenanceClient::new(channel).hash_kv(request).await
            })
            .await?;
        let newest = got.header.map_or(0, |header| header.revision);
        // 3.5 does not say which revision it hashed when it was asked for the newest; its header does.
        let revision = if got.hash_revision == 0 { revision.unwrap_or(newest) } else { got.hash_revision };
        self.answer(got.header, HashKv { hash: got.hash, revision, compact_revision: got.compact_revision })
    }

    /// Forgets all history before `revision`.
    pub async fn compact(&self, revision: i64, answer: Compaction) -> Result<Answer<()>, Error> {
        let question = CompactionRequest { revision, physical: answer == Compaction::Physical };
        let got = self
            .call(question, |channel, request| async move { KvClient::new(channel).compact(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Asks for, begins or ends a downgrade to the minor version `target` (`3.5`); cancelling ignores it. The answer is the
    /// cluster's version as it is now.
    ///
    /// From 3.6 on, cancelling when nothing is under way is a success. 3.5 begins and ends a downgrade, but never answers.
    pub async fn downgrade(&self, action: DowngradeAction, target: &str) -> Result<Answer<String>, Error> {
        let action = match action {
            DowngradeAction::Validate => WireAction::Validate,
            DowngradeAction::Enable => WireAction::Enable,
            DowngradeAction::Cancel => WireAction::Cancel,
        };
        let question = DowngradeRequest { action: action.into(), version: target.to_owned() };
        let got = self
            .call(question, |channel, request| async move { MaintenanceClient::new(channel).downgrade(request).await })
            .await?;
        self.answer(got.header, got.version)
    }
}

impl From<StatusResponse> for Status {
    fn from(status: StatusResponse) -> Self {
        Self {
            version: status.version,
            db_size: bytes(status.db_size),
            db_size_in_use: bytes(status.db_size_in_use),
            db_size_quota: Some(bytes(status.db_size_quota)).filter(|quota| *quota > 0),
            storage_version: Some(status.storage_version).filter(|version| !version.is_empty()),
            leader: MemberId::from_wire(status.leader),
            raft_index: status.raft_index,
            raft_term: status.raft_term,
            raft_applied_index: status.raft_applied_index,
            role: if status.is_learner { Role::Learner } else { Role::Voter },
            downgrade: status
                .downgrade_info
                .filter(|downgrade| downgrade.enabled)
                .map(|downgrade| Downgrade { target: downgrade.target_version }),
            alarms: status.errors.iter().filter_map(|error| Alarm::from_text(error)).collect(),
            errors: status.errors,
        }
    }
}

impl Alarm {
    fn from_wire(alarm: AlarmMember) -> Option<Self> {
        let kind = match alarm.alarm() {
            AlarmType::Nospace => AlarmKind::NoSpace,
            AlarmType::Corrupt => AlarmKind::Corrupt,
            AlarmType::None => return None,
        };
        Some(Self { member: MemberId(alarm.member_id), kind })
    }

    /// Go prints an alarm into the status as `memberID:10276657743932975437 alarm:NOSPACE `, its spaces not to be relied on.
    fn from_text(text: &str) -> Option<Self> {
        let field = |name: &str| text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'));
        let kind = match field("alarm")? {
            "NOSPACE" => AlarmKind::NoSpace,
            "CORRUPT" => AlarmKind::Corrupt,
            _ => return None,
        };
        Some(Self { member: MemberId(field("memberID")?.parse().ok()?), kind })
    }
}

/// Go counts bytes with a sign; a size below nothing is nothing.
fn bytes(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nospace("memberID:10276657743932975437 alarm:NOSPACE ", Some(AlarmKind::NoSpace))]
    #[case::two_spaces("memberID:10276657743932975437  alarm:CORRUPT", Some(AlarmKind::Corrupt))]
    #[case::a_complaint_that_is_no_alarm("etcdserver: no leader", None)]
    #[case::an_alarm_from_the_future("memberID:10276657743932975437 alarm:NOSUCH ", None)]
    fn alarms_are_read_from_what_a_member_complains_about(#[case] text: &str, #[case] kind: Option<AlarmKind>) {
        let alarm = kind.map(|kind| Alarm { member: MemberId(10_276_657_743_932_975_437), kind });
        assert_eq!(Alarm::from_text(text), alarm);
    }
}
