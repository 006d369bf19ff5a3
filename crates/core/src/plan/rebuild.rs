//! A record that was lost is made again from what the disks say of themselves: it costs time, never data.
//!
//! Only disks that carry our marker get a seat. An empty disk beside them gets none, so nothing can start on it; the member
//! list, once it can be read, says who else belongs. While a disk cannot be looked at nothing is made, and nothing is stopped.

use std::collections::BTreeSet;

use super::Verdict;
use crate::{
    id::{Generation, Slot},
    launch::LaunchSpec,
    observation::{Marker, Probe},
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
    if let Some((_, other, ..)) = owned.iter().find(|(_, incarnation, ..)| incarnation != first) {
        return Verdict::hold(Reason::MixedIncarnations { slot: *slot, first: first.clone(), other: other.clone() });
    }
    let mut record = Record::unborn(first.clone());
    record.birth = Birth::Forming;
    record.max_learners = learner_limit(s);
    for (slot, _, seat) in owned {
        record.generation = Generation(record.generation.0.max(seat.generation.0));
        let launch = LaunchSpec { max_learners: record.max_learners, ..seat.launch };
        record.slots.insert(slot, Seat { launch, ..seat });
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

fn owned(s: &Situation<'_>, slot: Slot) -> Option<(Slot, crate::id::Incarnation, Seat)> {
    let Marker::Owned { incarnation, member, generation, epoch } = &s.volume(slot)?.marker else { return None };
    let running = s.instance(slot).map(|instance| instance.launch.clone());
    let launch = running.or_else(|| s.view(slot)?.declared.clone()).unwrap_or_else(|| s.wanted_launch());
    Some((slot, incarnation.clone(), Seat { generation: *generation, member: *member, epoch: *epoch, launch }))
}

/// What all instances run with, if they agree; else 1, which is never wrong (rule 3).
fn learner_limit(s: &Situation<'_>) -> u8 {
    let declared = s.observation.ground.values().filter_map(|view| {
        let running = view.instance.known().and_then(Option::as_ref).map(|instance| &instance.launch);
        running.or(view.declared.as_ref()).map(|launch| launch.max_learners)
    });
    let limits: BTreeSet<u8> = declared.collect();
    if limits.len() == 1 { limits.into_iter().next().unwrap_or(1) } else { 1 }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        id::{Generation, Incarnation, MemberId},
        observation::{Blocker, Marker, Probe},
        plan::scenario::{Scenario, commits, launch, size},
    };

    const ALL_SEATS: &str = "forming; reserve seat 0 for 3.6.16; reserve seat 1 for 3.6.16; reserve seat 2 for 3.6.16";

    fn owned(incarnation: &str, generation: u64) -> Marker {
        let incarnation: Incarnation = incarnation.parse().unwrap();
        Marker::Owned { incarnation, member: None, generation: Generation(generation), epoch: 1 }
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

    #[rstest]
    #[case::all_agree(8, 8)]
    #[case::they_differ(4, 1)]
    fn the_learner_limit_is_what_all_run_with_or_one(#[case] third: u8, #[case] limit: u8) {
        let differing = Scenario::formed("VVV").with(|s| s.instance_mut(2).launch.max_learners = third);
        assert_eq!(commits(&differing.without_record().plan()).unwrap().max_learners, limit);
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
        };
        let mixed = Scenario::formed("VVV").marker(2, before).without_record().advance();
        mixed.expect("formed c0ffee; reserve seat 2 for 3.6.16").advance().expect("open leave of 2");
    }
}
