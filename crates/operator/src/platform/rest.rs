//! At rest nothing needs to be read again that nobody has said to have changed: a hundred clusters that are as declared must not keep
//! the API server busy. What was read is taken over only while the planner waits for nothing and no watch has rung since; and never
//! twice in a row.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcdop_core::plan::Wake;
use etcdop_engine::platform::Ground;
use tokio::time::{Instant, sleep, sleep_until};

use super::objects::Objects;

/// How old a look gets that is taken over as it is. What no watch tells of is noticed after that: a disk that was wiped.
const OLDEST: Duration = Duration::from_secs(10);
/// How old objects get that are taken over. Every change of them rings, so this is for a watch that has died without a word.
const OLDEST_OBJECTS: Duration = Duration::from_mins(2);
/// Looks that follow each other faster are about something that moves.
const ONE_PASS: Duration = Duration::from_millis(400);
/// For how long a cluster is watched closely that has come to rest: what has just moved is most likely to move again.
const VIGIL: Duration = Duration::from_mins(1);
/// Between two looks meanwhile.
const VIGIL_LOOK: Duration = Duration::from_secs(2);

/// What of the last look still counts.
#[derive(Default)]
pub(crate) struct Rest {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts what stirred.
    stirs: u64,
    /// Since when nothing is in flight and nothing has changed.
    calm_since: Option<Instant>,
    asked: Option<Instant>,
    last: Option<(Ground, Instant)>,
    objects: Option<(Arc<Objects>, Instant)>,
    /// Whether the last look was one that was taken over.
    old: bool,
}

/// A look that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    began: Instant,
    stirs: u64,
}

/// What need not be read again.
#[derive(Debug)]
pub(super) enum Still {
    /// All of it.
    Ground(Box<Ground>),
    /// What the API server has. What runs in the Pods is asked.
    Objects(Arc<Objects>),
    /// Nothing.
    Nothing,
}

impl State {
    fn still(&mut self, now: Instant) -> Still {
        let asked = self.asked.replace(now);
        let new_pass = asked.is_some_and(|asked| now - asked > ONE_PASS);
        if self.calm_since.is_none() || !new_pass {
            return Still::Nothing;
        }
        if let Some((ground, at)) = &self.last
            && now - *at < OLDEST
        {
            return Still::Ground(Box::new(ground.clone()));
        }
        match &self.objects {
            Some((objects, at)) if now - *at < OLDEST_OBJECTS => Still::Objects(Arc::clone(objects)),
            Some(_) | None => Still::Nothing,
        }
    }
}

impl Rest {
    /// Whether nothing is in flight and nothing is waited for.
    pub(crate) fn follow(&self, next: Wake) {
        let mut state = self.state();
        if next == Wake::OnChange {
            state.calm_since.get_or_insert_with(Instant::now);
        } else {
            state.calm_since = None;
        }
    }

    /// Something changed, or is about to.
    pub(crate) fn stir(&self) {
        let mut state = self.state();
        state.stirs += 1;
        state.calm_since = None;
        state.last = None;
        state.objects = None;
    }

    /// What will do of the last look.
    pub(super) fn still(&self, now: Instant) -> Still {
        let mut state = self.state();
        let still = state.still(now);
        state.old = !matches!(still, Still::Nothing);
        still
    }

    /// Whether what the last look showed was not read for it.
    pub(super) fn is_old(&self) -> bool {
        self.state().old
    }

    /// A look begins.
    pub(super) fn begin(&self, began: Instant) -> Look {
        Look { began, stirs: self.state().stirs }
    }

    /// Remembers a look that has ended; with its objects, if they were read in it. One in which something stirred may have missed it.
    pub(super) fn remember(&self, look: Look, ground: &Ground, objects: Option<Arc<Objects>>, ended: Instant) {
        let mut state = self.state();
        state.asked = Some(ended);
        if look.stirs != state.stirs {
            return;
        }
        state.last = Some((ground.clone(), look.began));
        if let Some(objects) = objects {
            state.objects = Some((objects, look.began));
        }
    }

    /// Resolves when the last look is that long ago.
    pub(super) async fn pause(&self, pause: Duration) {
        let asked = self.state().asked;
        if let Some(asked) = asked {
            sleep_until(asked + pause).await;
        }
    }

