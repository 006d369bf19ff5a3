//! Why etcd does not start now (wait) or never will in this process (refuse).
//!
//! Each reason has a slug for programs, a sentence for people that says what is so, why that stops us and what to do,
//! and refusals have an exit code of their own, for supervisors that see nothing else.

use std::{fmt, path::PathBuf};

use crate::{
    decide::DataState,
    fields::or_dash,
    identity::{Generation, InstanceId},
    marker::{Marker, Seat},
    permit::Permit,
};

/// What the gate waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The platform has not written the slot's seat yet.
    NoRecord,
    /// The disk is empty and nobody allowed a first start.
    NoPermit,
    /// The permit is for another process, most likely an earlier one in this slot.
    PermitForOther {
        /// Whose permit it is.
        holder: InstanceId,
    },
    /// The permit does not fit what the record gives to the slot now.
    PermitStale {
        /// The permit at hand.
        permit: Box<Permit>,
        /// What the slot has now.
        seat: Box<Seat>,
    },
    /// A file that the start depends on is there and cannot be understood.
    FileUnreadable {
        /// Seat or permit.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A peer of the permit has no address yet; etcd would stall on it.
    NameUnresolved {
        /// The host name.
        host: String,
        /// What the resolver said.
        why: String,
    },
}

/// Why this process ends without becoming etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Whose disk it is cannot be told.
    MarkerUnreadable {
        /// What is wrong with the marker.
        why: String,
    },
    /// The disk belongs to another cluster, another of its lives, or another member.
    Foreign {
        /// What the disk says.
        marker: Box<Marker>,
        /// What the slot has.
        seat: Box<Seat>,
    },
    /// The slot got a newer disk since.
    Retired {
        /// What the disk says.
        marker: Box<Marker>,
        /// What the slot has.
        seat: Box<Seat>,
    },
    /// The record saw a later start than the disk: acknowledged writes may be missing on it.
    OlderCopy {
        /// What the disk says.
        marker: Box<Marker>,
        /// What the slot has.
        seat: Box<Seat>,
    },
    /// The disk carries a member's marker and not its log.
    DataLost {
        /// What the disk says.
        marker: Box<Marker>,
    },
    /// There is data of unknown origin.
    Unmarked {
        /// A log, or remnants.
        data: DataState,
    },
    /// The permit's only start happened already, and the disk is empty all the same.
    PermitUsed {
        /// The disk that the permit was for.
        generation: Generation,
    },
    /// There is no etcd to become.
    EtcdNotRunnable {
        /// What was asked for.
        program: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The data directory or the ledger cannot be read, so a start cannot be ruled safe.
    StateUnreadable {
        /// Which of them.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Marker or ledger could not be written, and neither may be missing when etcd runs.
    StateNotWritten {
        /// Which of them.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// A [`WaitReason`] without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitKind {
    /// [`WaitReason::NoRecord`]
    NoRecord,
    /// [`WaitReason::NoPermit`]
    NoPermit,
    /// [`WaitReason::PermitForOther`]
    PermitForOther,
    /// [`WaitReason::PermitStale`]
    PermitStale,
    /// [`WaitReason::FileUnreadable`]
    FileUnreadable,
    /// [`WaitReason::NameUnresolved`]
    NameUnresolved,
}

/// A [`Refusal`] without its particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// [`Refusal::MarkerUnreadable`], exit code 70
    MarkerUnreadable,
    /// [`Refusal::Foreign`], exit code 71
    Foreign,
    /// [`Refusal::Retired`], exit code 72
    Retired,
    /// [`Refusal::OlderCopy`], exit code 73
    OlderCopy,
    /// [`Refusal::DataLost`], exit code 74
    DataLost,
    /// [`Refusal::Unmarked`], exit code 75
    Unmarked,
    /// [`Refusal::PermitUsed`], exit code 76
    PermitUsed,
    /// [`Refusal::EtcdNotRunnable`], exit code 77
    EtcdNotRunnable,
    /// [`Refusal::StateUnreadable`], exit code 78
    StateUnreadable,
    /// [`Refusal::StateNotWritten`], exit code 79
    StateNotWritten,
}

impl WaitKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NoRecord,
        Self::NoPermit,
        Self::PermitForOther,
        Self::PermitStale,
        Self::FileUnreadable,
        Self::NameUnresolved,
    ];

    /// The word in the status line.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NoRecord => "no-record",
            Self::NoPermit => "no-permit",
            Self::PermitForOther => "permit-for-other",
            Self::PermitStale => "permit-stale",
            Self::FileUnreadable => "file-unreadable",
            Self::NameUnresolved => "name-unresolved",
        }
    }
}

impl RefusalKind {
    /// All of them, in the order of their exit codes.
    pub const ALL: [Self; 10] = [
        Self::MarkerUnreadable,
        Self::Foreign,
        Self::Retired,
        Self::OlderCopy,
        Self::DataLost,
        Self::Unmarked,
        Self::PermitUsed,
        Self::EtcdNotRunnable,
        Self::StateUnreadable,
        Self::StateNotWritten,
    ];

