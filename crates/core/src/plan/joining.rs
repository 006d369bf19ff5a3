//! From learner in the list to etcd on its disk: permits, one after the other, and what to do with a learner that gets stuck.
//!
//! A joining etcd wants `--initial-cluster` to be the member list of that moment, and asks every peer in it (fast-scaling.md). So
//! the list stands still while a permit holder starts, and the next permit waits until the one before serves its peers.

use std::collections::BTreeMap;

use super::{Verdict, admission, setback};
use crate::{
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
    // It may go on without: at worst it takes 7 s.
    let nudge = s.learners().find_map(|learner| nudge(s, learner));
    if let Some(step) = nudge.filter(|step| setback::puts_off(s, step).is_none()) {
        return Verdict::Act(step);
    }
    // A stuck one must not block the others for long.
    if let Some(slot) = s.permits_in_use().find(|&slot| !s.was_permitted(slot, s.desired.patience.permit)) {
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

/// A learner that got its permit long ago and does not serve, or that left the gate long ago and never got one.
fn is_overdue(s: &Situation<'_>, learner: &Member<'_>) -> bool {
    let Some(slot) = learner.slot.filter(|_| !learner.is_named()) else { return false };
    let limit = s.desired.patience.join;
    let astray = s.permit(slot).is_none()
        && learner.instance().is_some_and(|i| i.phase != Phase::AtGate && s.now.since(i.since) >= limit);
    (astray || s.was_permitted(slot, limit)) && !s.is_serving(slot)
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
    (first_start && stranded && learner.status.is_none())
        .then(|| Step::Ground(GroundStep::Retire(slot, instance.id.clone())))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::{Generation, Slot},
        observation::{Blocker, Marker, Phase},
        permit::ClusterState,
        plan::scenario::{Scenario, acts, member, size},
        step::{GroundStep, Step},
    };

    /// Three learners at the gate, the first of which got its permit so many milliseconds ago.
    fn first_permitted(millis: u64) -> Scenario {
        Scenario::formed("Vuuu").permitted(1, millis, ClusterState::Existing)
    }

    #[rstest]
    #[case::the_lowest_slot_first(Scenario::formed("Vuu"), "permit the first start in slots [1]")]
    #[case::not_before_the_record_has_its_id(Scenario::formed("Vnn"), "seat 1 is a1's; seat 2 is a2's")]
    #[case::not_while_the_list_is_about_to_grow(
        Scenario::formed("Vug"),
        "add slot 2 as a learner at http://127.0.0.1:2382"
    )]
    #[case::not_while_the_one_before_starts(first_permitted(1999), "wait: waiting for slot 1 to serve its peer URL")]
    #[case::when_the_one_before_serves_its_peers(first_permitted(100).peers_served(1, None), "permit the first start in slots [2]")]
    #[case::when_the_one_before_takes_too_long(first_permitted(2000), "permit the first start in slots [2]")]
    #[case::not_while_any_one_before_starts(
        first_permitted(5000).permitted(2, 100, ClusterState::Existing),
        "wait: waiting for slot 2 to serve its peer URL"
    )]
    #[case::not_for_a_slot_that_leaves(Scenario::formed("Vu").size(size(1)), "open leave of 1")]
    #[case::not_before_a_disk_with_data(
        Scenario::formed("Vuu").marker(1, Marker::Foreign("files".to_owned())), "permit the first start in slots [2]"
    )]
    #[case::not_before_the_gate(
        Scenario::formed("Vuu").phase(1, Phase::Pending(Blocker("no node".to_owned()))), "permit the first start in slots [2]"
    )]
    fn a_permit_is_given(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_permit_names_the_whole_list_of_this_moment() {
        let Some(Step::Ground(GroundStep::Permit(permits))) = acts(&Scenario::formed("VVu").plan()) else { panic!() };
        let [permit] = permits.as_slice() else { panic!() };
        assert_eq!((permit.slot, permit.member, permit.state), (Slot(2), Some(member(2)), ClusterState::Existing));
        assert_eq!((permit.instance.0.as_str(), permit.generation), ("i2", Generation(3)));
        let list: Vec<_> = permit.initial_cluster.iter().map(|(name, url)| format!("{name}={url}")).collect();
        assert_eq!(list, ["m0=http://127.0.0.1:2380", "m1=http://127.0.0.1:2381", "m2=http://127.0.0.1:2382"]);
    }

    #[rstest]
    #[case::is_taken_out_when_it_does_not_serve_in_time(first_permitted(60_000), "open leave of 1")]
    #[case::stays_when_it_serves_its_peers(
        first_permitted(60_000).peers_served(1, None), "permit the first start in slots [2]"
    )]
    #[case::is_not_blamed_for_the_permit_of_the_seat_before(
        first_permitted(60_000).with(|s| s.view_mut(1).permit.as_mut().unwrap().permit.generation = Generation(0)),
        "permit the first start in slots [1]"
    )]
    #[case::waits_for_an_open_restart(
        Scenario::formed("VVVu")
            .permitted(3, 60_000, ClusterState::Existing)
            .version("3.7.3")
            .restarting(1, "3.6.16", 1)
            .restarted_in_vain(1, Phase::Running),
        "wait: slot 1 restarts with etcd 3.7.3"
    )]
    fn a_learner_with_a_permit(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_learner_that_left_the_gate_for_long_makes_room_for_others() {
        let lost = Scenario::formed("VVu").phase(2, Phase::Pending(Blocker("no node".to_owned())));
        lost.clone().expect("wait: does not answer yet");
        lost.standing_for(60).expect("open leave of 2");
    }

    /// A learner that published nothing: its client port hangs, its peer port serves.
    fn stranded(millis: Option<u64>) -> Scenario {
        Scenario::formed("VVL").silent_for(2, 1).peers_served(2, millis)
    }

    #[rstest]
    #[case::is_restarted_once(stranded(Some(200)), "stop instance i2 in slot 2")]
    #[case::has_a_moment_to_recover(stranded(Some(199)), "wait: does not answer yet")]
    #[case::is_left_alone_without_the_leaders_data(stranded(None), "wait: does not answer yet")]
    #[case::is_not_restarted_twice(
        stranded(Some(900)).with(|s| if let Marker::Owned { epoch, .. } = &mut s.volume_mut(2).marker { *epoch = 2 }).advance(),
        "wait: does not answer yet"
    )]
    #[case::is_not_restarted_when_it_answers(Scenario::formed("VVL").peers_served(2, Some(900)), "promote learner a2")]
    fn a_stranded_learner(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }
}
