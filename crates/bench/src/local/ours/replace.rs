//! A lost disk.

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;
use etcdop_local::faults::Fault;

use super::Workshop;
use crate::{
    failure::Failure,
    load,
    wait::{healthy, leader, settle},
};

const SIZE: u8 = 3;

/// Wipes the disk of a follower of three that hold 50 MB.
pub(crate) async fn replace(shop: &Workshop, minor: Minor) -> Result<Duration, Failure> {
    let ours = shop.cluster(minor, SIZE).await?;
    let asked = ours.endpoints();
    load::fifty_megabytes(&asked).await?;
    settle(SIZE.into()).await;
    let victim = (leader(&asked).await? + 1) % asked.len();
    let began = Instant::now();
    ours.inflict(victim, Fault::Wipe).await?;
    healthy(&asked, SIZE.into()).await?;
    Ok(began.elapsed())
}
