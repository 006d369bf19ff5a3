//! Breadth-first search through every state that can be reached, with the shortest way to what must not be.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    fmt,
    time::{Duration, Instant},
};

use crate::{
    action,
    converge::{Converged, Convergence},
    environment::{self, Event},
    etcd_rules,
    landmark::{self, Landmark},
    observe::{self, Clock},
    planner::{Act, Planner},
    quick_hash::QuickMap,
    scope::{Patience, Scope},
    state::{SLOTS, State},
    violation::Violation,
};

/// One transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It happened.
    Event(Event),
    /// We did it.
    Step(Act, Clock),
}

/// The way to a violation.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What was broken.
    pub violation: Violation,
    /// Every move with the state that it was made in.
    pub way: Vec<(State, Move)>,
    /// Where it ends.
    pub end: State,
}

/// What a run found.
#[derive(Debug)]
pub struct Report {
    /// States reached.
    pub states: usize,
    /// Transitions between them.
    pub transitions: usize,
    /// Different plans asked for.
    pub plans: usize,
    /// States that had to converge, and did.
    pub converged: usize,
    /// The most rounds that any of them took.
    pub rounds: u16,
    /// How often each landmark was passed.
    pub landmarks: BTreeMap<Landmark, usize>,
    /// The first violation of each kind.
    pub violations: BTreeMap<Violation, Counterexample>,
    /// How long it took.
    pub time: Duration,
}

/// Which promises a run is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promises {
    /// All, and stop at the first that is broken.
    All,
    /// All but that the goal is reached.
    Safety,
    /// Go on behind everything but this one: to see what comes of it.
    Only(Violation),
}

/// Explores a scope to its end, or to the first violation.
pub fn explore(scope: &Scope, promises: Promises) -> Report {
    Search::new(scope, promises).run()
}

struct Search<'a> {
    scope: &'a Scope,
    promises: Promises,
    planner: Planner,
    index: QuickMap<State, u32>,
    states: Vec<State>,
    came: Vec<(u32, Option<Move>)>,
    report: Report,
}

impl<'a> Search<'a> {
    fn new(scope: &'a Scope, promises: Promises) -> Self {
        let report = Report {
            states: 0,
            transitions: 0,
            plans: 0,
            converged: 0,
            rounds: 0,
            landmarks: BTreeMap::new(),
            violations: BTreeMap::new(),
            time: Duration::ZERO,
        };
        Self {
            scope,
            promises,
            planner: Planner::new(scope.policy, scope.mutant),
            index: QuickMap::default(),
            states: Vec::new(),
            came: Vec::new(),
            report,
        }
    }

    fn run(mut self) -> Report {
        let began = Instant::now();
        for start in &self.scope.start {
            let mut state = *start;
            state.left = self.scope.budget;
            self.reach(state.canonical(self.scope.ages()), 0, None);
        }
        let mut next = 0;
        while next < self.states.len() && self.report.violations.is_empty() {
            self.expand(next);
            next += 1;
        }
        if self.report.violations.is_empty() && self.promises == Promises::All {
            self.converge();
        }
        self.report.states = self.states.len();
        self.report.plans = self.planner.plans();
        self.report.time = began.elapsed();
        self.report
    }

    fn expand(&mut self, from: usize) {
        let state = self.states[from];
        for (event, outcome) in environment::events(&state, self.scope) {
            self.arrive(from, Move::Event(event), outcome.map(|next| vec![next]));
        }
        let mut taken: Vec<Act> = Vec::new();
        for clock in clocks(&state, self.scope.patience) {
            let Some(act) = self.planner.step(&state, clock) else { continue };
            if taken.contains(&act) {
                continue;
            }
            taken.push(act);
            let outcome = action::carry_out(&state, &act, self.scope);
            self.arrive(from, Move::Step(act, clock), outcome);
        }
    }

    fn arrive(&mut self, from: usize, by: Move, outcome: Result<Vec<State>, Violation>) {
        let next = match outcome {
            Ok(next) => next,
            Err(violation) => {
                self.violated(violation, from, Some(by), self.states[from]);
                return;
            }
        };
        for next in next.into_iter().flat_map(etcd_rules::elected) {
            self.report.transitions += 1;
            if let Move::Event(event) = by
                && environment::is_amnesia(&self.states[from], event, &next)
            {
                self.violated(Violation::Amnesia, from, Some(by), next);
            }
            for landmark in landmark::passed(&self.states[from], &by, &next) {
                *self.report.landmarks.entry(landmark).or_default() += 1;
            }
            let next = next.canonical(self.scope.ages());
            let fresh = self.reach(next, from, Some(by));
            if fresh && landmark::acknowledged_write_can_be_lost(&next) {
                self.violated(Violation::AcknowledgedWriteLost, from, Some(by), next);
            }
        }
    }

    fn reach(&mut self, state: State, from: usize, by: Option<Move>) -> bool {
        match self.index.entry(state) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(u32::try_from(self.states.len()).unwrap_or(u32::MAX));
                self.states.push(state);
                self.came.push((u32::try_from(from).unwrap_or(u32::MAX), by));
                true
            }
        }
    }

    fn converge(&mut self) {
        let mut convergence = Convergence::new(self.scope);
        for at in 0..self.states.len() {
            let state = self.states[at];
            match convergence.of(&state, &mut self.planner) {
                Converged::NeedNot => {}
                Converged::After(rounds) => {
                    self.report.converged += 1;
                    self.report.rounds = self.report.rounds.max(rounds);
                }
                Converged::Never(way) => {
                    self.violated(Violation::NeverConverges, at, None, state);
                    if let Some(found) = self.report.violations.get_mut(&Violation::NeverConverges) {
                        found.way.extend(way);
                    }
                    return;
                }
            }
        }
    }

    fn violated(&mut self, violation: Violation, from: usize, by: Option<Move>, end: State) {
        if matches!(self.promises, Promises::Only(other) if other != violation) {
            return;
        }
        let mut way = Vec::new();
        let mut at = from;
        way.extend(by.map(|by| (self.states[from], by)));
        while let (before, Some(by)) = self.came[at] {
            at = before as usize;
            way.push((self.states[at], by));
        }
        way.reverse();
        self.report.violations.entry(violation).or_insert(Counterexample { violation, way, end });
    }
}

/// Nothing old, all old, or one slot's things: what a pass can find to have lasted, where anything is waited for.
fn clocks(state: &State, patience: Patience) -> impl Iterator<Item = Clock> {
    let all = match patience {
        Patience::Ends => 0..SLOTS,
        Patience::Endless => 0..0,
    };
    let slots = all.filter_map(|slot| u8::try_from(slot).ok());
    let waited_for: Vec<u8> = slots.filter(|slot| observe::is_waited_for(state, *slot)).collect();
    let old = (!waited_for.is_empty()).then_some(Clock::Old);
    let one_of_many = if waited_for.len() > 1 { waited_for } else { Vec::new() };
    [Clock::Young].into_iter().chain(old).chain(one_of_many.into_iter().map(Clock::OldIn))
}

impl fmt::Display for Counterexample {
    /// One move a line, with what each slot looked like before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} after {} moves", self.violation, self.way.len())?;
        for (state, by) in &self.way {
            writeln!(f, "{}\n    -> {by:?}", crate::picture::draw(state))?;
        }
        write!(f, "{}", crate::picture::draw(&self.end))
    }
}
