//! A dead member is removed before another is added in its place (rule 4, P5); its slot is reserved for the successor when the
//! removal is done.
//!
//! Dead is: its disk is lost, or it is silent for longer than the user wants to wait and a second witness says so (rule 7). In
//! doubt nothing is removed.

use std::collections::BTreeMap;

use super::{Verdict, mutation};
use crate::{
    quorum::quorum,
    reason::Reason,
    record::Mutation,
    situation::{Death, Member, Situation},
    step::Step,
};

/// Begins the removal of one dead member.
pub(super) fn replace(s: &Situation<'_>) -> Verdict {
    let target = s.target();
    let mut dead: Vec<(bool, Death, &Member<'_>)> = s
        .members
        .iter()
        .filter_map(|member| {
            let inside = member.slot.is_some_and(|slot| target.contains(&slot));
            Some((inside, s.death(member)?, member))
        })
        .collect();
    // Those in slots that are to stay first, then those in leaving ones (DESIGN §2, slots and members).
    dead.sort_by_key(|&(inside, death, member)| (!inside, death, member.id()));
    let Some(&(_, _, first)) = dead.first() else { return Verdict::Idle(doubts(s)) };
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    let removable = dead.iter().map(|&(.., member)| member).find(|member| mutation::may_leave(s, member));
    match removable.and_then(|member| Some((member.id(), member.slot?))) {
        Some((id, slot)) if s.record.open.is_none() => {
            let mut record = s.record.clone();
            record.open = Some(Mutation::Leave { members: BTreeMap::from([(id, slot)]) });
            Verdict::Act(Step::Record(Box::new(record)))
        }
        Some(_) => Verdict::DONE,
        None => Verdict::Idle(first.slot.map(|slot| refusal(s, first, slot)).into_iter().collect()),
    }
}

fn refusal(s: &Situation<'_>, member: &Member<'_>, slot: crate::id::Slot) -> Reason {
    let (up, voters) = s.remaining(member.id());
    Reason::CannotRemoveDead { member: member.id(), slot, up, voters, needed: quorum(voters) }
}

/// Silent voters that are not dead, or not dead yet.
fn doubts(s: &Situation<'_>) -> Vec<Reason> {
    let doubt = |voter: &Member<'_>| {
        if voter.status.is_some() {
            return None;
        }
        let (member, Some(slot)) = (voter.id(), voter.slot) else {
            return Some(Reason::VoterAstray { member: voter.id() });
        };
        let Some((why, since)) = s.silence(voter) else {
            let why = crate::observation::Blocker(
                "it was not asked yet, or another member answers at its address".to_owned(),
            );
            return Some(Reason::VoterSilent { member, slot, why });
        };
        let (silent, limit) = (s.now.since(since), s.desired.recovery.replace_after);
        if silent < limit {
            let silent = std::time::Duration::from_secs(silent.as_secs());
            Some(Reason::NotDeadYet { member, slot, silent, limit })
        } else if s.second_witness(voter) {
            Some(Reason::VoterSilent { member, slot, why: why.clone() })
        } else {
            Some(Reason::ReachableByPeers { member, slot })
        }
    };
    s.voters().filter_map(doubt).collect()
}
