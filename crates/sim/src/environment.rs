//! What happens by itself: processes start and end, disks vanish, members fall silent, logs catch up, clients write, users edit.

use etcdop_core::observation::Role;

use crate::{
    etcd_rules::{self, Joined},
    gate::{self, Gate},
    scope::{Permits, Restarts, Scope, Writers},
    state::{
        Birth, Data, Disk, Era, Founding, Holder, Ledger, Life, Open, Owned, Permit, Phase, Place, Process, Reach,
        Release, State,
    },
    violation::Violation,
};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The platform starts a process, or the guard at the gate looks again.
    Start(u8),
    /// A first start meets the cluster.
    Join(u8),
    /// A member publishes its name.
    Publish(u8),
    /// A log catches up with the leader's.
    CatchUp(u8),
    /// The leader raises the cluster version, or ends the downgrade mode.
    VersionSettles,
    /// A write is acknowledged.
    Write,
    /// A process is killed.
    Crash(u8),
    /// A process is killed between the ledger and the marker.
    CrashBeforeMarker(u8),
    /// All processes are killed at once.
    PowerCut,
    /// A disk is lost, and what ran on it.
    Wipe(u8),
    /// A member cannot be reached by the manager, or by nobody at all.
    Silence(u8, Reach),
    /// It comes back.
    Return(u8),
    /// The declared size is changed.
    Resize(u8),
    /// The declared release is changed.
    Rerelease(Release),
    /// The record is lost.
    RecordLost,
}

/// What one event leads to.
pub(crate) type Outcomes = Vec<(Event, Result<State, Violation>)>;

/// Everything that can happen next.
pub(crate) fn events(state: &State, scope: &Scope) -> Outcomes {
    let mut out = Vec::new();
    for (slot, place) in state.each() {
        progress(state, scope, slot, place, &mut out);
        faults(state, slot, place, &mut out);
    }
    if let Some(next) = version_settles(state) {
        out.push((Event::VersionSettles, Ok(next)));
    }
    if leader_is_named(state) && scope.writers == Writers::Busy {
        out.extend(etcd_rules::committed(state).into_iter().map(|next| (Event::Write, Ok(next))));
    }
    if state.left.crashes > 0 && state.places.iter().filter(|place| is_alive(place)).count() > 1 {
        let mut next = *state;
        next.left.crashes -= 1;
        next.places.iter_mut().filter(|place| is_alive(place)).for_each(kill);
        out.push((Event::PowerCut, Ok(next)));
    }
    if state.left.edits > 0 {
        edits(state, scope, &mut out);
    }
    if state.left.records > 0 && state.birth == Birth::Formed {
        let mut next = *state;
        next.left.records -= 1;
        next.places.iter_mut().for_each(|place| place.seat = None);
        (next.birth, next.open, next.rejected, next.limit) = (Birth::Unborn, Open::Nothing, None, 1);
        out.push((Event::RecordLost, Ok(next)));
    }
    out
}

/// What happens by itself sooner or later when nothing goes wrong any more, in this slot or to the cluster.
pub(crate) fn progress_only(state: &State, scope: &Scope) -> Outcomes {
    let mut out = Vec::new();
    for (slot, place) in state.each() {
        progress(state, scope, slot, place, &mut out);
        if place.reach != Reach::Everyone && scope.silent_ones.come_back() {
            out.push((Event::Return(slot), Ok(with(state, slot, |place| place.reach = Reach::Everyone))));
        }
    }
    out.extend(version_settles(state).map(|next| (Event::VersionSettles, Ok(next))));
    out
}

fn with(state: &State, slot: u8, change: impl FnOnce(&mut Place)) -> State {
    let mut next = *state;
    change(next.at_mut(slot));
    next
}

fn leader_is_named(state: &State) -> bool {
    let leader = state.leader.and_then(|leader| state.at(leader).listed);
    leader.is_some_and(|listed| listed.life == Life::Named)
}

