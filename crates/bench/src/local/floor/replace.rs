//! A lost disk.

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;

use super::{
    create::founded,
    grow::{add, promote, serve_clients},
};
use crate::{
    failure::Failure,
    ground::Ground,
    load,
    plain::First,
    wait::{accepted, healthy, leader, settle},
};

const SIZE: usize = 3;

/// Kills a follower of three, wipes its disk of 50 MB, removes it, adds a learner in its place, starts that and promotes it.
pub(crate) async fn replace(ground: &Ground, minor: Minor) -> Result<Duration, Failure> {
    let mut plain = founded(ground, minor, SIZE, SIZE).await?;
    let endpoints = plain.endpoints(0..SIZE);
    load::fifty_megabytes(&endpoints).await?;
    settle(SIZE).await;
    let leads = leader(&endpoints).await?;
    let victim = (leads + 1) % SIZE;
    let status = plain.client(victim).status().await.map_err(Failure::etcd("ask the victim"))?;
    let began = Instant::now();
    plain.kill(victim).await?;
    plain.wipe(victim)?;
    let client = plain.client(leads);
    accepted("remove the dead member", || client.member_remove(status.header.member_id)).await?;
    let learner = add(&client, plain.peer_url(victim)).await?;
    let all: Vec<usize> = (0..SIZE).collect();
    plain.start(victim, &all, First::Joins)?;
    // It gets a raft snapshot, so its publish may be lost.
    serve_clients(&mut plain, victim..victim + 1, &all).await?;
    promote(&client, learner).await?;
    healthy(&endpoints, SIZE).await?;
    Ok(began.elapsed())
}
