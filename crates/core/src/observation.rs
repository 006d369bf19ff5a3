//! What one pass saw. Observing never fails: what could not be learnt is `Unknown`, with a reason and since when, so that one
//! sick member never stops the loop (reliability.md, H1).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde::Serialize;

use crate::{
    id::{ClusterId, Generation, Incarnation, InstanceId, MemberId, Mono, PeerUrl, Slot, VolumeId},
    launch::LaunchSpec,
    permit::Permit,
    record::{Record, Versioned},
    step::{EtcdStep, Step},
    version::{EtcdVersion, Minor},
};

/// Why something could not be learnt, in words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Blocker(pub String);

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe<T> {
    /// Learnt.
    Known {
        /// The answer.
        value: T,
        /// When the question was asked.
        at: Mono,
    },
    /// Not learnt.
    Unknown {
        /// What went wrong.
        why: Blocker,
        /// Since when nothing was learnt, by this manager's clock.
        since: Mono,
    },
}

impl<T> Probe<T> {
    /// The answer, if there is one.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// Since when there is no answer.
    pub const fn unknown_since(&self) -> Option<Mono> {
        match self {
            Self::Known { .. } => None,
            Self::Unknown { since, .. } => Some(*since),
        }
    }
}

/// Which slots a platform can give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum SlotPolicy {
    /// Only the highest ones (a StatefulSet drops its highest ordinals): members live in slots `0..size`.
    Prefix,
    /// Any.
    Any,
}

/// Where a slot's member is reached, and what etcd calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Address {
    /// etcd's `--name`.
    pub name: String,
    /// For its peers.
    pub peer: PeerUrl,
    /// For clients.
    pub client: String,
}

/// What stands on a data volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Marker {
    /// Nothing: no marker, no data.
    Empty,
    /// A marker and the data of the member that it names.
    Owned {
        /// Of which life.
        incarnation: Incarnation,
        /// Whose; unknown for a founder until its second start.
        member: Option<MemberId>,
        /// Which seat's.
        generation: Generation,
        /// How often etcd was started on it.
        epoch: u64,
        /// The learner limit that the incarnation was born with; unknown on a disk that an earlier release started.
        max_learners: Option<u8>,
    },
    /// A marker without the data that it stands for: the member lost its disk.
    Hollow {
        /// Of which life.
        incarnation: Incarnation,
        /// Which seat's.
        generation: Generation,
    },
    /// Data that is not ours, or that cannot be read.
    Foreign(String),
}

/// A data volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Volume {
    /// Which one.
    pub id: VolumeId,
    /// What stands on it.
    pub marker: Marker,
}

/// How far an instance has come, as its platform sees it. Says nothing about etcd's health.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not at the gate yet: scheduling, pulling, mounting.
    Pending(Blocker),
    /// The guard runs and waits for a permit.
    AtGate,
    /// The guard refused to start etcd on this disk.
    Refused(Blocker),
    /// etcd was started and its process is there.
    Running,
    /// The process ended; its platform starts it again.
    Exited(Blocker),
    /// Being stopped.
    Stopping,
}

/// One run of a member's gate and etcd.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Instance {
    /// Which one.
    pub id: InstanceId,
    /// What it runs, as opposed to what it should run.
    pub launch: LaunchSpec,
    /// How far it has come.
    pub phase: Phase,
    /// When this manager first saw it in this phase.
    pub since: Mono,
}

/// A permit as the platform holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PermitView {
    /// The permit.
    pub permit: Permit,
    /// When this manager first saw it.
    pub since: Mono,
}

/// A slot as its platform sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotView {
    /// Where its member is reached.
    pub address: Address,
    /// What the platform will start it with; `None` when the platform is told to run nothing here.
    pub declared: Option<LaunchSpec>,
    /// What is there.
    pub instance: Probe<Option<Instance>>,
    /// Its disk.
    pub volume: Probe<Option<Volume>>,
    /// The last permit written for it.
    pub permit: Option<PermitView>,
}

/// Whether a member votes. A learner receives the log and serves no quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Counts for the quorum.
    Voter,
    /// Does not.
    Learner,
}

/// One row of etcd's member list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RosterMember {
    /// Its ID.
    pub id: MemberId,
    /// Empty until it published itself once (F3).
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it votes.
    pub role: Role,
}

/// etcd's member list, linearizable, read in this pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Roster {
    /// Who answered belongs to this cluster.
    pub cluster: ClusterId,
    /// Sorted by ID.
    pub members: Vec<RosterMember>,
}

/// etcd's downgrade mode, as a member of 3.6 or later reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DowngradeMode {
    /// The minor that the cluster may be rolled to.
    #[serde(skip)]
    pub target: Minor,
}

