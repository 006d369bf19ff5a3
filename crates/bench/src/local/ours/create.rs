//! A new cluster.

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;

use super::Workshop;
use crate::failure::Failure;

/// From nothing to `size` healthy members, the manager's own start included.
pub(crate) async fn create(shop: &Workshop, minor: Minor, size: u8) -> Result<Duration, Failure> {
    let began = Instant::now();
    let ours = shop.declare(minor, size).await?;
    ours.is_formed(size).await?;
    Ok(began.elapsed())
}
