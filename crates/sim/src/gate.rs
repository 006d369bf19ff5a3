//! The real guard, asked about a slot.

use etcdop_guard::{
    ClusterState, DataState, Disk as GuardDisk, Epoch, Generation, Incarnation, InstanceId, Ledger as GuardLedger,
    Marker, MarkerState, MemberId, Permit as GuardPermit, Seat as GuardSeat, Verdict, decide,
};

use crate::{
    mutants::{self, Mutant},
    state::{Disk, Era, Founding, Gen, Holder, Id, Ledger, Permit, Place, Seat},
};

/// What the guard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Starts etcd on its log.
    Restart,
    /// Uses up the permit.
    FirstStart,
    /// Waits.
    Wait,
    /// Ends.
    Refuse,
}

/// What the guard decides in this place, for the process that is there or is just being started.
pub(crate) fn ask(place: &Place, mutant: Option<Mutant>) -> Gate {
    let ledger = match place.ledger {
        Ledger::Blank => GuardLedger::Unused,
        Ledger::Used => GuardLedger::Used,
    };
    let seat = place.seat.and_then(guard_seat);
    let permit = place.permit.and_then(guard_permit);
    let verdict = match (guard_disk(place.disk), name("i")) {
        (Some(disk), Some(instance)) => decide(&disk, seat.as_ref(), permit.as_ref(), ledger, &instance),
        _ => return Gate::Refuse,
    };
    let gate = match verdict {
        Verdict::Start { first: None, .. } => Gate::Restart,
        Verdict::Start { first: Some(_), .. } => Gate::FirstStart,
        Verdict::Wait(_) => Gate::Wait,
        Verdict::Refuse(_) => Gate::Refuse,
    };
    mutants::gate(mutant, place, gate)
}

fn name(text: &str) -> Option<InstanceId> {
    text.parse().ok()
}

fn incarnation(era: Era) -> Option<Incarnation> {
    match era {
        Era::Now => "model/2",
        Era::Past => "model/1",
    }
    .parse()
    .ok()
}

const fn member(id: Id) -> MemberId {
    MemberId(id.0 as u64)
}

const fn generation(generation: Gen) -> Generation {
    Generation(generation.0 as u64)
}

fn guard_seat(seat: Seat) -> Option<GuardSeat> {
    Some(GuardSeat {
        incarnation: incarnation(Era::Now)?,
        member: seat.member.map(member),
        generation: generation(seat.generation),
        max_learners: None,
        epoch: Epoch(seat.epoch.into()),
    })
}

fn guard_permit(permit: Permit) -> Option<GuardPermit> {
    let holder = match permit.holder {
        Holder::Current => "i",
        Holder::Former => "x",
    };
    Some(GuardPermit {
        instance: name(holder)?,
        incarnation: incarnation(permit.era)?,
        generation: generation(permit.generation),
        member: permit.member.map(member),
        initial_cluster: vec![("m0".parse().ok()?, "http://10.0.0.1:2380".parse().ok()?)],
        state: match permit.state {
            Founding::New => ClusterState::New,
            Founding::Existing => ClusterState::Existing,
        },
    })
}

fn guard_disk(disk: Disk) -> Option<GuardDisk> {
    let marker = |era, of: Gen, who: Option<Id>, epoch: u8| {
        Some(MarkerState::Present(Marker {
            incarnation: incarnation(era)?,
            member: who.map(member),
            generation: generation(of),
            max_learners: None,
            epoch: Epoch(epoch.into()),
        }))
    };
    Some(match disk {
        Disk::Absent | Disk::Empty => GuardDisk { marker: MarkerState::Absent, data: DataState::Empty },
        Disk::Hollow { era, generation } => {
            GuardDisk { marker: marker(era, generation, None, 1)?, data: DataState::Empty }
        }
        Disk::Owned(owned) => GuardDisk {
            marker: marker(owned.era, owned.generation, owned.marker, owned.epoch)?,
            data: DataState::HasWal,
        },
    })
}
