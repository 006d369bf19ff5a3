//! Resolving the open mutation: completion or compensation, before anything new begins (DESIGN §2, rule 11).
//!
//! A removal is open until the list lacks every member that it names. A restart is open until the member serves with its new
//! launch spec, or until its old one was put back.

use std::collections::BTreeMap;

use super::Verdict;
use crate::{
    id::{MemberId, Slot},
    launch::LaunchSpec,
    observation::{Instance, Phase},
    reason::Reason,
    record::{Before, Mutation, Record},
    situation::{Member, Situation},
    step::{EtcdStep, GroundStep, Step},
};

/// Sees a restart through. Needs no member list: a cluster that lost its quorum to a bad launch spec gets it back here.
pub(super) fn resolve_restart(s: &Situation<'_>) -> Verdict {
    let Some(Mutation::Restart { slot, from, before }) = &s.record.open else { return Verdict::DONE };
    let slot = *slot;
    let Some(seat) = s.record.slots.get(&slot) else { return close(s, |_| {}) };
    let instance = s.instance(slot);
    let runs_new = instance.is_some_and(|i| i.phase == Phase::Running && i.launch == seat.launch);
    let answers = s.observation.status.get(&slot).and_then(|status| status.known());
    if runs_new && answers.is_some_and(|status| status.leader.is_some()) {
        return close(s, |_| {});
    }
    let taken_back = s.desired.template == from.template && seat.launch.template != from.template;
    if taken_back && may_go_back(s, from, &seat.launch) {
        return put_back(s, slot, from, Blame::Nobody);
    }
    if let Some(old) =
        instance.filter(|i| i.launch != seat.launch && !matches!(i.phase, Phase::Stopping | Phase::Exited(_)))
    {
        return retire(s, slot, from, old);
    }
    let limit = s.desired.patience.restart;
    let overdue = s.observation.open_since.is_some_and(|since| s.now.since(since) >= limit);
    if !overdue {
        return Verdict::wait(restarting(slot, &seat.launch));
    }
    if *before == Before::Sick || (runs_new && s.is_serving(slot)) {
        // Sick before, or serving its peers and only short of a quorum: not the launch spec's fault.
        return close(s, |_| {});
    }
    if may_go_back(s, from, &seat.launch) {
        put_back(s, slot, from, Blame::TheLaunch)
    } else {
        Verdict::wait(Reason::NoWayBack { slot, version: seat.launch.version().clone() })
    }
}

fn restarting(slot: Slot, launch: &LaunchSpec) -> Reason {
    Reason::Restarting { slot, version: launch.version().clone() }
}

/// Stops the instance that still runs the old launch spec, if it can be spared; gives the restart up if not.
fn retire(s: &Situation<'_>, slot: Slot, from: &LaunchSpec, instance: &Instance) -> Verdict {
    let answers = s.observation.status.get(&slot).is_some_and(|status| status.known().is_some());
    let member = s.members.iter().find(|member| member.slot == Some(slot));
    match member {
        // It serves, and who else does cannot be told in this pass.
        None if answers => return Verdict::wait(restarting(slot, from)),
        Some(_) if answers && s.leader.is_none() => return Verdict::wait(Reason::NoLeader),
        Some(member) if answers && member.is_voter() => {
            if s.sick_voter(Some(member.id())).is_some() {
                return put_back(s, slot, from, Blame::Nobody);
            }
            if let Some(to) = heir(s, &[member.id()]).filter(|_| Some(member.id()) == s.leader) {
                return Verdict::Act(Step::Etcd(EtcdStep::MoveLeader { to }));
            }
        }
        Some(_) | None => {}
    }
    Verdict::Act(Step::Ground(GroundStep::Retire(slot, instance.id.clone())))
}

/// The healthy voter that is furthest ahead, besides those that leave.
pub(super) fn heir(s: &Situation<'_>, leavers: &[MemberId]) -> Option<MemberId> {
    let fit = s.voters().filter(|voter| !leavers.contains(&voter.id()) && s.is_healthy(voter));
    fit.max_by_key(|voter| (voter.status.map(|status| status.applied), std::cmp::Reverse(voter.slot))).map(Member::id)
}

