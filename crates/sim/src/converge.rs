//! From every state whose logs still make a quorum, and without any more faults, the cluster comes to what the user wants and
//! stays there (reliability.md, L1).
//!
//! The way is deterministic: all that happens by itself happens, then the planner takes a step; when it has none, time passes.

use etcdop_core::quorum::quorum;

use crate::{
    action,
    environment::{self, Event},
    etcd_rules,
    explore::Move,
    observe::Clock,
    planner::Planner,
    quick_hash::QuickMap,
    scope::Scope,
    state::{Birth, Budget, Data, Disk, Holder, Life, Open, Place, Reach, State},
};

/// Rounds within which every state must have come to its goal.
const MOST_ROUNDS: u16 = 200;

/// Whether a state converges.
#[derive(Debug)]
pub(crate) enum Converged {
    /// Too much is lost, or nobody is to be heard: a human has to help.
    NeedNot,
    /// After so many steps of the planner.
    After(u16),
    /// Never: this is what it does instead.
    Never(Vec<(State, Move)>),
}

/// Follows states to their goals, and remembers where others came by before.
#[derive(Debug)]
pub(crate) struct Convergence<'a> {
    scope: &'a Scope,
    known: QuickMap<(State, Clock), u16>,
}

impl<'a> Convergence<'a> {
    pub(crate) fn new(scope: &'a Scope) -> Self {
        Self { scope, known: QuickMap::default() }
    }

    pub(crate) fn of(&mut self, state: &State, planner: &mut Planner) -> Converged {
        let mut healed = *state;
        healed.left = Budget::default();
        let mut at = self.settle(&healed);
        if !Self::must_converge(&at) {
            return Converged::NeedNot;
        }
        let mut way: Vec<(State, Move)> = Vec::new();
        let mut passed: Vec<(State, Clock)> = Vec::new();
        let mut clock = Clock::Young;
        let rest = loop {
            if let Some(&rounds) = self.known.get(&(at, clock)) {
                break rounds;
            }
            passed.push((at, clock));
            let step = [clock, Clock::Old].into_iter().find_map(|clock| {
                let act = planner.step(&at, clock)?;
                let next = action::carry_out(&at, &act, self.scope).ok()?.into_iter().next()?;
                Some((act, clock, next))
            });
            let Some((act, by, next)) = step else {
                if Self::is_goal(&at) {
                    break 0;
                }
                way.push((at, Move::Event(Event::Write)));
                return Converged::Never(way);
            };
            way.push((at, Move::Step(act, by)));
            if passed.len() > usize::from(MOST_ROUNDS) {
                return Converged::Never(way);
            }
            at = self.settle(&next);
            // What was silent for long stays so while it is being removed.
            clock = if matches!(at.open, Open::Leave(_)) { by } else { Clock::Young };
        };
        let mut rounds = rest;
        let at_goal = !self.known.contains_key(&(at, clock));
        for (back, key) in passed.iter().rev().enumerate() {
            if !(back == 0 && at_goal) {
                rounds += 1;
            }
            self.known.insert(*key, rounds);
        }
        Converged::After(rounds)
    }

    /// All that happens by itself, in a fixed order, until nothing does.
    fn settle(&self, state: &State) -> State {
        let mut at = *state;
        // Processes that end right after their start would go on for ever: they get a few turns.
        for _ in 0..64 {
            at = etcd_rules::elected(at).into_iter().next().unwrap_or(at).canonical(self.scope.ages());
            let next = environment::progress_only(&at, self.scope).into_iter().find_map(|(_, next)| next.ok());
            match next.filter(|next| next.canonical(self.scope.ages()) != at) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    /// Whether enough is left for the cluster to come back by itself.
    fn must_converge(at: &State) -> bool {
        let heard = |place: &Place| place.reach == Reach::Everyone;
        let voters = at.voters();
        let has_log = |place: &&Place| place.votes() && place.own_log().is_some() && place_can_start(place);
        let usable = at.places.iter().filter(has_log).filter(|place| heard(place)).count();
        // Somebody that the manager alone cannot hear is nobody's to replace.
        let doubtful = at.places.iter().any(|place| place.reach == Reach::Peers);
        let nothing_anywhere = !at.places.iter().any(|place| matches!(place.disk, Disk::Owned(_)));
        match at.birth {
            Birth::Unborn => {
                let logs = at.places.iter().filter(|place| place.votes() && place.own_log().is_some()).count();
                (nothing_anywhere || (voters > 0 && logs >= quorum(voters))) && !doubtful
            }
            Birth::Formed => usable >= quorum(voters) && !doubtful,
            Birth::Forming => {
                let lost = |place: &&Place| {
                    let noted = place.seat.and_then(|seat| seat.founder) == Some(Holder::Former);
                    let used = noted || place.permit.is_some_and(|permit| permit.holder == Holder::Former);
                    place.seat.is_some()
                        && place.own_log().is_none()
                        && (used || matches!(place.disk, Disk::Hollow { .. }))
                };
                let seats = at.places.iter().filter(|place| place.seat.is_some()).count();
                let lost = at.places.iter().filter(lost).count();
                let may_begin =
                    |place: &&Place| place.votes() && place.listed.is_some_and(|row| row.life == Life::Unstarted);
                let to_begin = at.places.iter().filter(may_begin).filter(|place| place.seat.is_some()).count();
                let enough = usable + to_begin >= quorum(voters) && seats - lost >= quorum(seats);
                // A rebuilt record knows that there was something.
                let stored = at.places.iter().any(|place| place.seat.is_some_and(|seat| seat.epoch > 0));
                ((nothing_anywhere && !stored) || enough) && !doubtful
            }
        }
    }

    /// What the user wants, with nothing left over.
    fn is_goal(at: &State) -> bool {
        if at.birth == Birth::Unborn {
            // A cluster whose record was lost while it slept sleeps on.
            let asleep = at.places.iter().all(|place| place.process.is_none() && place.declared.is_none());
            return at.size == 0 && (at.list() == 0 || asleep);
        }
        if at.open != Open::Nothing || at.birth != Birth::Formed {
            return false;
        }
        if at.size == 0 {
            return at
                .places
                .iter()
                .all(|place| place.process.is_none() && (place.listed.is_none() || place.seat.is_some()));
        }
        let whole = |place: &Place| match (place.listed, place.seat) {
            (Some(listed), Some(seat)) => {
                let released = place
                    .process
                    .is_some_and(|process| process.release == at.release || at.rejected == Some(at.release));
                place.votes()
                    && place.is_live()
                    && released
                    && listed.life == Life::Named
                    && seat.member == Some(listed.id)
                    && place.own_log().is_some_and(|owned| owned.data == Data::Fresh)
            }
            (None, None) => place.process.is_none() && place.declared.is_none(),
            _ => false,
        };
        at.voters() == usize::from(at.size) && at.places.iter().all(whole)
    }
}

/// Whether the guard lets it run on its disk.
fn place_can_start(place: &Place) -> bool {
    match (place.disk, place.seat) {
        (Disk::Owned(owned), Some(seat)) => owned.generation == seat.generation,
        _ => false,
    }
}
