//! The planner alone.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use etcdop_core::{plan::plan as decide, version::Minor};
use etcdop_engine::publish::Published;

use super::Workshop;
use crate::failure::Failure;

/// Calls that are timed together: enough to see microseconds.
const CALLS: u32 = 20;
/// Of so many such batches the middle one counts: what the machine does besides interrupts only some of them.
const BATCHES: usize = 101;

/// What decisions take.
pub(crate) struct Decisions {
    /// When there is nothing to do.
    pub(crate) steady: Duration,
    /// On the pass of a scale-out where it takes longest.
    pub(crate) longest: Duration,
}

/// One decision over what a manager of `size` members sees. The passes are gathered from a real scale-out; the clock runs when
/// that cluster is gone again.
pub(crate) async fn plan(shop: &Workshop, minor: Minor, size: u8) -> Result<Decisions, Failure> {
    let ours = shop.cluster(minor, 1).await?;
    let mut passes = ours.published.clone();
    ours.set_size(size)?;
    let mut seen: Vec<Published> = Vec::new();
    let gather = async {
        while passes.changed().await.is_ok() {
            seen.push(passes.borrow_and_update().clone());
        }
    };
    tokio::select! {
        formed = ours.is_formed(size) => formed?,
        () = gather => {}
    }
    let steady = ours.steady().await?;
    drop(ours);
    Ok(Decisions { steady: one(&steady), longest: seen.iter().map(one).max().unwrap_or_default() })
}

fn one(pass: &Published) -> Duration {
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..CALLS {
            black_box(decide(black_box(&pass.desired), black_box(&pass.observation), pass.at));
        }
        batches.push(began.elapsed() / CALLS);
    }
    batches.sort_unstable();
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}
