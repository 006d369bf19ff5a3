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
pub struct Cost {
    /// The longest time without any acknowledged write.
    pub gap: Duration,
    /// The longest single call.
    pub worst_call: Duration,
}

/// What a killed member cost.
#[derive(Clone, Copy, Debug)]
pub struct Killed {
    /// What clients saw.
    pub cost: Cost,
    /// Until the killed member served its peers again. (Clients it serves only under a leader, whoever started it how fast.)
    pub back: Duration,
    /// Until all members were healthy.
    pub healthy: Duration,
}

/// Writers at work on a cluster that is healthy now.
#[derive(Debug)]
pub struct Writers {
    witness: Witness,
    endpoints: watch::Receiver<Vec<Endpoint>>,
    /// Kept open where the list does not change.
    _list: Option<watch::Sender<Vec<Endpoint>>>,
}

impl Writers {
    /// Starts them on members whose addresses stay, and lets them write for a moment.
    pub async fn start(endpoints: Vec<Endpoint>) -> Result<Self, Failure> {
        let (list, endpoints) = watch::channel(endpoints);
        Ok(Self { _list: Some(list), ..Self::follow(endpoints).await? })
    }

    /// Starts them on members whose addresses change, and lets them write for a moment.
    pub async fn follow(endpoints: watch::Receiver<Vec<Endpoint>>) -> Result<Self, Failure> {
        let options = Options { writers: WRITERS, writes_per_second: WRITES_PER_SECOND, ..Options::default() };
        let witness = Witness::start(endpoints.clone(), options).await?;
        sleep(STEADY).await;
        Ok(Self { witness, endpoints, _list: None })
    }

    /// The step begins now.
    pub fn step(&self) {
        self.witness.phase("step");
    }

    /// The step is over, and the cluster healthy; nothing may be lost.
    pub async fn finish(self) -> Result<Cost, Failure> {
        sleep(STEADY).await;
        let endpoints = self.endpoints.borrow().clone();
        let bill: Bill = self.witness.finish(&endpoints).await;
        let step = bill.phases.iter().find(|phase| phase.name == "step");
        match step.filter(|_| bill.is_clean()) {
            Some(step) => Ok(Cost { gap: step.longest_gap, worst_call: step.worst_call }),
            None => Err(Failure::Broken { bill: bill.to_string() }),
        }
    }
}
