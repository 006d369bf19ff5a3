//! Pods that are deleted.

use std::time::{Duration, Instant};

use etcdop_bench::run::Sample;
use futures::future::try_join;
use tokio::time::sleep;

use super::scale::former;
use crate::{done::Wanted, failure::Failure, figure::seconds, subject::Subject, writers::Writers};

const SIZE: usize = 3;

/// For the kubelet of a Pod that has just started: until then it looks at it only with its next look at everything.
const AT_REST: Duration = Duration::from_secs(3);

/// A follower's.
pub(super) async fn delete_one(subject: &Subject) -> Result<Sample, Failure> {
    sleep(AT_REST).await;
    let slot = (subject.leader().await? + 1) % SIZE;
    let wanted = Wanted { former: former(subject, &[slot]), ..Wanted::voters(SIZE) };
    let began = Instant::now();
    let uid = subject.delete_pod(slot).await?;
    let next = async { Ok(next_pod(subject, slot, &uid).await) };
    let (next, ()) = try_join(next, subject.is(&wanted)).await?;
    Ok(vec![seconds(began.elapsed()), seconds(next.elapsed())])
}

/// The leader's and that after it, at once. Nothing can be written until one of them is back.
pub(super) async fn delete_two(subject: &Subject) -> Result<Sample, Failure> {
    sleep(AT_REST).await;
    let leader = subject.leader().await?;
    let other = (leader + 1) % SIZE;
    let wanted = Wanted { former: former(subject, &[leader, other]), ..Wanted::voters(SIZE) };
    let writers = Writers::follow(subject.endpoints()).await?;
    writers.step();
    let began = Instant::now();
    try_join(subject.delete_pod(leader), subject.delete_pod(other)).await?;
    subject.is(&wanted).await?;
    let healthy = began.elapsed();
    let cost = writers.finish().await?;
    Ok(vec![seconds(cost.gap), seconds(healthy)])
}

/// When the Pod that follows this one was there.
async fn next_pod(subject: &Subject, slot: usize, uid: &str) -> Instant {
    let mut pods = subject.pods().clone();
    loop {
        if subject.places().iter().any(|place| place.slot == slot && place.uid != uid) {
            return Instant::now();
        }
        pods.changed(Duration::from_millis(10)).await;
    }
}
