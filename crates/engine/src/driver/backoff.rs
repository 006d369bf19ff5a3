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
