//! What holds for every plan, whatever was observed: situations are drawn at random and then damaged at random.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use self::damage::scenario;
use super::{Plan, plan, scenario::Scenario};
use crate::{
    id::{Generation, InstanceId, MemberId, Slot},
    observation::{Marker, Observation, Phase, Probe, Role, Roster},
    permit::ClusterState,
    record::{Birth, Mutation},
    step::{EtcdStep, GroundStep, Step},
};

mod damage;

/// Voters, besides `target`, that gave no answer of their own in the last second.
fn silent_voters(s: &Scenario, target: Option<MemberId>) -> BTreeSet<MemberId> {
    let seen: &Observation = &s.seen;
    let voters = seen.roster.known().into_iter().flat_map(|roster| &roster.members);
    let answers = |id: MemberId| {
        seen.status.values().any(|status| match status {
            Probe::Known { value, at } => value.member == id && s.now.since(*at) <= Duration::from_secs(1),
            Probe::Unknown { .. } => false,
        })
    };
    let voters = voters.filter(|row| row.role == Role::Voter && Some(row.id) != target).map(|row| row.id);
    voters.filter(|&id| !answers(id)).collect()
}

fn role(s: &Scenario, id: MemberId) -> Option<Role> {
    s.seen.roster.known()?.members.iter().find(|row| row.id == id).map(|row| row.role)
}

/// Not proven dead: the disk it is bound to is there, or cannot be looked at, and it was heard of not long ago.
fn may_be_alive(s: &Scenario, id: MemberId) -> bool {
    let Some(slot) = s.record().slot_of(id) else { return true };
    let Some(view) = s.seen.ground.get(&slot) else { return true };
    let disk = match &view.volume {
        Probe::Known { value, .. } => value.as_ref().is_some_and(|volume| match &volume.marker {
            Marker::Owned { generation, epoch, .. } => {
                let seat = &s.record().slots[&slot];
                *generation >= seat.generation && *epoch >= seat.epoch
            }
            Marker::Foreign(_) => true,
            Marker::Empty | Marker::Hollow { .. } => false,
        }),
        Probe::Unknown { .. } => true,
    };
    let silent = s.seen.status.get(&slot).and_then(Probe::unknown_since);
    let long = silent.is_some_and(|since| s.now.since(since) >= s.desired.recovery.replace_after);
    disk && !long
}

fn disk(s: &Scenario, slot: Slot) -> Option<&Marker> {
    Some(&s.seen.ground.get(&slot)?.volume.known()?.as_ref()?.marker)
}

fn decide(s: &Scenario) -> Plan {
    plan(&s.desired, &s.seen, s.now)
}

fn names_a_listed_member(s: &Scenario, marker: &Marker) -> bool {
    matches!(marker, Marker::Owned { member: Some(id), .. } if role(s, *id).is_some())
}

