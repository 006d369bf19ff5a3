//! The one form of states that differ in names only, so that the space is finite.
//!
//! Sound as far as names go: planner and guard compare IDs for equality, and generations within one slot. Where the planner breaks
//! ties by ID it sees members in the order of their slots.

use etcdop_core::observation::Role;

use crate::state::{Disk, Era, Founding, Gen, Holder, Id, Open, Owned, Place, Reach, SLOTS, State};

/// More than the IDs of any state: four a slot, and those that leave.
const NAMES: usize = 32;

/// Whether it matters which of two slots got its disk first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ages {
    /// Only which disk of one slot is the newer one: all that planner and guard ever compare.
    PerSlot,
    /// Of all disks.
    Kept,
}

impl State {
    /// The one form of all states that differ in names only: members numbered in the order of their slots, generations in the
    /// order of their age, and nothing kept that can have no effect any more.
    #[must_use]
    pub fn canonical(mut self, ages: Ages) -> Self {
        self.places.iter_mut().for_each(forget);
        let mut names = [u8::MAX; NAMES];
        let mut next = 0;
        for id in self.ids() {
            let name = &mut names[usize::from(id.0)];
            if *name == u8::MAX {
                (*name, next) = (next, next + 1);
            }
        }
        let rename = |id: &mut Id| *id = Id(names[usize::from(id.0)]);
        for place in &mut self.places {
            if let Some(listed) = &mut place.listed {
                rename(&mut listed.id);
            }
            if let Disk::Owned(owned) = &mut place.disk {
                owned.marker.iter_mut().for_each(rename);
                owned.log.iter_mut().for_each(rename);
            }
            place.seat.iter_mut().filter_map(|seat| seat.member.as_mut()).for_each(rename);
            place.permit.iter_mut().filter_map(|permit| permit.member.as_mut()).for_each(rename);
        }
        if let Open::Leave(ids) = &mut self.open {
            ids.iter_mut().flatten().for_each(rename);
        }
        self.renumber_generations(ages);
        self
    }

    fn renumber_generations(&mut self, ages: Ages) {
        let mut used = [0_u128; SLOTS];
        for (used, place) in used.iter_mut().zip(&mut self.places) {
            *used = generations(place).fold(0, |bits, generation| bits | 1 << generation.0);
        }
        let all = used.iter().fold(0, |all, used| all | used);
        for ((index, place), used) in (0_u8..).zip(self.places.iter_mut()).zip(used) {
            let (used, first) = match ages {
                Ages::PerSlot => (used, 1 + index * 8),
                Ages::Kept => (all, 1),
            };
            for generation in generations(place) {
                let older = used & ((1 << generation.0) - 1);
                *generation = Gen(first + u8::try_from(older.count_ones()).unwrap_or(u8::MAX));
            }
        }
    }
}

fn generations(place: &mut Place) -> impl Iterator<Item = &mut Gen> {
    let disk = match &mut place.disk {
        Disk::Owned(Owned { generation, .. }) | Disk::Hollow { generation, .. } => Some(generation),
        Disk::Absent | Disk::Empty => None,
    };
    let seat = place.seat.as_mut().map(|seat| &mut seat.generation);
    let permit = place.permit.as_mut().map(|permit| &mut permit.generation);
    seat.into_iter().chain(disk).chain(permit)
}

/// Drops what nobody can see or use any more.
fn forget(place: &mut Place) {
    if !place.serves() {
        place.reach = Reach::Everyone;
    }
    if let Some(listed) = place.listed.as_mut().filter(|listed| listed.role == Role::Voter) {
        listed.matched = false;
    }
    let seat = place.seat;
    if let Some(permit) = &mut place.permit {
        let of_this_seat = seat.is_some_and(|seat| seat.generation == permit.generation) && permit.era == Era::Now;
        if !of_this_seat {
            (permit.holder, permit.member, permit.list) = (Holder::Former, None, 0);
            permit.state = Founding::Existing;
        }
    }
}
