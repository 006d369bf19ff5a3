//! A roll of three members to the next minor.

use std::time::{Duration, Instant};

use etcdop_bench::run::Sample;
use futures::future::try_join;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::{restart::hand_over, scale::former};
use crate::{
    Bench,
    done::Wanted,
    failure::Failure,
    figure::seconds,
    ground::PATIENCE,
    subject::{First, Kind, NEXT_VERSION, Subject},
};

const SIZE: usize = 3;

/// By the operator, counted from when the Pod that tried the new version was ready, and from the edit; or by hand.
pub(super) async fn roll(bench: &Bench, kind: Kind) -> Result<Sample, Failure> {
    let subject = Subject::standing(bench, kind, SIZE).await?;
    let wanted = Wanted { version: Some(NEXT_VERSION), ..Wanted::voters(SIZE) };
    let began = Instant::now();
    let sample = if kind == Kind::Ours {
        subject.edit(json!({ "version": NEXT_VERSION })).await?;
        let (proven, ()) = try_join(proven(&subject), subject.is(&wanted)).await?;
        vec![seconds(proven.elapsed()), seconds(began.elapsed())]
    } else {
        subject.switch_plain(NEXT_VERSION, First::Founds).await?;
        let leader = subject.leader().await?;
        for slot in [(leader + 1) % SIZE, (leader + 2) % SIZE] {
            restart(&subject, slot).await?;
        }
        hand_over(&subject, leader).await?;
        restart(&subject, leader).await?;
        subject.is(&wanted).await?;
        vec![seconds(began.elapsed())]
    };
    subject.end().await?;
    Ok(sample)
}

async fn restart(subject: &Subject, slot: usize) -> Result<(), Failure> {
    let wanted = Wanted { former: former(subject, &[slot]), ..Wanted::voters(SIZE) };
    subject.delete_pod(slot).await?;
    subject.is(&wanted).await
}

/// When the Pod that tries the new version was seen to be ready.
async fn proven(subject: &Subject) -> Result<Instant, Failure> {
    let (mut pods, name) = (subject.pods().clone(), format!("{}-preflight", subject.name));
    let began = Instant::now();
    let mut was_there = false;
    while began.elapsed() < PATIENCE {
        match pods.get(&name) {
            Some(pod) if is_ready(&pod) => return Ok(Instant::now()),
            Some(_) => was_there = true,
            // It was ready for so short a time that nobody saw it.
            None if was_there => return Ok(Instant::now()),
            None => {}
        }
        pods.changed(Duration::from_millis(10)).await;
    }
    Err(Failure::NotInTime { what: "a preflight that is ready".to_owned(), after: PATIENCE })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
