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
    situation::{Death, Member, Situation},
    step::{EtcdStep, GroundStep, Step},
    version::Minor,
};

/// Sees a restart through. Needs no member list: a cluster that lost its quorum to a bad launch spec gets it back here.
pub(super) fn resolve_restart(s: &Situation<'_>) -> Verdict {
    let Some(Mutation::Restart { slot, from, before }) = &s.record.open else { return lift(s) };
    let slot = *slot;
    let Some(seat) = s.record.slots.get(&slot).filter(|seat| seat.member.is_some()) else { return close(s, |_| {}) };
    if s.members.iter().any(|member| member.slot == Some(slot) && s.death(member) == Some(Death::DiskLost)) {
        // Nothing to do with the launch spec: it is replaced.
        return close(s, |_| {});
    }
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
        // While the restart was on its way the cluster version rose: such a release would end at once (F31).
        let outgrown = cluster_versions(s).any(|cluster| cluster > seat.launch.version().minor());
        // Where the layout could not be held it would come up as it was.
        let declared = s.view(slot).and_then(|view| view.declared.as_ref()) == Some(&seat.launch);
        return match () {
            () if outgrown || (!declared && is_overdue(s)) => put_back(s, slot, from, Blame::Nobody),
            () if !declared => Verdict::wait(restarting(slot, &seat.launch)),
            () => retire(s, slot, from, old),
        };
    }
    if !is_overdue(s) {
        return Verdict::wait(restarting(slot, &seat.launch));
    }
    if *before == Before::Sick || (runs_new && s.is_serving(slot)) {
        // Sick before, or serving its peers and only short of a quorum: not the launch spec's fault.
        return close(s, |_| {});
    }
    if may_go_back(s, from, &seat.launch) {
        return put_back(s, slot, from, Blame::TheLaunch);
    }
    let edited = s.desired.template != seat.launch.template || s.desired.size.is_zero();
    if edited || s.members.iter().any(|member| s.death(member).is_some()) {
        // It stays as it is; what is wanted now, or the replacement of the dead, must not wait for it.
        return close(s, |_| {});
    }
    Verdict::wait(Reason::NoWayBack { slot, version: seat.launch.version().clone() })
}

