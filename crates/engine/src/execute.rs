//! Carries out one step: the fence first, then the change, then what became of it. Every change of anything passes through
//! [`Hands::carry_out`].

use std::{sync::Arc, time::Duration};

use etcdop_core::{
    fence::Fence,
    id::RecordRevision,
    record::Record,
    step::{EtcdStep, Step},
};
use etcdop_etcd::{Effect, Error};

use crate::{
    contact::Routes,
    failpoint, fence,
    outcome::{CommitError, Outcome},
    platform::Platform,
    tuning::Tuning,
};

mod maintenance;
mod membership;
mod snapshot;

/// What became of a step, and how soon it may be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    pub(crate) retry: Retry,
}

/// How soon a step that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Steadily: it fails for a reason that passes by itself within seconds.
    Steady,
    /// Later and later.
    BackOff,
    /// Later and later, and not before this: it took long to fail, and does so again.
    Rested(Duration),
}

impl Attempt {
    pub(crate) const fn done() -> Self {
        Self { outcome: Outcome::Done, retry: Retry::BackOff }
    }

    pub(crate) fn not_applied(why: &(impl ToString + ?Sized)) -> Self {
        Self { outcome: Outcome::NotApplied(why.to_string()), retry: Retry::BackOff }
    }

    fn unknown(why: &(impl ToString + ?Sized)) -> Self {
        Self { outcome: Outcome::Unknown(why.to_string()), retry: Retry::BackOff }
    }

    fn steady(self) -> Self {
        Self { retry: Retry::Steady, ..self }
    }
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        let attempt = match error.effect() {
            Effect::NotApplied => Self::not_applied(&error),
            Effect::Unknown => Self::unknown(&error),
        };
        match error {
            // etcd wants every connection to be 5 s old (F1); a learner catches up while we watch.
            Error::UnhealthyCluster | Error::LearnerNotReady | Error::TooManyRequests => attempt.steady(),
            _ => attempt,
        }
    }
}

impl<T> From<Result<T, Error>> for Attempt {
    fn from(result: Result<T, Error>) -> Self {
        result.map_or_else(Self::from, |_| Self::done())
    }
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        let retry = if matches!(outcome, Outcome::NotYet(_)) { Retry::Steady } else { Retry::BackOff };
        Self { outcome, retry }
    }
}

/// What carries out steps.
#[derive(Debug)]
pub(crate) struct Hands<P> {
    platform: Arc<P>,
    tuning: Arc<Tuning>,
}

impl<P> Clone for Hands<P> {
    fn clone(&self) -> Self {
        let Self { platform, tuning } = self;
        Self { platform: Arc::clone(platform), tuning: Arc::clone(tuning) }
    }
}

impl<P: Platform> Hands<P> {
    pub(crate) fn new(platform: Arc<P>, tuning: Tuning) -> Self {
        Self { platform, tuning: Arc::new(tuning) }
    }

    /// Carries out `step` if its fence still holds.
    ///
    /// # Guarantees
    /// Ends within the deadlines of [`Tuning`], long steps left aside, which the driver gives up. `NotApplied` is certain. Dropped half-way it is like a manager that was killed
    /// there: the next pass finds out.
    pub(crate) async fn carry_out(&self, routes: &Routes, step: &Step, fence: &Fence) -> Attempt {
        if let Err(refusal) = fence::check(&*self.platform, routes, &self.tuning, step, fence).await {
            // Steadily: the next plan is made of what is there now.
            return Attempt::not_applied(&refusal).steady();
        }
        let change = async {
            match step {
                Step::Record(next) => self.commit(&fence.record, next).await,
                Step::Ground(step) => self.platform.apply(step).await.into(),
                Step::Etcd(step) => self.ask_etcd(routes, step).await,
            }
        };
        failpoint::step(step, change).await
    }

    async fn commit(&self, base: &RecordRevision, next: &Record) -> Attempt {
        match self.platform.commit(base, next).await {
            Ok(_) => Attempt::done(),
            Err(error @ CommitError::Conflict) => Attempt::not_applied(&error).steady(),
            Err(error @ CommitError::Failed(_)) => Attempt::not_applied(&error),
            Err(error @ CommitError::Unknown(_)) => Attempt::unknown(&error),
        }
    }

    async fn ask_etcd(&self, routes: &Routes, step: &EtcdStep) -> Attempt {
        let tuning = &*self.tuning;
        match step {
            EtcdStep::AddLearner(_, url) => membership::add_learner(routes, url, tuning.call).await,
            EtcdStep::Promote(member) => membership::promote(routes, *member, tuning.call).await,
            EtcdStep::Remove(member) => membership::remove(routes, *member, tuning.call).await,
            EtcdStep::MoveLeader { to } => maintenance::move_leader(routes, *to, tuning.call).await,
            EtcdStep::Compact { at } => maintenance::compact(routes, *at, tuning).await,
            EtcdStep::Defragment(member) => maintenance::defragment(routes, *member, tuning).await,
            EtcdStep::Disarm(alarm) => maintenance::disarm(routes, *alarm, tuning.call).await,
            EtcdStep::Downgrade(op) => maintenance::downgrade(routes, *op, tuning.call).await,
            EtcdStep::PadLog { at, entries } => maintenance::pad_log(routes, *at, *entries, tuning.call).await,
            EtcdStep::Snapshot { from, before } => {
                snapshot::save(routes, *from, *before, tuning.call, &*self.platform).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
