//! The last look before a change: what the plan rests on is read again, live. A plan made from what was true a moment ago must not
//! act on what is true now (DESIGN §2). Not a test build's assertion: it is always on.

use std::collections::BTreeMap;

use etcdop_core::{
    fence::{Fence, RosterDigest},
    id::{InstanceId, MemberId, Slot},
    step::{GroundStep, Step},
};

use crate::{contact::Routes, observe::roster, platform::Platform, tuning::Tuning};

mod bystanders;

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the record cannot be read: {0}")]
    RecordUnknown(String),
    #[error("the record has changed since")]
    RecordMoved,
    #[error("the member list cannot be read: {0}")]
    RosterUnknown(String),
    #[error("the member list has changed since")]
    RosterMoved,
    #[error("slot {0} holds another instance than before")]
    InstanceMoved(Slot),
    #[error("the plan came without a member list to hold against etcd's")]
    NoRoster,
    #[error("member {0} does not answer any more: {1}")]
    Silent(MemberId, String),
    #[error("member {0} follows no leader any more")]
    Leaderless(MemberId),
    #[error("the members do not agree on a leader any more")]
    LeaderMoved,
}

/// Whether everything that `step` rests on still holds.
pub(crate) async fn check<P: Platform>(
    platform: &P,
    routes: &Routes,
    tuning: &Tuning,
    step: &Step,
    fence: &Fence,
) -> Result<(), Refusal> {
    match step {
        // The commit itself compares the revision, and nothing else is concerned.
        Step::Record(_) => return Ok(()),
        Step::Etcd(_) if fence.roster.is_none() => return Err(Refusal::NoRoster),
        Step::Etcd(_) | Step::Ground(_) => {}
    }
    // etcd last: what it says is what the step itself depends on.
    ground(platform, step, fence).await?;
    let list = async {
        match &fence.roster {
            None => Ok(()),
            Some(expected) => list(routes, tuning, expected).await,
        }
    };
    let (list, members) = tokio::join!(list, bystanders::check(routes, tuning, step));
    list.and(members)
}

async fn list(routes: &Routes, tuning: &Tuning, expected: &RosterDigest) -> Result<(), Refusal> {
    let now = roster::ask(routes.clone(), tuning).await.map_err(|why| Refusal::RosterUnknown(why.0))?;
    if now.digest() == *expected { Ok(()) } else { Err(Refusal::RosterMoved) }
}

async fn ground<P: Platform>(platform: &P, step: &Step, fence: &Fence) -> Result<(), Refusal> {
    let retired = match step {
        Step::Ground(GroundStep::Retire(slot, instance)) => Some((*slot, instance)),
        Step::Etcd(_) | Step::Ground(_) | Step::Record(_) => None,
    };
    let fenced = fence.instance.as_ref().map(|(slot, instance)| (*slot, instance));
    let expected: BTreeMap<Slot, &InstanceId> = fenced.into_iter().chain(retired).collect();
    let slots: Vec<Slot> = expected.keys().copied().collect();
    let footing = platform.footing(&slots).await;
    let revision = footing.record.map_err(|why| Refusal::RecordUnknown(why.0))?;
    if revision != fence.record {
        return Err(Refusal::RecordMoved);
    }
    let moved = expected.into_iter().find(|(slot, instance)| footing.instances.get(slot) != Some(*instance));
    moved.map_or(Ok(()), |(slot, _)| Err(Refusal::InstanceMoved(slot)))
}

#[cfg(test)]
mod tests;
