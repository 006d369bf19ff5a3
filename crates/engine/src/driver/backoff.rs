//! When a step that failed is tried again. Only the very same step waits: anything else that the planner wants is new.

use std::time::Duration;

use etcdop_core::{id::Mono, step::Step};

use crate::{execute::Retry, publish::Setback};

/// Before the first and every steady retry.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait before a retry.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a setback is remembered and shown after its step was due again and nobody asked for it any more.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// The step that failed last, if it has not succeeded since.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    setback: Setback,
    wait: Duration,
    until: Mono,
}

impl Backoff {
    /// How long `step` has to wait still.
    pub(crate) fn wait(&self, step: &Step, now: Mono) -> Option<Duration> {
        let held = self.held.as_ref().filter(|held| held.setback.step == *step)?;
        Some(held.until.since(now)).filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&mut self, step: &Step, why: &str, retry: Retry, now: Mono) {
        let before = self.held.take().filter(|held| held.setback.step == *step);
        let wait = match (&before, retry) {
            (Some(before), Retry::BackOff) => before.wait.saturating_mul(2).min(LONGEST),
            (None, _) | (_, Retry::Steady) => FIRST,
        };
        let (tries, since) = before.map_or((0, now), |before| (before.setback.tries, before.setback.since));
        let setback =
            Setback { text: step.to_string(), step: step.clone(), why: why.to_owned(), tries: tries + 1, since };
        self.held = Some(Held { setback, wait, until: now.after(wait) });
    }

    pub(crate) fn succeeded(&mut self) {
        self.held = None;
    }

    /// What keeps failing.
    pub(crate) fn setback(&mut self, now: Mono) -> Option<Setback> {
        self.held.take_if(|held| now.since(held.until) > FORGOTTEN);
        self.held.as_ref().map(|held| held.setback.clone())
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
            backoff.failed(&promote(1), "refused", Retry::BackOff, at(0));
            waits.push(backoff.wait(&promote(1), at(0)).unwrap().as_millis());
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.wait(&promote(1), at(5000)), None, "due again");
    }

    #[test]
    fn a_step_whose_obstacle_passes_by_itself_is_tried_steadily() {
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.failed(&promote(1), "unhealthy cluster", Retry::Steady, at(0));
        }
        assert_eq!(backoff.wait(&promote(1), at(0)), Some(FIRST));
        assert_eq!(backoff.setback(at(0)).unwrap().tries, 9);
    }

    #[test]
    fn another_step_does_not_wait_and_begins_a_count_of_its_own() {
        let mut backoff = Backoff::default();
        backoff.failed(&promote(1), "refused", Retry::BackOff, at(0));
        backoff.failed(&promote(1), "refused", Retry::BackOff, at(50));
        assert_eq!(backoff.wait(&promote(2), at(50)), None);
        backoff.failed(&promote(2), "refused too", Retry::BackOff, at(60));
        let setback = backoff.setback(at(60)).unwrap();
        assert_eq!((setback.tries, setback.since, setback.why.as_str()), (1, at(60), "refused too"));
    }

    #[test]
    fn a_setback_is_shown_until_something_succeeds_or_nobody_asks_for_the_step_any_more() {
        let mut backoff = Backoff::default();
        backoff.failed(&promote(1), "refused", Retry::BackOff, at(0));
        assert!(backoff.setback(at(5050)).is_some());
        assert!(backoff.setback(at(5051)).is_none());
        backoff.failed(&promote(1), "refused", Retry::BackOff, at(6000));
        backoff.succeeded();
        assert!(backoff.setback(at(6000)).is_none());
    }
}
