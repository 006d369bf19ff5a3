//! When a learner becomes a voter.
//!
//! etcd promotes a learner whose log reached 90 % of the leader's (`isLearnerReady`, server/etcdserver/server.go) and asks nobody
//! else: with one voter and one learner that dies, such a promotion stops all writes (LAB 14). So a learner is promoted only on
//! fresh answers from itself and from every voter, and from an odd number of voters only when the learner that makes the number
//! odd again is ready too (rule 3; not possible where one learner is allowed at a time).

use super::Verdict;
use crate::{
    id::MemberId,
    observation::{Blocker, Marker},
    reason::Reason,
    situation::{Death, Member, Situation},
    step::{EtcdStep, Step},
};

/// Raft entries a learner may be behind and still count as ready: what a healthy follower is behind on a busy leader.
const READY_LAG: u64 = 100;

/// Decides whether a learner may vote now.
pub(super) fn promote(s: &Situation<'_>) -> Verdict {
    let target = s.target();
    let wanted = |learner: &&Member<'_>| learner.slot.is_some_and(|slot| target.contains(&slot));
    let learners: Vec<&Member<'_>> = s.learners().filter(wanted).collect();
    if learners.is_empty() {
        return Verdict::DONE;
    }
    if let Some((voter, slot)) = s.sick_voter(None).and_then(|voter| Some((voter, voter.slot?))) {
        let why = s.silence(voter).map_or_else(|| Blocker("it follows no leader".to_owned()), |(why, _)| why.clone());
        return Verdict::wait(Reason::VoterSilent { member: voter.id(), slot, why });
    }
    let (mut ready, mut waiting): (Vec<MemberId>, Vec<Reason>) = (Vec::new(), Vec::new());
    for learner in learners {
        match readiness(s, learner) {
            Ok(()) => ready.push(learner.id()),
            Err(reason) => waiting.push(reason),
        }
    }
    let in_pairs = s.takes_parallel_learners().is_ok();
    let stays_odd = s.voters().count().is_multiple_of(2) || ready.len() >= 2 || !in_pairs;
    match ready.first() {
        Some(&learner) if stays_odd => Verdict::Act(Step::Etcd(EtcdStep::Promote(learner))),
        Some(&member) => {
            waiting.push(Reason::WaitingForPair { member });
            Verdict::Idle(waiting)
        }
        None => Verdict::Idle(waiting),
    }
}

/// Whether the learner itself shows that it has the log, on a disk of its own.
fn readiness(s: &Situation<'_>, learner: &Member<'_>) -> Result<(), Reason> {
    let member = learner.id();
    let (Some(status), true) = (learner.status, s.is_fresh(learner)) else {
        let why = s.silence(learner).map_or_else(|| Blocker("no fresh answer".to_owned()), |(why, _)| why.clone());
        return Err(Reason::LearnerSilent { member, why });
    };
    if !learner.is_named() {
        return Err(Reason::LearnerSilent { member, why: Blocker("it has not published itself yet".to_owned()) });
    }
    if let (Some(slot), Some(seat)) = (learner.slot, learner.seat) {
        let marked = matches!(
            learner.volume().map(|volume| &volume.marker),
            Some(Marker::Owned { incarnation, generation, .. })
                if *incarnation == s.record.incarnation && *generation == seat.generation
        );
        if !marked {
            return Err(Reason::MarkerNotSeen { member, slot, generation: seat.generation });
        }
    }
    if s.death(learner) == Some(Death::DiskLost) {
        return Err(Reason::LearnerSilent { member, why: Blocker("its disk is gone".to_owned()) });
    }
    let committed = s.voters().filter_map(|voter| voter.status).map(|status| status.committed).max().unwrap_or(0);
    let behind = committed.saturating_sub(status.applied);
    if behind <= READY_LAG { Ok(()) } else { Err(Reason::CatchingUp { member, behind }) }
}
