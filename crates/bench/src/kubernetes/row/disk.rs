//! A disk that is lost, with its Pod.

use std::{collections::BTreeMap, time::Instant};

use etcdop_bench::run::Sample;
use etcdop_etcd::MemberId;

use crate::{
    done::Wanted,
    failure::Failure,
    figure::seconds,
    subject::{First, Kind, Subject, VERSION},
    wait::{accepted, settle},
};

const SIZE: usize = 3;

/// A follower's. It is over when another member is in its place.
pub(super) async fn lose(subject: &Subject) -> Result<Sample, Failure> {
    settle(SIZE).await;
    let leader = subject.leader().await?;
    let slot = (leader + 1) % SIZE;
    let member = subject.client(slot)?.status().await.map_err(Failure::etcd("ask the victim"))?.header.member_id;
    let wanted = Wanted { replaced: BTreeMap::from([(slot, member)]), ..Wanted::voters(SIZE) };
    if subject.kind == Kind::Plain {
        // Who joins must be told so; whoever does this by hand knows that beforehand.
        subject.switch_plain(VERSION, First::Joins).await?;
    }
    let began = Instant::now();
    subject.lose_disk(slot).await?;
    if subject.kind == Kind::Plain {
        replace(subject, leader, slot, member).await?;
    }
    subject.is(&wanted).await?;
    Ok(vec![seconds(began.elapsed())])
}

/// By hand, while the next Pod starts: remove, add, promote.
async fn replace(subject: &Subject, leader: usize, slot: usize, member: MemberId) -> Result<(), Failure> {
    let client = subject.client(leader)?;
    accepted("remove the dead member", || client.member_remove(member)).await?;
    let urls = [subject.peer_url(slot)];
    let learner = accepted("add a learner", || client.member_add_learner(&urls)).await?.value.member.id;
    accepted("promote the learner", || client.member_promote(learner)).await.map(drop)
}
