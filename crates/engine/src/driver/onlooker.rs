//! Looks at a cluster and does nothing about it: for showing one that another manager keeps, or nobody.

use std::{sync::Arc, time::Duration};

use etcdop_core::{
    desired::Desired,
    id::Mono,
    observation::{Observation, Phase},
    plan::Plan,
};
use tokio::time::timeout;

use super::{backoff::Backoff, look_once};
use crate::{
    clock::Clock,
    observe::{Observer, Seen},
    platform::Platform,
    publish::Published,
    tuning::Tuning,
};

/// Looks again and again, and remembers what it has seen.
#[derive(Debug)]
pub struct Onlooker {
    observer: Observer,
    clock: Clock,
    /// For how long a first picture waits for members that run and have not answered yet.
    patience: Duration,
    pass: u64,
}

impl Onlooker {
    /// One that has not looked yet.
    pub fn new(tuning: Tuning) -> Self {
        let clock = Clock::start();
        let patience = tuning.answer * 2;
        // Everybody is a newcomer to somebody who has just come.
        let observer = Observer::new(clock, Tuning { newcomer: tuning.budget, ..tuning });
        Self { observer, clock, patience, pass: 0 }
    }

    /// One look, as a picture. The first one is not shown before everybody had the time to answer: the way to a member is opened by
    /// the first question, and nobody is silent for that.
    pub async fn look<P: Platform>(&mut self, platform: &P, desired: Desired) -> Published {
        if self.pass == 0 {
            // What needs more than one look is looked for twice.
            self.look_once(platform, &desired).await;
        }
        loop {
            let (seen, plan, now) = self.look_once(platform, &desired).await;
            if now.0 >= self.patience || !lacks_answers(&seen.observation) {
                self.pass += 1;
                return Published {
                    pass: self.pass,
                    at: now,
                    desired,
                    observation: Arc::new(seen.observation),
                    answered_in: seen.answered_in,
                    plan,
                    steps: Vec::new(),
                    setback: None,
                    busy: None,
                };
            }
            let rest = self.patience.saturating_sub(now.0);
            let _ = timeout(rest, self.observer.late_answer()).await;
        }
    }

    async fn look_once<P: Platform>(&mut self, platform: &P, desired: &Desired) -> (Seen, Plan, Mono) {
        look_once(&mut self.observer, platform, desired, self.clock, &mut Backoff::default(), None).await
    }
}

/// Whether somebody runs who has not answered.
fn lacks_answers(observation: &Observation) -> bool {
    observation.ground.iter().any(|(slot, view)| {
        let instance = view.instance.known().and_then(Option::as_ref);
        let runs = instance.is_some_and(|instance| instance.phase == Phase::Running);
        runs && observation.status.get(slot).is_some_and(|status| status.known().is_none())
    })
}

/// Looks once: whoever needs longer than a pass waits is shown as one that does not answer.
pub async fn look<P: Platform>(platform: &P, desired: Desired, tuning: Tuning) -> Published {
    let mut onlooker = Onlooker { patience: Duration::ZERO, ..Onlooker::new(tuning) };
    onlooker.look(platform, desired).await
}

#[cfg(test)]
mod tests {
    use etcdop_core::id::Slot;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::double::{Stage, desired, etcd::Etcd};

    #[tokio::test]
    async fn the_first_picture_waits_for_a_member_that_answers_late_and_for_none_that_never_does() {
        let members = Etcd::cluster("3.6", 1);
        let stage = Stage::of(&members).await;
        let answers = |shown: &Published| shown.observation.status[&Slot(0)].known().is_some();
        members[0].freeze();
        let mut onlooker = Onlooker::new(Tuning::default());
        let (late, ()) = tokio::join!(onlooker.look(&stage, desired()), async {
            sleep(Duration::from_millis(600)).await;
            members[0].thaw();
        });
        assert!(answers(&late));
        members[0].freeze();
        let begin = Instant::now();
        assert!(!answers(&Onlooker::new(Tuning::default()).look(&stage, desired()).await));
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        members[0].thaw();
    }
}
