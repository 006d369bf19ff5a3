//! How a cluster comes into being, once per incarnation (rule 2).
//!
//! `Unborn` → the founders' seats are reserved and the birth is `Forming` → all founders stand at the gate → who they are is
//! written down → all get a permit to form a new cluster → the member list shows them and they agree on one cluster ID →
//! `Formed`, and no founder ever starts on an empty disk again.

use std::collections::BTreeSet;

use super::{Verdict, setback};
use crate::{
    id::{ClusterId, Slot},
    launch::LaunchSpec,
    observation::{Blocker, Marker, Phase, Probe},
    permit::{ClusterState, Permit},
    quorum::quorum,
    reason::Reason,
    record::{Birth, MAX_LEARNERS, Record},
    situation::Situation,
    step::{GroundStep, Step},
    version::Minor,
};

/// Reserves the founders' seats.
pub(super) fn create(s: &Situation<'_>) -> Verdict {
    if s.record.birth != Birth::Unborn {
        return Verdict::DONE;
    }
    if s.desired.size.is_zero() {
        return Verdict::hold(Reason::NothingToCreate);
    }
    if let Err(error) = s.desired.template.options.check(&s.desired.template.version) {
        return Verdict::hold(Reason::BadOption(error));
    }
    for slot in (0..s.desired.size.get()).map(Slot) {
        if let Some(Marker::Foreign(what)) = s.volume(slot).map(|volume| &volume.marker) {
            return Verdict::hold(Reason::DataInTheWay { slot, what: what.clone() });
        }
    }
    Verdict::Act(Step::Record(Box::new(founded(s, Record::unborn(s.record.incarnation.clone())))))
}

/// A record whose founders are the first `size` slots.
fn founded(s: &Situation<'_>, mut record: Record) -> Record {
    let template = s.desired.template.clone();
    record.birth = Birth::Forming;
    let modern = template.version.minor() >= Minor::V3_6;
    record.max_learners = if modern { MAX_LEARNERS } else { 1 };
    record.readable_from = modern.then_some(0);
    let launch = LaunchSpec { template, max_learners: record.max_learners };
    record.slots.clear();
    for slot in 0..s.desired.size.get() {
        record.reserve(Slot(slot), launch.clone());
    }
    record
}

/// Brings the founders up together and notes the cluster that they formed.
pub(super) fn form(s: &Situation<'_>) -> Verdict {
    if s.record.birth != Birth::Forming {
        return Verdict::DONE;
    }
    match founders_cluster(s) {
        Ok(Some(cluster)) => return Verdict::Act(Step::Record(Box::new(formed(s, cluster)))),
        Ok(None) => {}
        Err(split) => return Verdict::hold(split),
    }
    if let Some(again) = start_over(s) {
        return again;
    }
    let waiting: Vec<Slot> = s.record.slots.keys().copied().filter(|&slot| is_fresh_at_gate(s, slot)).collect();
    let missing: Vec<Reason> = s.record.slots.keys().filter_map(|&slot| not_ready(s, slot)).collect();
    if missing.is_empty() && !waiting.is_empty() {
        if let Some(record) = with_founders(s, &waiting) {
            return Verdict::Act(Step::Record(Box::new(record)));
        }
        let permits = waiting.iter().filter_map(|&slot| permit(s, slot)).collect();
        return Verdict::Act(Step::Ground(GroundStep::Permit(permits)));
    }
    if let Some(record) = with_edit(s) {
        return Verdict::Act(Step::Record(Box::new(record)));
    }
    let failed: Vec<Reason> = s.record.slots.keys().filter_map(|&slot| failed(s, slot)).collect();
    let wrong = s.desired.template.options.check(&s.desired.template.version).err().map(Reason::BadOption);
    let rest = match (failed.is_empty(), missing.is_empty()) {
        (false, _) => failed,
        (true, false) => missing,
        (true, true) => silent(s),
    };
    Verdict::Hold(wrong.into_iter().chain(rest).collect())
}

