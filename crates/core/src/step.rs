//! What a plan may do: one step a pass, each carried out behind a [`Fence`](crate::fence::Fence).

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    id::{InstanceId, MemberId, PeerUrl, Slot, VolumeId},
    launch::LaunchSpec,
    observation::Alarm,
    permit::Permit,
    record::Record,
    version::Minor,
};

/// What the platform is to hold: these slots run, with these launch specs from their next start on; no other slot runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Layout {
    /// Slots that run.
    pub slots: BTreeMap<Slot, LaunchSpec>,
}

/// etcd's downgrade flow (F35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DowngradeOp {
    /// Allow members of this minor.
    Enable(Minor),
    /// Back to normal.
    Cancel,
}

impl Serialize for DowngradeOp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Enable(minor) => serializer.collect_str(&format_args!("enable {minor}")),
            Self::Cancel => serializer.serialize_str("cancel"),
        }
    }
}

/// A call to etcd.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcdStep {
    /// Add the instance that waits in this slot as a learner.
    AddLearner(Slot, PeerUrl),
    /// Make a learner a voter.
    Promote(MemberId),
    /// Take a member out of the list.
    Remove(MemberId),
    /// Hand leadership over.
    MoveLeader {
        /// To a voter.
        to: MemberId,
    },
    /// Drop history up to a revision that this member knows.
    Compact {
        /// Whose newest revision it is.
        at: MemberId,
    },
    /// Give free pages back to the file system; the member serves nothing meanwhile (F42).
    Defragment(MemberId),
    /// Clear an alarm.
    Disarm(Alarm),
    /// Enter or leave downgrade mode.
    Downgrade(DowngradeOp),
    /// Make the log longer by entries that change nothing, until every member has saved a raft snapshot.
    PadLog {
        /// Through whom.
        at: MemberId,
        /// How many.
        entries: u64,
    },
    /// Save and verify a snapshot before a roll to this minor.
    Snapshot {
        /// From whom.
        from: MemberId,
        /// Before which minor.
        #[serde(skip)]
        before: Minor,
    },
}

impl EtcdStep {
    /// Whether it changes who is a member or who votes: needs a linearizable roster from the same pass (rule 6).
    pub const fn changes_membership(&self) -> bool {
        matches!(self, Self::AddLearner(..) | Self::Promote(_) | Self::Remove(_))
    }
}

/// A change of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroundStep {
    /// Hold this layout.
    Ensure(Layout),
    /// Let waiting instances start on empty disks.
    Permit(Vec<Permit>),
    /// Stop exactly this instance; the platform starts the next one by itself when the layout says so.
    Retire(Slot, InstanceId),
    /// Destroy exactly this volume.
    Discard(Slot, VolumeId),
}

/// The one thing that a pass does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Ask etcd.
    Etcd(EtcdStep),
    /// Ask the platform.
    Ground(GroundStep),
    /// Commit the record.
    Record(Box<Record>),
}

impl fmt::Display for Step {
    /// In words, for logs and events.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(step) => step.fmt(f),
            Self::Ground(step) => step.fmt(f),
            Self::Record(_) => f.write_str("commit the record"),
        }
    }
}

impl fmt::Display for EtcdStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddLearner(slot, url) => write!(f, "add slot {slot} as a learner at {url}"),
            Self::Promote(member) => write!(f, "promote learner {member}"),
            Self::Remove(member) => write!(f, "remove member {member}"),
            Self::MoveLeader { to } => write!(f, "move leadership to member {to}"),
            Self::Compact { at } => write!(f, "compact history to the newest revision of member {at}"),
            Self::Defragment(member) => write!(f, "defragment member {member}"),
            Self::Disarm(alarm) => write!(f, "disarm the {:?} alarm of member {}", alarm.kind, alarm.member),
            Self::Downgrade(DowngradeOp::Enable(minor)) => write!(f, "enable the downgrade to {minor}"),
            Self::Downgrade(DowngradeOp::Cancel) => f.write_str("cancel the downgrade"),
            Self::PadLog { at, entries } => write!(f, "write {entries} empty entries to the log of member {at}"),
            Self::Snapshot { from, before } => write!(f, "save a snapshot of member {from} before going to {before}"),
        }
    }
}

impl fmt::Display for GroundStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ensure(layout) => {
                let slots: Vec<String> = layout.slots.keys().map(ToString::to_string).collect();
                write!(f, "hold the layout of slots [{}]", slots.join(", "))
            }
            Self::Permit(permits) => {
                let slots: Vec<String> = permits.iter().map(|permit| permit.slot.to_string()).collect();
                write!(f, "permit the first start in slots [{}]", slots.join(", "))
            }
            Self::Retire(slot, instance) => write!(f, "stop instance {instance} in slot {slot}"),
            Self::Discard(slot, volume) => write!(f, "discard volume {volume} of slot {slot}"),
        }
    }
}
