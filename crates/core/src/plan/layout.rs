//! Priority 0: every instance that has a seat runs, on its disk, whatever else is going on. Nothing blocks this.
//!
//! The only reason to run nothing is hibernation, and that begins when no mutation is in flight.

use std::collections::BTreeMap;

use super::{Verdict, setback};
use crate::{
    id::Slot,
    launch::LaunchSpec,
    observation::Phase,
    record::{Birth, Mutation},
    situation::Situation,
    step::{GroundStep, Layout, Step},
};

/// Tells the platform what to hold when it holds something else.
pub(super) fn ensure(s: &Situation<'_>) -> Verdict {
    let wanted: BTreeMap<Slot, &LaunchSpec> = if may_rest(s) {
        BTreeMap::new()
    } else {
        s.record.slots.iter().map(|(&slot, seat)| (slot, &seat.launch)).collect()
    };
    let declared = s.observation.ground.iter().filter_map(|(&slot, view)| Some((slot, view.declared.as_ref()?)));
    if declared.eq(wanted.iter().map(|(&slot, &launch)| (slot, launch))) {
        return Verdict::DONE;
    }
    let slots = wanted.into_iter().map(|(slot, launch)| (slot, launch.clone())).collect();
    Verdict::Act(Step::Ground(GroundStep::Ensure(Layout { slots })))
}

/// Stops an instance that serves nothing and was started with another launch spec than its seat has now: it would never pick
/// the new one up by itself.
pub(super) fn refresh(s: &Situation<'_>) -> Verdict {
    let stale = s.record.slots.iter().filter(|(slot, _)| !is_restarting(s, **slot)).filter_map(|(&slot, seat)| {
        let instance = s.instance(slot).filter(|instance| instance.launch != seat.launch)?;
        // Where the layout could not be held it would come up as it was.
        s.view(slot)?.declared.as_ref().filter(|declared| **declared == seat.launch)?;
        let idle = match instance.phase {
            Phase::AtGate => !s.holds_permit(slot),
            Phase::Refused(_) => true,
            Phase::Running => !s.is_serving(slot) && !s.was_heard_lately(slot),
            Phase::Pending(_) | Phase::Exited(_) | Phase::Stopping => false,
        };
        idle.then(|| Step::Ground(GroundStep::Retire(slot, instance.id.clone())))
    });
    setback::first_due(s, stale).map_or(Verdict::DONE, Verdict::Act)
}

fn is_restarting(s: &Situation<'_>, slot: Slot) -> bool {
    matches!(s.record.open, Some(Mutation::Restart { slot: open, .. }) if open == slot)
}

