//! The loop, written once for all platforms: look, plan, take one step behind its fence, show, rest. A trigger is only a reason to look
//! again; nothing is decided by what it says. Nothing waits inside a pass, and what takes minutes (a defragmentation, a snapshot)
//! runs beside the passes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use etcdop_core::{
    desired::Desired,
    fence::Fence,
    id::Mono,
    observation::Failure,
    plan::{Plan, Wake, plan},
    reason::Reason,
    step::{EtcdStep, Step},
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{
    backoff::Backoff,
    errand::{Errand, takes_long},
    pace::Pace,
    passage::{Passage, passage},
};
use crate::{
    clock::Clock,
    execute::{Attempt, Hands, Retry},
    observe::{Observer, Seen},
    outcome::Outcome,
    platform::Platform,
    publish::{Published, STEPS_KEPT, StepReport},
    tuning::Tuning,
};

mod backoff;
mod errand;
mod onlooker;
mod pace;
mod passage;

pub use self::onlooker::{Onlooker, look};

/// Keeps one cluster.
#[derive(Debug)]
pub struct Driver<P> {
    platform: Arc<P>,
    hands: Hands<P>,
    observer: Observer,
    clock: Clock,
    tuning: Tuning,
    desired: watch::Receiver<Desired>,
    published: watch::Sender<Published>,
    backoff: Backoff,
    pace: Pace,
    errand: Option<Errand>,
    steps: VecDeque<Arc<StepReport>>,
    pass: u64,
    seq: u64,
}

/// What a pass did about its plan.
enum Acted {
    /// Something: look again at once.
    Changed,
    /// Nothing; the wait is for a retry, where one is due.
    Not { retry: Option<Duration> },
}

impl<P: Platform> Driver<P> {
    /// A driver and what it will show. Nothing happens before [`Self::run`].
    pub fn new(
        platform: Arc<P>,
        desired: watch::Receiver<Desired>,
        tuning: Tuning,
    ) -> (Self, watch::Receiver<Published>) {
        let clock = Clock::start();
        let mut observer = Observer::new(clock, tuning.clone());
        let first = Published {
            pass: 0,
            at: clock.now(),
            desired: desired.borrow().clone(),
            observation: Arc::new(observer.nothing(&*platform)),
            answered_in: Vec::new(),
            plan: Plan { act: None, reasons: Vec::new(), next: Wake::Now },
            steps: Vec::new(),
            setback: None,
            busy: None,
        };
        let (published, receiver) = watch::channel(first);
        let driver = Self {
            hands: Hands::new(Arc::clone(&platform), tuning.clone()),
            platform,
            observer,
            clock,
            tuning,
            desired,
            published,
            backoff: Backoff::default(),
            pace: Pace::default(),
            errand: None,
            steps: VecDeque::new(),
            pass: 0,
            seq: 0,
        };
        (driver, receiver)
    }

    /// Keeps the cluster until it is told to stop. Members go on without it.
    ///
    /// # Guarantees
    /// Dropped or stopped at any moment it leaves what a killed manager leaves: the next one goes on from what it finds.
    pub async fn run(mut self, stop: CancellationToken) {
        let passes = async {
            loop {
                self.pass().await;
            }
        };
        stop.run_until_cancelled(passes).await;
    }

    /// One look, one step, and the rest until the next look.
    async fn pass(&mut self) {
        let desired = self.desired.borrow_and_update().clone();
        self.pass += 1;
        let began = self.clock.now();
        let (seen, plan, now) = look_once(
            &mut self.observer,
            &*self.platform,
            &desired,
            self.clock,
            &mut self.backoff,
            self.errand.as_ref(),
        )
        .await;
        tracing::trace!(pass = self.pass, looked = ?now.since(began), reasons = ?plan.reasons, "pass");
        self.publish(now, desired, seen, plan.clone());
        let acted = match &plan.act {
            Some((step, fence)) => self.act(step, fence).await,
            None => Acted::Not { retry: self.backoff.next_due(self.clock.now()) },
        };
        match acted {
            Acted::Changed => self.pace.moved(),
            Acted::Not { retry } => self.rest(&plan, retry).await,
        }
    }

    async fn act(&mut self, step: &Step, fence: &Fence) -> Acted {
        let now = self.clock.now();
        if let Some(wait) = self.backoff.wait(step, now) {
            return Acted::Not { retry: Some(wait) };
        }
        match self.errand.as_ref().map(|errand| passage(step, &errand.step, &self.published.borrow().observation)) {
            None | Some(Passage::Beside) => {}
            Some(Passage::Waits) => return Acted::Not { retry: None },
            Some(Passage::Instead) => self.give_errand_up(),
        }
        let routes = self.observer.routes();
        if takes_long(step) {
            let limit = errand::limit(step, routes, &self.tuning);
            let work = errand::work(&self.hands, routes, step, fence);
            self.errand = Some(Errand::begin(step, now, limit, work));
            return Acted::Changed;
        }
        let attempt = self.hands.carry_out(routes, step, fence).await;
        self.conclude(step.clone(), attempt, now)
    }

