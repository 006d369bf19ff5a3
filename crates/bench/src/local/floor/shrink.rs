//! Scale-in to one member, the one that leads.

use std::time::{Duration, Instant};

use etcdop_core::version::Minor;
use etcdop_etcd::Consistency;

use super::create::founded;
use crate::{
    failure::Failure,
    ground::Ground,
    wait::{accepted, healthy, leader, settle},
};

/// Removes all members but the leader, back to back.
pub(crate) async fn shrink(ground: &Ground, minor: Minor, from: usize) -> Result<Duration, Failure> {
    let mut plain = founded(ground, minor, from, from).await?;
    settle(from).await;
    let stays = leader(&plain.endpoints(0..from)).await?;
    let client = plain.client(stays);
    let began = Instant::now();
    let list = client.member_list(Consistency::Linearizable).await.map_err(Failure::etcd("list the members"))?;
    for member in list.value.iter().filter(|member| member.id != list.header.member_id) {
        accepted("remove a member", || client.member_remove(member.id)).await?;
    }
    healthy(&plain.endpoints([stays]), 1).await?;
    let took = began.elapsed();
    for place in 0..from {
        plain.kill(place).await?;
    }
    Ok(took)
}
