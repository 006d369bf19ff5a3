//! The rules of DESIGN §3 with one of them broken at a time, to prove that the model would notice.
//!
//! No hook in the core or the guard: a mutant lies to the real planner about what was seen, or changes what the real planner or
//! the real guard decided.

use etcdop_core::{
    id::MemberId,
    observation::{Marker, MemberStatus, Observation, Probe, Role, Volume},
};

use crate::{
    gate::Gate,
    names,
    planner::Act,
    state::{Disk, Gen, Holder, Id, Open, Place, Release, SLOTS, State},
};

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// Rule 1: the guard checks the first start of an instance only, as an init container would.
    GuardedOnce,
    /// Rule 1: permits are not noted as used.
    StartsUnnoted,
    /// Rule 3: a learner is promoted although neither it nor the voters answered.
    PromotedUnseen,
    /// Rule 7: whoever is unreachable for long is dead.
    UnreachableIsDead,
    /// DESIGN §2: the newest members leave, although the platform can only give up the highest slots.
    NewestLeaves,
    /// Rule 3: learners in parallel although the members' releases differ.
    ParallelInMixed,
    /// Rule 3: a record that is made again takes the learner limit of a cluster that nobody knows.
    LimitForgotten,
    /// Rule 2: who was permitted as a founder is not remembered.
    FounderForgotten,
    /// Rule 1: the record says that a member started before it did.
    StartedBeforeItsStart,
}

/// What the planner is told.
pub(crate) fn observation(mutant: Option<Mutant>, mut seen: Observation, state: &State) -> Observation {
    match mutant {
        Some(Mutant::PromotedUnseen) => everybody_answered(&mut seen, state),
        Some(Mutant::UnreachableIsDead) => nobody_is_linked(&mut seen),
        Some(Mutant::ParallelInMixed) => all_run_the_same(&mut seen),
        Some(Mutant::LimitForgotten) => nothing_tells_the_limit(&mut seen),
        Some(Mutant::FounderForgotten) => all_founders_are_new(&mut seen),
        Some(Mutant::StartedBeforeItsStart) => whoever_has_a_name_has_started(&mut seen),
        Some(Mutant::GuardedOnce | Mutant::StartsUnnoted | Mutant::NewestLeaves) | None => {}
    }
    seen
}

fn everybody_answered(seen: &mut Observation, state: &State) {
    let template = seen.status.values().find_map(Probe::known).cloned();
    let Some(template) = template else { return };
    for (slot, place) in state.each() {
        let (Some(listed), Disk::Owned(_)) = (place.listed, place.disk) else { continue };
        let answer = MemberStatus { member: names::member(listed.id), role: listed.role, ..template.clone() };
        seen.status.insert(names::slot(slot), Probe::Known { value: answer, at: crate::observe::NOW });
    }
}

fn nobody_is_linked(seen: &mut Observation) {
    if let Probe::Known { value, .. } = &mut seen.links {
        let leader: MemberId = value.leader;
        value.active.retain(|member| *member == leader);
    }
}

/// Whoever stands at the gate is the founder that was written down.
fn all_founders_are_new(seen: &mut Observation) {
    for (slot, seat) in &mut seen.record.value.slots {
        let Some(view) = seen.ground.get(slot) else { continue };
        let instance = view.instance.known().and_then(Option::as_ref);
        seat.founder = seat.founder.take().and_then(|_| instance.map(|instance| instance.id.clone()));
    }
}

fn whoever_has_a_name_has_started(seen: &mut Observation) {
    for seat in seen.record.value.slots.values_mut().filter(|seat| seat.member.is_some()) {
        seat.epoch = seat.epoch.max(1);
    }
}

fn nothing_tells_the_limit(seen: &mut Observation) {
    for view in seen.ground.values_mut() {
        let running = match &mut view.instance {
            Probe::Known { value, .. } => value.as_mut().map(|instance| &mut instance.launch),
            Probe::Unknown { .. } => None,
        };
        let launches = running.into_iter().chain(view.declared.as_mut());
        launches.for_each(|launch| launch.max_learners = 1);
        if let Probe::Known { value: Some(Volume { marker: Marker::Owned { max_learners, .. }, .. }), .. } =
            &mut view.volume
        {
            *max_learners = Some(1);
        }
    }
}

fn all_run_the_same(seen: &mut Observation) {
    let limit = seen.record.value.max_learners;
    for view in seen.ground.values_mut() {
        if let Probe::Known { value: Some(instance), .. } = &mut view.instance {
            instance.launch = names::launch(Release::V3_6, limit);
        }
    }
    for status in seen.status.values_mut() {
        if let Probe::Known { value, .. } = status {
            value.version = names::version(Release::V3_6);
            value.downgrade = None;
        }
    }
}

/// What is done in place of what was planned.
pub(crate) fn act(mutant: Option<Mutant>, state: &State, act: Act) -> Act {
    if mutant != Some(Mutant::NewestLeaves) {
        return act;
    }
    match act {
        Act::Commit(mut record) => {
            if let Open::Leave(ids) = record.open {
                record.open = Open::Leave(newest(state, ids));
            }
            Act::Commit(record)
        }
        Act::Remove(id) => {
            let mut ids = [None; SLOTS];
            ids[0] = Some(id);
            newest(state, ids).into_iter().flatten().next().map_or(act, Act::Remove)
        }
        _ => act,
    }
}

/// As many voters as there are in `ids`, but the last ones to have come.
fn newest(state: &State, ids: [Option<Id>; SLOTS]) -> [Option<Id>; SLOTS] {
    let voters = |id: &Id| state.slot_of(*id).is_some_and(|slot| state.at(slot).votes() && state.at(slot).is_live());
    if !ids.iter().flatten().all(voters) {
        return ids;
    }
    let mut by_age: Vec<(Gen, u8, Id)> = state
        .each()
        .filter(|(_, place)| place.listed.is_some_and(|listed| listed.role == Role::Voter))
        .filter_map(|(slot, place)| Some((place.seat?.generation, slot, place.listed?.id)))
        .collect();
    by_age.sort_unstable();
    let mut leaving = [None; SLOTS];
    for (_, slot, id) in by_age.into_iter().rev().take(ids.iter().flatten().count()) {
        leaving[usize::from(slot)] = Some(id);
    }
    leaving
}

/// What happens in place of what the guard decided.
pub(crate) fn gate(mutant: Option<Mutant>, place: &Place, gate: Gate) -> Gate {
    let started_before = place.permit.is_some_and(|permit| {
        permit.holder == Holder::Former && place.seat.is_some_and(|seat| seat.generation == permit.generation)
    });
    match (mutant, place.disk) {
        (Some(Mutant::GuardedOnce), Disk::Empty) if started_before => Gate::FirstStart,
        _ => gate,
    }
}
