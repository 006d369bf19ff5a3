//! Scale-out.
//!
//! The fastest way from 3.6 on: add all learners, start one after the other as soon as the one before serves its peer URL (at the same
//! moment they would wait 7 s for each other), promote each. A joiner that got a raft snapshot mostly loses the message by
//! which it publishes itself and hangs for 7 s; who knows that restarts it, once, as a learner.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use etcdop_core::version::Minor;
use etcdop_etcd::{Client, Http, MemberId};
use futures::future::{join, join_all};
use tokio::time::sleep;

use super::create::founded;
use crate::{
    failure::Failure,
    ground::Ground,
    load::Age,
    plain::{First, Plain},
    wait::{accepted, healthy, serves_peers, settle},
};

/// A publish that is under way for so long, after the snapshot was applied, is lost: one that is not takes 130 ms at most.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// For one look at a joiner.
const LOOK: Duration = Duration::from_millis(20);
/// Between two looks.
const PACE: Duration = Duration::from_millis(5);
/// For all joiners to answer clients.
const PATIENCE: Duration = Duration::from_secs(30);

/// All learners at once.
pub(crate) async fn grow(ground: &Ground, minor: Minor, from: usize, to: usize, age: Age) -> Result<Duration, Failure> {
    let mut plain = founded(ground, minor, from, to).await?;
    age.put_on(&plain.endpoints([0])).await?;
    settle(from).await;
    let began = Instant::now();
    let mut learners = Vec::new();
    for place in from..to {
        learners.push(add(&plain.client(0), plain.peer_url(place)).await?);
    }
    let all: Vec<usize> = (0..to).collect();
    for place in from..to {
        plain.start(place, &all, First::Joins)?;
        serves_peers(plain.peer(place)).await?;
    }
    serve_clients(&mut plain, from..to, &all).await?;
    for learner in learners {
        promote(&plain.client(0), learner).await?;
    }
    healthy(&plain.endpoints(0..to), to).await?;
    Ok(began.elapsed())
}

/// One learner at a time: all that 3.5 can do.
pub(crate) async fn grow_one_by_one(
    ground: &Ground,
    minor: Minor,
    from: usize,
    to: usize,
) -> Result<Duration, Failure> {
    let mut plain = founded(ground, minor, from, to).await?;
    settle(from).await;
    let began = Instant::now();
    for place in from..to {
        let learner = add(&plain.client(0), plain.peer_url(place)).await?;
        let all: Vec<usize> = (0..=place).collect();
        plain.start(place, &all, First::Joins)?;
        promote(&plain.client(0), learner).await?;
    }
    healthy(&plain.endpoints(0..to), to).await?;
    Ok(began.elapsed())
}

pub(super) async fn add(client: &Client, peer_url: String) -> Result<MemberId, Failure> {
    let urls = [peer_url];
    let added = accepted("add a learner", || client.member_add_learner(&urls)).await?;
    Ok(added.value.member.id)
}

pub(super) async fn promote(client: &Client, learner: MemberId) -> Result<(), Failure> {
    accepted("promote a learner", || client.member_promote(learner)).await.map(|_| ())
}

/// A joiner that did not answer a client yet.
struct Silent {
    place: usize,
    client: Client,
    metrics: Http,
    /// Since when its publish is under way though it has everything.
    stuck: Option<Instant>,
}

/// Waits until all joiners answer clients; restarts those that lost their publish.
pub(super) async fn serve_clients(plain: &mut Plain, joiners: Range<usize>, all: &[usize]) -> Result<(), Failure> {
    let silent = |place| Silent {
        place,
        client: plain.client(place).deadline(LOOK),
        metrics: plain.metrics(place).deadline(LOOK),
        stuck: None,
    };
    let mut silent: Vec<Silent> = joiners.map(silent).collect();
    let deadline = Instant::now() + PATIENCE;
    while !silent.is_empty() {
        if Instant::now() >= deadline {
            return Err(Failure::NotInTime { what: "joiners that answer clients".to_owned(), after: PATIENCE });
        }
        let looks = join_all(silent.iter().map(look)).await;
        let mut next = Vec::new();
        for (mut joiner, seen) in silent.into_iter().zip(looks) {
            joiner.stuck = match seen {
                Seen::Serving => continue,
                Seen::Starting => None,
                Seen::Publishing => joiner.stuck.or_else(|| Some(Instant::now())),
            };
            if joiner.stuck.is_some_and(|since| since.elapsed() >= LOST_AFTER) {
                plain.kill(joiner.place).await?;
                plain.start(joiner.place, all, First::Joins)?;
                joiner.stuck = None;
            }
            next.push(joiner);
        }
        silent = next;
        sleep(PACE).await;
    }
    Ok(())
}

enum Seen {
    Starting,
    /// It has the cluster's data and waits for its own announcement to come back.
    Publishing,
    Serving,
}

async fn look(joiner: &Silent) -> Seen {
    let (status, metrics) = join(joiner.client.status(), joiner.metrics.metrics()).await;
    if status.is_ok() {
        return Seen::Serving;
    }
    let shows = |name| metrics.as_ref().is_ok_and(|page| page.value(name).is_some_and(|value| value > 0.0));
    if shows("etcd_server_proposals_applied_total") && shows("etcd_server_proposals_pending") {
        Seen::Publishing
    } else {
        Seen::Starting
    }
}
