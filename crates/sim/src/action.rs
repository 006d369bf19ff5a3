//! Carrying out one step of the planner, and judging it.

use etcdop_core::{observation::SlotPolicy, quorum::quorum};

use crate::{
    etcd_rules,
    planner::{Act, NextRecord},
    scope::{Scope, Writers},
    state::{Birth, Data, Disk, Era, Id, Open, Phase, Place, Release, SLOTS, State},
    violation::Violation,
};

/// What a step leads to: several states where it depends on who acknowledged it, none where etcd or the platform refuses it.
pub(crate) fn carry_out(state: &State, act: &Act, scope: &Scope) -> Result<Vec<State>, Violation> {
    judge(state, act, scope)?;
    let next = effect(state, act, scope.writers)?;
    for after in &next {
        keeps_quorum(state, act, after)?;
    }
    Ok(next)
}

fn effect(state: &State, act: &Act, writers: Writers) -> Result<Vec<State>, Violation> {
    let mut next = *state;
    match act {
        Act::AddLearner(slot) => return Ok(logged(state, etcd_rules::add_learner(state, *slot).as_ref(), writers)),
        Act::Promote(id) => return Ok(logged(state, etcd_rules::promote(state, *id).as_ref(), writers)),
        Act::Remove(id) => return Ok(logged(state, etcd_rules::remove(state, *id).as_ref(), writers)),
        Act::MoveLeader(id) => return Ok(etcd_rules::move_leader(state, *id).into_iter().collect()),
        Act::EnableDowngrade => (next.downgrade, next.cluster) = (true, Release::V3_5),
        Act::CancelDowngrade => next.downgrade = false,
        Act::Ensure(slots) => {
            for (place, release) in next.places.iter_mut().zip(slots) {
                place.declared = *release;
                if release.is_none() {
                    stop(place);
                }
            }
        }
        Act::Permit(permits) => {
            for (place, permit) in next.places.iter_mut().zip(permits) {
                if permit.is_some() {
                    place.permit = *permit;
                    place.ledger = crate::state::Ledger::Blank;
                }
            }
        }
        Act::Retire(slot) => stop(next.at_mut(*slot)),
        // A slot that runs gets another volume at once.
        Act::Discard(slot) => {
            let place = next.at_mut(*slot);
            place.disk = if place.declared.is_some() { Disk::Empty } else { Disk::Absent };
        }
        Act::Commit(record) => commit(&mut next, record),
        Act::Other => return Err(Violation::UnknownStep),
    }
    Ok(vec![next])
}

/// The entry is committed by a minimal quorum of the old configuration, then it is applied.
fn logged(before: &State, after: Option<&State>, writers: Writers) -> Vec<State> {
    let Some(after) = after else { return Vec::new() };
    if writers == Writers::Quiet {
        return vec![*after];
    }
    let merge = |state: State| {
        let mut next = *after;
        for (place, logged) in next.places.iter_mut().zip(state.places) {
            place.disk = logged.disk;
        }
        next
    };
    etcd_rules::committed(before).into_iter().map(merge).collect()
}

/// A process that is stopped in the middle of its first start leaves what a killed one leaves.
fn stop(place: &mut Place) {
    if let (Disk::Owned(owned), Some(Phase::Starting)) = (place.disk, place.process.map(|process| process.phase)) {
        place.disk = Disk::Hollow { era: owned.era, generation: owned.generation };
    }
    place.stop();
}

fn commit(next: &mut State, record: &NextRecord) {
    if next.places.iter().all(|place| !matches!(place.disk, Disk::Owned(_))) {
        next.born = record.limit;
    }
    let begins = next.birth == Birth::Unborn && record.birth == Birth::Forming;
    if begins && next.places.iter().all(|place| !matches!(place.disk, Disk::Owned(_))) {
        // The record and every disk are gone: nobody can know that there was a cluster, and nothing is left to be protected.
        next.places.iter_mut().for_each(|place| place.listed = None);
    }
    for (place, seat) in next.places.iter_mut().zip(record.seats) {
        place.seat = seat;
    }
    (next.birth, next.limit, next.open, next.rejected) = (record.birth, record.limit, record.open, record.rejected);
    if record.era == Era::Now {
        return;
    }
    // Another incarnation: what is there belongs to the one before.
    for place in &mut next.places {
        place.listed = None;
        if let Some(permit) = &mut place.permit {
            permit.era = Era::Past;
        }
        match &mut place.disk {
            Disk::Owned(owned) => owned.era = Era::Past,
            Disk::Hollow { era, .. } => *era = Era::Past,
            Disk::Absent | Disk::Empty => {}
        }
    }
}

/// What must hold before a step is taken.
fn judge(state: &State, act: &Act, scope: &Scope) -> Result<(), Violation> {
    match act {
        Act::AddLearner(slot) => judge_add(state, *slot),
        Act::Remove(id) => judge_removal(state, *id, scope),
        Act::Retire(slot) => judge_stop(state, *slot),
        Act::Discard(slot) => judge_discard(state, *slot),
        Act::Commit(record) => judge_record(state, record),
        Act::Promote(_)
        | Act::MoveLeader(_)
        | Act::EnableDowngrade
        | Act::CancelDowngrade
        | Act::Ensure(_)
        | Act::Permit(_)
        | Act::Other => Ok(()),
    }
}

