//! Whether those who have to carry the cluster through a step are still there (rule 6). An observation counts answers up to a second
//! old, and a voter that ended within that second would make this step the second loss.
//!
//! Asked again is whoever followed the leader when the plan was made: of all others the plan knew that they are down.

use etcdop_core::{
    id::MemberId,
    observation::Role,
    step::{EtcdStep, GroundStep, Step},
};
use futures::future;

use super::Refusal;
use crate::{
    contact::{Route, Routes},
    tuning::Tuning,
};

/// Asks all of them at once.
pub(super) async fn check(routes: &Routes, tuning: &Tuning, step: &Step) -> Result<(), Refusal> {
    let asked = needed(routes, step).into_iter().map(|(member, route)| follows(routes, tuning, member, route));
    let leaders = future::try_join_all(asked).await?;
    let differ = leaders.windows(2).any(|pair| pair[0] != pair[1]);
    if differ { Err(Refusal::LeaderMoved) } else { Ok(()) }
}

/// Voters besides the one that the step takes away, and a learner that is to count from now on.
fn needed<'a>(routes: &'a Routes, step: &Step) -> Vec<(MemberId, &'a Route)> {
    let (without, with) = match step {
        Step::Etcd(EtcdStep::AddLearner(..)) => (None, None),
        Step::Etcd(EtcdStep::Promote(learner)) => (None, Some(*learner)),
        // Defragmenting, a member serves nothing.
        Step::Etcd(EtcdStep::Remove(member) | EtcdStep::Defragment(member)) => (Some(*member), None),
        Step::Ground(GroundStep::Retire(slot, _)) => {
            let serving = routes.in_turn.iter().find(|route| route.slot == *slot && route.role == Some(Role::Voter));
            let Some(member) = serving.and_then(|route| route.member) else { return Vec::new() };
            (Some(member), None)
        }
        Step::Etcd(
            EtcdStep::MoveLeader { .. }
            | EtcdStep::Compact { .. }
            | EtcdStep::Disarm(_)
            | EtcdStep::Downgrade(_)
            | EtcdStep::PadLog { .. }
            | EtcdStep::Snapshot { .. },
        )
        | Step::Ground(GroundStep::Ensure(_) | GroundStep::Permit(_) | GroundStep::Discard(..))
        | Step::Record(_) => return Vec::new(),
    };
    let counts = |route: &&Route| {
        route.follows.is_some() && route.member != without && (route.role == Some(Role::Voter) || route.member == with)
    };
    routes.in_turn.iter().filter(counts).filter_map(|route| Some((route.member?, route))).collect()
}

/// Whom `member` follows now.
async fn follows(routes: &Routes, tuning: &Tuning, member: MemberId, route: &Route) -> Result<MemberId, Refusal> {
    // As patient as the observation: who is heard there must be heard here, or nothing would ever be done.
    let status = routes.held_to_its_cluster(&route.client).deadline(tuning.answer).status().await;
    let answer = status.map_err(|error| Refusal::Silent(member, error.to_string()))?;
    if answer.header.member_id.0 != member.0 {
        return Err(Refusal::Silent(member, "another member answers at its address".to_owned()));
    }
    answer.value.leader.map(|leader| MemberId(leader.0)).ok_or(Refusal::Leaderless(member))
}

#[cfg(test)]
mod tests;
