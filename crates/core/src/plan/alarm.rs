//! etcd's alarms. CORRUPT: hold everything and say who differs (F40). NOSPACE: give free pages back one member at a time, compact
//! history only when the user allows it, and disarm only when every database is under its quota again (F39).

use super::{Verdict, setback};
use crate::{
    desired::CompactOnNoSpace,
    observation::{AlarmKind, MemberStatus, Probe},
    reason::Reason,
    situation::{Member, Situation},
    step::{EtcdStep, Step},
};

/// etcd's default for `--quota-backend-bytes`; members before 3.6 do not report theirs.
const DEFAULT_QUOTA: u64 = 2 << 30;

/// Raft entries that a member may be behind and still be taken for one that has everything: answers are not of one moment.
const LAG: u64 = 100;

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
    // The alarm comes with a write that would not fit, so a database may be a little under its quota then.
    let over: Vec<_> = answering().filter(|(_, status)| status.db_size >= quota(s, status) / 20 * 19).collect();
    if over.is_empty() {
        return Verdict::Act(Step::Etcd(EtcdStep::Disarm(alarm)));
    }
    // "Well under quota": a tenth of it must be free after defragmenting, or the alarm comes back at once.
    let needed = in_use_by_all(s);
    let helps = |status: &MemberStatus| needed.unwrap_or(status.db_in_use) < quota(s, status) / 10 * 9;
    let shrinkable = over.iter().filter(|(_, status)| helps(status)).map(|(member, _)| *member);
    if let Some(member) = shrinkable.min_by_key(|member| (Some(member.id()) == s.leader, member.id())) {
        return Verdict::Act(Step::Etcd(EtcdStep::Defragment(member.id())));
    }
    let full = |(member, status): &(&Member<'_>, &MemberStatus)| Reason::OutOfSpace {
        member: member.id(),
        in_use: status.db_in_use,
        quota: quota(s, status),
    };
    let compact = match (s.desired.maintenance.compact_on_no_space, s.leader) {
        (CompactOnNoSpace::ToLatest, Some(at)) => Some(Step::Etcd(EtcdStep::Compact { at })),
        _ => None,
    };
    // Where no history is left to drop only the user knows what to give up: that is to be said, not only that a step failed.
    match compact.filter(|step| setback::puts_off(s, step).is_none()) {
        Some(step) => Verdict::Act(step),
        None => Verdict::Idle(over.iter().map(full).collect()),
    }
}

/// Bytes that the data takes, as the member knows it that knows it best: a member notices freed pages with its next write, and
/// there are none under this alarm. What one needs is enough for everybody that applied the same.
fn in_use_by_all(s: &Situation<'_>) -> Option<u64> {
    let voters = || s.voters().filter_map(|voter| voter.status);
    let newest = voters().map(|status| status.applied).max()?;
    voters().filter(|status| newest - status.applied <= LAG).map(|status| status.db_in_use).min()
}