/// I4, I9.
fn judge_add(state: &State, slot: u8) -> Result<(), Violation> {
    if state.at(slot).listed.is_some() {
        return Err(Violation::IdentityMixedUp);
    }
    let concerned = |(at, place): &(u8, &Place)| (place.listed.is_some() || *at == slot) && place.process.is_some();
    let running = || state.each().filter(concerned).map(|(_, place)| place);
    let least = running().map(|place| etcd_rules::limit_of(state, place)).min().unwrap_or(1);
    let releases = || running().filter_map(|place| Some(place.process?.release));
    let mixed = releases().min() != releases().max();
    let allowed = if mixed { 1 } else { least };
    if state.learners() < usize::from(allowed) { Ok(()) } else { Err(Violation::TooManyLearners) }
}

/// I10, I11 and rules 4 and 7.
fn judge_removal(state: &State, id: Id, scope: &Scope) -> Result<(), Violation> {
    let intended = matches!(state.open, Open::Leave(ids) if ids.contains(&Some(id)));
    if !intended {
        return Err(Violation::WrongMemberRemoved);
    }
    let Some(slot) = state.slot_of(id) else { return Ok(()) };
    let place = state.at(slot);
    if !place.votes() || !place.is_live() {
        return Ok(());
    }
    if state.leader == Some(slot) && state.voters() > 1 {
        return Err(Violation::LeaderRemoved);
    }
    let leaves = match scope.policy {
        SlotPolicy::Prefix => slot >= state.size,
        SlotPolicy::Any => state.voters() > usize::from(state.size),
    };
    if leaves { others_are_live(state, slot) } else { Err(Violation::NeededMemberRemoved) }
}

/// I11 and I14, for a restart.
fn judge_stop(state: &State, slot: u8) -> Result<(), Violation> {
    let place = state.at(slot);
    if !place.votes() || !place.is_live() {
        return Ok(());
    }
    // What it would be started with next ends at once.
    if place.declared.is_some_and(|next| next < state.cluster) {
        return Err(Violation::ReleaseTooOld);
    }
    others_are_live(state, slot)
}

fn others_are_live(state: &State, slot: u8) -> Result<(), Violation> {
    let in_step = |place: &Place| place.is_live() && place.own_log().is_some_and(|owned| owned.data > Data::Far);
    let all = state.each().all(|(other, place)| other == slot || !place.votes() || in_step(place));
    if all { Ok(()) } else { Err(Violation::SecondDisruption) }
}

/// I8.
fn judge_discard(state: &State, slot: u8) -> Result<(), Violation> {
    let place = state.at(slot);
    let in_use = place.process.is_some_and(|process| matches!(process.phase, Phase::Starting | Phase::Serving));
    let listed = match place.disk {
        Disk::Owned(owned) => owned.log.is_some_and(|log| state.slot_of(log).is_some()),
        Disk::Absent | Disk::Empty | Disk::Hollow { .. } => false,
    };
    if in_use || listed { Err(Violation::LiveDiskDestroyed) } else { Ok(()) }
}

/// I6, I9.
fn judge_record(state: &State, record: &NextRecord) -> Result<(), Violation> {
    let elsewhere = |(slot, seat): (u8, Option<crate::state::Seat>)| {
        seat.and_then(|seat| seat.member).and_then(|id| state.slot_of(id)).is_some_and(|lives| lives != slot)
    };
    if (0..).zip(record.seats).take(SLOTS).any(elsewhere) {
        return Err(Violation::IdentityMixedUp);
    }
    let has_log = state.places.iter().any(|place| place.own_log().is_some());
    if has_log && record.birth != Birth::Unborn && record.limit != state.born {
        return Err(Violation::LearnerLimitChanged);
    }
    let gives_up_data = record.era == Era::Past && has_log;
    if gives_up_data { Err(Violation::SecondBootstrap) } else { Ok(()) }
}

/// I1 and I2: a step of ours never takes a quorum away.
fn keeps_quorum(before: &State, act: &Act, after: &State) -> Result<(), Violation> {
    let hibernates = before.size == 0 && matches!(act, Act::Ensure(_));
    // One or two voters cannot spare anybody, and a restart was asked for.
    let unavoidable =
        matches!(act, Act::Retire(_)) && matches!(before.open, Open::Restart { .. }) && before.voters() <= 2;
    let lost = before.has_live_quorum() && after.live_voters() < quorum(after.voters());
    if lost && !hibernates && !unavoidable {
        return Err(Violation::LiveQuorumLost);
    }
    if before.has_recoverable_quorum() && before.voters() > 0 && !after.has_recoverable_quorum() && after.voters() > 0 {
        return Err(Violation::RecoverableQuorumLost);
    }
    Ok(())
}
