//! Nothing about the membership changes without a linearizable member list of our own cluster, read in this pass, and a leader
//! that a quorum agrees on (rules 5, 6, 8). Without quorum the instances run on their disks, and nothing else (rule 10).

use super::Verdict;
use crate::{
    id::Slot,
    observation::{Phase, Probe},
    quorum::quorum,
    reason::Reason,
    situation::Situation,
};

/// Holds everything below while it is not known who belongs to the cluster, or nobody leads it.
pub(super) fn guard(s: &Situation<'_>) -> Verdict {
    let Some(expected) = s.cluster() else { return Verdict::DONE };
    if s.desired.size.is_zero() && s.observation.ground.values().all(|view| view.declared.is_none()) {
        return Verdict::hold(Reason::Hibernating);
    }
    let roster = match &s.observation.roster {
        Probe::Known { value, .. } => value,
        Probe::Unknown { why, .. } => {
            return Verdict::Hold(
                lost(s).map_or_else(|| vec![Reason::RosterUnknown(why.clone())], |reason| vec![reason]),
            );
        }
    };
    if roster.cluster != expected {
        return Verdict::hold(Reason::WrongCluster { expected, got: roster.cluster });
    }
    if let Some(unsettled) = &s.observation.unsettled {
        return Verdict::hold(Reason::OutcomeUnknown(unsettled.step.clone()));
    }
    if s.leader.is_none() {
        return Verdict::hold(Reason::NoLeader);
    }
    match s.members.iter().find(|member| member.slot.is_none()) {
        Some(stranger) => Verdict::hold(Reason::ForeignMember { member: stranger.id() }),
        None => Verdict::DONE,
    }
}

/// Whether too few members run for any list to be read.
fn lost(s: &Situation<'_>) -> Option<Reason> {
    let seats = || s.record.slots.iter().filter(|(_, seat)| seat.member.is_some()).map(|(&slot, _)| slot);
    let runs = |slot: &Slot| {
        let process = s.instance(*slot).is_some_and(|instance| instance.phase == Phase::Running);
        let answers = s.observation.status.get(slot).is_none_or(|status| status.known().is_some());
        process && answers
    };
    let (up, voters) = (seats().filter(runs).count(), seats().count());
    let needed = quorum(voters);
    let missing: Vec<Slot> = seats().filter(|slot| !runs(slot)).collect();
    (up < needed).then_some(Reason::QuorumLost { up, voters, needed, missing })
}