/// Whether the cluster is to hibernate and nothing is half done. Once it sleeps no list can be read, and none is needed.
fn may_rest(s: &Situation<'_>) -> bool {
    let formed = matches!(s.record.birth, Birth::Formed(_));
    let asked = s.desired.size.is_zero();
    formed && asked && s.record.open.is_none() && s.observation.unsettled.is_none() && s.permit_in_use().is_none()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        observation::{Blocker, Phase},
        permit::ClusterState,
        plan::{
            Wake,
            scenario::{Scenario, acts, launch, layout_slots, member},
        },
        reason::Reason,
        size::Size,
        step::{EtcdStep, GroundStep, Step},
    };

    #[test]
    fn an_instance_with_a_seat_runs_even_without_quorum() {
        let plan = Scenario::formed("Vvv").undeclared(1).plan();
        assert_eq!(layout_slots(&plan), Some(vec![0, 1, 2]));
    }

    #[test]
    fn size_zero_stops_everything_and_keeps_every_seat() {
        let scenario = Scenario::formed("VVV").size(Size::ZERO);
        assert_eq!(layout_slots(&scenario.plan()), Some(vec![]));
        assert_eq!(scenario.record().slots.len(), 3);
    }

    #[test]
    fn hibernation_waits_for_a_removal_that_is_open() {
        let scenario = Scenario::formed("VVV").size(Size::ZERO).leaving(&[2]);
        assert!(!matches!(acts(&scenario.plan()), Some(Step::Ground(GroundStep::Ensure(_)))));
    }

    #[test]
    fn waking_starts_every_member_on_its_disk() {
        let scenario = Scenario::formed("VVV").size(Size::ZERO).asleep().size(Size::ALL[2]);
        assert_eq!(layout_slots(&scenario.plan()), Some(vec![0, 1, 2]));
    }

    #[test]
    fn a_hibernating_cluster_is_at_rest() {
        let plan = Scenario::formed("VVV").size(Size::ZERO).asleep().plan();
        assert_eq!((acts(&plan), plan.next), (None, Wake::OnChange));
        assert_eq!(plan.reasons, [Reason::Hibernating]);
    }

    #[test]
    fn hibernation_waits_for_a_call_whose_outcome_is_unknown() {
        let scenario = Scenario::formed("VVV").size(Size::ZERO).unsettled(EtcdStep::Remove(member(2)));
        assert_eq!(layout_slots(&scenario.plan()), None);
    }

    #[test]
    fn hibernation_waits_for_a_joiner_that_is_starting() {
        let scenario = Scenario::formed("Vuu").size(Size::ZERO).permitted(1, 100, ClusterState::Existing);
        assert_eq!(layout_slots(&scenario.plan()), None);
        assert_eq!(layout_slots(&scenario.peers_served(1, None).plan()), Some(vec![]));
    }

    #[test]
    fn a_new_launch_spec_is_declared_and_stops_nobody() {
        let Some(Step::Ground(GroundStep::Ensure(layout))) =
            acts(&Scenario::formed("VVV").with(|s| s.seat_mut(1).launch = launch("3.6.15")).plan())
        else {
            panic!()
        };
        assert_eq!(
            layout.slots.values().map(|launch| launch.version().to_string()).collect::<Vec<_>>(),
            ["3.6.16", "3.6.15", "3.6.16"]
        );
    }

    fn exited() -> Phase {
        Phase::Exited(Blocker("exit code 1".to_owned()))
    }

    #[rstest]
    #[case::waits_at_the_gate("VVg", Phase::AtGate, "stop instance i2 in slot 2")]
    #[case::was_refused("VVg", Phase::Refused(Blocker("another life".to_owned())), "stop instance i2 in slot 2")]
    #[case::runs_and_serves_nothing("VVv", Phase::Running, "stop instance i2 in slot 2")]
    #[case::is_started_again_by_its_platform_anyway("VVx", exited(), "open restart of 2")]
    fn an_instance_with_an_old_launch_spec_that(#[case] picture: &str, #[case] phase: Phase, #[case] next: &str) {
        let old = Scenario::formed(picture).with(|s| s.instance_mut(2).launch = launch("3.6.15"));
        old.phase(2, phase).standing_for(3).expect(next);
    }

    #[test]
    fn an_instance_with_an_old_launch_spec_is_not_stopped_for_an_answer_that_was_missed() {
        let unheard = Scenario::formed("VVv").with(|s| s.instance_mut(2).launch = launch("3.6.15"));
        unheard.clone().standing_for(60).silent_for(2, 2).expect("open restart of 2");
        // Nor for having been silent before it was started.
        unheard.clone().standing_for(2).silent_for(2, 60).expect("open restart of 2");
        unheard.standing_for(3).silent_for(2, 3).expect("stop instance i2 in slot 2");
    }

    #[test]
    fn an_instance_that_uses_its_permit_is_not_stopped_for_an_old_launch_spec() {
        let starting = Scenario::formed("VVu").permitted(2, 100, ClusterState::Existing);
        starting.with(|s| s.instance_mut(2).launch = launch("3.6.15")).expect("wait: waiting for slot 2");
    }
}
