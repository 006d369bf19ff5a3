//! More members, fewer members.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcdop_core::{
    id::{InstanceId, Slot},
    observation::SlotView,
    step::{EtcdStep, GroundStep, Step},
    version::Minor,
};
use etcdop_engine::publish::Published;

use super::Workshop;
use crate::{
    failure::Failure,
    load::Age,
    wait::{healthy, settle},
};

/// From one size to a larger one.
pub(crate) async fn grow(shop: &Workshop, minor: Minor, from: u8, to: u8, age: Age) -> Result<Duration, Failure> {
    let ours = shop.cluster(minor, from).await?;
    let asked = ours.endpoints();
    age.put_on(&asked).await?;
    settle(from.into()).await;
    let before = processes(&ours.steady().await?);
    let began = Instant::now();
    ours.set_size(to)?;
    healthy(&asked, to.into()).await?;
    let took = began.elapsed();
    let after = ours.steady().await?;
    let now = processes(&after);
    let another = before.into_iter().find(|(slot, process)| now.get(slot) != Some(process)).map(|(slot, _)| slot);
    match another.or_else(|| stopped_voter(&after)) {
        Some(slot) => Err(Failure::VoterRestarted { slot: slot.to_string() }),
        None => Ok(took),
    }
}

/// Which process runs in each slot.
fn processes(published: &Published) -> BTreeMap<Slot, InstanceId> {
    let running = |view: &SlotView| Some(view.instance.known()?.as_ref()?.id.clone());
    published.observation.ground.iter().filter_map(|(&slot, view)| Some((slot, running(view)?))).collect()
}

/// A slot whose joiner was stopped while it had a vote, in what is known of the manager's steps.
fn stopped_voter(now: &Published) -> Option<Slot> {
    let steps = || now.steps.iter().map(|report| &report.step);
    let member = |slot: &Slot| now.observation.status.get(slot)?.known().map(|status| status.member);
    steps().enumerate().find_map(|(at, step)| {
        let Step::Ground(GroundStep::Retire(slot, _)) = step else { return None };
        let promoted = steps()
            .take(at)
            .any(|step| matches!(step, Step::Etcd(EtcdStep::Promote(promoted)) if Some(*promoted) == member(slot)));
        promoted.then_some(*slot)
    })
}

/// From `from` members to one.
pub(crate) async fn shrink(shop: &Workshop, minor: Minor, from: u8) -> Result<Duration, Failure> {
    let ours = shop.cluster(minor, from).await?;
    let asked = ours.endpoints();
    settle(from.into()).await;
    let began = Instant::now();
    ours.set_size(1)?;
    healthy(&asked, 1).await?;
    Ok(began.elapsed())
}
