//! Why something does not happen now. Every reason says what blocks and what to do, so that status, events and the terminal
//! say the same.

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::{
    id::{ClusterId, Generation, Incarnation, MemberId, Slot},
    launch::OptionError,
    observation::Blocker,
    step::{EtcdStep, Step},
    version::{EtcdVersion, PathError},
};

/// Why something does not happen now.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "reason", content = "details")]
#[expect(missing_docs, reason = "the fields are named in the sentence right above them")]
pub enum Reason {
    // --- birth and record
    #[error("size is 0 and nothing was ever created: set a size of 1 or more to create the cluster")]
    NothingToCreate,
    #[error("slot {slot} holds {what}: move it away, or adopt it; nothing is created over existing data")]
    DataInTheWay { slot: Slot, what: String },
    #[error("the disk of slot {slot} cannot be looked at: {why}; nothing is created or stopped before that")]
    DiskUnknown { slot: Slot, why: Blocker },
    #[error(
        "slot {slot} is not at the gate yet: {why}; nobody is added before it is, and if it stays so, that is what to mend"
    )]
    NotAtGate { slot: Slot, why: Blocker },
    #[error(
        "etcd {version} ended in slot {slot} before anything was stored: {why}; set another version or other options, which take effect at \
         once; the same is tried again every minute"
    )]
    BirthFailed { slot: Slot, version: EtcdVersion, why: Blocker },
    #[error(
        "founder in slot {slot} does not serve yet: {why}; the cluster is formed when all founders do: see the slot's log if it lasts"
    )]
    FounderSilent { slot: Slot, why: Blocker },
    #[error(
        "founder in slot {slot} lost its disk while the cluster was forming, and no member list can be read: bring the other founders \
         back, or destroy the cluster and create it again"
    )]
    FounderLost { slot: Slot },
    #[error(
        "the disks belong to different incarnations ({first} in slot {slot}, {other} elsewhere): remove the one that is not wanted"
    )]
    MixedIncarnations { slot: Slot, first: Incarnation, other: Incarnation },
    #[error(
        "the record is lost, and the disks of slots {first} and {second} are of one member: take the copy away; nothing starts on either meanwhile"
    )]
    TwinDisks { first: Slot, second: Slot },
    #[error(
        "hibernating, and the record is lost: all disks are kept; set a size of 1 or more to wake the cluster, and its record is made \
         again from the disks"
    )]
    RecordLostAsleep,
    #[error(
        "the record is lost, and neither the disks nor anything that runs say which learner limit the cluster was born with: put back a \
         copy of the record; the members' logs must not be replayed under another limit"
    )]
    LearnerLimitUnknown,
    #[error(
        "the record is lost, and the members were started with different learner limits ({limit}, and {other} in slot {slot}): remove the \
         disk that is not wanted, or put back a copy of the record"
    )]
    LearnerLimitsDiffer { limit: u8, slot: Slot, other: u8 },
    #[error(
        "founders report different clusters ({first} and {other}): two clusters use the same addresses, stop the foreign one"
    )]
    SplitBirth { first: ClusterId, other: ClusterId },
    // --- quorum and observation
    #[error("the record could not be read: {0}")]
    RecordUnknown(Blocker),
    #[error(
        "quorum lost: {up} of {voters} voters are up and {needed} are needed; nothing is removed or wiped. Bring a member with its disk back{waiting}",
        waiting = list(" (missing: slots ", .missing, ")")
    )]
    QuorumLost { up: usize, voters: usize, needed: usize, missing: Vec<Slot> },
    #[error(
        "the member list cannot be read: {0}; membership stays as it is until it can: check that members are reached from here if it lasts"
    )]
    RosterUnknown(Blocker),
    #[error(
        "the members that answer belong to cluster {got}, the record names {expected}: these are not our members, nothing is changed"
    )]
    WrongCluster { expected: ClusterId, got: ClusterId },
    #[error(
        "no leader that a quorum agrees on: waiting for the election; if none ends, check that the voters reach each other"
    )]
    NoLeader,
    #[error("a call to {step} was given up without an answer: looking again before anything else changes the membership", step = Step::Etcd(.0.clone()))]
    OutcomeUnknown(EtcdStep),
    #[error(
        "member {member} is not in the record and was not added by us: remove it with etcdctl, or adopt the cluster"
    )]
    ForeignMember { member: MemberId },
    #[error("to {step} failed {tries} times: {why}; it is tried again, and the rest goes on meanwhile")]
    PutOff { step: Box<Step>, why: Blocker, tries: u32 },
    #[error("under way: {0}; what it does not disturb goes on meanwhile, and it is given up if it hangs")]
    UnderWay(Box<Step>),
    // --- members
    #[error(
        "voter {member} in slot {slot} does not answer: {why}; nothing that rests on it is done meanwhile: see its log and its network"
    )]
    VoterSilent { member: MemberId, slot: Slot, why: Blocker },
    #[error(
        "voter {member} in slot {slot} answers, but follows {} while a quorum follows {leader}: it is not replaced while it answers, and no \
         other voter is stopped or removed; check that it and its peers reach each other, and restart it if they do",
        .follows.map_or_else(|| "no leader".to_owned(), |other| other.to_string())
    )]
    VoterAlone { member: MemberId, slot: Slot, follows: Option<MemberId>, leader: MemberId },
    #[error(
        "voter {member} in slot {slot} is {behind} entries behind: no other voter is stopped or removed before it has caught up; check its \
         disk and its network if it does not"
    )]
    VoterBehind { member: MemberId, slot: Slot, behind: u64 },
    #[error(
        "voter {member} does not answer and has no slot: it is none of ours to start; start it where it lives, or remove it with etcdctl"
    )]
    VoterAstray { member: MemberId },
    #[error(
        "member {member} in slot {slot} is silent for {silent:?} of {limit:?}: it is replaced after that, if its peers cannot reach it either"
    )]
    NotDeadYet { member: MemberId, slot: Slot, silent: Duration, limit: Duration },
    #[error(
        "member {member} in slot {slot} is unreachable from here, but the leader is connected to it: unreachable is not dead; mend the way from here to it"
    )]
    ReachableByPeers { member: MemberId, slot: Slot },
    #[error(
        "member {member} in slot {slot} is dead, and removing it would leave {up} of {voters} voters up with {needed} needed: bring another member back first"
    )]
    CannotRemoveDead { member: MemberId, slot: Slot, up: usize, voters: usize, needed: usize },
    #[error("slot {slot} refused its disk: {why}")]
    GateRefused { slot: Slot, why: Blocker },
    // --- alarms
    #[error("CORRUPT alarm raised for {}: compare the members' hashes and replace the one that differs by hand; nothing is changed until the alarm is disarmed", corrupt(*.0))]
    Corrupt(MemberId),
    #[error(
        "CORRUPT alarm cannot be read in full: {0}; nothing is changed before it is: bring the members back that do not answer"
    )]
    AlarmsUnknown(Blocker),
    #[error(
        "database of member {member} is full ({in_use} of {quota} bytes in use): delete keys, raise quotaBackendBytes, or set compactOnNoSpace"
    )]
    OutOfSpace { member: MemberId, in_use: u64, quota: u64 },
    #[error(
        "NOSPACE alarm: no member is defragmented while voter {member} does not answer: bring it back, or let it be replaced"
    )]
    DefragmentBlocked { member: MemberId },
    // --- joining
    #[error("waiting for slot {slot} to serve its peer URL; it is taken out again if it takes too long: see its log")]
    PermitHolder { slot: Slot },
    #[error(
        "learner {member} is {behind} entries behind the leader: it gets its vote when it has caught up; check its disk and network if it never does"
    )]
    CatchingUp { member: MemberId, behind: u64 },
    #[error("learner {member} does not answer yet: {why}; it gets its vote when it does: see its log if it lasts")]
    LearnerSilent { member: MemberId, why: Blocker },
    #[error(
        "learner {member} is ready and waits for a second one, to keep the number of voters odd; nothing is to be done"
    )]
    WaitingForPair { member: MemberId },
    #[error(
        "the marker of learner {member} in slot {slot} was not seen on its disk yet: it gets no vote before; check what the slot's guard says if it lasts"
    )]
    MarkerNotSeen { member: MemberId, slot: Slot, generation: Generation },
    #[error("one learner at a time: {why}")]
    OneLearnerAtATime { why: SerialReason },
    // --- scaling
    #[error("waiting for slot {slot} to have a healthy voter before others leave: see what that slot waits for")]
    TargetNotHealthy { slot: Slot },
    // --- rolling
    #[error("{0}")]
    VersionPath(PathError),
    #[error("{0}")]
    BadOption(OptionError),
    #[error(
        "etcd {version} with the options asked for was tried and did not serve in time; every member stays on what it runs: set another \
         version or other options"
    )]
    StillRejected { version: EtcdVersion },
    #[error("slot {slot} restarts with etcd {version}; what it ran before is put back if it does not serve in time")]
    Restarting { slot: Slot, version: EtcdVersion },
    #[error(
        "slot {slot} does not come back with etcd {version}, and the cluster version has moved on: it cannot go back either; set a working version"
    )]
    NoWayBack { slot: Slot, version: EtcdVersion },
    #[error("no restart while voter {member} does not answer: bring it back, or let it be replaced")]
    RollBlocked { member: MemberId },
    #[error(
        "no restart while data are on their way to learner {member}: it would have to begin again; set the size back if it never catches up"
    )]
    RollWaitsForLearner { member: MemberId },
    #[error(
        "waiting for the storage of all members to come down to {to}; set the version back to call the downgrade off"
    )]
    DowngradeRunning { to: String },
    #[error("hibernating: all disks are kept; set a size of 1 or more to wake the cluster")]
    Hibernating,
}

/// Why learners are not taken in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize)]
pub enum SerialReason {
    /// 3.5 has no flag for more, and adopted clusters must not change theirs (rule 3).
    #[error("this incarnation was born with a learner limit of 1")]
    Limit,
    /// Members apply the limit on their own, so different values diverge (F5).
    #[error("the members run different versions or learner limits")]
    Mixed,
}

fn list(before: &str, slots: &[Slot], after: &str) -> String {
    if slots.is_empty() {
        return String::new();
    }
    let slots: Vec<String> = slots.iter().map(ToString::to_string).collect();
    format!("{before}{}{after}", slots.join(", "))
}

fn corrupt(member: MemberId) -> String {
    if member.0 == 0 { "no member in particular (no majority agrees)".to_owned() } else { format!("member {member}") }
}
