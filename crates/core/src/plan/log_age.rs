//! etcd 3.7 cannot read the log entries that 3.5 wrote: a member whose newest raft snapshot on disk is older than they are ends at
//! every start (`unmarshal should never fail`, server/etcdserver/apply/apply.go, seen on 3.7.3 after 3.5.35 → 3.6.16). 3.6 saves
//! such a snapshot only every `--snapshot-count` entries. So before a roll to 3.7 the log of a cluster that ever ran 3.5 is made
//! longer by that many empty entries, unless users have written as many.

use super::Verdict;
use crate::{
    reason::Reason,
    situation::{Member, Situation},
    step::{EtcdStep, Step},
    version::Minor,
};

/// The first minor that cannot read what 3.5 wrote.
const STRICT: Minor = Minor::new(3, 7);

/// `--snapshot-count` of etcd 3.6 when it is not set.
const SNAPSHOT_COUNT: u64 = 10_000;

/// Entries applied at once may delay a snapshot by as many.
const MARGIN: u64 = 256;

/// What has to happen before members may be restarted with `to`.
pub(super) fn before_roll(s: &Situation<'_>, cluster: Minor, to: Minor) -> Option<Verdict> {
    if to < STRICT || cluster >= STRICT {
        return None;
    }
    let statuses = || s.members.iter().filter_map(|member| member.status);
    let from = match s.record.readable_from {
        Some(0) => return None,
        Some(from) => from,
        None => {
            let mut record = s.record.clone();
            record.readable_from = Some(statuses().map(|status| status.committed).max()?);
            return Some(Verdict::Act(Step::Record(Box::new(record))));
        }
    };
    if let Some(silent) = s.members.iter().find(|member| member.status.is_none()) {
        return Some(Verdict::wait(Reason::RollBlocked { member: silent.id() }));
    }
    let counts = s.members.iter().filter_map(Member::instance);
    let count =
        counts.map(|instance| instance.launch.template.options.snapshot_count.unwrap_or(SNAPSHOT_COUNT)).max()?;
    let missing = (from + count + MARGIN).saturating_sub(statuses().map(|status| status.applied).min()?);
    let at = s.leader.filter(|_| missing > 0)?;
    Some(Verdict::Act(Step::Etcd(EtcdStep::PadLog { at, entries: missing })))
}

/// Going down to a minor that writes the old entries: what was readable is so no longer.
pub(super) fn before_downgrade(s: &Situation<'_>, to: Minor) -> Option<Verdict> {
    if to >= Minor::V3_6 || s.record.readable_from.is_none() {
        return None;
    }
    let mut record = s.record.clone();
    record.readable_from = None;
    Some(Verdict::Act(Step::Record(Box::new(record))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observation::Safeguard,
        plan::scenario::{Scenario, acts, commits, member},
    };

    /// Three members of 3.6 that are to run 3.7, the snapshot before it kept.
    fn to_3_7(readable_from: Option<u64>) -> Scenario {
        Scenario::formed("VVV").version("3.7.3").with(|s| {
            s.record_mut().readable_from = readable_from;
            let incarnation = s.record().incarnation.clone();
            s.seen.safeguards = vec![Safeguard { before: STRICT, incarnation, age: std::time::Duration::ZERO }];
        })
    }

    #[test]
    fn a_cluster_born_on_3_6_has_nothing_that_3_7_cannot_read() {
        assert!(commits(&to_3_7(Some(0)).plan()).is_some_and(|record| record.open.is_some()));
    }

    #[test]
    fn where_the_readable_part_of_the_log_begins_is_noted_first() {
        let record = commits(&to_3_7(None).plan()).unwrap();
        assert_eq!((record.readable_from, record.open), (Some(10_000), None));
    }

    #[test]
    fn the_log_grows_until_every_member_has_saved_a_snapshot() {
        let wanted = Step::Etcd(EtcdStep::PadLog { at: member(0), entries: 10_000 + MARGIN });
        assert_eq!(acts(&to_3_7(Some(10_000)).plan()), Some(wanted));
    }

    #[test]
    fn the_users_own_snapshot_count_is_what_counts() {
        let scenario = to_3_7(Some(10_000)).with(|s| {
            for slot in 0..3 {
                s.instance_mut(slot).launch.template.options.snapshot_count = Some(50);
                s.seat_mut(slot).launch.template.options.snapshot_count = Some(50);
                s.view_mut(slot).declared.as_mut().unwrap().template.options.snapshot_count = Some(50);
            }
        });
        assert_eq!(scenario.next(), format!("write {} empty entries to the log of member a0", 50 + MARGIN));
    }

    #[test]
    fn one_member_that_lags_holds_the_roll() {
        let scenario = to_3_7(Some(10_000)).with(|s| {
            for slot in 0..3 {
                s.status_mut(slot).applied = if slot == 2 { 20_000 } else { 30_000 };
            }
        });
        assert_eq!(scenario.next(), format!("write {MARGIN} empty entries to the log of member a0"));
    }

    #[test]
    fn a_log_that_is_long_enough_lets_the_roll_begin() {
        let scenario = to_3_7(Some(10_000)).with(|s| {
            (0..3).for_each(|slot| s.status_mut(slot).applied = 10_000 + SNAPSHOT_COUNT + MARGIN);
        });
        assert!(commits(&scenario.plan()).is_some_and(|record| record.open.is_some()));
    }

    #[test]
    fn a_downgrade_to_3_5_forgets_what_was_readable() {
        let scenario = Scenario::formed("VVV").version("3.5.35").with(|s| s.record_mut().readable_from = Some(7));
        assert_eq!(commits(&scenario.plan()).unwrap().readable_from, None);
    }
}