/// What a member says of itself (maintenance Status).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MemberStatus {
    /// Who answered.
    pub member: MemberId,
    /// To which cluster it belongs.
    pub cluster: ClusterId,
    /// Its binary.
    pub version: EtcdVersion,
    /// Its own role.
    pub role: Role,
    /// Whom it believes to lead.
    pub leader: Option<MemberId>,
    /// Its raft term.
    pub term: u64,
    /// The raft index that it knows to be committed.
    pub committed: u64,
    /// The raft index that it has applied.
    pub applied: u64,
    /// Allocated bytes of its database.
    pub db_size: u64,
    /// Bytes of it in use.
    pub db_in_use: u64,
    /// Its quota in bytes, from 3.6 on.
    pub quota: Option<u64>,
    /// The storage version, from 3.6 on.
    pub storage: Option<EtcdVersion>,
    /// The cluster version that it knows.
    #[serde(skip)]
    pub cluster_version: Option<Minor>,
    /// etcd's downgrade mode, when it is on.
    pub downgrade: Option<DowngradeMode>,
    /// Alarms that it mentions.
    pub alarms: BTreeSet<Alarm>,
}

/// What a member that does not answer clients yet shows on its peer and metrics ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PeerPort {
    /// The cluster that it says it belongs to.
    pub cluster: Option<ClusterId>,
    /// Since when its metrics have shown a learner that applied the leader's data and waits for its own publish: the lost
    /// publish of kubernetes-timings.md, which hangs for 7 s.
    pub stranded_since: Option<Mono>,
}

/// The leader's own view of its peers: the second witness of rule 7.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PeerLinks {
    /// Whose view it is.
    pub leader: MemberId,
    /// Members that it has a live connection with.
    pub active: BTreeSet<MemberId>,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AlarmKind {
    /// A database reached its quota: writes are refused.
    NoSpace,
    /// A member's data differs: everything is refused.
    Corrupt,
}

/// One of etcd's alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Alarm {
    /// Who raised it; 0 when no majority agrees on whose data is right (F40).
    pub member: MemberId,
    /// What it is about.
    pub kind: AlarmKind,
}

/// A verified snapshot that the platform keeps from before a roll to another minor (DESIGN §6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Safeguard {
    /// The minor that the roll goes to.
    #[serde(skip)]
    pub before: Minor,
    /// The life of the cluster that it was taken of.
    pub incarnation: Incarnation,
    /// How long ago it was kept, by the clock of the platform that keeps it.
    pub age: Duration,
}

/// A membership call that this manager made and whose outcome it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Unsettled {
    /// What was asked for.
    pub step: EtcdStep,
    /// When the call was given up.
    pub since: Mono,
}

/// Whether a step that failed may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Certainly not.
    NotApplied,
    /// Perhaps.
    Unknown,
}

/// A step that this manager could not carry out, and when it tries again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setback {
    /// The step.
    pub step: Step,
    /// What is known of its last try.
    pub failure: Failure,
    /// Why it failed, the last time.
    pub why: Blocker,
    /// How often in a row.
    pub tries: u32,
    /// When it failed first.
    pub since: Mono,
    /// When it may be tried again.
    pub due: Mono,
}

/// Everything that one pass saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// The record, with its revision.
    #[serde(skip)]
    pub record: Versioned<Record>,
    /// Each slot that has a seat, an instance or a volume.
    pub ground: BTreeMap<Slot, SlotView>,
    /// etcd's member list: linearizable or unknown, never a member's own copy.
    pub roster: Probe<Roster>,
    /// What each slot's member says of itself.
    pub status: BTreeMap<Slot, Probe<MemberStatus>>,
    /// What the peer ports of slots show whose member does not answer clients.
    pub peer_ports: BTreeMap<Slot, Probe<PeerPort>>,
    /// The leader's view of its peers; asked only when a member is silent.
    pub links: Probe<PeerLinks>,
    /// etcd's alarm list; asked only when a member mentions an alarm, because asking writes to the log.
    pub alarms: Probe<BTreeSet<Alarm>>,
    /// Snapshots kept from before rolls.
    pub safeguards: Vec<Safeguard>,
    /// The last membership call whose outcome is unknown.
    pub unsettled: Option<Unsettled>,
    /// Steps that failed and wait for their next try, or were due again not long ago.
    pub setbacks: Vec<Setback>,
    /// The long step that is under way beside the passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errand: Option<Step>,
    /// When this manager first saw the open mutation.
    pub open_since: Option<Mono>,
    /// Which slots can be given up.
    pub slots: SlotPolicy,
    /// The platform's default for a wait between two looks while something is in flight.
    pub pace: Duration,
}

impl Observation {
    /// The slot at one of the member's peer URLs. Says where it lives only of a member that the record does not know by its ID
    /// (rule 5).
    pub(crate) fn slot_at(&self, row: &RosterMember) -> Option<Slot> {
        let at = |view: &SlotView| row.peer_urls.iter().any(|url| url == view.address.peer.as_str());
        self.ground.iter().find(|(_, view)| at(view)).map(|(&slot, _)| slot)
    }
}