/// etcd ended in this slot before anything was stored, as it does over a flag that it does not know: in its own words.
fn failed(s: &Situation<'_>, slot: Slot) -> Option<Reason> {
    let (Phase::Exited(why) | Phase::Refused(why)) = &s.instance(slot)?.phase else { return None };
    let version = s.record.slots.get(&slot)?.launch.version().clone();
    is_hollow(s, slot).then(|| Reason::BirthFailed { slot, version, why: why.clone() })
}

/// Founders that have data and serve nobody are started with what is asked for now, on their disks: an option that etcd ends on
/// late is healed like any other. Another minor needs a cluster that can be rolled.
fn with_edit(s: &Situation<'_>) -> Option<Record> {
    let answers = s.observation.status.values().any(|status| status.known().is_some());
    let wanted = &s.desired.template;
    if answers || s.roster().is_some() || s.desired.size.is_zero() || wanted.options.check(&wanted.version).is_err() {
        return None;
    }
    let mut record = s.record.clone();
    for seat in record.slots.values_mut().filter(|seat| seat.launch.version().minor() == wanted.version.minor()) {
        seat.launch.template.clone_from(wanted);
    }
    (record != *s.record).then_some(record)
}

/// Writes down who is about to be permitted. A permit may vanish together with its instance and its disk, as where it is an
/// annotation of a Pod: the record alone tells a seat whose founder started from one whose founder never did (rule 2).
fn with_founders(s: &Situation<'_>, waiting: &[Slot]) -> Option<Record> {
    let mut record = s.record.clone();
    for &slot in waiting {
        if let (Some(seat), Some(instance)) = (record.slots.get_mut(&slot), s.instance(slot)) {
            seat.founder.get_or_insert_with(|| instance.id.clone());
        }
    }
    (record != *s.record).then_some(record)
}

/// The cluster that the founders formed, once the list can be read and each founder answers or is known to be lost.
fn founders_cluster(s: &Situation<'_>) -> Result<Option<ClusterId>, Reason> {
    let answers = s.record.slots.keys().filter_map(|slot| s.observation.status.get(slot)?.known());
    let listed = s.roster().map(|roster| roster.cluster);
    let clusters: BTreeSet<ClusterId> = answers.map(|status| status.cluster).chain(listed).collect();
    let mut clusters = clusters.into_iter();
    if let (Some(first), Some(other)) = (clusters.next(), clusters.next()) {
        return Err(Reason::SplitBirth { first, other });
    }
    let Some(roster) = s.roster() else { return Ok(None) };
    if let Some(stranger) = roster.members.iter().find(|row| s.observation.slot_at(row).is_none()) {
        return Err(Reason::ForeignMember { member: stranger.id });
    }
    let listed: BTreeSet<Slot> = s.members.iter().filter_map(|member| member.slot).collect();
    // A founder is in the list from the start. A disk that counted starts may be that of a member that was removed since.
    let complete = s.record.slots.iter().all(|(slot, seat)| listed.contains(slot) || seat.epoch > 0);
    let settled = s.members.iter().all(|member| {
        // A founder that had its permit long ago must not keep the others from being a cluster.
        let given_up = |slot| is_lost(s, slot) || s.was_permitted(slot, s.desired.patience.join);
        member.status.is_some() || member.slot.is_none_or(given_up)
    });
    Ok((complete && settled).then_some(roster.cluster))
}

fn formed(s: &Situation<'_>, cluster: ClusterId) -> Record {
    let mut record = s.record.clone();
    record.birth = Birth::Formed(cluster);
    let mut listed = BTreeSet::new();
    for member in &s.members {
        let Some(slot) = member.slot.or_else(|| s.observation.slot_at(member.row)) else { continue };
        let seat = record.slots.get(&slot);
        if seat.is_none_or(|seat| seat.member.is_some_and(|id| id != member.id())) {
            // The record was rebuilt, and the disk that is here is not this member's: it gets a seat so that it is replaced.
            record.reserve(slot, s.launch_for_joiner());
        }
        if let Some(seat) = record.slots.get_mut(&slot) {
            (seat.member, seat.founder) = (Some(member.id()), None);
        }
        listed.insert(slot);
    }
    record.slots.retain(|slot, _| listed.contains(slot));
    record
}

