//! When a watch that broke is begun again: soon, for an API server that comes back must find everybody at work within seconds.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Before the first try.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait: a watch is one request, and there are few of them.
const LONGEST: Duration = Duration::from_secs(3);

/// Doubles from try to try.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    next: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        Some(wait)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_tried_again_within_three_seconds_whatever_happened_before() {
        let mut retry = Retry::default();
        let waits: Vec<u128> = retry.by_ref().take(6).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3000, 3000]);
        retry.reset();
        assert_eq!(retry.next(), Some(FIRST));
    }
}
