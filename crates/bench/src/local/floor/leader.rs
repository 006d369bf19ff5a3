//! The leader goes: by order, or by SIGKILL.

use std::time::Instant;

use etcdop_core::version::Minor;
use etcdop_etcd::Endpoint;

use super::create::founded;
use crate::{
    failure::Failure,
    ground::Ground,
    plain::{First, Plain},
    wait::{both_since, healthy, leader, serves_peers},
    writers::{Cost, Killed, Writers},
};

const SIZE: usize = 3;

/// Hands leadership to a follower.
pub(crate) async fn hand_over(ground: &Ground, minor: Minor) -> Result<Cost, Failure> {
    let (plain, endpoints) = three(ground, minor).await?;
    let writers = Writers::start(endpoints.clone()).await?;
    let leads = leader(&endpoints).await?;
    let heir = plain.client((leads + 1) % SIZE).status().await.map_err(Failure::etcd("ask the heir"))?.header.member_id;
    writers.step();
    plain.client(leads).move_leader(heir).await.map_err(Failure::etcd("move the leader"))?;
    writers.finish().await
}

/// Kills the leader and starts it again at once.
pub(crate) async fn kill(ground: &Ground, minor: Minor) -> Result<Killed, Failure> {
    let (mut plain, endpoints) = three(ground, minor).await?;
    let writers = Writers::start(endpoints.clone()).await?;
    let leads = leader(&endpoints).await?;
    writers.step();
    let began = Instant::now();
    plain.kill(leads).await?;
    plain.start(leads, &[0, 1, 2], First::Founds)?;
    let (back, healthy) = both_since(began, serves_peers(plain.peer(leads)), healthy(&endpoints, SIZE)).await?;
    Ok(Killed { cost: writers.finish().await?, back, healthy })
}

async fn three(ground: &Ground, minor: Minor) -> Result<(Plain, Vec<Endpoint>), Failure> {
    let plain = founded(ground, minor, SIZE, SIZE).await?;
    let endpoints = plain.endpoints(0..SIZE);
    Ok((plain, endpoints))
}
