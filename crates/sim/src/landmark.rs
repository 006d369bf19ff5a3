//! What a run must have passed for its silence to mean anything, and the one promise that is about states, not steps.

use etcdop_core::{observation::Role, quorum::quorum};

use crate::{
    environment::Event,
    explore::Move,
    planner::Act,
    state::{Birth, Data, Disk, Holder, Life, Open, Phase, Place, State},
};

/// Something that a run went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Landmark {
    /// The founders' cluster was noted as formed.
    Born,
    /// A birth that went wrong began again under a new token.
    BornAgain,
    /// Three voters or more, from fewer.
    ScaledOut,
    /// One voter, from more.
    ScaledInToOne,
    /// Two or more learners at once.
    ParallelLearners,
    /// An odd number of voters became even by a promotion, with the next learner ready.
    PairedPromotion,
    /// A voter whose disk was lost was removed.
    DiskLostReplaced,
    /// A voter that was silent for long was removed.
    SilentReplaced,
    /// A member that leads was to leave, and leadership was moved first.
    LeadershipMoved,
    /// A learner was taken out again.
    LearnerTakenOut,
    /// A learner that hung was restarted.
    LearnerNudged,
    /// Everything was stopped, with every disk kept.
    Hibernated,
    /// A retired disk was destroyed.
    DiskDiscarded,
    /// The guard refused a disk.
    GuardRefused,
    /// A permit was left behind by a process that ended.
    PermitVoid,
    /// A joiner met another list than its permit's.
    JoinFailed,
    /// A quorum was lost.
    QuorumLost,
    /// A member was restarted with another release.
    Rolled,
    /// A learner joined while the members' releases differed.
    JoinedMixed,
    /// A removal was given up because the user wanted the member back.
    RemovalCompensated,
    /// The record was made again from the disks.
    RecordRebuilt,
    /// etcd's downgrade mode was used.
    Downgraded,
}

/// The landmarks that this transition is.
pub(crate) fn passed(before: &State, by: &Move, after: &State) -> Vec<Landmark> {
    let mut passed = match by {
        Move::Step(act, _) => by_step(before, act, after),
        Move::Event(event) => by_event(before, *event, after),
    };
    if before.has_live_quorum() && before.voters() > 0 && !after.has_live_quorum() {
        passed.push(Landmark::QuorumLost);
    }
    passed
}

fn by_step(before: &State, act: &Act, after: &State) -> Vec<Landmark> {
    let one = |condition: bool, landmark: Landmark| condition.then_some(landmark);
    let found: Vec<Option<Landmark>> = match act {
        Act::Promote(_) => vec![
            one(after.voters() == 3, Landmark::ScaledOut),
            one(after.voters().is_multiple_of(2) && after.learners() > 0, Landmark::PairedPromotion),
        ],
        Act::AddLearner(_) => {
            let mut running = before.places.iter().filter(|p| p.votes()).filter_map(|p| p.process).map(|p| p.release);
            let first = running.next();
            vec![
                one(after.learners() > 1, Landmark::ParallelLearners),
                one(running.any(|release| Some(release) != first), Landmark::JoinedMixed),
            ]
        }
        Act::Remove(id) => before.slot_of(*id).map(|slot| removed(before, slot, after)).unwrap_or_default(),
        Act::MoveLeader(_) => vec![Some(Landmark::LeadershipMoved)],
        Act::Ensure(slots) => {
            vec![one(slots.iter().all(Option::is_none) && before.birth == Birth::Formed, Landmark::Hibernated)]
        }
        Act::Retire(slot) => vec![
            one(before.at(*slot).learns() && before.at(*slot).is_live(), Landmark::LearnerNudged),
            one(matches!(before.open, Open::Restart { .. }), Landmark::Rolled),
        ],
        Act::Discard(_) => vec![Some(Landmark::DiskDiscarded)],
        Act::EnableDowngrade => vec![Some(Landmark::Downgraded)],
        Act::Commit(record) => {
            let compensated = matches!((before.open, record.open), (Open::Leave(ids), Open::Nothing)
                if ids.iter().flatten().any(|id| before.slot_of(*id).is_some()));
            vec![
                one(before.birth == Birth::Forming && record.birth == Birth::Formed, Landmark::Born),
                one(record.era == crate::state::Era::Past, Landmark::BornAgain),
                one(before.birth == Birth::Unborn && before.list() != 0, Landmark::RecordRebuilt),
                one(compensated, Landmark::RemovalCompensated),
            ]
        }
        Act::CancelDowngrade | Act::Permit(_) | Act::Other => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

fn removed(before: &State, slot: u8, after: &State) -> Vec<Option<Landmark>> {
    let place = before.at(slot);
    let one = |condition: bool, landmark: Landmark| condition.then_some(landmark);
    vec![
        one(place.learns(), Landmark::LearnerTakenOut),
        one(place.votes() && place.own_log().is_none(), Landmark::DiskLostReplaced),
        one(place.votes() && place.own_log().is_some() && !place.is_live(), Landmark::SilentReplaced),
        one(place.votes() && after.voters() == 1, Landmark::ScaledInToOne),
    ]
}

fn by_event(before: &State, event: Event, after: &State) -> Vec<Landmark> {
    let phase = |place: &Place| place.process.map(|process| process.phase);
    match event {
        Event::Start(slot) => {
            let refused =
                phase(after.at(slot)) == Some(Phase::Refused) && phase(before.at(slot)) != Some(Phase::Refused);
            let void = |state: &State| state.at(slot).permit.is_some_and(|permit| permit.holder == Holder::Former);
            let empty = matches!(after.at(slot).disk, Disk::Empty);
            let left_behind = void(after) && !void(before) && empty;
            let refused = refused.then_some(Landmark::GuardRefused);
            refused.into_iter().chain(left_behind.then_some(Landmark::PermitVoid)).collect()
        }
        Event::Join(slot) if phase(after.at(slot)) == Some(Phase::Exited) => vec![Landmark::JoinFailed],
        _ => Vec::new(),
    }
}

/// I3: whether voters that lack the last acknowledged write are enough to elect one of theirs. Nothing is acknowledged before the
/// first member could publish itself. A voter that has no log and never had one may still get an empty one.
pub(crate) fn acknowledged_write_can_be_lost(state: &State) -> bool {
    let acknowledged = state.places.iter().any(|place| place.listed.is_some_and(|listed| listed.life == Life::Named));
    let lacking = |place: &&Place| {
        let row = place.listed.filter(|listed| listed.role == Role::Voter);
        match (row, place.own_log()) {
            (None, _) => false,
            (Some(_), Some(owned)) => owned.data < Data::Fresh,
            (Some(listed), None) => listed.life == Life::Unstarted,
        }
    };
    acknowledged && state.places.iter().filter(lacking).count() >= quorum(state.voters())
}