proptest! {
    #[test]
    fn the_same_is_decided_from_the_same(s in scenario()) {
        prop_assert_eq!(decide(&s), decide(&s));
    }

    #[test]
    fn every_act_is_fenced_by_what_it_rests_on(s in scenario()) {
        let Some((step, fence)) = decide(&s).act else { return Ok(()) };
        prop_assert_eq!(&fence.record, &s.seen.record.revision);
        let digest = s.seen.roster.known().map(Roster::digest);
        match step {
            Step::Etcd(_) => prop_assert!(fence.roster.is_some() && fence.roster == digest),
            Step::Ground(GroundStep::Permit(_) | GroundStep::Discard(..)) => prop_assert_eq!(fence.roster, digest),
            Step::Ground(GroundStep::Retire(slot, instance)) => prop_assert_eq!(fence.instance, Some((slot, instance))),
            Step::Ground(GroundStep::Ensure(_)) | Step::Record(_) => {}
        }
    }

    #[test]
    fn membership_changes_rest_on_a_list_of_our_own_cluster_and_nothing_unsettled(s in scenario()) {
        let Some((Step::Etcd(step), _)) = decide(&s).act else { return Ok(()) };
        if step.changes_membership() {
            let Birth::Formed(cluster) = s.record().birth else { panic!("{step:?} before the birth") };
            prop_assert_eq!(s.seen.roster.known().map(|roster| roster.cluster), Some(cluster));
            prop_assert_eq!(&s.seen.unsettled, &None);
        }
    }

    #[test]
    fn nobody_joins_votes_or_leaves_alive_while_a_voter_that_stays_is_silent(s in scenario()) {
        let target = match decide(&s).act {
            Some((Step::Etcd(EtcdStep::AddLearner(..) | EtcdStep::Promote(_)), _)) => None,
            Some((Step::Etcd(EtcdStep::Remove(id)), _)) if role(&s, id) == Some(Role::Voter) && may_be_alive(&s, id) => Some(id),
            _ => return Ok(()),
        };
        prop_assert_eq!(silent_voters(&s, target), BTreeSet::new());
    }

    #[test]
    fn nobody_alive_leaves_while_a_voter_that_stays_is_far_behind(s in scenario()) {
        let Some((Step::Etcd(EtcdStep::Remove(id)), _)) = decide(&s).act else { return Ok(()) };
        if role(&s, id) == Some(Role::Voter) && may_be_alive(&s, id) {
            let answers = || s.seen.status.values().filter_map(Probe::known);
            let committed = answers().map(|status| status.committed).max().unwrap_or(0);
            let stays = |of: MemberId| of != id && role(&s, of) == Some(Role::Voter);
            let lagging = answers().find(|status| stays(status.member) && committed.saturating_sub(status.applied) > 1_000);
            prop_assert_eq!(lagging, None);
        }
    }

    #[test]
    fn a_removal_leaves_a_quorum_of_voters_that_answer(s in scenario()) {
        let Some((Step::Etcd(EtcdStep::Remove(id)), _)) = decide(&s).act else { return Ok(()) };
        let rows = &s.seen.roster.known().unwrap().members;
        let rest = rows.iter().filter(|row| row.role == Role::Voter && row.id != id).count();
        let silent = silent_voters(&s, Some(id)).len();
        prop_assert!(role(&s, id) == Some(Role::Learner) || rest - silent > rest / 2, "{rest} remain, {silent} silent");
    }

    #[test]
    fn only_members_named_in_the_record_are_removed(s in scenario()) {
        let Some((Step::Etcd(EtcdStep::Remove(id)), _)) = decide(&s).act else { return Ok(()) };
        let named = matches!(&s.record().open, Some(Mutation::Leave { members }) if members.contains_key(&id));
        prop_assert!(named);
    }

    #[test]
    fn permits_are_for_empty_disks_at_the_gate(s in scenario()) {
        let Some((Step::Ground(GroundStep::Permit(permits)), _)) = decide(&s).act else { return Ok(()) };
        prop_assert!(!permits.is_empty());
        for permit in permits {
            prop_assert_eq!(disk(&s, permit.slot), Some(&Marker::Empty));
            let instance = s.seen.ground[&permit.slot].instance.known().unwrap().clone().unwrap();
            prop_assert_eq!((&instance.phase, &instance.id), (&Phase::AtGate, &permit.instance));
            prop_assert_eq!(s.record().slots[&permit.slot].epoch, 0);
            match permit.state {
                ClusterState::New => {
                    prop_assert_eq!(s.record().birth, Birth::Forming);
                    prop_assert_eq!(s.record().slots[&permit.slot].founder.as_ref(), Some(&permit.instance));
                }
                ClusterState::Existing => {
                    let row = s.seen.roster.known().unwrap().members.iter().find(|row| Some(row.id) == permit.member);
                    prop_assert!(row.is_some_and(|row| row.role == Role::Learner && row.name.is_empty()));
                    prop_assert_eq!(permit.initial_cluster.len(), s.seen.roster.known().unwrap().members.len());
                }
            }
        }
    }

    #[test]
    fn no_disk_goes_whose_marker_names_a_member_of_the_list(s in scenario()) {
        let Some((Step::Ground(GroundStep::Discard(slot, volume)), _)) = decide(&s).act else { return Ok(()) };
        let held = s.seen.ground[&slot].volume.known().unwrap().as_ref().unwrap();
        prop_assert_eq!(&volume, &held.id);
        prop_assert!(!names_a_listed_member(&s, &held.marker));
        prop_assert!(!matches!(held.marker, Marker::Foreign(_)));
        if let Marker::Owned { generation, .. } = &held.marker {
            prop_assert!(s.seen.roster.known().is_some(), "data is destroyed without a list");
            let seated = s.record().slots.values().any(|seat| seat.generation == *generation);
            prop_assert!(!seated, "a seat counts on this disk");
        }
        let running = |phase: &Phase| matches!(phase, Phase::Running | Phase::Stopping);
        prop_assert!(!s.seen.ground[&slot].instance.known().unwrap().as_ref().is_some_and(|i| running(&i.phase)));
        prop_assert!(!(s.desired.size.is_zero() && s.seen.ground.values().all(|view| view.declared.is_none())
            && matches!(s.record().birth, Birth::Formed(_))), "in hibernation");
    }

    #[test]
    fn a_commit_changes_something_and_keeps_what_never_changes(s in scenario()) {
        let Some((Step::Record(next), _)) = decide(&s).act else { return Ok(()) };
        let before = s.record();
        prop_assert_ne!(&*next, before, "a commit without a change would be made for ever");
        prop_assert!(next.generation >= before.generation || before.birth == Birth::Unborn);
        let generations: Vec<Generation> = next.slots.values().map(|seat| seat.generation).collect();
        prop_assert!(generations.iter().all(|generation| *generation <= next.generation));
        if let Birth::Formed(_) = before.birth {
            prop_assert_eq!(&next.birth, &before.birth);
            prop_assert_eq!((&next.incarnation, next.max_learners), (&before.incarnation, before.max_learners));
        }
        if before.open.is_some() {
            prop_assert!(next.open.is_none() || next.open == before.open, "one mutation at a time");
        }
    }

    #[test]
    fn a_stopped_instance_is_one_that_is_there(s in scenario()) {
        let Some((Step::Ground(GroundStep::Retire(slot, id)), _)) = decide(&s).act else { return Ok(()) };
        let instance: Option<InstanceId> = s.seen.ground[&slot].instance.known().unwrap().as_ref().map(|i| i.id.clone());
        prop_assert_eq!(instance, Some(id));
    }

    #[test]
    fn members_with_a_seat_run_unless_the_cluster_is_to_sleep(s in scenario()) {
        let Some((Step::Ground(GroundStep::Ensure(layout)), _)) = decide(&s).act else { return Ok(()) };
        if s.desired.size.is_zero() && layout.slots.is_empty() {
            return Ok(());
        }
        prop_assert!(s.record().slots.keys().all(|slot| layout.slots.contains_key(slot)));
        prop_assert_eq!(layout.slots.len(), s.record().slots.len());
    }

    #[test]
    fn what_does_not_happen_has_a_reason(s in scenario()) {
        let plan = decide(&s);
        if plan.act.is_none() && plan.reasons.is_empty() {
            // Then everything is as it was asked for.
            prop_assert_eq!(&s.record().open, &None);
            prop_assert!(matches!(s.record().birth, Birth::Formed(_)));
            let voters = s.seen.roster.known().unwrap().members.iter().filter(|row| row.role == Role::Voter).count();
            prop_assert_eq!(voters, usize::from(s.desired.size.get()));
        }
    }
}
