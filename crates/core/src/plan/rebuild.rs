//! A record that was lost is made again from what the disks say of themselves: it costs time, never data.
//!
//! Only disks that carry our marker get a seat. An empty disk beside them gets none, so nothing can start on it; the member
//! list, once it can be read, says who else belongs. While a disk cannot be looked at nothing is made, and nothing is stopped.
//! Nor is a cluster woken that sleeps and is to sleep on: whose disks these are can be read off them on any later day.
//!
//! The learner limit is a constant of the incarnation (rule 3): a log that was written under one limit must not be replayed under
//! another, or the members' lists diverge. So it is taken from the disks and from what runs, and never guessed.

use super::Verdict;
use crate::{
    id::{Generation, Slot},
    launch::LaunchSpec,
    observation::{Marker, Probe, SlotView},
    reason::Reason,
    record::{Birth, Record, Seat},
    situation::Situation,
    step::Step,
};

/// Makes the record again when there is none, but disks of a cluster are.
pub(super) fn rebuild(s: &Situation<'_>) -> Verdict {
    if s.record.birth != Birth::Unborn {
        return Verdict::DONE;
    }
    for (&slot, view) in &s.observation.ground {
        if let Probe::Unknown { why, .. } = &view.volume {
            return Verdict::hold(Reason::DiskUnknown { slot, why: why.clone() });
        }
    }
    let owned: Vec<_> = s.observation.ground.keys().filter_map(|&slot| owned(s, slot)).collect();
    let Some((slot, first, ..)) = owned.first() else { return Verdict::DONE };
    if s.desired.size.is_zero() && is_asleep(s) {
        return Verdict::hold(Reason::RecordLostAsleep);
    }
    if let Some((_, other, ..)) = owned.iter().find(|(_, incarnation, ..)| incarnation != first) {
        return Verdict::hold(Reason::MixedIncarnations { slot: *slot, first: first.clone(), other: other.clone() });
    }
    if let Some((first, second)) = twins(&owned) {
        return Verdict::hold(Reason::TwinDisks { first, second });
    }
    let mut record = Record::unborn(first.clone());
    record.birth = Birth::Forming;
    record.max_learners = match learner_limit(s) {
        Ok(limit) => limit,
        Err(reason) => return Verdict::hold(reason),
    };
    for (slot, _, seat) in owned {
        record.generation = Generation(record.generation.0.max(seat.generation.0));
        let launch = LaunchSpec { max_learners: record.max_learners, ..seat.launch };
        record.slots.insert(slot, Seat { launch, ..seat });
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

/// Two slots with one disk and its copy: started both, one member would vote twice (rule 1). Generations are counted through the whole
/// cluster, so no two disks have the same.
fn twins(owned: &[(Slot, crate::id::Incarnation, Seat)]) -> Option<(Slot, Slot)> {
    let alike = |one: &Seat, other: &Seat| {
        one.generation == other.generation || (one.member.is_some() && one.member == other.member)
    };
    let mut pairs =
        owned.iter().enumerate().flat_map(|(at, one)| owned[at + 1..].iter().map(move |other| (one, other)));
    pairs.find(|((.., one), (.., other))| alike(one, other)).map(|(one, other)| (one.0, other.0))
}

fn owned(s: &Situation<'_>, slot: Slot) -> Option<(Slot, crate::id::Incarnation, Seat)> {
    let Marker::Owned { incarnation, member, generation, epoch, .. } = &s.volume(slot)?.marker else { return None };
    let running = s.instance(slot).map(|instance| instance.launch.clone());
    let launch = running.or_else(|| s.view(slot)?.declared.clone()).unwrap_or_else(|| s.wanted_launch());
    Some((
        slot,
        incarnation.clone(),
        Seat { generation: *generation, member: *member, epoch: *epoch, launch, founder: None },
    ))
}

/// Nothing runs, and nothing is to.
fn is_asleep(s: &Situation<'_>) -> bool {
    let still = |view: &SlotView| view.declared.is_none() && view.instance.known().is_some_and(Option::is_none);
    s.observation.ground.values().all(still)
}

/// What every disk was started under and every instance runs with.
fn learner_limit(s: &Situation<'_>) -> Result<u8, Reason> {
    let limits = s.observation.ground.iter().flat_map(|(&slot, view)| {
        let disk = match s.volume(slot).map(|volume| &volume.marker) {
            Some(Marker::Owned { max_learners, .. }) => *max_learners,
            _ => None,
        };
        let running = view.instance.known().and_then(Option::as_ref).map(|instance| instance.launch.max_learners);
        let declared = view.declared.as_ref().map(|launch| launch.max_learners);
        [disk, running, declared].into_iter().flatten().map(move |limit| (slot, limit))
    });
    let mut limits = limits;
    let (_, limit) = limits.next().ok_or(Reason::LearnerLimitUnknown)?;
    match limits.find(|(_, other)| *other != limit) {
        Some((slot, other)) => Err(Reason::LearnerLimitsDiffer { limit, slot, other }),
        None => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::{Generation, Incarnation, MemberId},
        observation::{Blocker, Marker, Probe},
        plan::{
            Wake,
            scenario::{Scenario, commits, launch, size},
        },
        size::Size,
    };

    const ALL_SEATS: &str = "forming; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16";

    fn owned(incarnation: &str, generation: u64) -> Marker {
        let incarnation: Incarnation = incarnation.parse().unwrap();
        let generation = Generation(generation);
        Marker::Owned { incarnation, member: None, generation, epoch: 1, max_learners: Some(8) }
    }

    #[test]
    fn a_lost_record_stops_nobody_and_is_made_again_from_the_disks() {
        let before = Scenario::formed("VVV");
        let rebuilt = before.clone().without_record().expect(ALL_SEATS).advance();
        assert_eq!(rebuilt.record().slots, before.record().slots, "members, generations, epochs and launch specs");
        rebuilt.expect("formed c0ffee").advance().expect("wait: ");
    }

    #[test]
    fn members_stay_on_what_they_run_whatever_is_wanted() {
        let rebuilt = Scenario::formed("VVV").version("3.7.3").without_record().advance();
        assert!(rebuilt.record().slots.values().all(|seat| seat.launch == launch("3.6.16")));
    }

    #[test]
    fn members_that_sleep_keep_what_was_declared_or_get_what_is_wanted() {
        let stopped = Scenario::formed("V").asleep().without_record();
        let wanted = commits(&stopped.version("3.6.1").plan()).unwrap();
        assert!(wanted.slots.values().all(|seat| seat.launch.version().to_string() == "3.6.1"));
    }

    #[test]
    fn a_member_without_a_disk_gets_a_seat_and_is_replaced() {
        Scenario::formed("VVD")
            .without_record()
            .expect("forming; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16")
            .advance()
            .expect("hold the layout of slots [0, 1]")
            .advance()
            .expect("formed c0ffee; reserve seat 2 for 3.6.16");
    }

    #[test]
    fn disks_of_two_incarnations_are_for_a_human() {
        let mixed = Scenario::formed("VVV").marker(1, owned("uid/2", 2)).without_record();
        mixed.expect("wait: the disks belong to different incarnations (uid/1 in slot 0, uid/2 elsewhere)");
    }

    /// The disk of `slot` says this of the learner limit.
    fn limited(scenario: Scenario, slot: u8, limit: Option<u8>) -> Scenario {
        scenario.with(|s| {
            let Marker::Owned { max_learners, .. } = &mut s.volume_mut(slot).marker else { panic!() };
            *max_learners = limit;
        })
    }

    #[rstest]
    #[case::by_the_disks(Some(8))]
    #[case::by_what_runs_where_an_earlier_release_started_the_disks(None)]
    fn the_learner_limit_is_told(#[case] disks: Option<u8>) {
        let told = (0..3).fold(Scenario::formed("VVV"), |scenario, slot| limited(scenario, slot, disks));
        let rebuilt = commits(&told.without_record().plan()).unwrap();
        assert_eq!(rebuilt.max_learners, 8);
        assert!(rebuilt.slots.values().all(|seat| seat.launch.max_learners == 8));
    }

    #[test]
    fn a_record_lost_in_hibernation_keeps_the_learner_limit_of_the_birth() {
        // Logs in which several learners joined at once must be replayed under the limit that let them.
        let rebuilt = commits(&Scenario::formed("VVV").asleep().without_record().plan()).unwrap();
        assert_eq!(rebuilt.max_learners, 8);
        assert!(rebuilt.slots.values().all(|seat| seat.launch.max_learners == 8));
        let born_on_3_5 = commits(&Scenario::formed("VVV").serial().asleep().without_record().plan()).unwrap();
        assert_eq!(born_on_3_5.max_learners, 1);
    }

    #[rstest]
    #[case::an_instance_runs_with_another(
        Scenario::formed("VVV").with(|s| s.instance_mut(2).launch.max_learners = 4),
        "wait: the members were started with different learner limits (8, and 4 in slot 2)"
    )]
    #[case::a_disk_was_started_under_another(
        limited(Scenario::formed("VVV").asleep(), 1, Some(1)),
        "wait: the members were started with different learner limits (8, and 1 in slot 1)"
    )]
    #[case::nobody_tells(
        (0..3).fold(Scenario::formed("VVV").asleep(), |scenario, slot| limited(scenario, slot, None)),
        "wait: neither the disks nor anything that runs say which learner limit the cluster was born with"
    )]
    fn a_learner_limit_is_never_guessed(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.without_record().expect(next);
    }

    #[test]
    fn a_sleeping_cluster_that_is_to_sleep_on_is_not_woken_to_make_its_record_again() {
        let lost = Scenario::formed("VVV").size(Size::ZERO).asleep().without_record();
        assert_eq!(lost.plan().next, Wake::OnChange);
        let woken = lost.expect("wait: hibernating, and the record is lost: all disks are kept").size(size(3));
        woken.expect(ALL_SEATS).advance().expect("hold the layout of slots [0, 1, 2]");
        // One that is awake still is seen through first: its list says who belongs.
        Scenario::formed("VVV").size(Size::ZERO).without_record().expect(ALL_SEATS);
    }

    #[rstest]
    #[case::by_its_generation(owned("uid/1", 1))]
    #[case::by_its_member(Marker::Owned {
        incarnation: "uid/1".parse().unwrap(),
        member: Some(crate::plan::scenario::member(0)),
        generation: Generation(9),
        epoch: 1,
        max_learners: Some(8),
    })]
    fn a_copy_of_a_disk_in_another_slot_never_votes_beside_it(#[case] copy: Marker) {
        let copied = Scenario::formed("VVV").marker(2, copy).without_record();
        copied.expect("wait: the record is lost, and the disks of slots 0 and 2 are of one member: take the copy away");
    }

    #[test]
    fn nothing_is_stopped_while_a_disk_cannot_be_looked_at() {
        let blind = Scenario::formed("VVV").without_record().with(|s| {
            for view in s.seen.ground.values_mut() {
                view.volume = Probe::Unknown { why: Blocker("permission denied".to_owned()), since: s.now };
            }
        });
        blind.expect("wait: the disk of slot 0 cannot be looked at: permission denied");
    }

    #[test]
    fn a_disk_that_was_emptied_after_it_was_seen_never_starts_as_a_founder() {
        // Its marker counted a start: what stood there may have been acknowledged.
        let wiped = Scenario::formed("VVV").without_record().advance().with(|s| {
            s.volume_mut(2).marker = Marker::Empty;
            s.instance_mut(2).phase = crate::observation::Phase::AtGate;
            s.seen
                .status
                .insert(crate::id::Slot(2), Probe::Unknown { why: Blocker("refused".to_owned()), since: s.now });
        });
        wiped.clone().no_roster().expect("wait: founder in slot 2 does not serve yet");
        // A member of the list without its disk is dead as soon as the others are a cluster.
        wiped.expect("formed c0ffee").advance().expect("open leave of 2");
    }

    #[test]
    fn founders_that_counted_starts_never_begin_again() {
        let emptied = Scenario::formed("VVV").without_record().advance().no_roster().standing_for(100).with(|s| {
            for slot in 0..3 {
                s.volume_mut(slot).marker = Marker::Empty;
                s.instance_mut(slot).phase = crate::observation::Phase::AtGate;
            }
        });
        emptied.expect("wait: founder in slot 0 lost its disk while the cluster was forming");
    }

    #[test]
    fn the_generation_goes_on_from_the_newest_disk() {
        let newer = Scenario::formed("VVV").marker(1, owned("uid/1", 41)).without_record().size(size(5));
        assert_eq!(commits(&newer.plan()).unwrap().generation, Generation(41));
        assert_eq!(commits(&newer.plan()).unwrap().slots[&crate::id::Slot(1)].member, None::<MemberId>);
    }

    #[test]
    fn the_disk_of_a_member_that_left_before_the_record_was_lost_is_no_founders() {
        let left = Scenario::formed("VVV").size(size(1)).unlisted(2).without_record().advance();
        left.expect("formed c0ffee; drop seat 2")
            .advance()
            .expect("hold the layout of slots [0, 1]")
            .advance()
            .expect("discard volume d2 of slot 2");
    }

    #[test]
    fn the_disk_before_is_not_taken_for_that_of_the_member_after() {
        // Slot 2's member was replaced by a2, whose disk was exchanged for the one of before.
        let before = Marker::Owned {
            incarnation: "uid/1".parse().unwrap(),
            member: Some(MemberId(0xdead)),
            generation: Generation(3),
            epoch: 4,
            max_learners: Some(8),
        };
        let mixed = Scenario::formed("VVV").marker(2, before).without_record().advance();
        mixed.expect("formed c0ffee; reserve seat 2 for 3.6.16").advance().expect("open leave of 2");
    }
}