/// A release below the cluster version never starts again (F31). A seat is left with one when its restart was taken back and the
/// new instance came up after all, for long enough to let the cluster version rise: it gets what the others run.
fn lift(s: &Situation<'_>) -> Verdict {
    let Some(cluster) = cluster_versions(s).max() else { return Verdict::DONE };
    let answers = |slot: Slot| s.observation.status.get(&slot).is_some_and(|status| status.known().is_some());
    let outgrown = |launch: &LaunchSpec| launch.version().minor() < cluster;
    let left =
        s.record.slots.iter().find(|&(&slot, seat)| seat.member.is_some() && outgrown(&seat.launch) && !answers(slot));
    let running = s.record.slots.keys().filter(|&&slot| answers(slot)).filter_map(|&slot| s.instance(slot));
    let launch = running.map(|instance| &instance.launch).max_by_key(|launch| launch.version().clone());
    let (Some((slot, _)), Some(launch)) = (left, launch.filter(|launch| !outgrown(launch))) else {
        return Verdict::DONE;
    };
    let mut record = s.record.clone();
    if let Some(seat) = record.slots.get_mut(slot) {
        seat.launch = launch.clone();
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

fn is_overdue(s: &Situation<'_>) -> bool {
    s.observation.open_since.is_some_and(|since| s.now.since(since) >= s.desired.patience.restart)
}

fn restarting(slot: Slot, launch: &LaunchSpec) -> Reason {
    Reason::Restarting { slot, version: launch.version().clone() }
}

/// Stops the instance that still runs the old launch spec, if it can be spared; gives the restart up if not.
fn retire(s: &Situation<'_>, slot: Slot, from: &LaunchSpec, instance: &Instance) -> Verdict {
    let answers = s.observation.status.get(&slot).is_some_and(|status| status.known().is_some());
    if instance.phase == Phase::Running && !answers && s.was_heard_lately(slot) {
        return Verdict::wait(restarting(slot, from));
    }
    let member = s.members.iter().find(|member| member.slot == Some(slot));
    match member {
        // It serves, and who else does cannot be told in this pass.
        None if answers => return Verdict::wait(restarting(slot, from)),
        Some(_) if answers && s.leader.is_none() => return Verdict::wait(Reason::NoLeader),
        Some(member) if answers && member.is_voter() => {
            if s.unfit_voter(Some(member.id())).is_some() {
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

/// A binary may go back a minor as long as the cluster version has not risen (F31). Somebody has to say so, unless there is nobody
/// else to ask.
fn may_go_back(s: &Situation<'_>, from: &LaunchSpec, to: &LaunchSpec) -> bool {
    let (old, new) = (from.version().minor(), to.version().minor());
    let highest = cluster_versions(s).max();
    old >= new || highest.map_or(s.record.slots.len() == 1, |cluster| cluster <= old)
}

/// The cluster version, as each member that answers knows it.
fn cluster_versions(s: &Situation<'_>) -> impl Iterator<Item = Minor> {
    s.observation.status.values().filter_map(|status| status.known()?.cluster_version)
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
    // A voter is dead by what this pass shows, not by what an earlier one did; a learner has to show that it is worth keeping.
    let alive = |member: &Member<'_>| s.death(member).is_none() && (member.is_voter() || s.is_healthy(member));
    let wanted_again = |id: MemberId, slot: Slot| s.member(id).is_some_and(alive) && target.contains(&slot);
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

/// Rule 6: the rest must be all up, with all that was acknowledged; for a dead member it is enough that the rest has a quorum. Learners never count. The last
/// voter never leaves.
pub(super) fn may_leave(s: &Situation<'_>, member: &Member<'_>) -> bool {
    if member.is_learner() {
        return true;
    }
    s.survives_without(member.id()) && (s.death(member).is_some() || s.unfit_voter(Some(member.id())).is_none())
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        observation::{Blocker, Marker, Phase},
        plan::scenario::{Scenario, launch, size},
        record::{Before, Mutation},
        size::Size,
        version::Minor,
    };

    /// Slot `slot` is to be restarted from 3.6.16 to 3.7.3 since so many seconds, and still runs 3.6.16.
    fn restart(picture: &str, slot: u8, seconds: u64) -> Scenario {
        Scenario::formed(picture).version("3.7.3").restarting(slot, "3.6.16", seconds)
    }

    /// The new instance of slot 1 of 3 has not served for so many seconds.
    fn in_vain(seconds: u64) -> Scenario {
        restart("VVV", 1, seconds).restarted_in_vain(1, Phase::Running)
    }

    /// The same, and the others came to a cluster version that slot 1 cannot go back below.
    fn no_way_back() -> Scenario {
        in_vain(60).with(|s| s.status_mut(0).cluster_version = Some(Minor::new(3, 7)))
    }

    #[rstest]
    #[case::stops_the_old_instance(restart("VVV", 1, 0), "stop instance i1 in slot 1")]
    #[case::moves_leadership_away_first(restart("VVV", 0, 0), "move leadership to member a1")]
    #[case::stops_a_leader_that_is_alone(restart("V", 0, 0), "stop instance i0 in slot 0")]
    #[case::stops_a_learner_without_further_ado(restart("VL", 1, 0), "stop instance i1 in slot 1")]
    #[case::is_given_up_when_another_voter_fell_sick(restart("VVx", 1, 0), "seat 1 for 3.6.16; close")]
    #[case::is_given_up_when_another_voter_fell_behind(
        restart("VVV", 1, 0).behind(2, 1_001), "seat 1 for 3.6.16; close"
    )]
    #[case::waits_for_the_list_while_the_member_serves(restart("VVV", 1, 0).no_roster(), "wait: slot 1 restarts with etcd")]
    #[case::waits_for_a_leader_while_the_member_serves(restart("Vxx", 0, 0), "wait: no leader that a quorum agrees on")]
    #[case::restarts_a_member_that_serves_nothing_even_without_the_list(
        restart("VVv", 2, 0).no_roster().standing_for(3), "stop instance i2 in slot 2"
    )]
    #[case::waits_while_the_old_instance_stops(restart("VVV", 1, 0).phase(1, Phase::Stopping), "wait: slot 1 restarts with etcd 3.7.3")]
    #[case::gives_the_new_instance_time(in_vain(59), "wait: slot 1 restarts with etcd 3.7.3")]
    #[case::takes_back_what_does_not_serve_in_time(in_vain(60), "seat 1 for 3.6.16; close; reject 3.7.3")]
    #[case::is_taken_back_by_an_edit_at_once(in_vain(1).version("3.6.16"), "seat 1 for 3.6.16; close")]
    #[case::is_not_taken_back_by_an_edit_to_a_third_version(in_vain(1).version("3.7.4"), "wait: slot 1 restarts with etcd 3.7.3")]
    #[case::is_not_judged_without_a_quorum(in_vain(60).peers_served(1, None), "close")]
    #[case::is_given_up_when_the_cluster_version_outgrew_it(
        Scenario::formed("VVV").version("3.5.35").restarting(1, "3.6.16", 0), "seat 1 for 3.6.16; close"
    )]
    #[case::is_not_taken_back_while_nobody_tells_the_cluster_version(
        in_vain(60).silent_for(0, 60).silent_for(2, 60), "wait: the cluster version has moved on"
    )]
    #[case::of_the_only_member_is_taken_back(
        restart("V", 0, 60).restarted_in_vain(0, Phase::Running).no_roster(), "seat 0 for 3.6.16; close; reject 3.7.3"
    )]
    #[case::has_no_way_back_below_the_cluster_version(no_way_back(), "wait: the cluster version has moved on")]
    #[case::an_edit_cannot_take_back_what_has_no_way_back(no_way_back().version("3.6.16"), "close")]
    #[case::another_version_is_the_way_out_of_no_way_back(no_way_back().version("3.7.4"), "close")]
    #[case::no_way_back_does_not_keep_the_cluster_awake(no_way_back().size(Size::ZERO), "close")]
    fn a_restart(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_restart_is_done_when_the_member_serves_with_the_new_launch_spec() {
        restart("VVV", 1, 0).with(|s| s.instance_mut(1).launch = launch("3.7.3")).expect("close");
    }

    #[test]
    fn a_member_left_behind_by_the_cluster_version_gets_what_the_others_run() {
        Scenario::formed("VVx").running("3.5.35", &[2]).expect("seat 2 for 3.6.16");
        // Also when nothing else could be done.
        Scenario::formed("Vx").running("3.5.35", &[1]).no_roster().expect("seat 1 for 3.6.16");
    }

    #[test]
    fn a_patch_can_always_be_taken_back() {
        let patch = Scenario::formed("VVV").restarting(1, "3.6.1", 60).restarted_in_vain(1, Phase::Running);
        patch.expect("seat 1 for 3.6.1; close; reject 3.6.16");
    }

    #[test]
    fn a_member_that_was_sick_before_says_nothing_about_the_launch_spec() {
        let sick = in_vain(60).with(|s| {
            let from = launch("3.6.16");
            s.record_mut().open = Some(Mutation::Restart { slot: crate::id::Slot(1), from, before: Before::Sick });
        });
        sick.expect("close");
    }

    #[test]
    fn a_member_that_loses_its_disk_in_its_restart_is_replaced_and_the_launch_spec_not_blamed() {
        let wiped = in_vain(1).phase(1, Phase::AtGate).marker(1, Marker::Empty);
        wiped.expect("close").advance().expect("open leave of 1");
    }

    #[test]
    fn a_restart_of_a_seat_that_was_given_up_is_over() {
        in_vain(60)
            .with(|s| {
                s.record_mut().slots.remove(&crate::id::Slot(1));
            })
            .expect("hold the layout of slots [0, 2]")
            .advance()
            .expect("close");
        in_vain(60).with(|s| s.seat_mut(1).member = None).expect("close");
    }

    /// Slots 1 and 2 of 3 are leaving.
    fn leave() -> Scenario {
        Scenario::formed("VVV").size(Size::ALL[1]).leaving(&[1, 2])
    }

    #[rstest]
    #[case::takes_one_after_the_other(leave(), "remove member a1")]
    #[case::goes_on_without_a_pause(leave().unlisted(1), "remove member a2")]
    #[case::ends_when_all_are_gone(leave().unlisted(1).unlisted(2), "drop seat 1; drop seat 2; close")]
    #[case::lets_the_leader_go_last(leave().leader(1), "remove member a2")]
    #[case::moves_leadership_to_one_that_stays(leave().leader(1).unlisted(2), "move leadership to member a0")]
    #[case::keeps_who_is_wanted_again(
        leave().unlisted(1).size(Size::ALL[2]), "reserve seat 1 for 3.6.16; close"
    )]
    #[case::takes_learners_first(Scenario::formed("VVL").size(Size::ALL[1]).leaving(&[1, 2]), "remove member a2")]
    #[case::takes_the_dead_first(Scenario::formed("VVVVD").size(size(3)).leaving(&[3, 4]), "remove member a4")]
    #[case::removes_nobody_alive_while_another_is_sick(Scenario::formed("VVxVV").size(size(3)).leaving(&[3, 4]), "close")]
    #[case::removes_nobody_alive_while_another_is_far_behind(
        Scenario::formed("VVVVV").size(size(3)).leaving(&[3, 4]).behind(2, 1_001), "close"
    )]
    #[case::removes_the_dead_while_another_is_far_behind(
        Scenario::formed("VVVVD").leaving(&[4]).behind(2, 1_001), "remove member a4"
    )]
    #[case::removes_the_dead_while_another_is_sick(Scenario::formed("VVxVD").leaving(&[4]), "remove member a4")]
    #[case::keeps_a_dead_member_that_came_back(Scenario::formed("VVV").leaving(&[2]), "close")]
    #[case::keeps_a_silent_member_that_nothing_says_is_dead_any_more(Scenario::formed("VVv").linked(2).leaving(&[2]), "close")]
    #[case::never_takes_the_last_voter(Scenario::formed("VVV").size(Size::ALL[1]).leader(2).leaving(&[1, 2]).unlisted(0).unlisted(1), "drop seat 1; close")]
    #[case::takes_a_learner_out_while_a_voter_is_sick(Scenario::formed("VVxu").leaving(&[3]), "remove member a3")]
    fn a_removal(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_crash_loop_is_taken_back_too() {
        let looping = restart("VVV", 1, 60).restarted_in_vain(1, Phase::Exited(Blocker("exit code 1".to_owned())));
        looping.expect("seat 1 for 3.6.16; close; reject 3.7.3");
    }

    #[test]
    fn a_member_that_was_not_heard_in_time_is_not_stopped_for_it() {
        let unheard = Scenario::formed("VVx").version("3.6.17").restarting(1, "3.6.16", 0);
        unheard.clone().silent_for(1, 1).expect("wait: slot 1 restarts with etcd 3.6.16");
        unheard.silent_for(1, 10).standing_for(10).expect("stop instance i1 in slot 1");
    }
}