    /// Resolves when a cluster that has come to rest not long ago is to be looked at again.
    pub(super) async fn vigil(&self) {
        let calm_since = self.state().calm_since;
        match calm_since {
            Some(since) if since.elapsed() < VIGIL => sleep(VIGIL_LOOK).await,
            Some(_) | None => std::future::pending().await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use etcdop_core::observation::Blocker;
    use tokio::time::{advance, timeout};

    use super::*;

    const PASS: Duration = Duration::from_secs(2);

    fn ground() -> Ground {
        Ground { record: Err(Blocker("the look".to_owned())), slots: BTreeMap::new(), safeguards: Vec::new() }
    }

    fn at_rest(since: Instant) -> Rest {
        let rest = Rest::default();
        rest.remember(rest.begin(since), &ground(), Some(Arc::default()), since);
        rest.follow(Wake::OnChange);
        rest
    }

    fn takes_over_all(rest: &Rest, now: Instant) -> bool {
        matches!(rest.still(now), Still::Ground(there) if *there == ground())
    }

    fn takes_over_nothing(rest: &Rest, now: Instant) -> bool {
        matches!(rest.still(now), Still::Nothing)
    }

    #[test]
    fn a_calm_cluster_is_not_read_again_in_every_pass() {
        let start = Instant::now();
        let rest = at_rest(start);
        for seconds in [2, 4, 6] {
            assert!(takes_over_all(&rest, start + Duration::from_secs(seconds)), "after {seconds} s");
        }
        assert!(!takes_over_all(&rest, start + OLDEST), "it is too old");
    }

    #[test]
    fn what_runs_in_the_pods_is_asked_again_before_the_api_server_is() {
        let start = Instant::now();
        let rest = at_rest(start);
        for pass in [OLDEST, OLDEST * 2, OLDEST * 3] {
            assert!(matches!(rest.still(start + pass), Still::Objects(_)), "after {pass:?}");
            rest.remember(rest.begin(start + pass), &ground(), None, start + pass);
        }
        assert!(takes_over_nothing(&rest, start + OLDEST_OBJECTS), "a watch may have died");
    }

    #[test]
    fn a_step_that_is_planned_on_what_was_taken_over_is_known_to_be() {
        let start = Instant::now();
        for age in [PASS, OLDEST] {
            let (rest, pass) = (at_rest(start), start + age);
            assert!(!rest.is_old());
            assert!(!takes_over_nothing(&rest, pass));
            assert!(rest.is_old());
            rest.stir();
            assert!(takes_over_nothing(&rest, pass + Duration::from_millis(5)), "its fence is read live");
            assert!(!rest.is_old());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_at_what_changes_all_the_time_have_a_pause_between_them() {
        let rest = at_rest(Instant::now());
        let begun = Instant::now();
        rest.pause(PASS).await;
        assert_eq!(begun.elapsed(), PASS);
        rest.pause(PASS).await;
        assert_eq!(begun.elapsed(), PASS, "the last look was long ago");
    }

    #[test]
    fn whatever_stirs_makes_the_next_look_live() {
        let start = Instant::now();
        for age in [PASS, OLDEST] {
            let rest = at_rest(start);
            rest.stir();
            rest.follow(Wake::OnChange);
            assert!(takes_over_nothing(&rest, start + age));
            let busy = at_rest(start);
            busy.follow(Wake::Soon);
            assert!(takes_over_nothing(&busy, start + age));
        }
    }

    #[test]
    fn a_look_in_which_something_stirred_is_not_taken_over() {
        let start = Instant::now();
        let rest = at_rest(start);
        let look = rest.begin(start + PASS);
        rest.stir();
        rest.remember(look, &ground(), Some(Arc::default()), start + PASS);
        rest.follow(Wake::OnChange);
        assert!(takes_over_nothing(&rest, start + PASS * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_just_come_to_rest_is_looked_at_often_and_then_seldom() {
        let rest = Rest::default();
        let is_due = async || timeout(PASS + Duration::from_millis(1), rest.vigil()).await.is_ok();
        assert!(!is_due().await, "what is in flight has a pace of its own");
        rest.follow(Wake::OnChange);
        assert!(is_due().await);
        advance(VIGIL).await;
        assert!(!is_due().await);
        rest.stir();
        rest.follow(Wake::OnChange);
        assert!(is_due().await);
    }
}
