//! Eight clients over all members, each with a deadline of a second: what a step costs them.

use std::{num::NonZeroU16, num::NonZeroU32, time::Duration};

use etcdop_etcd::Endpoint;
use etcdop_witness::{Bill, Options, Witness};
use tokio::{sync::watch, time::sleep};

use crate::failure::Failure;

const WRITERS: NonZeroU16 = NonZeroU16::MIN.saturating_add(7);
/// A write every 2.5 ms: gaps are known that well.
const WRITES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(399);
/// Before and after the step.
const STEADY: Duration = Duration::from_millis(500);

/// What clients saw of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The longest time without any acknowledged write.
    pub(crate) gap: Duration,
    /// The longest single call.
    pub(crate) worst_call: Duration,
}

/// What a killed member cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Killed {
    pub(crate) cost: Cost,
    /// Until the killed member served its peers again. (Clients it serves only under a leader, whoever started it how fast.)
    pub(crate) back: Duration,
    /// Until all members were healthy.
    pub(crate) healthy: Duration,
}

/// Writers at work on a cluster that is healthy now.
pub(crate) struct Writers {
    witness: Witness,
    endpoints: Vec<Endpoint>,
    /// Kept open: the list does not change.
    _list: watch::Sender<Vec<Endpoint>>,
}

impl Writers {
    /// Starts them and lets them write for a moment.
    pub(crate) async fn start(endpoints: Vec<Endpoint>) -> Result<Self, Failure> {
        let (list, receiver) = watch::channel(endpoints.clone());
        let options = Options { writers: WRITERS, writes_per_second: WRITES_PER_SECOND, ..Options::default() };
        let witness = Witness::start(receiver, options).await?;
        sleep(STEADY).await;
        Ok(Self { witness, endpoints, _list: list })
    }

    /// The step begins now.
    pub(crate) fn step(&self) {
        self.witness.phase("step");
    }

    /// The step is over, and the cluster healthy; nothing may be lost.
    pub(crate) async fn finish(self) -> Result<Cost, Failure> {
        sleep(STEADY).await;
        let bill: Bill = self.witness.finish(&self.endpoints).await;
        let step = bill.phases.iter().find(|phase| phase.name == "step");
        match step.filter(|_| bill.is_clean()) {
            Some(step) => Ok(Cost { gap: step.longest_gap, worst_call: step.worst_call }),
            None => Err(Failure::Broken { bill: bill.to_string() }),
        }
    }
}
