//! Steps that take long: they run beside the passes, and none for longer than what it does can take. A member that answers and never
//! ends what it was asked for must keep nobody from joining.

use std::time::Duration;

use etcdop_core::{
    fence::Fence,
    id::{MemberId, Mono},
    step::{EtcdStep, Step},
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    contact::Routes,
    execute::{Attempt, Hands},
    outcome::Outcome,
    platform::Platform,
    tuning::Tuning,
};

/// A long step that is under way.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) step: Step,
    pub(super) began: Mono,
    pub(super) task: AbortOnDropHandle<Attempt>,
}

impl Errand {
    /// Begins it. Dropped half-way it is like any other step that was given up.
    pub(super) fn begin(
        step: &Step,
        began: Mono,
        limit: Duration,
        work: impl Future<Output = Attempt> + Send + 'static,
    ) -> Self {
        let in_time = async move {
            let given_up = |_| Outcome::Unknown(format!("given up: it has not ended within {limit:?}")).into();
            timeout(limit, work).await.unwrap_or_else(given_up)
        };
        Self { step: step.clone(), began, task: AbortOnDropHandle::new(tokio::spawn(in_time)) }
    }
}

/// The step, carried out with everything that it needs of its own.
pub(super) fn work<P: Platform>(
    hands: &Hands<P>,
    routes: &Routes,
    step: &Step,
    fence: &Fence,
) -> impl Future<Output = Attempt> + Send + use<P> {
    let (hands, routes, step, fence) = (hands.clone(), routes.clone(), step.clone(), fence.clone());
    async move { hands.carry_out(&routes, &step, &fence).await }
}

/// Whether a step is carried out beside the passes.
pub(super) fn takes_long(step: &Step) -> bool {
    subject(step).is_some()
}

/// The member that does a long step.
pub(super) fn subject(step: &Step) -> Option<MemberId> {
    match step {
        Step::Etcd(
            EtcdStep::Compact { at: member }
            | EtcdStep::Defragment(member)
            | EtcdStep::PadLog { at: member, .. }
            | EtcdStep::Snapshot { from: member, .. },
        ) => Some(*member),
        Step::Etcd(
            EtcdStep::AddLearner(..)
            | EtcdStep::Promote(_)
            | EtcdStep::Remove(_)
            | EtcdStep::MoveLeader { .. }
            | EtcdStep::Disarm(_)
            | EtcdStep::Downgrade(_),
        )
        | Step::Ground(_)
        | Step::Record(_) => None,
    }
}

/// How long it may take: what goes through a database by its size, what goes through the log by its entries.
pub(super) fn limit(step: &Step, routes: &Routes, tuning: &Tuning) -> Duration {
    match step {
        Step::Etcd(EtcdStep::PadLog { entries, .. }) => tuning.for_entries(*entries),
        _ => tuning.for_bytes(subject(step).map_or(0, |member| routes.database(member))),
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{id::Slot, version::Minor};
    use rstest::rstest;

    use super::*;
    use crate::contact::Route;

    const MEMBER: MemberId = MemberId(1);

    /// Routes to one member, whose database has this many bytes.
    fn routes(database: u64) -> Routes {
        let client = etcdop_etcd::Client::new("http://127.0.0.1:9".parse().unwrap(), &Tuning::default().etcd);
        let route = Route { slot: Slot(0), member: Some(MEMBER), role: None, follows: None, database, client };
        Routes { in_turn: vec![route], ..Routes::default() }
    }

    #[rstest]
    #[case::a_small_database(EtcdStep::Defragment(MEMBER), 20 << 20, 32)]
    #[case::a_large_one(EtcdStep::Defragment(MEMBER), 8 << 30, 1054)]
    #[case::read_as_a_whole(EtcdStep::Snapshot { from: MEMBER, before: Minor::V3_6 }, 1 << 30, 158)]
    #[case::of_whom_nothing_is_known(EtcdStep::Compact { at: MemberId(7) }, 1 << 30, 30)]
    #[case::by_entries(EtcdStep::PadLog { at: MEMBER, entries: 10_000 }, 8 << 30, 40)]
    #[tokio::test]
    async fn a_long_step_has_the_time_that_its_data_take_on_a_slow_disk(
        #[case] step: EtcdStep,
        #[case] database: u64,
        #[case] seconds: u64,
    ) {
        let limit = limit(&Step::Etcd(step), &routes(database), &Tuning::default());
        assert_eq!(limit.as_secs(), seconds);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_nobody_knows_its_outcome() {
        let step = Step::Etcd(EtcdStep::Defragment(MEMBER));
        let errand = Errand::begin(&step, Mono::default(), Duration::from_secs(32), std::future::pending());
        let attempt = errand.task.await.unwrap();
        assert_eq!(attempt.outcome, Outcome::Unknown("given up: it has not ended within 32s".to_owned()));
    }
}
