//! The decision at the gate: start, wait or refuse. Pure and total; the order of its questions is its meaning.
//!
//! A disk that carries a marker is judged by the marker alone: whoever has its disk runs, no permit is asked for. A disk
//! without one starts only when it is empty *and* holds a permit for exactly this process, disk and incarnation that was
//! never used. Everything in between is refused, since etcd itself cannot tell a lost log from a new one (LAB 9).

use crate::{
    identity::{Epoch, InstanceId},
    marker::{Marker, Seat},
    permit::Permit,
    reason::{Refusal, WaitReason},
};

/// What was found on the data volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What the disk says it is.
    pub marker: MarkerState,
    /// Whether etcd's log is there.
    pub data: DataState,
}

/// The marker file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkerState {
    /// There is none.
    Absent,
    /// There is one, whole.
    Present(Marker),
    /// There is one that cannot be understood, and why.
    Unreadable(String),
}

/// etcd's data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataState {
    /// Missing, or nothing in it but `lost+found` and the marker.
    Empty,
    /// `member/wal` holds at least one log segment.
    HasWal,
    /// Anything else.
    Remnants,
}

/// Whether the permit at hand was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ledger {
    /// Nobody used it.
    Unused,
    /// It was used, whatever became of that start.
    Used,
}

/// What the gate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Become etcd.
    Start {
        /// To be written to the disk first.
        marker: Marker,
        /// The permit that this start uses up; its flags go to etcd. `None` on a restart.
        first: Option<Permit>,
    },
    /// Look again later: somebody else still has to do something.
    Wait(WaitReason),
    /// End: this process must never start etcd on this disk.
    Refuse(Refusal),
}

/// Decides whether etcd may start on this disk, in this slot, in this process.
pub fn decide(
    disk: &Disk,
    seat: Option<&Seat>,
    permit: Option<&Permit>,
    ledger: Ledger,
    instance: &InstanceId,
) -> Verdict {
    let Some(seat) = seat else { return Verdict::Wait(WaitReason::NoRecord) };
    match &disk.marker {
        MarkerState::Unreadable(why) => Verdict::Refuse(Refusal::MarkerUnreadable { why: why.clone() }),
        MarkerState::Present(marker) => restart(marker, disk.data, seat),
        MarkerState::Absent => first_start(disk.data, seat, permit, ledger, instance),
    }
}

fn restart(marker: &Marker, data: DataState, seat: &Seat) -> Verdict {
    let judged = |refusal: fn(Box<Marker>, Box<Seat>) -> Refusal| {
        Verdict::Refuse(refusal(Box::new(marker.clone()), Box::new(seat.clone())))
    };
    if marker.incarnation != seat.incarnation {
        return judged(|marker, seat| Refusal::Foreign { marker, seat });
    }
    if marker.generation < seat.generation {
        return judged(|marker, seat| Refusal::Retired { marker, seat });
    }
    // Generations are counted through the whole cluster, so a newer one alone may be another slot's disk. The slot's own has one
    // when a lost record was made again without it: then the list gave the seat its member.
    let same_generation = marker.generation == seat.generation;
    let own = match (marker.member, seat.member) {
        (Some(disk), Some(slot)) => disk == slot,
        // A founder learns its ID after its first start.
        (None, _) | (_, None) => same_generation,
    };
    if !own {
        return judged(|marker, seat| Refusal::Foreign { marker, seat });
    }
    if same_generation && marker.epoch < seat.epoch {
        return judged(|marker, seat| Refusal::OlderCopy { marker, seat });
    }
    if data != DataState::HasWal {
        return judged(|marker, _| Refusal::DataLost { marker });
    }
    let Some(epoch) = marker.epoch.0.checked_add(1).map(Epoch) else {
        return Verdict::Refuse(Refusal::MarkerUnreadable { why: "its epoch is the last possible one".to_owned() });
    };
    let member = marker.member.or(seat.member);
    let max_learners = seat.max_learners.or(marker.max_learners);
    Verdict::Start { marker: Marker { member, max_learners, epoch, ..marker.clone() }, first: None }
}

fn first_start(
    data: DataState,
    seat: &Seat,
    permit: Option<&Permit>,
    ledger: Ledger,
    instance: &InstanceId,
) -> Verdict {
    if data != DataState::Empty {
        return Verdict::Refuse(Refusal::Unmarked { data });
    }
    let Some(permit) = permit else { return Verdict::Wait(WaitReason::NoPermit) };
    if permit.instance != *instance {
        return Verdict::Wait(WaitReason::PermitForOther { holder: permit.instance.clone() });
    }
    let of_this_seat = permit.incarnation == seat.incarnation
        && permit.generation == seat.generation
        // Also when only one side knows the member: a permit is used once, so it waits until both files agree.
        && permit.member == seat.member;
    if !of_this_seat {
        return Verdict::Wait(WaitReason::PermitStale {
            permit: Box::new(permit.clone()),
            seat: Box::new(seat.clone()),
        });
    }
    // A seat that saw a start of this generation proves it too, whatever the ledger says: the ledger may be new, the disk is not.
    if ledger == Ledger::Used || seat.epoch > Epoch(0) {
        return Verdict::Refuse(Refusal::PermitUsed { generation: permit.generation });
    }
    let marker = Marker {
        incarnation: permit.incarnation.clone(),
        member: permit.member,
        generation: permit.generation,
        max_learners: seat.max_learners,
        epoch: Epoch(1),
    };
    Verdict::Start { marker, first: Some(permit.clone()) }
}
