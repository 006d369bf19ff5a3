//! Bringing every member to the version and options that are wanted, one restart at a time: those that are not healthy anyway
//! first, the leader last (reliability.md, H46). The record keeps what the member ran before, so that a launch spec that does not
//! serve is taken back (DESIGN §6).

use super::Verdict;
use crate::{
    id::MemberId,
    launch::LaunchSpec,
    reason::Reason,
    record::{Before, Mutation},
    situation::{Member, Situation},
    step::{DowngradeOp, EtcdStep, Step},
    version::{EtcdVersion, Minor, Path, path},
};

/// Restarts one member, or prepares the way for it.
pub(super) fn roll(s: &Situation<'_>) -> Verdict {
    if s.record.open.is_some() || s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    let wanted = s.wanted_launch();
    let behind: Vec<&Member<'_>> = s.members.iter().filter(|member| is_behind(member, &wanted)).collect();
    if behind.is_empty() {
        return leave_downgrade_mode(s, &wanted);
    }
    if let Err(error) = wanted.template.options.check(wanted.version()) {
        return Verdict::wait(Reason::BadOption(error));
    }
    if s.record.rejected.as_ref() == Some(&wanted.template) {
        return Verdict::wait(Reason::StillRejected { version: wanted.version().clone() });
    }
    if let Some(verdict) = prepare(s, &wanted) {
        return verdict;
    }
    let rank = |member: &&&Member<'_>| (s.is_healthy(member), Some(member.id()) == s.leader, member.slot);
    let Some(next) = behind.iter().min_by_key(rank) else { return Verdict::DONE };
    if let Some(blocker) = blocker(s, next) {
        return Verdict::wait(Reason::RollBlocked { member: blocker });
    }
    restart(s, next, wanted)
}

/// Whether it runs, or is to run, something else. That it does not run at all is not the roll's business.
fn is_behind(member: &Member<'_>, wanted: &LaunchSpec) -> bool {
    let seat = member.seat.map(|seat| &seat.launch);
    let running = member.instance().map(|instance| &instance.launch);
    seat.into_iter().chain(running).any(|launch| launch != wanted)
}

/// Who must be healthy first: a member that serves nothing can be restarted freely, any other only when all the rest is well.
fn blocker(s: &Situation<'_>, next: &Member<'_>) -> Option<MemberId> {
    let serves = next.is_learner() || s.is_healthy(next);
    serves.then(|| s.sick_voter(Some(next.id())).map(Member::id)).flatten()
}

fn restart(s: &Situation<'_>, member: &Member<'_>, wanted: LaunchSpec) -> Verdict {
    let (Some(slot), Some(seat)) = (member.slot, member.seat) else { return Verdict::DONE };
    let mut record = s.record.clone();
    // What really runs is what is proven; the seat says so too unless a restart was taken back while it was on its way.
    let before = if member.status.is_some() { Before::Serving } else { Before::Sick };
    let running = member.instance().filter(|_| before == Before::Serving).map(|instance| instance.launch.clone());
    let from = running.unwrap_or_else(|| seat.launch.clone());
    record.open = Some(Mutation::Restart { slot, from, before });
    if let Some(seat) = record.slots.get_mut(&slot) {
        seat.launch = wanted;
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

/// The lowest version among the members, and the cluster version, which is never above it.
fn versions(s: &Situation<'_>) -> Option<(EtcdVersion, Minor)> {
    let statuses = || s.members.iter().filter_map(|member| member.status);
    let lowest = statuses().map(|status| status.version.clone()).min()?;
    let cluster = statuses().filter_map(|status| status.cluster_version).max().unwrap_or_else(|| lowest.minor());
    Some((lowest, cluster))
}

/// Refuses what has no way, enters downgrade mode, and saves a snapshot before a new minor.
fn prepare(s: &Situation<'_>, wanted: &LaunchSpec) -> Option<Verdict> {
    let (lowest, cluster) = versions(s)?;
    let to = wanted.version().minor();
    let mode = s.members.iter().filter_map(|member| member.status).find_map(|status| status.downgrade);
    match path(cluster, &lowest, wanted.version()) {
        Path::Refused(error) => Some(Verdict::wait(Reason::VersionPath(error))),
        Path::Downgrade => enter_downgrade_mode(s, to, mode.map(|mode| mode.target)),
        Path::Roll if mode.is_some_and(|mode| mode.target < to) => {
            Some(Verdict::Act(Step::Etcd(EtcdStep::Downgrade(DowngradeOp::Cancel))))
        }
        Path::Roll => save_snapshot(s, cluster, to),
    }
}

fn save_snapshot(s: &Situation<'_>, cluster: Minor, to: Minor) -> Option<Verdict> {
    let kept = |safeguard: &crate::observation::Safeguard| {
        safeguard.before == to && safeguard.incarnation == s.record.incarnation
    };
    if to <= cluster || s.observation.safeguards.iter().any(kept) {
        return None;
    }
    let followers = s.voters().filter(|voter| s.is_healthy(voter) && Some(voter.id()) != s.leader).map(Member::id);
    let from = followers.min().or(s.leader)?;
    Some(Verdict::Act(Step::Etcd(EtcdStep::Snapshot { from, before: to })))
}

/// Members may be restarted with the lower minor once every storage has come down to it (F35).
fn enter_downgrade_mode(s: &Situation<'_>, to: Minor, on: Option<Minor>) -> Option<Verdict> {
    if on != Some(to) {
        let op = if on.is_some() { DowngradeOp::Cancel } else { DowngradeOp::Enable(to) };
        return Some(Verdict::Act(Step::Etcd(EtcdStep::Downgrade(op))));
    }
    let down = |storage: &EtcdVersion| storage.minor() <= to;
    let ready = s.members.iter().all(|member| match member.status {
        Some(status) => status.version.minor() <= to || status.storage.as_ref().is_some_and(down),
        None => false,
    });
    (!ready).then(|| Verdict::wait(Reason::DowngradeRunning { to: to.to_string() }))
}

/// A downgrade that was set back before any member went down is called off; one that is through ends by itself (F35).
fn leave_downgrade_mode(s: &Situation<'_>, wanted: &LaunchSpec) -> Verdict {
    let mode = s.members.iter().filter_map(|member| member.status).find_map(|status| status.downgrade);
    match mode {
        Some(mode) if mode.target < wanted.version().minor() => {
            Verdict::Act(Step::Etcd(EtcdStep::Downgrade(DowngradeOp::Cancel)))
        }
        _ => Verdict::DONE,
    }
}