fn quota(s: &Situation<'_>, status: &MemberStatus) -> u64 {
    // What it runs with, not what it is to run with: a larger quota counts when the member was restarted with it.
    let running = s.member(status.member).and_then(Member::instance);
    let declared = running.and_then(|instance| instance.launch.template.options.quota_backend_bytes);
    status.quota.or(declared).filter(|&quota| quota > 0).unwrap_or(DEFAULT_QUOTA)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        desired::CompactOnNoSpace,
        id::MemberId,
        observation::{Alarm, AlarmKind, Blocker, Failure, Probe},
        plan::scenario::{NOW, Scenario},
        step::{EtcdStep, Step},
    };

    const QUOTA: u64 = 1000;

    /// Three members with a NOSPACE alarm, a quota of 1000 bytes, and these bytes allocated and in use.
    fn full(sizes: [(u64, u64); 3]) -> Scenario {
        Scenario::formed("VVV").alarm(AlarmKind::NoSpace, 1).with(|s| {
            for (slot, (allocated, used)) in (0..).zip(sizes) {
                let status = s.status_mut(slot);
                (status.quota, status.db_size, status.db_in_use) = (Some(QUOTA), allocated, used);
            }
        })
    }

    fn compacts(scenario: Scenario) -> Scenario {
        scenario.with(|s| s.desired.maintenance.compact_on_no_space = CompactOnNoSpace::ToLatest)
    }

    #[rstest]
    #[case::defragments_followers_first(full([(1000, 100); 3]), "defragment member a1")]
    #[case::the_leader_last(full([(1000, 100), (100, 100), (100, 100)]), "defragment member a0")]
    #[case::only_who_is_over_its_quota(full([(100, 100), (100, 100), (1000, 100)]), "defragment member a2")]
    #[case::disarms_only_when_all_are_under_their_quota(full([(949, 899); 3]), "disarm the NoSpace alarm of member a1")]
    #[case::a_write_that_did_not_fit_wins_no_space(full([(950, 940); 3]), "wait: database of member a0 is full (940 of 1000 bytes in use)")]
    #[case::goes_by_who_noticed_what_was_freed(full([(1000, 990), (1000, 990), (100, 90)]), "defragment member a1")]
    #[case::not_by_who_is_far_behind(
        full([(1000, 990), (1000, 990), (100, 90)]).with(|s| s.status_mut(2).applied -= 101),
        "wait: database of member a0 is full (990 of 1000 bytes in use)"
    )]
    #[case::asks_a_human_when_defragmenting_alone_does_not_help(full([(1000, 900); 3]), "wait: database of member a0 is full (900 of 1000 bytes in use)")]
    #[case::compacts_history_when_that_is_allowed(compacts(full([(1000, 900); 3])), "compact history to the newest revision of member a0")]
    #[case::compacts_nothing_that_defragmenting_would_free(compacts(full([(1000, 100); 3])), "defragment member a1")]
    #[case::touches_nobody_while_a_voter_is_silent(full([(1000, 100); 3]).silent_for(2, 5), "wait: no member is defragmented while voter a2 does not answer")]
    #[case::goes_by_what_a_member_runs_with_where_it_does_not_say(full([(100, 100); 3]).with(|s| {
        s.desired.template.options.quota_backend_bytes = Some(8 << 30);
        s.instance_mut(2).launch.template.options.quota_backend_bytes = Some(100);
        s.seat_mut(2).launch.template.options.quota_backend_bytes = Some(100);
        s.view_mut(2).declared.as_mut().unwrap().template.options.quota_backend_bytes = Some(100);
        s.status_mut(2).quota = None;
        (s.status_mut(2).db_size, s.status_mut(2).db_in_use) = (100, 10);
    }), "defragment member a2")]
    #[case::goes_by_etcds_default_where_nothing_is_declared(full([(100, 100); 3]).with(|s| {
        s.status_mut(2).quota = None;
        (s.status_mut(2).db_size, s.status_mut(2).db_in_use) = (2 << 30, 10);
    }), "defragment member a2")]
    fn no_space(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_cluster_without_history_to_drop_says_so_and_gets_the_larger_quota_that_is_asked_for() {
        let full = compacts(full([(1000, 990); 3]));
        let in_vain = full.set_back(Step::Etcd(EtcdStep::Compact { at: MemberId(0xa0) }), Failure::NotApplied);
        in_vain.clone().expect("wait: database of member a0 is full (990 of 1000 bytes in use)");
        in_vain
            .with(|s| s.desired.template.options.quota_backend_bytes = Some(2000))
            .expect("seat 1 for 3.6.16; open restart of 1");
    }

    #[test]
    fn a_full_cluster_still_replaces_its_dead() {
        Scenario::formed("VVD").alarm(AlarmKind::NoSpace, 1).expect("open leave of 2");
    }

    #[rstest]
    #[case::of_a_member(MemberId(0xa1), "wait: CORRUPT alarm raised for member a1: compare the members' hashes")]
    #[case::of_nobody_in_particular(MemberId(0), "wait: no member in particular (no majority agrees)")]
    fn corruption_holds_everything(#[case] member: MemberId, #[case] next: &str) {
        let corrupt = Scenario::formed("VVD").alarm(AlarmKind::Corrupt, 1);
        corrupt
            .with(|s| {
                s.seen.alarms = Probe::Known { value: [Alarm { member, kind: AlarmKind::Corrupt }].into(), at: NOW }
            })
            .expect(next);
    }

    #[test]
    fn an_alarm_that_is_mentioned_and_cannot_be_read_holds_everything() {
        let unread =
            |s: &mut Scenario| s.seen.alarms = Probe::Unknown { why: Blocker("refused".to_owned()), since: NOW };
        let mentioned = Scenario::formed("VVD").with(unread).with(|s| {
            s.status_mut(0).alarms.insert(Alarm { member: MemberId(0xa1), kind: AlarmKind::Corrupt });
        });
        mentioned.expect("wait: CORRUPT alarm cannot be read in full: refused");
        Scenario::formed("VVD").with(unread).expect("open leave of 2");
    }

    #[test]
    fn a_removal_that_is_open_waits_for_the_corruption_too() {
        Scenario::formed("VVD")
            .leaving(&[2])
            .alarm(AlarmKind::Corrupt, 1)
            .expect("wait: CORRUPT alarm raised for member a1");
    }
}
