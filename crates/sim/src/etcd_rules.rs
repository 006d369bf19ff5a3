//! What etcd itself does and refuses (reliability.md F1-F6, F13, F15, F16), on the true state.
//!
//! Where releases differ the laxer rule is taken: the planner must not rely on etcd's refusals.

use etcdop_core::{observation::Role, quorum::quorum};

use crate::state::{Data, Disk, Founding, Id, Life, Listed, Phase, Place, Release, SLOTS, State};

/// What a first start came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It serves, with a log of its own.
    Serves,
    /// It ended: the list is another one, or no peer answers.
    Ends,
}

/// All states after the log of the leader grew by one entry that was committed by as few as possible: whoever is left out lacks it.
pub(crate) fn committed(state: &State) -> Vec<State> {
    let Some(leader) = state.leader else { return vec![*state] };
    let followers: Vec<u8> = state
        .each()
        .filter(|&(slot, place)| slot != leader && place.votes() && place.is_live())
        .map(|(slot, _)| slot)
        .collect();
    let needed = quorum(state.voters()).saturating_sub(1);
    let sets = (0_u32..1 << followers.len()).filter(|set| set.count_ones() as usize == needed);
    let mut next = Vec::new();
    for set in sets {
        let mut after = *state;
        for (slot, place) in (0..).zip(after.places.iter_mut()) {
            let acknowledges =
                slot == leader || followers.iter().zip(0..).any(|(f, bit)| *f == slot && set & (1 << bit) != 0);
            if let Disk::Owned(owned) = &mut place.disk {
                owned.data = if acknowledges { Data::Fresh } else { owned.data.min(Data::Near) };
            }
        }
        next.push(after);
    }
    next
}

/// F1, F4, F5.
pub(crate) fn add_learner(state: &State, slot: u8) -> Option<State> {
    let most = state.places.iter().filter(|place| place.is_live()).map(|place| limit_of(state, place)).max()?;
    let full = state.learners() >= usize::from(most);
    if state.leader.is_none() || full || state.at(slot).listed.is_some() {
        return None;
    }
    let mut next = *state;
    let id = state.new_id();
    next.at_mut(slot).listed = Some(Listed { id, role: Role::Learner, life: Life::Unstarted, matched: false });
    Some(next)
}

/// The learner limit that this member applies.
pub(crate) fn limit_of(state: &State, place: &Place) -> u8 {
    match place.process.map(|process| process.release) {
        Some(Release::V3_5) => 1,
        Some(Release::V3_6) | None => state.born,
    }
}

/// F6: the leader remembers that the learner caught up, and asks nobody whether it is alive.
pub(crate) fn promote(state: &State, id: Id) -> Option<State> {
    let slot = state.slot_of(id).filter(|_| state.leader.is_some())?;
    let mut next = *state;
    let listed = next.at_mut(slot).listed.as_mut().filter(|listed| listed.role == Role::Learner && listed.matched)?;
    listed.role = Role::Voter;
    Some(next)
}

/// F2.
pub(crate) fn remove(state: &State, id: Id) -> Option<State> {
    let slot = state.slot_of(id).filter(|_| state.leader.is_some())?;
    let place = state.at(slot);
    if place.votes() {
        let others = || state.each().filter(|(other, place)| *other != slot && place.votes());
        let named = others().filter(|(_, place)| place.listed.is_some_and(|listed| listed.life == Life::Named)).count();
        let unconnected = !place.is_live();
        let stays_active = state.live_voters().saturating_sub(1) >= quorum(state.voters() - 1);
        if named < quorum(others().count()) || !(unconnected || stays_active) {
            return None;
        }
    }
    let mut next = *state;
    next.at_mut(slot).listed = None;
    Some(next)
}

/// F13: the transferee catches up first.
pub(crate) fn move_leader(state: &State, to: Id) -> Option<State> {
    let slot = state.slot_of(to).filter(|&slot| state.at(slot).votes() && state.at(slot).is_live())?;
    state.leader?;
    let mut next = *state;
    next.leader = Some(slot);
    if let Disk::Owned(owned) = &mut next.at_mut(slot).disk {
        owned.data = Data::Fresh;
    }
    Some(next)
}

/// All states after the election that follows when the leader is gone: somebody whose log a majority finds no older than its own.
pub(crate) fn elected(mut state: State) -> Vec<State> {
    let leads = |slot: u8| state.at(slot).votes() && state.at(slot).is_live();
    if !state.has_live_quorum() {
        state.leader = None;
        return vec![state];
    }
    if state.leader.is_some_and(leads) {
        return vec![state];
    }
    let data = |place: &Place| place.own_log().map_or(Data::Far, |owned| owned.data);
    let voters = || state.each().filter(|(_, place)| place.votes() && place.is_live());
    let electable = voters().filter(|(_, candidate)| {
        let grants = voters().filter(|(_, voter)| data(voter) <= data(candidate)).count();
        grants >= quorum(state.voters())
    });
    let leaders: Vec<u8> = electable.map(|(slot, _)| slot).collect();
    state.leader = None;
    if leaders.is_empty() {
        return vec![state];
    }
    let lead = |leader| {
        let mut next = state;
        next.leader = Some(leader);
        next
    };
    leaders.into_iter().map(lead).collect()
}

/// F15, F16: a first start meets the cluster.
pub(crate) fn join(state: &mut State, slot: u8, founding: Founding, list: u8) -> Joined {
    let joined = match founding {
        Founding::Existing => join_existing(state, slot, list),
        Founding::New => found(state, slot, list),
    };
    if joined == Joined::Serves {
        // A founder that was removed before its first start does not know it yet: its log is nobody's.
        let is_removed = founding == Founding::New && !state.at(slot).votes();
        let stranger = Some(state.new_id()).filter(|_| is_removed);
        let place = state.at_mut(slot);
        let log = stranger.or_else(|| place.listed.map(|listed| listed.id));
        if let (Disk::Owned(owned), Some(process)) = (&mut place.disk, &mut place.process) {
            owned.log = log;
            process.phase = Phase::Serving;
        }
    }
    joined
}

/// F15: the list must be that of this moment, and a peer must tell it.
fn join_existing(state: &State, slot: u8, list: u8) -> Joined {
    let told = state.each().any(|(other, place)| other != slot && place.is_live());
    if told && list == state.list() && list & (1 << slot) != 0 { Joined::Serves } else { Joined::Ends }
}

/// F16: refused only when a peer tells that the member was there before.
fn found(state: &mut State, slot: u8, list: u8) -> Joined {
    if state.list() == 0 {
        for founder in (0..).take(SLOTS).filter(|founder| list & (1 << founder) != 0) {
            let id = state.new_id();
            state.at_mut(founder).listed =
                Some(Listed { id, role: Role::Voter, life: Life::Unstarted, matched: false });
        }
    }
    let told = state.each().any(|(other, place)| other != slot && place.is_live());
    let known = state.at(slot).listed.is_some_and(|listed| listed.life == Life::Named);
    if told && known {
        return Joined::Ends;
    }
    let written = state.places.iter().any(|place| place.listed.is_some_and(|listed| listed.life == Life::Named));
    if let Disk::Owned(owned) = &mut state.at_mut(slot).disk {
        owned.data = if written { Data::Far } else { Data::Fresh };
    }
    Joined::Serves
}
