//! etcd's alarms. CORRUPT: hold everything and say who differs (F40). NOSPACE: give free pages back one member at a time, compact
//! history only when the user allows it, and disarm only when every database is under its quota again (F39).

use super::Verdict;
use crate::{
    desired::CompactOnNoSpace,
    observation::{AlarmKind, MemberStatus, Probe},
    reason::Reason,
    situation::Situation,
    step::{EtcdStep, Step},
};

/// etcd's default for `--quota-backend-bytes`; members before 3.6 do not report theirs.
const DEFAULT_QUOTA: u64 = 2 << 30;

/// Nothing is changed while data differs: a repair that picks the wrong side destroys what is right.
pub(super) fn guard_corruption(s: &Situation<'_>) -> Verdict {
    if let Probe::Unknown { why, .. } = &s.observation.alarms {
        let mentioned = s.members.iter().filter_map(|member| member.status).any(|status| !status.alarms.is_empty());
        if mentioned {
            return Verdict::hold(Reason::AlarmsUnknown(why.clone()));
        }
    }
    let corrupt: Vec<Reason> = s
        .alarms()
        .into_iter()
        .filter(|alarm| alarm.kind == AlarmKind::Corrupt)
        .map(|alarm| Reason::Corrupt(alarm.member))
        .collect();
    if corrupt.is_empty() { Verdict::DONE } else { Verdict::Hold(corrupt) }
}

/// One step out of a NOSPACE alarm.
pub(super) fn regain_space(s: &Situation<'_>) -> Verdict {
    let Some(alarm) = s.alarms().into_iter().find(|alarm| alarm.kind == AlarmKind::NoSpace) else {
        return Verdict::DONE;
    };
    if let Some(silent) = s.sick_voter(None) {
        return Verdict::wait(Reason::DefragmentBlocked { member: silent.id() });
    }
    let answering = || s.members.iter().filter_map(|member| Some((member, member.status?)));
    let over: Vec<_> = answering().filter(|(_, status)| status.db_size >= quota(s, status)).collect();
    if over.is_empty() {
        return Verdict::Act(Step::Etcd(EtcdStep::Disarm(alarm)));
    }
    // "Well under quota": a tenth of it must be free after defragmenting, or the alarm comes back at once.
    let helps = |status: &MemberStatus| status.db_in_use < quota(s, status) / 10 * 9;
    let shrinkable = over.iter().filter(|(_, status)| helps(status)).map(|(member, _)| *member);
    if let Some(member) = shrinkable.min_by_key(|member| (Some(member.id()) == s.leader, member.id())) {
        return Verdict::Act(Step::Etcd(EtcdStep::Defragment(member.id())));
    }
    match (s.desired.maintenance.compact_on_no_space, s.leader) {
        (CompactOnNoSpace::ToLatest, Some(at)) => Verdict::Act(Step::Etcd(EtcdStep::Compact { at })),
        _ => Verdict::Idle(
            over.iter()
                .map(|(member, status)| Reason::OutOfSpace {
                    member: member.id(),
                    in_use: status.db_in_use,
                    quota: quota(s, status),
                })
                .collect(),
        ),
    }
}

fn quota(s: &Situation<'_>, status: &MemberStatus) -> u64 {
    let declared = s.desired.template.options.quota_backend_bytes;
    status.quota.or(declared).filter(|&quota| quota > 0).unwrap_or(DEFAULT_QUOTA)
}
