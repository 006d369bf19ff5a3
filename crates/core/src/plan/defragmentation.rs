//! Routine defragmentation, when the user asked for it: one member at a time, the leader last and not while it leads, and never
//! while anything else is going on (F42, H87).

use super::{Verdict, mutation::heir};
use crate::{
    reason::Reason,
    situation::{Member, Situation},
    step::{EtcdStep, Step},
};

/// Gives free pages back on the member that holds most of them.
pub(super) fn defragment(s: &Situation<'_>) -> Verdict {
    let Some(limit) = s.desired.maintenance.defragment_above else { return Verdict::DONE };
    if s.record.open.is_some() || s.learners().next().is_some() || s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    let free = |member: &Member<'_>| member.status.map_or(0, |status| status.db_size.saturating_sub(status.db_in_use));
    let fragmented = s.voters().filter(|voter| free(voter) >= limit.max(1));
    let Some(next) = fragmented.min_by_key(|voter| (Some(voter.id()) == s.leader, std::cmp::Reverse(free(voter))))
    else {
        return Verdict::DONE;
    };
    if let Some(silent) = s.sick_voter(None) {
        return Verdict::wait(Reason::DefragmentBlocked { member: silent.id() });
    }
    let id = next.id();
    let step = match heir(s, &[id]).filter(|_| Some(id) == s.leader) {
        Some(to) => EtcdStep::MoveLeader { to },
        None => EtcdStep::Defragment(id),
    };
    Verdict::Act(Step::Etcd(step))
}