/// What an earlier attempt of the same cluster left: a marker without data. Nothing was ever stored there.
pub(super) fn clear(s: &Situation<'_>) -> Verdict {
    let current = &s.record.incarnation;
    let left_over = s.record.slots.keys().filter_map(|&slot| {
        let volume = s.volume(slot)?;
        let Marker::Hollow { incarnation, .. } = &volume.marker else { return None };
        let older = incarnation.uid == current.uid && incarnation.number < current.number;
        let still = !s.instance(slot).is_some_and(|i| matches!(i.phase, Phase::Running | Phase::Stopping));
        (older && still).then(|| Step::Ground(GroundStep::Discard(slot, volume.id.clone())))
    });
    setback::first_due(s, left_over).map_or(Verdict::DONE, Verdict::Act)
}

/// Nothing was ever stored when no founder has data: then a birth that went wrong begins again, under a new token (F21).
fn start_over(s: &Situation<'_>) -> Option<Verdict> {
    let slots = || s.record.slots.keys().copied();
    let dataless = slots().all(|slot| is_empty(s, slot) || is_hollow(s, slot));
    let stuck = slots().any(|slot| is_lost(s, slot));
    let stored = slots().any(|slot| s.record.slots[&slot].epoch > 0);
    if !dataless || stored {
        return refuse_lost_founder(s);
    }
    let wanted = &s.desired.template;
    if wanted.options.check(&wanted.version).is_err() && !s.desired.size.is_zero() {
        return None;
    }
    let edited = slots().any(|slot| s.record.slots[&slot].launch.template != *wanted);
    let permitted = slots().any(|slot| s.holds_permit(slot));
    // A permit that was not used for long never is: its instance waits for something else.
    let in_use = slots().any(|slot| s.holds_permit(slot) && !s.was_permitted(slot, s.desired.patience.join));
    let untouched = edited && !permitted && !s.desired.size.is_zero();
    // Once at once, since a process may have been killed; then it is the template's fault until somebody names another, and what
    // etcd said of it stands to be read.
    let again = s.record.rejected.as_ref() == Some(wanted);
    let pause = if again { s.desired.patience.restart } else { s.desired.patience.gate };
    let patient = slots().filter_map(|slot| s.instance(slot)).all(|i| s.now.since(i.since) >= pause);
    if untouched || (stuck && !in_use && (edited || patient)) {
        let mut record = Record::unborn(s.record.incarnation.next());
        record.generation = s.record.generation;
        let mut next = founded(s, record);
        if s.desired.size.is_zero() {
            next.birth = Birth::Unborn;
        } else if !edited {
            next.rejected = Some(wanted.clone());
        }
        return Some(Verdict::Act(Step::Record(Box::new(next))));
    }
    None
}

/// A founder without its disk is never started again, and without a list nobody can tell what the others hold (rule 2).
fn refuse_lost_founder(s: &Situation<'_>) -> Option<Verdict> {
    let slots = || s.record.slots.keys().copied();
    let lost: Vec<Slot> = slots().filter(|&slot| is_lost(s, slot)).collect();
    let left = s.record.slots.len() - lost.len();
    let hopeless = s.roster().is_none() && left < quorum(s.record.slots.len());
    let first = hopeless.then(|| lost.first().copied()).flatten();
    first.map(|slot| Verdict::hold(Reason::FounderLost { slot }))
}

fn is_empty(s: &Situation<'_>, slot: Slot) -> bool {
    match s.view(slot).map(|view| &view.volume) {
        Some(Probe::Known { value, .. }) => value.as_ref().is_none_or(|volume| volume.marker == Marker::Empty),
        Some(Probe::Unknown { .. }) | None => false,
    }
}

fn is_hollow(s: &Situation<'_>, slot: Slot) -> bool {
    let current = &s.record.incarnation;
    matches!(s.volume(slot).map(|volume| &volume.marker), Some(Marker::Hollow { incarnation, .. }) if incarnation == current)
}

/// Whether a permit of this incarnation was written, or was to be written, for an instance that is gone, and the disk is empty:
/// perhaps it was used.
fn has_void_permit(s: &Situation<'_>, slot: Slot) -> bool {
    let founder = s.record.slots.get(&slot).and_then(|seat| seat.founder.as_ref());
    let replaced = founder.is_some() && founder != s.instance(slot).map(|instance| &instance.id);
    let void = s.permit(slot).is_some() && !s.holds_permit(slot);
    // Whoever cannot be looked at may be the one that is meant.
    let seen = s.view(slot).is_some_and(|view| view.instance.known().is_some());
    seen && (replaced || void) && is_empty(s, slot)
}