fn progress(state: &State, scope: &Scope, slot: u8, place: &Place, out: &mut Outcomes) {
    let phase = place.process.map(|process| process.phase);
    if place.declared.is_some() && !matches!(phase, Some(Phase::Starting | Phase::Serving)) {
        out.extend(start(state, scope, slot).map(|next| (Event::Start(slot), next)));
    }
    if phase == Some(Phase::Starting) {
        out.push((Event::Join(slot), join(state, slot)));
    }
    if !place.is_live() || state.leader.is_none() {
        return;
    }
    if place.listed.is_some_and(|listed| listed.life == Life::Started) {
        let next = with(state, slot, |place| {
            place.listed.iter_mut().for_each(|listed| listed.life = Life::Named);
        });
        out.push((Event::Publish(slot), Ok(next)));
    }
    if place.own_log().is_some_and(|owned| owned.data < Data::Fresh) {
        let next = with(state, slot, |place| {
            if let Disk::Owned(owned) = &mut place.disk {
                owned.data = Data::Fresh;
            }
            place.listed.iter_mut().for_each(|listed| listed.matched = listed.role == Role::Learner);
        });
        out.push((Event::CatchUp(slot), Ok(next)));
    }
}

/// A process begins, or the one at the gate looks again. `None` when nothing changes.
fn start(state: &State, scope: &Scope, slot: u8) -> Option<Result<State, Violation>> {
    let mut next = *state;
    let place = next.at_mut(slot);
    let at_gate = place.process.is_some_and(|process| process.phase == Phase::Gate);
    if !at_gate {
        // A restart keeps its name only where the platform names its instances too coarsely.
        let is_restart = place.process.is_some() && scope.restarts == Restarts::KeepTheirName;
        if let (false, Some(permit)) = (is_restart, &mut place.permit) {
            permit.holder = Holder::Former;
            place.ledger = Ledger::Blank;
        }
        if !is_restart {
            if let Some(founder) = place.seat.as_mut().and_then(|seat| seat.founder.as_mut()) {
                *founder = Holder::Former;
            }
            if scope.permits == Permits::GoWithTheirProcess {
                place.permit = None;
            }
        }
        if place.disk == Disk::Absent {
            place.disk = Disk::Empty;
        }
        place.process = place.declared.map(|release| Process { phase: Phase::Gate, release });
    }
    match gate::ask(place, scope.mutant) {
        Gate::Wait => {}
        Gate::Refuse => place.process.iter_mut().for_each(|process| process.phase = Phase::Refused),
        Gate::Restart => {
            if let Err(violation) = restart(state, place) {
                return Some(Err(violation));
            }
        }
        Gate::FirstStart => first_start(place, scope),
    }
    (next != *state).then_some(Ok(next))
}

fn restart(state: &State, place: &mut Place) -> Result<(), Violation> {
    let is_listed = place.own_log().is_some();
    let (Disk::Owned(owned), Some(process)) = (&mut place.disk, &mut place.process) else { return Ok(()) };
    let retired = place.seat.is_none_or(|seat| owned.generation < seat.generation) || owned.era == Era::Past;
    if retired {
        return Err(Violation::RetiredDiskStarted);
    }
    if is_listed && process.release < state.cluster {
        // It says so and ends, on every start (F31).
        process.phase = Phase::Exited;
        return Ok(());
    }
    owned.marker = owned.marker.or_else(|| place.seat.and_then(|seat| seat.member));
    owned.epoch = 2;
    process.phase = if owned.log.is_some() { Phase::Serving } else { Phase::Starting };
    Ok(())
}

fn first_start(place: &mut Place, scope: &Scope) {
    let (Some(permit), Some(process)) = (place.permit, &mut place.process) else { return };
    process.phase = Phase::Starting;
    place.ledger = if scope.notes_first_starts() { Ledger::Used } else { Ledger::Blank };
    let Permit { era, generation, member, .. } = permit;
    place.disk = Disk::Owned(Owned { era, generation, marker: member, log: None, epoch: 1, data: Data::Far });
}

