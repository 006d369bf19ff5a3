//! Scaling out: seats are reserved, their instances come to the gate, and exactly those that stand there are added as learners in
//! one burst (rule 3). etcd learns of a member only when its instance is ready to start.

use super::Verdict;
use crate::{
    id::{PeerUrl, Slot},
    observation::{Blocker, Marker, Phase, Role},
    reason::Reason,
    record::Record,
    situation::Situation,
    step::{EtcdStep, Step},
};

/// Adds learners, notes the IDs that they got, reserves seats.
pub(super) fn admit(s: &Situation<'_>) -> Verdict {
    if s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    let mut reasons: Vec<Reason> = Vec::new();
    if let Some((slot, url)) = next_to_add(s) {
        match s.sick_voter(None) {
            None => return Verdict::Act(Step::Etcd(EtcdStep::AddLearner(slot, url))),
            Some(voter) => reasons.extend(silent(s, voter)),
        }
    }
    if let Some(record) = with_new_ids(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    if let Some(record) = without_surplus(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    match reserve(s) {
        Ok(Some(record)) => return Verdict::Act(Step::Record(Box::new(record))),
        Ok(None) => {}
        Err(reason) => reasons.push(reason),
    }
    reasons.extend(s.record.slots.keys().filter_map(|&slot| not_at_gate(s, slot)));
    Verdict::Idle(reasons)
}

fn silent(s: &Situation<'_>, voter: &crate::situation::Member<'_>) -> Option<Reason> {
    let why = s.silence(voter).map_or_else(|| Blocker("it follows no leader".to_owned()), |(why, _)| why.clone());
    Some(Reason::VoterSilent { member: voter.id(), slot: voter.slot?, why })
}

/// The reserved seat whose instance can be added now. Nobody is added while others of the same batch are still expected at the
/// gate, unless they take too long.
pub(super) fn next_to_add(s: &Situation<'_>) -> Option<(Slot, PeerUrl)> {
    if s.record.open.is_some() {
        return None;
    }
    let target = s.target();
    let reserved = || s.record.slots.iter().filter(|(_, seat)| seat.member.is_none()).map(|(&slot, _)| slot);
    let unlisted = |slot: &Slot| !s.members.iter().any(|member| member.slot == Some(*slot));
    let waiting: Vec<Slot> = reserved().filter(|slot| target.contains(slot) && unlisted(slot)).collect();
    let (limit, _) = s.learner_limit();
    if s.learners().count() >= limit {
        return None;
    }
    let ready: Vec<Slot> = waiting.iter().copied().filter(|&slot| stands_at_gate(s, slot)).collect();
    let stragglers = waiting.iter().any(|slot| !ready.contains(slot));
    let longest = ready.iter().filter_map(|&slot| s.instance(slot)).map(|i| s.now.since(i.since)).max();
    if stragglers && longest.is_none_or(|waited| waited < s.desired.patience.gate) {
        return None;
    }
    let slot = ready.first().copied()?;
    Some((slot, s.view(slot)?.address.peer.clone()))
}

fn stands_at_gate(s: &Situation<'_>, slot: Slot) -> bool {
    let at_gate = s.instance(slot).is_some_and(|instance| instance.phase == Phase::AtGate);
    let empty = s.volume(slot).is_some_and(|volume| volume.marker == Marker::Empty);
    at_gate && empty
}

fn not_at_gate(s: &Situation<'_>, slot: Slot) -> Option<Reason> {
    if s.record.slots.get(&slot)?.member.is_some() || stands_at_gate(s, slot) {
        return None;
    }
    let why = match s.instance(slot).map(|instance| &instance.phase) {
        Some(Phase::Pending(why) | Phase::Exited(why) | Phase::Refused(why)) => why.clone(),
        Some(Phase::Stopping) => Blocker("the instance before is being stopped".to_owned()),
        Some(Phase::Running) => Blocker("the member before is still running".to_owned()),
        Some(Phase::AtGate) => Blocker("its disk is not empty".to_owned()),
        None => Blocker("no instance yet".to_owned()),
    };
    Some(Reason::NotAtGate { slot, why })
}

/// Notes the IDs that etcd gave to the learners of this burst, all at once.
fn with_new_ids(s: &Situation<'_>) -> Option<Record> {
    let mut record = s.record.clone();
    for member in s.members.iter().filter(|member| member.row.role == Role::Learner) {
        if let Some(seat) = member.slot.and_then(|slot| record.slots.get_mut(&slot))
            && seat.member.is_none()
        {
            seat.member = Some(member.id());
        }
    }
    (record != *s.record).then_some(record)
}

/// Reserved seats that are not wanted any more: their instances never were members.
fn without_surplus(s: &Situation<'_>) -> Option<Record> {
    let target = s.target();
    let mut record = s.record.clone();
    record.slots.retain(|slot, seat| {
        let listed = s.members.iter().any(|member| member.slot == Some(*slot));
        seat.member.is_some() || listed || target.contains(slot)
    });
    (record != *s.record).then_some(record)
}

/// Seats for the slots that the cluster is to have and has not, as many as may be in flight.
fn reserve(s: &Situation<'_>) -> Result<Option<Record>, Reason> {
    let missing: Vec<Slot> = s.target().into_iter().filter(|slot| !s.record.slots.contains_key(slot)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let (limit, serial) = s.learner_limit();
    let in_flight = s.learners().count()
        + s.record.slots.iter().filter(|(slot, seat)| seat.member.is_none() && !is_listed(s, **slot)).count();
    let free = limit.saturating_sub(in_flight);
    if free == 0 || s.record.open.is_some() {
        return serial.map_or(Ok(None), |why| Err(Reason::OneLearnerAtATime { why }));
    }
    let mut record = s.record.clone();
    for slot in missing.into_iter().take(free) {
        record.reserve(slot, s.launch_for_joiner());
    }
    Ok(Some(record))
}

fn is_listed(s: &Situation<'_>, slot: Slot) -> bool {
    s.members.iter().any(|member| member.slot == Some(slot))
}
