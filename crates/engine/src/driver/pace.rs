//! How soon to look again while something is in flight: at the platform's pace while plans change, and more and more slowly while
//! the same plan is made again and again. The wait grows with the time that nothing moved, so it adds a sixteenth to what is
//! waited for, whether that takes 80 ms or 3 s.

use std::time::Duration;

use etcdop_core::{id::Mono, observation::Blocker, plan::Plan, reason::Reason, step::Step};

/// A wait is this part of the time that nothing moved.
const SHARE: u32 = 16;

/// Since when the same plan has been made.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    unmoved: Option<(Gist, Mono)>,
}

/// A plan without what time alone changes in it.
#[derive(Debug, PartialEq, Eq)]
struct Gist {
    act: Option<Step>,
    reasons: Vec<Reason>,
}

impl Gist {
    fn of(plan: &Plan) -> Self {
        Self {
            act: plan.act.as_ref().map(|(step, _)| step.clone()),
            reasons: plan.reasons.iter().cloned().map(gist_of).collect(),
        }
    }
}

/// A reason without what time alone changes, and without the words of the system around: those of a kubelet that cannot pull an image
/// alternate for hours.
fn gist_of(mut reason: Reason) -> Reason {
    match &mut reason {
        Reason::NotDeadYet { silent, .. } => *silent = Duration::ZERO,
        Reason::VoterBehind { behind, .. } => *behind = 0,
        Reason::PutOff { why, tries, .. } => (*why, *tries) = (Blocker::default(), 0),
        Reason::RecordUnknown(why)
        | Reason::RosterUnknown(why)
        | Reason::AlarmsUnknown(why)
        | Reason::DiskUnknown { why, .. }
        | Reason::NotAtGate { why, .. }
        | Reason::BirthFailed { why, .. }
        | Reason::FounderSilent { why, .. }
        | Reason::VoterSilent { why, .. }
        | Reason::GateRefused { why, .. }
        | Reason::LearnerSilent { why, .. } => *why = Blocker::default(),
        _ => {}
    }
    reason
}

impl Pace {
    /// How long to wait after this plan, of which nothing was carried out.
    pub(crate) fn wait(&mut self, plan: &Plan, now: Mono, quickest: Duration, slowest: Duration) -> Duration {
        let gist = Gist::of(plan);
        let since = match &self.unmoved {
            Some((before, since)) if *before == gist => *since,
            _ => {
                self.unmoved = Some((gist, now));
                now
            }
        };
        (now.since(since) / SHARE).clamp(quickest, slowest.max(quickest))
    }

    /// Something was done.
    pub(crate) fn moved(&mut self) {
        self.unmoved = None;
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{
        id::{MemberId, Slot},
        plan::Wake,
    };

    use super::*;

    const QUICKEST: Duration = Duration::from_millis(8);
    const SLOWEST: Duration = Duration::from_millis(500);

    fn plan(reason: Reason) -> Plan {
        Plan { act: None, reasons: vec![reason], next: Wake::Soon }
    }

    fn wait(pace: &mut Pace, reason: Reason, millis: u64) -> u128 {
        pace.wait(&plan(reason), Mono(Duration::from_millis(millis)), QUICKEST, SLOWEST).as_millis()
    }

    #[test]
    fn the_wait_grows_with_the_time_that_nothing_moved() {
        let mut pace = Pace::default();
        let waits = [0, 64, 800, 2000, 60_000].map(|at| wait(&mut pace, Reason::NoLeader, at));
        assert_eq!(waits, [8, 8, 50, 125, 500]);
    }

    #[test]
    fn another_plan_or_a_step_brings_the_quick_pace_back() {
        let mut pace = Pace::default();
        wait(&mut pace, Reason::NoLeader, 0);
        assert_eq!(wait(&mut pace, Reason::NoLeader, 4000), 250);
        assert_eq!(wait(&mut pace, Reason::PermitHolder { slot: Slot(1) }, 4001), 8);
        assert_eq!(wait(&mut pace, Reason::PermitHolder { slot: Slot(1) }, 8001), 250);
        pace.moved();
        assert_eq!(wait(&mut pace, Reason::PermitHolder { slot: Slot(1) }, 8002), 8);
    }

    #[test]
    fn time_that_passes_is_no_other_plan() {
        let silent = |seconds| Reason::NotDeadYet {
            member: MemberId(1),
            slot: Slot(0),
            silent: Duration::from_secs(seconds),
            limit: Duration::from_mins(5),
        };
        let mut pace = Pace::default();
        wait(&mut pace, silent(1), 0);
        assert_eq!(wait(&mut pace, silent(5), 4000), 250);
    }

    #[test]
    fn other_words_for_the_same_are_no_other_plan() {
        let waits = |words: &str| Reason::NotAtGate { slot: Slot(1), why: Blocker(words.to_owned()) };
        let mut pace = Pace::default();
        wait(&mut pace, waits("ErrImagePull"), 0);
        assert_eq!(wait(&mut pace, waits("ImagePullBackOff"), 4000), 250);
    }

    #[test]
    fn a_platform_that_is_slower_than_that_sets_the_pace() {
        let slow = Duration::from_secs(2);
        let wait = Pace::default().wait(&plan(Reason::NoLeader), Mono::default(), slow, SLOWEST);
        assert_eq!(wait, slow);
    }
}
