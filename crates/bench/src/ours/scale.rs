//! More members, fewer members.

use std::time::{Duration, Instant};

use etcdop_core::{
    id::Slot,
    step::{EtcdStep, GroundStep, Step},
    version::Minor,
};

use super::{Ours, Workshop};
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
    let began = Instant::now();
    ours.set_size(to)?;
    healthy(&asked, to.into()).await?;
    let took = began.elapsed();
    match ours.restarted_voter() {
        Some(slot) => Err(Failure::VoterRestarted { slot: slot.to_string() }),
        None => Ok(took),
    }
}

impl Ours {
    /// A slot whose member was stopped while it had a vote, in what is known of the manager's steps.
    fn restarted_voter(&self) -> Option<Slot> {
        let now = self.published.borrow();
        let steps = || now.steps.iter().map(|report| &report.step);
        let member = |slot: &Slot| now.observation.status.get(slot)?.known().map(|status| status.member);
        steps().enumerate().find_map(|(at, step)| {
            let Step::Ground(GroundStep::Retire(slot, _)) = step else { return None };
            let joined =
                steps().any(|step| matches!(step, Step::Etcd(EtcdStep::AddLearner(added, _)) if added == slot));
            let promoted = steps()
                .take(at)
                .any(|step| matches!(step, Step::Etcd(EtcdStep::Promote(promoted)) if Some(*promoted) == member(slot)));
            (!joined || promoted).then_some(*slot)
        })
    }
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