/// A first start meets the cluster.
fn join(state: &State, slot: u8) -> Result<State, Violation> {
    let mut next = *state;
    let place = state.at(slot);
    let (Some(permit), Disk::Owned(owned), Some(process)) = (place.permit, place.disk, place.process) else {
        return Err(Violation::UnknownStep);
    };
    let first_ever = state.list() == 0;
    if permit.state == Founding::New && permit.era == Era::Past {
        return Err(Violation::SharedToken);
    }
    if etcd_rules::join(&mut next, slot, permit.state, permit.list) == Joined::Ends {
        let place = next.at_mut(slot);
        place.disk = Disk::Hollow { era: owned.era, generation: owned.generation };
        place.process = Some(Process { phase: Phase::Exited, ..process });
        return Ok(next);
    }
    if permit.state == Founding::New && first_ever && state.birth == Birth::Formed {
        return Err(Violation::SecondBootstrap);
    }
    let is_listed = next.at(slot).own_log().is_some();
    let Some(listed) = next.at_mut(slot).listed.as_mut().filter(|_| is_listed) else { return Ok(next) };
    if owned.marker.is_some_and(|marker| marker != listed.id) {
        return Err(Violation::IdentityMixedUp);
    }
    if process.release < state.cluster {
        return Err(Violation::ReleaseTooOld);
    }
    listed.life = listed.life.max(Life::Started);
    Ok(next)
}

/// I5: whether a member that was started before begins again without its log. A learner that nobody heard of may: it counts for
/// nothing, and is promoted on its own word alone.
pub(crate) fn is_amnesia(before: &State, event: Event, after: &State) -> bool {
    let Event::Join(slot) = event else { return false };
    let Some(listed) = before.at(slot).listed.filter(|_| after.at(slot).own_log().is_some()) else { return false };
    listed.life == Life::Named || (listed.role == Role::Voter && listed.life != Life::Unstarted)
}

/// F31: up when all run the newer release, F35: downgrade mode ends when all run the older one.
fn version_settles(state: &State) -> Option<State> {
    let mut running = state.places.iter().filter(|place| place.listed.is_some());
    let mut all = |release| running.all(|place| place.is_live() && place.process.is_some_and(|p| p.release == release));
    state.leader?;
    let mut next = *state;
    if state.downgrade {
        next.downgrade = !all(Release::V3_5);
    } else if state.cluster == Release::V3_5 && all(Release::V3_6) {
        next.cluster = Release::V3_6;
    }
    (next != *state).then_some(next)
}

fn is_alive(place: &Place) -> bool {
    place.process.is_some_and(|process| matches!(process.phase, Phase::Gate | Phase::Starting | Phase::Serving))
}

/// What is left of a process that was killed. A first start has written its marker.
fn kill(place: &mut Place) {
    if let (Disk::Owned(Owned { log: None, era, generation, .. }), true) = (place.disk, is_alive(place)) {
        place.disk = Disk::Hollow { era, generation };
    }
    place.process.iter_mut().for_each(|process| process.phase = Phase::Exited);
    place.reach = Reach::Everyone;
}

fn faults(state: &State, slot: u8, place: &Place, out: &mut Outcomes) {
    if state.left.crashes > 0 && is_alive(place) {
        let mut next = with(state, slot, kill);
        next.left.crashes -= 1;
        out.push((Event::Crash(slot), Ok(next)));
        if place.process.is_some_and(|process| process.phase == Phase::Starting) {
            next.at_mut(slot).disk = Disk::Empty;
            out.push((Event::CrashBeforeMarker(slot), Ok(next)));
        }
    }
    if state.left.wipes > 0 && matches!(place.disk, Disk::Owned(_)) {
        let mut next = with(state, slot, |place| {
            kill(place);
            place.disk = Disk::Empty;
        });
        next.left.wipes -= 1;
        out.push((Event::Wipe(slot), Ok(next)));
    }
    if state.left.silences > 0 && place.is_live() && place.reach == Reach::Everyone {
        for reach in [Reach::Peers, Reach::Nobody] {
            let mut next = with(state, slot, |place| place.reach = reach);
            next.left.silences -= 1;
            out.push((Event::Silence(slot, reach), Ok(next)));
        }
    }
    if place.reach != Reach::Everyone {
        out.push((Event::Return(slot), Ok(with(state, slot, |place| place.reach = Reach::Everyone))));
    }
}

fn edits(state: &State, scope: &Scope, out: &mut Outcomes) {
    let mut edited = *state;
    edited.left.edits -= 1;
    for &size in scope.sizes.iter().filter(|size| **size != state.size) {
        let mut next = edited;
        next.size = size;
        out.push((Event::Resize(size), Ok(next)));
    }
    for &release in scope.releases.iter().filter(|release| **release != state.release) {
        let mut next = edited;
        next.release = release;
        out.push((Event::Rerelease(release), Ok(next)));
    }
}
