//! Members that are restarted on purpose, the leader among them, under eight writers.

use std::time::Instant;

use etcdop_bench::run::Sample;
use serde_json::json;

use super::scale::former;
use crate::{
    done::Wanted,
    failure::Failure,
    figure::seconds,
    subject::{EDITS, Kind, Subject},
    writers::Writers,
};

const SIZE: usize = 3;

/// By the operator: all of them, because of a setting. By hand: the leader's Pod is deleted after it gave leadership away.
pub(super) async fn restart(subject: &Subject) -> Result<Sample, Failure> {
    let leader = subject.leader().await?;
    let memory = subject.place(0)?.memory.unwrap_or_default();
    let writers = Writers::follow(subject.endpoints()).await?;
    writers.step();
    let began = Instant::now();
    if subject.kind == Kind::Ours {
        let next = if memory == EDITS[0] { EDITS[1] } else { EDITS[0] };
        subject.edit(json!({ "resources": { "requests": { "memory": next } } })).await?;
        subject.is(&Wanted { memory: Some(next), ..Wanted::voters(SIZE) }).await?;
    } else {
        hand_over(subject, leader).await?;
        let wanted = Wanted { former: former(subject, &[leader]), ..Wanted::voters(SIZE) };
        subject.delete_pod(leader).await?;
        subject.is(&wanted).await?;
    }
    let took = began.elapsed();
    if subject.kind == Kind::Ours {
        // A roll that goes on is none of the next repetition's.
        subject.shows(SIZE).await?;
    }
    let cost = writers.finish().await?;
    Ok(vec![seconds(cost.gap), seconds(cost.worst_call), seconds(took)])
}

/// From the member in this slot to the next one.
pub(super) async fn hand_over(subject: &Subject, leader: usize) -> Result<(), Failure> {
    let heir = subject.client((leader + 1) % SIZE)?.status().await.map_err(Failure::etcd("ask the heir"))?;
    let moved = subject.client(leader)?.move_leader(heir.header.member_id).await;
    moved.map(drop).map_err(Failure::etcd("move the leader"))
}