/// Whether the disk lost what stood on it, or perhaps did. One that counted starts and is empty is such a disk too, whatever
/// became of its permit: only a rebuilt record knows of starts so early.
fn is_lost(s: &Situation<'_>, slot: Slot) -> bool {
    let started = s.record.slots.get(&slot).is_some_and(|seat| seat.epoch > 0);
    has_void_permit(s, slot) || is_hollow(s, slot) || (started && is_empty(s, slot))
}

/// Stands at the gate before an empty disk and was not permitted anything yet; at most it was written down that it would be.
fn is_fresh_at_gate(s: &Situation<'_>, slot: Slot) -> bool {
    let at_gate = s.instance(slot).is_some_and(|instance| instance.phase == Phase::AtGate);
    let empty = s.volume(slot).is_some_and(|volume| volume.marker == Marker::Empty);
    at_gate && empty && !s.holds_permit(slot) && !is_lost(s, slot)
}

/// Why the founders cannot be permitted together yet: the slot is neither at the gate nor past it.
fn not_ready(s: &Situation<'_>, slot: Slot) -> Option<Reason> {
    let view = s.view(slot)?;
    if s.holds_permit(slot) || view.volume.known().is_some() && !is_empty(s, slot) {
        // Once it had its permit, or has data, its platform restarts it on its disk: the others need not wait for it.
        let Some(Phase::Refused(why)) = s.instance(slot).map(|instance| &instance.phase) else { return None };
        return Some(Reason::GateRefused { slot, why: why.clone() });
    }
    let why = match s.instance(slot).map(|instance| &instance.phase) {
        Some(Phase::AtGate | Phase::Running) => match &view.volume {
            Probe::Known { value: Some(_), .. } => return None,
            Probe::Known { value: None, .. } => Blocker("it has no disk yet".to_owned()),
            Probe::Unknown { why, .. } => why.clone(),
        },
        Some(Phase::Refused(why)) => return Some(Reason::GateRefused { slot, why: why.clone() }),
        Some(Phase::Pending(why) | Phase::Exited(why)) => why.clone(),
        Some(Phase::Stopping) => Blocker("it is being stopped".to_owned()),
        None => Blocker("no instance yet".to_owned()),
    };
    Some(Reason::NotAtGate { slot, why })
}

fn permit(s: &Situation<'_>, slot: Slot) -> Option<Permit> {
    let founders = s.record.slots.keys().filter_map(|&slot| s.view(slot));
    let initial_cluster = founders.map(|view| (view.address.name.clone(), view.address.peer.clone())).collect();
    Some(Permit {
        slot,
        instance: s.instance(slot)?.id.clone(),
        incarnation: s.record.incarnation.clone(),
        generation: s.record.slots.get(&slot)?.generation,
        member: None,
        initial_cluster,
        state: ClusterState::New,
    })
}

fn silent(s: &Situation<'_>) -> Vec<Reason> {
    let is_listed_at = |id, slot| s.roster().is_none() || s.member(id).is_some_and(|member| member.slot == Some(slot));
    let unanswered = s.record.slots.keys().filter_map(|&slot| {
        let why = match s.observation.status.get(&slot) {
            Some(Probe::Known { value, .. }) if is_listed_at(value.member, slot) => return None,
            Some(Probe::Known { .. }) => Blocker("another member answers at its address".to_owned()),
            Some(Probe::Unknown { why, .. }) => why.clone(),
            None => Blocker("it was not asked yet".to_owned()),
        };
        Some(Reason::FounderSilent { slot, why })
    });
    let mut reasons: Vec<Reason> = unanswered.collect();
    if let (true, Probe::Unknown { why, .. }) = (reasons.is_empty(), &s.observation.roster) {
        reasons.push(Reason::RosterUnknown(why.clone()));
    }
    reasons
}

#[cfg(test)]
mod tests;
