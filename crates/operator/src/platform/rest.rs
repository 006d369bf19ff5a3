//! At rest nothing needs to be read again that nobody has said to have changed: a hundred clusters that are as declared must not keep
//! the API server busy. A look is taken over only while the planner waits for nothing, no watch has rung since, and it is young; and
//! never twice in a row, because the second look of a pass is the fence of a step.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcdop_core::plan::Wake;
use etcdop_engine::platform::Ground;
use tokio::time::Instant;

/// How old a look gets that is taken over. What no watch tells of is noticed after that: a disk that was wiped.
const OLDEST: Duration = Duration::from_secs(10);
/// Looks that follow each other faster belong to one pass.
const ONE_PASS: Duration = Duration::from_millis(400);

/// Whether the last look still counts.
#[derive(Default)]
pub(crate) struct Rest {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calm: bool,
    asked: Option<Instant>,
    last: Option<(Ground, Instant)>,
}

impl Rest {
    /// Whether nothing is in flight and nothing is waited for.
    pub(crate) fn follow(&self, next: Wake) {
        self.state().calm = next == Wake::OnChange;
    }

    /// Something changed, or is about to.
    pub(crate) fn stir(&self) {
        let mut state = self.state();
        state.calm = false;
        state.last = None;
    }

    /// The last look, where it will do.
    pub(super) fn last(&self, now: Instant) -> Option<Ground> {
        let mut state = self.state();
        let asked = state.asked.replace(now);
        let new_pass = asked.is_some_and(|asked| now - asked > ONE_PASS);
        let (ground, at) = state.last.as_ref()?;
        (state.calm && new_pass && now - *at < OLDEST).then(|| ground.clone())
    }

    /// Remembers a look that was begun and ended then.
    pub(super) fn remember(&self, ground: &Ground, began: Instant, ended: Instant) {
        let mut state = self.state();
        state.asked = Some(ended);
        state.last = Some((ground.clone(), began));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use etcdop_core::observation::Blocker;

    use super::*;

    fn ground() -> Ground {
        Ground { record: Err(Blocker("the look".to_owned())), slots: BTreeMap::new(), safeguards: Vec::new() }
    }

    fn at_rest(since: Instant) -> Rest {
        let rest = Rest::default();
        rest.remember(&ground(), since, since);
        rest.follow(Wake::OnChange);
        rest
    }

    #[test]
    fn a_calm_cluster_is_not_read_again_in_every_pass() {
        let start = Instant::now();
        let rest = at_rest(start);
        for seconds in [2, 4, 6] {
            assert_eq!(rest.last(start + Duration::from_secs(seconds)), Some(ground()));
        }
        assert_eq!(rest.last(start + OLDEST), None, "it is too old");
    }

    #[test]
    fn the_fence_of_a_step_is_read_live() {
        let start = Instant::now();
        let (rest, pass) = (at_rest(start), start + Duration::from_secs(2));
        assert_eq!(rest.last(pass), Some(ground()));
        assert_eq!(rest.last(pass + Duration::from_millis(5)), None);
    }

    #[test]
    fn whatever_stirs_makes_the_next_look_live() {
        let start = Instant::now();
        let rest = at_rest(start);
        rest.stir();
        assert_eq!(rest.last(start + Duration::from_secs(2)), None);
        let busy = at_rest(start);
        busy.follow(Wake::Soon);
        assert_eq!(busy.last(start + Duration::from_secs(2)), None);
    }
}
