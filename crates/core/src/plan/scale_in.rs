//! Scaling in: learners first, then voters, all of them named in one open mutation and removed back to back, so that an even
//! number of voters is passed in milliseconds (rule 4). Dead ones are gone before: see [`replacement`](super::replacement).

use std::collections::BTreeMap;

use super::{Verdict, mutation};
use crate::{
    id::{MemberId, Slot},
    reason::Reason,
    record::Mutation,
    situation::{Member, Situation},
    step::Step,
};

/// Begins the removal of everybody who is to leave.
pub(super) fn shrink(s: &Situation<'_>) -> Verdict {
    if s.desired.size.is_zero() || s.record.open.is_some() {
        return Verdict::DONE;
    }
    let target = s.target();
    let leaving: BTreeMap<MemberId, Slot> = s
        .members
        .iter()
        .filter_map(|member| Some((member.id(), member.slot?)))
        .filter(|(_, slot)| !target.contains(slot))
        .collect();
    if leaving.is_empty() {
        return Verdict::DONE;
    }
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    let learners: BTreeMap<_, _> = leaving
        .iter()
        .filter(|(id, _)| s.member(**id).is_some_and(Member::is_learner))
        .map(|(&id, &slot)| (id, slot))
        .collect();
    if !learners.is_empty() {
        return open(s, learners);
    }
    // Everybody who stays must be there before anybody leaves: 3→1 with slot 0 dead passes through a new slot 0.
    let seated = |slot: &Slot| s.voters().any(|voter| voter.slot == Some(*slot) && s.is_healthy(voter));
    if let Some(&slot) = target.iter().find(|slot| !seated(slot)) {
        return Verdict::wait(Reason::TargetNotHealthy { slot });
    }
    let first = leaving.keys().filter_map(|&id| s.member(id)).find(|member| mutation::may_leave(s, member));
    match (first, s.sick_voter(None)) {
        (Some(_), _) => open(s, leaving),
        (None, Some(sick)) => Verdict::wait(Reason::RollBlocked { member: sick.id() }),
        (None, None) => Verdict::DONE,
    }
}

fn open(s: &Situation<'_>, members: BTreeMap<MemberId, Slot>) -> Verdict {
    let mut record = s.record.clone();
    record.open = Some(Mutation::Leave { members });
    Verdict::Act(Step::Record(Box::new(record)))
}