    /// Whatever the member still does about it is of no use any more.
    fn give_errand_up(&mut self) {
        if let Some(Errand { step, began, .. }) = self.errand.take() {
            let outcome = Outcome::Unknown("given up: its member is being removed".to_owned());
            self.conclude(step, outcome.into(), began);
        }
    }

    /// Takes note of what became of a step.
    fn conclude(&mut self, step: Step, attempt: Attempt, began: Mono) -> Acted {
        let now = self.clock.now();
        let took = now.since(began);
        let Attempt { outcome, retry } = attempt;
        // Whoever asked it again at once would keep everybody waiting who waits for its end.
        let retry = if retry == Retry::BackOff && takes_long(&step) { Retry::Rested(took) } else { retry };
        tracing::info!(%step, ?outcome, ?took, "step");
        if let Step::Etcd(EtcdStep::Disarm(_)) = step {
            self.observer.forget_alarms();
        }
        let acted = match &outcome {
            Outcome::Done => {
                self.backoff.succeeded(&step);
                Acted::Changed
            }
            Outcome::NotApplied(why) | Outcome::NotYet(why) => self.fail(&step, Failure::NotApplied, why, retry, now),
            Outcome::Unknown(why) => self.fail(&step, Failure::Unknown, why, retry, now),
        };
        if let (Outcome::Unknown(_), Step::Etcd(call)) = (&outcome, &step)
            && call.changes_membership()
        {
            self.observer.unsettle(call.clone());
        }
        self.seq += 1;
        let report = StepReport { seq: self.seq, text: step.to_string(), step, outcome, took, at: began };
        if self.steps.len() == STEPS_KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back(Arc::new(report));
        let setback = self.backoff.setbacks(now).pop();
        self.published.send_modify(|published| {
            published.steps = self.steps.iter().cloned().collect();
            published.setback = setback;
        });
        acted
    }

    fn fail(&mut self, step: &Step, failure: Failure, why: &str, retry: Retry, now: Mono) -> Acted {
        self.backoff.failed(step, failure, why, retry, now);
        Acted::Not { retry: None }
    }

    fn publish(&mut self, now: Mono, desired: Desired, seen: Seen, plan: Plan) {
        self.published.send_replace(Published {
            pass: self.pass,
            at: now,
            desired,
            observation: Arc::new(seen.observation),
            answered_in: seen.answered_in,
            plan,
            steps: self.steps.iter().cloned().collect(),
            setback: self.backoff.setbacks(now).pop(),
            busy: self.errand.as_ref().map(|errand| errand.step.to_string()),
        });
    }

    /// Waits for the next reason to look.
    async fn rest(&mut self, plan: &Plan, retry: Option<Duration>) {
        let soon = self.pace.wait(plan, self.clock.now(), self.platform.pace(), self.tuning.slowest_pace);
        let wait = match plan.next {
            Wake::Now | Wake::Soon => retry.map_or(soon, |retry| retry.min(soon)),
            Wake::OnChange => self.tuning.health,
        };
        let errand = async {
            match &mut self.errand {
                Some(errand) => (&mut errand.task).await,
                None => std::future::pending().await,
            }
        };
        let desired = async {
            // Nobody is left who could ask for something else.
            if self.desired.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = errand => Some(ended),
            () = desired => None,
            () = self.platform.changed() => None,
            () = self.observer.late_answer() => None,
            () = sleep(wait) => None,
        };
        if let (Some(ended), Some(errand)) = (ended, self.errand.take_if(|errand| errand.task.is_finished())) {
            let attempt = ended.unwrap_or_else(|error| Outcome::Unknown(error.to_string()).into());
            self.conclude(errand.step, attempt, errand.began);
        }
    }
}

async fn look_once<P: Platform>(
    observer: &mut Observer,
    platform: &P,
    desired: &Desired,
    clock: Clock,
    backoff: &mut Backoff,
    errand: Option<&Errand>,
) -> (Seen, Plan, Mono) {
    let mut seen = observer.observe(platform, desired).await;
    let now = clock.now();
    seen.observation.setbacks = backoff.setbacks(now);
    seen.observation.errand = errand.map(|errand| errand.step.clone());
    let plan = match &seen.record {
        Ok(()) => plan(desired, &seen.observation, now),
        Err(why) => Plan { act: None, reasons: vec![Reason::RecordUnknown(why.clone())], next: Wake::Soon },
    };
    (seen, plan, now)
}

#[cfg(test)]
mod tests;