    /// The word in the status line.
    pub fn slug(self) -> &'static str {
        match self {
            Self::MarkerUnreadable => "marker-unreadable",
            Self::Foreign => "foreign",
            Self::Retired => "retired",
            Self::OlderCopy => "older-copy",
            Self::DataLost => "data-lost",
            Self::Unmarked => "unmarked",
            Self::PermitUsed => "permit-used",
            Self::EtcdNotRunnable => "etcd-not-runnable",
            Self::StateUnreadable => "state-unreadable",
            Self::StateNotWritten => "state-not-written",
        }
    }

    /// What the guard exits with; etcd itself exits with 0, 1 or 2.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::MarkerUnreadable => 70,
            Self::Foreign => 71,
            Self::Retired => 72,
            Self::OlderCopy => 73,
            Self::DataLost => 74,
            Self::Unmarked => 75,
            Self::PermitUsed => 76,
            Self::EtcdNotRunnable => 77,
            Self::StateUnreadable => 78,
            Self::StateNotWritten => 79,
        }
    }
}

impl WaitReason {
    /// Which reason it is.
    pub fn kind(&self) -> WaitKind {
        match self {
            Self::NoRecord => WaitKind::NoRecord,
            Self::NoPermit => WaitKind::NoPermit,
            Self::PermitForOther { .. } => WaitKind::PermitForOther,
            Self::PermitStale { .. } => WaitKind::PermitStale,
            Self::FileUnreadable { .. } => WaitKind::FileUnreadable,
            Self::NameUnresolved { .. } => WaitKind::NameUnresolved,
        }
    }
}

impl Refusal {
    /// Which refusal it is.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::MarkerUnreadable { .. } => RefusalKind::MarkerUnreadable,
            Self::Foreign { .. } => RefusalKind::Foreign,
            Self::Retired { .. } => RefusalKind::Retired,
            Self::OlderCopy { .. } => RefusalKind::OlderCopy,
            Self::DataLost { .. } => RefusalKind::DataLost,
            Self::Unmarked { .. } => RefusalKind::Unmarked,
            Self::PermitUsed { .. } => RefusalKind::PermitUsed,
            Self::EtcdNotRunnable { .. } => RefusalKind::EtcdNotRunnable,
            Self::StateUnreadable { .. } => RefusalKind::StateUnreadable,
            Self::StateNotWritten { .. } => RefusalKind::StateNotWritten,
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str(
                "the record has not given this slot to anybody, so nobody knows whose disk belongs here: \
                 the manager writes the seat, check that it runs",
            ),
            Self::NoPermit => f.write_str(
                "the disk is empty and a first start needs a permit: the manager gives it once the member is in \
                 the member list",
            ),
            Self::PermitForOther { holder } => write!(
                f,
                "the permit is for process {holder}, and a permit is good for one process only: \
                 the manager gives a new one when it sees this process"
            ),
            Self::PermitStale { permit, seat } => write!(
                f,
                "the permit is for incarnation {} generation {} member {}, the slot has incarnation {} generation {} \
                 member {}: the manager gives a new permit or renders the seat again",
                permit.incarnation,
                permit.generation,
                or_dash(permit.member),
                seat.incarnation,
                seat.generation,
                or_dash(seat.member),
            ),
            Self::FileUnreadable { path, why } => write!(
                f,
                "{} cannot be understood ({why}), so nothing starts on it: the manager writes it, \
                 check that manager and guard are of one version",
                path.display()
            ),
            Self::NameUnresolved { host, why } => write!(
                f,
                "peer name {host} does not resolve ({why}) and etcd would stall on it: check the name service, \
                 the permit is still unused"
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MarkerUnreadable { why } => write!(
                f,
                "the marker of this disk cannot be understood ({why}), so whose disk it is cannot be told: \
                 replace the member, or restore its marker if you know what the disk is"
            ),
            Self::Foreign { marker, seat } => write!(
                f,
                "this disk belongs to incarnation {} generation {} member {}, the slot to incarnation {} generation {} \
                 member {}: mount the disk that belongs here, or replace the member",
                marker.incarnation,
                marker.generation,
                or_dash(marker.member),
                seat.incarnation,
                seat.generation,
                or_dash(seat.member),
            ),
            Self::Retired { marker, seat } => write!(
                f,
                "this disk is generation {}, the slot has been given generation {}: its member was replaced and must \
                 not come back, mount the newer disk",
                marker.generation, seat.generation,
            ),
            Self::OlderCopy { marker, seat } => write!(
                f,
                "this disk was started {} times, the record has seen start {}: it is an older copy and may lack \
                 acknowledged writes, mount the right one or replace the member",
                marker.epoch, seat.epoch,
            ),
            Self::DataLost { marker } => write!(
                f,
                "this disk carries the marker of member {} and not its log: started empty it would lose acknowledged \
                 writes, so the member has to be replaced",
                or_dash(marker.member),
            ),
            Self::Unmarked { data } => write!(
                f,
                "the data directory holds {} and no marker, so whose data it is cannot be told: \
                 adopt it, or move it away and replace the member",
                match data {
                    DataState::HasWal => "an etcd log",
                    DataState::Remnants | DataState::Empty => "files",
                },
            ),
            Self::PermitUsed { generation } => write!(
                f,
                "the permit for generation {generation} was used before and the disk is empty: what that start \
                 wrote is lost, so the member has to be replaced"
            ),
            Self::EtcdNotRunnable { program, why } => {
                write!(f, "{} cannot be executed ({why}): install etcd there or correct the path", program.display())
            }
            Self::StateUnreadable { path, why } => write!(
                f,
                "{} cannot be read ({why}), so a start cannot be ruled safe: repair the volume or its permissions",
                path.display()
            ),
            Self::StateNotWritten { path, why } => write!(
                f,
                "{} cannot be written ({why}) and etcd must not run without it: free space or repair the volume",
                path.display()
            ),
        }
    }
}
