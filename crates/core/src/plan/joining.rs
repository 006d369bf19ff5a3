//! From learner in the list to etcd on its disk: permits, one after the other, and what to do with a learner that gets stuck.
//!
//! A joining etcd wants `--initial-cluster` to be the member list of that moment, and asks every peer in it (fast-scaling.md). So
//! the list stands still while a permit holder starts, and the next permit waits until the one before serves its peers.

use std::collections::BTreeMap;

use super::{Verdict, admission};
use crate::{
    id::Slot,
    observation::{Marker, Phase},
    permit::{ClusterState, Permit},
    reason::Reason,
    record::Mutation,
    situation::{Member, Situation},
    step::{GroundStep, Step},
};

/// Brings the learners of the list to life.
pub(super) fn join(s: &Situation<'_>) -> Verdict {
    if let Some(overdue) = s.learners().find(|learner| is_overdue(s, learner)) {
        return take_out(s, overdue);
    }
    if let Some(step) = s.learners().find_map(|learner| nudge(s, learner)) {
        return Verdict::Act(step);
    }
    if let Some(slot) = s.permit_in_use().filter(|&slot| !has_waited_enough(s, slot)) {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    if admission::next_to_add(s).is_some() && s.permit_in_use().is_none() {
        // The list is about to grow: permits made now would name too few members.
        return Verdict::DONE;
    }
    let target = s.target();
    let stays = |learner: &&Member<'_>| learner.slot.is_some_and(|slot| target.contains(&slot));
    let next =
        s.learners().filter(stays).filter(|learner| awaits_permit(s, learner)).min_by_key(|learner| learner.slot);
    let step = next.and_then(|learner| permit(s, learner));
    match (step, s.permit_in_use()) {
        (Some(permit), _) => Verdict::Act(Step::Ground(GroundStep::Permit(vec![permit]))),
        (None, Some(slot)) => Verdict::wait(Reason::PermitHolder { slot }),
        (None, None) => Verdict::DONE,
    }
}

/// An unnamed learner at the gate, before an empty disk: the only one besides a founder that may start there (rule 1).
fn awaits_permit(s: &Situation<'_>, learner: &Member<'_>) -> bool {
    let at_gate = learner.instance().is_some_and(|instance| instance.phase == Phase::AtGate);
    let empty = learner.volume().is_some_and(|volume| volume.marker == Marker::Empty);
    let assigned = learner.seat.is_some_and(|seat| seat.member == Some(learner.id()) && seat.epoch == 0);
    let permitted = learner.slot.is_some_and(|slot| s.holds_permit(slot));
    !learner.is_named() && at_gate && empty && assigned && !permitted
}

fn permit(s: &Situation<'_>, learner: &Member<'_>) -> Option<Permit> {
    let names: Option<Vec<_>> = s
        .members
        .iter()
        .map(|member| {
            let address = &member.view?.address;
            let name = if member.is_named() { member.row.name.clone() } else { address.name.clone() };
            Some((name, address.peer.clone()))
        })
        .collect();
    Some(Permit {
        slot: learner.slot?,
        instance: learner.instance()?.id.clone(),
        incarnation: s.record.incarnation.clone(),
        generation: learner.seat?.generation,
        member: Some(learner.id()),
        initial_cluster: names?,
        state: ClusterState::Existing,
    })
}

/// A stuck permit holder must not block the others for long.
fn has_waited_enough(s: &Situation<'_>, slot: Slot) -> bool {
    let since = s.view(slot).and_then(|view| view.permit.as_ref()).map(|permit| permit.since);
    since.is_some_and(|since| s.now.since(since) >= s.desired.patience.permit)
}

/// A learner that got its permit long ago and does not serve.
fn is_overdue(s: &Situation<'_>, learner: &Member<'_>) -> bool {
    let Some(slot) = learner.slot else { return false };
    let since = s.view(slot).and_then(|view| view.permit.as_ref()).map(|permit| permit.since);
    let overdue = since.is_some_and(|since| s.now.since(since) >= s.desired.patience.join);
    overdue && !learner.is_named() && !s.is_serving(slot)
}

fn take_out(s: &Situation<'_>, learner: &Member<'_>) -> Verdict {
    let Some(slot) = learner.slot.filter(|_| s.record.open.is_none()) else { return Verdict::DONE };
    let mut record = s.record.clone();
    record.open = Some(Mutation::Leave { members: BTreeMap::from([(learner.id(), slot)]) });
    Verdict::Act(Step::Record(Box::new(record)))
}

/// After a raft snapshot a joiner's client port may hang for 7 s while its peers are served (kubernetes-timings.md): restarted
/// once on its own disk, while it is still a learner, it answers at once.
fn nudge(s: &Situation<'_>, learner: &Member<'_>) -> Option<Step> {
    let slot = learner.slot?;
    let instance = learner.instance().filter(|instance| instance.phase == Phase::Running)?;
    let first_start = matches!(learner.volume()?.marker, Marker::Owned { epoch: 1, .. });
    let port = s.peer_port(slot)?;
    let stranded = port.stranded_since.is_some_and(|since| s.now.since(since) >= s.desired.patience.nudge);
    (first_start && stranded && learner.status.is_none()).then(|| Step::Ground(GroundStep::Retire(slot, instance.id.clone())))
}