/// Whose fault it is that a restart is taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blame {
    TheLaunch,
    Nobody,
}

/// A binary may go back a minor as long as the cluster version has not risen (F31).
fn may_go_back(s: &Situation<'_>, from: &LaunchSpec, to: &LaunchSpec) -> bool {
    let (old, new) = (from.version().minor(), to.version().minor());
    let others = s.observation.status.values().filter_map(|status| status.known());
    old >= new || !others.filter_map(|status| status.cluster_version).any(|cluster| cluster > old)
}

fn put_back(s: &Situation<'_>, slot: Slot, from: &LaunchSpec, blame: Blame) -> Verdict {
    close(s, |record| {
        if let Some(seat) = record.slots.get_mut(&slot) {
            if blame == Blame::TheLaunch {
                record.rejected = Some(seat.launch.template.clone());
            }
            seat.launch = from.clone();
        }
    })
}

fn close(s: &Situation<'_>, change: impl FnOnce(&mut Record)) -> Verdict {
    let mut record = s.record.clone();
    record.open = None;
    change(&mut record);
    Verdict::Act(Step::Record(Box::new(record)))
}

/// Sees a removal through: those named in the record, and no others (reliability.md, H26).
pub(super) fn resolve_leave(s: &Situation<'_>) -> Verdict {
    let Some(Mutation::Leave { members }) = &s.record.open else { return Verdict::DONE };
    let target = s.target();
    let still_listed: BTreeMap<MemberId, Slot> =
        members.iter().filter(|(id, _)| s.member(**id).is_some()).map(|(&id, &slot)| (id, slot)).collect();
    let wanted_again = |id: MemberId, slot: Slot| {
        let alive = s.member(id).is_some_and(|member| s.death(member).is_none() && s.is_healthy(member));
        alive && target.contains(&slot)
    };
    let stays = |id: MemberId, slot: Slot| wanted_again(id, slot) || !s.member(id).is_some_and(|m| may_leave(s, m));
    let next = still_listed
        .iter()
        .filter(|&(&id, &slot)| !stays(id, slot))
        .filter_map(|(&id, _)| s.member(id))
        .min_by_key(|m| (s.death(m).is_none(), m.is_voter(), Some(m.id()) == s.leader, m.id()));
    let leavers: Vec<MemberId> = still_listed.keys().copied().collect();
    match next {
        Some(member) => leave(s, member, &leavers),
        // Done, or not possible any more: what is left stays, and is planned again from what is true then.
        None => close(s, |record| {
            for (&id, &slot) in members.iter().filter(|(id, _)| !still_listed.contains_key(id)) {
                vacate(s, record, id, slot);
            }
        }),
    }
}

/// Rule 6: the rest must be all up; for a dead member it is enough that the rest has a quorum. Learners never count.
pub(super) fn may_leave(s: &Situation<'_>, member: &Member<'_>) -> bool {
    if member.is_learner() {
        return true;
    }
    if s.death(member).is_some() { s.survives_without(member.id()) } else { s.sick_voter(Some(member.id())).is_none() }
}

fn leave(s: &Situation<'_>, member: &Member<'_>, leavers: &[MemberId]) -> Verdict {
    let step = match heir(s, leavers).filter(|_| Some(member.id()) == s.leader) {
        Some(to) => EtcdStep::MoveLeader { to },
        None => EtcdStep::Remove(member.id()),
    };
    Verdict::Act(Step::Etcd(step))
}

/// Takes a member that left out of the record: its slot is reserved for a successor, or given up.
pub(super) fn vacate(s: &Situation<'_>, record: &mut Record, member: MemberId, slot: Slot) {
    if record.slots.get(&slot).and_then(|seat| seat.member) != Some(member) {
        return;
    }
    if s.target().contains(&slot) && !s.desired.size.is_zero() {
        record.reserve(slot, s.launch_for_joiner());
    } else {
        record.slots.remove(&slot);
    }
}
