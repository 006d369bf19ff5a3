//! A new cluster by static bootstrap.

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;

use crate::{
    failure::Failure,
    ground::Ground,
    plain::{First, Plain},
    wait::healthy,
};

/// Starts `size` members at once.
pub(crate) async fn create(ground: &Ground, minor: Minor, size: usize) -> Result<Duration, Failure> {
    let mut plain = Plain::new(ground, minor, size)?;
    let began = Instant::now();
    found(&mut plain, size)?;
    healthy(&plain.endpoints(0..size), size).await?;
    Ok(began.elapsed())
}

/// Starts the first `size` places as a new cluster.
pub(super) fn found(plain: &mut Plain, size: usize) -> Result<(), Failure> {
    let all: Vec<usize> = (0..size).collect();
    all.iter().try_for_each(|&place| plain.start(place, &all, First::Founds))
}

/// A healthy cluster of the first `size` of `places` places.
pub(super) async fn founded(ground: &Ground, minor: Minor, size: usize, places: usize) -> Result<Plain, Failure> {
    let mut plain = Plain::new(ground, minor, places)?;
    found(&mut plain, size)?;
    healthy(&plain.endpoints(0..size), size).await?;
    Ok(plain)
}
