//! When a step that failed is tried again. Only the very same step waits: anything else that the planner wants is new. Several may
//! wait at a time, since the planner goes on without those that can wait (`etcdop_core::plan`).

use std::time::Duration;

use etcdop_core::{
    id::Mono,
    observation::{Blocker, Failure, Setback},
    step::Step,
};

use crate::execute::Retry;

/// Before the first steady retry: a learner that is not in sync yet is so within some milliseconds (3.6).
const SOONEST: Duration = Duration::from_millis(5);

/// Before the first retry of all others, and the longest wait of a steady one.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait before a retry.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a setback is remembered and shown after its step was due again and nobody asked for it any more.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// The steps that failed and have not succeeded since, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    setback: Setback,
    wait: Duration,
}

impl Backoff {
    /// How long `step` has to wait still.
    pub(crate) fn wait(&self, step: &Step, now: Mono) -> Option<Duration> {
        let held = self.held.iter().find(|held| held.setback.step == *step)?;
        Some(held.setback.due.since(now)).filter(|wait| !wait.is_zero())
    }

    /// How long until the next of them is due.
    pub(crate) fn next_due(&self, now: Mono) -> Option<Duration> {
        self.held.iter().map(|held| held.setback.due.since(now)).filter(|wait| !wait.is_zero()).min()
    }

    pub(crate) fn failed(&mut self, step: &Step, failure: Failure, why: &str, retry: Retry, now: Mono) {
        let before = self.held.iter().position(|held| held.setback.step == *step).map(|at| self.held.remove(at));
        let (first, longest) = if retry == Retry::Steady { (SOONEST, FIRST) } else { (FIRST, LONGEST) };
        let wait = before.as_ref().map_or(first, |before| before.wait.saturating_mul(2).clamp(first, longest));
        let wait = if let Retry::Rested(rest) = retry { wait.max(rest) } else { wait };
        let (tries, since) = before.map_or((0, now), |before| (before.setback.tries, before.setback.since));
        let (step, why, tries, due) = (step.clone(), Blocker(why.to_owned()), tries + 1, now.after(wait));
        self.held.push(Held { setback: Setback { step, failure, why, tries, since, due }, wait });
    }

    pub(crate) fn succeeded(&mut self, step: &Step) {
        self.held.retain(|held| held.setback.step != *step);
    }

    /// What keeps failing, the newest last.
    pub(crate) fn setbacks(&mut self, now: Mono) -> Vec<Setback> {
        self.held.retain(|held| now.since(held.setback.due) <= FORGOTTEN);
        self.held.iter().map(|held| held.setback.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{id::MemberId, step::EtcdStep};

    use super::*;

    fn promote(member: u64) -> Step {
        Step::Etcd(EtcdStep::Promote(MemberId(member)))
    }

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    #[test]
    fn the_same_step_waits_longer_and_longer_up_to_five_seconds() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(0));
            waits.push(backoff.wait(&promote(1), at(0)).unwrap().as_millis());
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait(&promote(1), at(5000)), None, "due again");
    }

    #[test]
    fn a_step_whose_obstacle_passes_by_itself_is_tried_steadily() {
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.failed(&promote(1), Failure::NotApplied, "unhealthy cluster", Retry::Steady, at(0));
            waits.push(backoff.wait(&promote(1), at(0)).unwrap().as_millis());
        }
        assert_eq!(waits, [5, 10, 20, 40, 50, 50, 50]);
        assert_eq!(backoff.setbacks(at(0))[0].tries, 7);
        backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(0));
        assert_eq!(backoff.wait(&promote(1), at(0)), Some(FIRST * 2), "another obstacle, another pace");
    }

    #[test]
    fn a_step_that_took_long_to_fail_leaves_the_others_as_much_time() {
        let mut backoff = Backoff::default();
        for took in [60, 60, 1] {
            backoff.failed(&promote(1), Failure::Unknown, "given up", Retry::Rested(Duration::from_secs(took)), at(0));
            let wait = backoff.wait(&promote(1), at(0)).unwrap();
            assert_eq!(wait.as_secs(), if took == 60 { 60 } else { 5 });
        }
    }

    #[test]
    fn another_step_does_not_wait_and_begins_a_count_of_its_own() {
        let mut backoff = Backoff::default();
        backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(0));
        backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(50));
        assert_eq!(backoff.wait(&promote(2), at(50)), None);
        backoff.failed(&promote(2), Failure::Unknown, "refused too", Retry::BackOff, at(60));
        let [before, setback] = backoff.setbacks(at(60)).try_into().unwrap();
        assert_eq!((setback.tries, setback.since, setback.why.0.as_str()), (1, at(60), "refused too"));
        assert_eq!((before.tries, before.failure, setback.failure), (2, Failure::NotApplied, Failure::Unknown));
        assert_eq!(backoff.next_due(at(60)), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_setback_is_shown_until_its_step_succeeds_or_nobody_asks_for_it_any_more() {
        let mut backoff = Backoff::default();
        backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(0));
        assert_eq!(backoff.setbacks(at(5050)).len(), 1);
        assert_eq!(backoff.setbacks(at(5051)), []);
        backoff.failed(&promote(1), Failure::NotApplied, "refused", Retry::BackOff, at(6000));
        backoff.succeeded(&promote(2));
        assert_eq!(backoff.setbacks(at(6000)).len(), 1, "what succeeds meanwhile says nothing of it");
        backoff.succeeded(&promote(1));
        assert_eq!(backoff.setbacks(at(6000)), []);
    }
}
