//! Bringing every member to the version and options that are wanted, one restart at a time: those that are not healthy anyway
//! first, the leader last (reliability.md, H46). The record keeps what the member ran before, so that a launch spec that does not
//! serve is taken back (DESIGN §6).

use std::time::Duration;

use super::{Verdict, log_age, promotion::READY_LAG};
use crate::{
    launch::LaunchSpec,
    observation::Safeguard,
    reason::Reason,
    record::{Before, Mutation},
    situation::{Member, Situation},
    step::{DowngradeOp, EtcdStep, Step},
    version::{EtcdVersion, Minor, Path, path},
};

/// How old a snapshot may be when the roll begins that it is to guard.
const SAFEGUARD_AGE: Duration = Duration::from_hours(1);

/// Restarts one member, or prepares the way for it.
pub(super) fn roll(s: &Situation<'_>) -> Verdict {
    if s.record.open.is_some() || s.desired.size.is_zero() {
        return Verdict::DONE;
    }
    let wanted = s.wanted_launch();
    let behind: Vec<&Member<'_>> = s.members.iter().filter(|member| is_behind(member, &wanted)).collect();
    if behind.is_empty() {
        return if s.record.rejected.is_some() { forget(s) } else { leave_downgrade_mode(s, &wanted) };
    }
    if let Err(error) = wanted.template.options.check(wanted.version()) {
        return Verdict::wait(Reason::BadOption(error));
    }
    if s.record.rejected.as_ref() == Some(&wanted.template) {
        return Verdict::wait(Reason::StillRejected { version: wanted.version().clone() });
    }
    if let Some(slot) = s.permit_in_use() {
        return Verdict::wait(Reason::PermitHolder { slot });
    }
    if let Some(learner) = s.learners().find(|learner| is_catching_up(s, learner)) {
        return Verdict::wait(Reason::RollWaitsForLearner { member: learner.id() });
    }
    if let Some(verdict) = prepare(s, &wanted) {
        return verdict;
    }
    let rank = |member: &&&Member<'_>| {
        (s.is_healthy(member), member.is_learner() || s.is_in_step(member), Some(member.id()) == s.leader, member.slot)
    };
    let Some(next) = behind.iter().min_by_key(rank) else { return Verdict::DONE };
    if let Some(blocker) = blocker(s, next) {
        let silent = Reason::RollBlocked { member: blocker.id() };
        return Verdict::wait(s.sickness(blocker).filter(|_| blocker.status.is_some()).unwrap_or(silent));
    }
    restart(s, next, wanted)
}

/// Something else was named and is there: what did not serve may be tried again when it is named again.
fn forget(s: &Situation<'_>) -> Verdict {
    let mut record = s.record.clone();
    record.rejected = None;
    Verdict::Act(Step::Record(Box::new(record)))
}

/// Whether it runs, or is to run, something else. That it does not run at all is not the roll's business, and a joiner comes up
/// with what the voters run first.
fn is_behind(member: &Member<'_>, wanted: &LaunchSpec) -> bool {
    if member.is_learner() && !member.is_named() {
        return false;
    }
    let seat = member.seat.map(|seat| &seat.launch);
    let running = member.instance().map(|instance| &instance.launch);
    seat.into_iter().chain(running).any(|launch| launch != wanted)
}

/// Whether data are on their way to it: whoever is restarted or made to lead meanwhile may have to send them again. One that
/// does not answer for long is no reason to wait: perhaps it is the release that does not let it.
fn is_catching_up(s: &Situation<'_>, learner: &Member<'_>) -> bool {
    if let Some(behind) = s.behind(learner).filter(|_| s.is_fresh(learner)) {
        return behind > READY_LAG;
    }
    let Some(slot) = learner.slot.filter(|_| !learner.is_named()) else { return false };
    s.permit(slot).is_some() && !s.was_permitted(slot, s.desired.patience.join) && s.is_serving(slot)
}

/// Who must be well first: a member that serves nothing can be restarted freely, any other only when all the rest could do
/// without it.
fn blocker<'s, 'a>(s: &'s Situation<'a>, next: &Member<'_>) -> Option<&'s Member<'a>> {
    let serves = next.is_learner() || s.is_healthy(next);
    serves.then(|| s.unfit_voter(Some(next.id()))).flatten()
}

fn restart(s: &Situation<'_>, member: &Member<'_>, wanted: LaunchSpec) -> Verdict {
    let (Some(slot), Some(seat)) = (member.slot, member.seat) else { return Verdict::DONE };
    let mut record = s.record.clone();
    // What really runs is what is proven; the seat says so too unless a restart was taken back while it was on its way.
    let before = if member.status.is_some() { Before::Serving } else { Before::Sick };
    let running = member.instance().filter(|_| before == Before::Serving).map(|instance| instance.launch.clone());
    let from = running.unwrap_or_else(|| seat.launch.clone());
    record.open = Some(Mutation::Restart { slot, from, before });
    record.rejected = None;
    if let Some(seat) = record.slots.get_mut(&slot) {
        seat.launch = wanted;
    }
    Verdict::Act(Step::Record(Box::new(record)))
}

/// The lowest version among the members, and the cluster version, which is never above it.
fn versions(s: &Situation<'_>) -> Option<(EtcdVersion, Minor)> {
    let statuses = || s.members.iter().filter_map(|member| member.status);
    let answered = statuses().map(|status| status.version.clone());
    // One that does not answer is what it was started with.
    let silent = s.members.iter().filter(|member| member.status.is_none()).filter_map(Member::instance);
    let lowest = answered.chain(silent.map(|instance| instance.launch.version().clone())).min()?;
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
        Path::Downgrade => {
            log_age::before_downgrade(s, to).or_else(|| enter_downgrade_mode(s, to, mode.map(|mode| mode.target)))
        }
        Path::Roll if mode.is_some_and(|mode| mode.target < to) => {
            Some(Verdict::Act(Step::Etcd(EtcdStep::Downgrade(DowngradeOp::Cancel))))
        }
        // Downgrade mode brings the cluster version down before the storages.
        Path::Roll if mode.is_some_and(|mode| mode.target == to) => storages_come_down(s, to),
        Path::Roll => save_snapshot(s, cluster, to).or_else(|| log_age::before_roll(s, cluster, to)),
    }
}

fn save_snapshot(s: &Situation<'_>, cluster: Minor, to: Minor) -> Option<Verdict> {
    // Once a member runs the new minor, what was saved before it is what is to be kept, however long the roll takes.
    let begun = s.members.iter().filter_map(|member| member.status).any(|status| status.version.minor() >= to);
    let kept = |safeguard: &Safeguard| {
        let of_this_roll = begun || safeguard.age <= SAFEGUARD_AGE;
        safeguard.before == to && safeguard.incarnation == s.record.incarnation && of_this_roll
    };
    if to <= cluster || s.observation.safeguards.iter().any(kept) {
        return None;
    }
    let followers = s.voters().filter(|voter| s.is_healthy(voter) && Some(voter.id()) != s.leader).map(Member::id);
    let from = followers.min().or(s.leader)?;
    Some(Verdict::Act(Step::Etcd(EtcdStep::Snapshot { from, before: to })))
}

fn enter_downgrade_mode(s: &Situation<'_>, to: Minor, on: Option<Minor>) -> Option<Verdict> {
    if on != Some(to) {
        let op = if on.is_some() { DowngradeOp::Cancel } else { DowngradeOp::Enable(to) };
        return Some(Verdict::Act(Step::Etcd(EtcdStep::Downgrade(op))));
    }
    storages_come_down(s, to)
}

/// Members may be restarted with the lower minor once every storage has come down to it (F35).
fn storages_come_down(s: &Situation<'_>, to: Minor) -> Option<Verdict> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use crate::{
        observation::{DowngradeMode, Safeguard},
        permit::ClusterState,
        plan::{
            Wake,
            scenario::{Scenario, commits, launch, template},
        },
        record::{Before, Mutation},
        version::{EtcdVersion, Minor},
    };

    /// To another patch: needs no snapshot.
    fn patch(picture: &str) -> Scenario {
        Scenario::formed(picture).version("3.6.17")
    }

    fn to(version: &str, picture: &str) -> Scenario {
        Scenario::formed(picture).version(version)
    }

    fn saved(scenario: Scenario) -> Scenario {
        scenario.with(|s| {
            let incarnation = s.record().incarnation.clone();
            let before = s.desired.template.version.minor();
            s.seen.safeguards.push(Safeguard { before, incarnation, age: Duration::ZERO });
        })
    }

    #[rstest]
    #[case::the_lowest_follower(patch("VVV"), "open restart of 1; seat 1 for 3.6.17")]
    #[case::then_the_next(patch("VVV").running("3.6.17", &[1]), "open restart of 2")]
    #[case::the_leader_last(patch("VVV").running("3.6.17", &[1, 2]), "open restart of 0")]
    #[case::who_is_sick_anyway_first(patch("VVx"), "open restart of 2")]
    #[case::nobody_healthy_while_another_is_sick(patch("VVx").running("3.6.17", &[2]), "wait: no restart while voter a2 does not answer")]
    #[case::nobody_while_another_is_far_behind(
        patch("VVV").running("3.6.17", &[2]).behind(2, 1_001), "wait: voter a2 in slot 2 is 1001 entries behind: no other voter is stopped"
    )]
    #[case::a_little_behind_is_no_obstacle(patch("VVV").running("3.6.17", &[2]).behind(2, 1_000), "open restart of 1")]
    #[case::who_is_far_behind_first(patch("VVV").behind(2, 1_001), "open restart of 2")]
    #[case::nobody_while_another_follows_nobody(
        patch("VVV").running("3.6.17", &[2]).with(|s| s.status_mut(2).leader = None),
        "wait: voter a2 in slot 2 answers, but follows no leader while a quorum follows a0"
    )]
    #[case::no_learner_while_a_voter_is_sick(patch("VVxLL").running("3.6.17", &[0, 1, 2]), "wait: no restart while voter a2 does not answer")]
    #[case::no_joiner_before_it_published_itself(
        patch("VVVu").running("3.6.17", &[0, 1, 2]), "permit the first start in slots [3]"
    )]
    #[case::nobody_while_a_joiner_starts(
        patch("VVVu").permitted(3, 100, ClusterState::Existing), "wait: waiting for slot 3 to serve its peer URL"
    )]
    fn restarts(#[case] scenario: Scenario, #[case] next: &str) {
        let said = scenario.next();
        assert!(
            if next.starts_with("wait") {
                scenario.expect(next);
                true
            } else {
                said.contains(next.split(';').next().unwrap())
            },
            "{said}"
        );
    }

    #[test]
    fn a_restart_notes_what_ran_before_and_how_it_was() {
        let open = |scenario: Scenario| commits(&scenario.plan()).unwrap().open.unwrap();
        let restart = |slot, before| Mutation::Restart { slot: crate::id::Slot(slot), from: launch("3.6.16"), before };
        assert_eq!(open(patch("VVV")), restart(1, Before::Serving));
        assert_eq!(open(patch("VVx")), restart(2, Before::Sick));
    }

    #[test]
    fn changed_options_are_rolled_like_a_version() {
        let options = Scenario::formed("VVV").with(|s| s.desired.template.options.snapshot_count = Some(5000));
        assert!(options.next().contains("open restart of 1"), "{}", options.next());
    }

    #[test]
    fn options_that_etcd_would_end_on_restart_nobody() {
        let wrong = Scenario::formed("VVV").with(|s| s.desired.template.options.election_timeout = Some(1));
        assert_eq!(wrong.plan().next, Wake::OnChange);
        wrong.expect("wait: electionTimeout 1 ms is too short");
    }

    fn rejected() -> Scenario {
        patch("VVV").with(|s| s.record_mut().rejected = Some(template("3.6.17")))
    }

    #[test]
    fn what_did_not_serve_is_not_tried_again() {
        rejected().expect("wait: etcd 3.6.17 with the options asked for was tried and did not serve in time");
        assert_eq!(rejected().plan().next, Wake::OnChange);
    }

    #[test]
    fn naming_something_else_forgets_what_did_not_serve() {
        let forgotten = rejected().version("3.6.16").expect("forget what was rejected").advance();
        assert!(forgotten.version("3.6.17").next().contains("open restart of 1"));
        let other = rejected().version("3.6.18");
        assert!(other.next().ends_with("forget what was rejected"), "{}", other.next());
    }

    #[rstest]
    #[case::a_snapshot_of_a_follower_comes_first(
        to("3.7.3", "VVV"),
        "save a snapshot of member a1 before going to 3.7"
    )]
    #[case::of_the_leader_when_it_is_alone(to("3.7.3", "V"), "save a snapshot of member a0 before going to 3.7")]
    #[case::a_jump_is_refused(to("3.7.3", "VVV").running("3.5.35", &[0, 1, 2]), "wait: etcd 3.5.35 cannot go to 3.7.3 in one step: set a version of 3.6 first")]
    #[case::zombies_are_refused(to("3.6.16", "VVV").running("3.5.21", &[0, 1, 2]), "wait: set 3.5.32 or a later 3.5 first")]
    #[case::a_jump_down_is_refused(to("3.5.35", "VVV").running("3.7.3", &[0, 1, 2]), "wait: set a version of 3.6 first")]
    fn a_new_minor(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[test]
    fn a_kept_snapshot_is_good_for_its_minor_and_incarnation_only() {
        let kept = saved(to("3.7.3", "VVV"));
        assert!(kept.next().contains("open restart of 1"), "{}", kept.next());
        let of_another_life = kept.clone().with(|s| s.seen.safeguards[0].incarnation = s.record().incarnation.next());
        of_another_life.expect("save a snapshot of member a1 before going to 3.7");
        let of_another_minor = kept.with(|s| s.seen.safeguards[0].before = Minor::new(3, 6));
        of_another_minor.expect("save a snapshot of member a1 before going to 3.7");
    }

    #[test]
    fn a_snapshot_from_before_an_earlier_roll_does_not_guard_a_new_one() {
        let aged = |scenario: Scenario, age| saved(scenario).with(|s| s.seen.safeguards[0].age = age);
        let hour = Duration::from_hours(1);
        assert!(aged(to("3.7.3", "VVV"), hour).next().contains("open restart of 1"));
        let old = aged(to("3.7.3", "VVV"), hour + Duration::from_secs(1));
        old.clone().expect("save a snapshot of member a1 before going to 3.7");
        // In the middle of its own roll it is the right one, whatever time that takes.
        let cluster_of_3_6 = |s: &mut Scenario| s.status_mut(1).cluster_version = Some(Minor::new(3, 6));
        let rolling = old.running("3.7.3", &[1]).with(cluster_of_3_6);
        assert!(rolling.next().contains("open restart of 2"), "{}", rolling.next());
    }

    #[rstest]
    #[case::that_is_far_behind(patch("VVVLl"))]
    #[case::that_receives_its_first_data(patch("VVVuL").permitted(3, 5_000, ClusterState::Existing).peers_served(3, None))]
    fn nobody_is_restarted_beside_a_learner(#[case] scenario: Scenario) {
        scenario.expect("wait: no restart while data are on their way to learner");
    }

    #[rstest]
    #[case::that_is_ready_and_waits_for_its_pair(patch("VVVLp"), "open restart of 1")]
    #[case::that_serves_its_peers_and_nobody_else_for_long(
        patch("VVVuL").permitted(3, 61_000, ClusterState::Existing).peers_served(3, None), "open restart of 1"
    )]
    #[case::that_ended(patch("VVVLL").silent_for(3, 1), "open restart of 3")]
    fn a_roll_does_not_wait_for_a_learner(#[case] scenario: Scenario, #[case] next: &str) {
        assert!(scenario.next().contains(next), "{}", scenario.next());
    }

    fn refused_path_is_at_rest(scenario: &Scenario) -> bool {
        scenario.plan().next == Wake::OnChange
    }

    #[test]
    fn a_refused_way_waits_for_the_user() {
        assert!(refused_path_is_at_rest(&to("3.7.3", "VVV").running("3.5.35", &[0, 1, 2])));
    }

    /// From 3.6 to 3.5; that 3.7 cannot read the log after it is noted.
    fn down() -> Scenario {
        to("3.5.35", "VVV").with(|s| s.record_mut().readable_from = None)
    }

    /// All on 3.6 with a 3.6 storage, 3.5 wanted, and downgrade mode on for it.
    fn downgrading(storage: &str) -> Scenario {
        down().with(|s| {
            for slot in 0..3 {
                let status = s.status_mut(slot);
                status.downgrade = Some(DowngradeMode { target: Minor::new(3, 5) });
                status.storage = Some(storage.parse().unwrap());
            }
        })
    }

    fn cluster_version(minor: u64) -> impl Fn(&mut Scenario) {
        move |s| (0..3).for_each(|slot| s.status_mut(slot).cluster_version = Some(Minor::new(3, minor)))
    }

    #[rstest]
    #[case::is_enabled_first(down(), "enable the downgrade to 3.5")]
    #[case::waits_for_every_storage(
        downgrading("3.5.0").with(|s| s.status_mut(2).storage = Some(EtcdVersion::new(3, 6, 0))),
        "wait: waiting for the storage of all members to come down to 3.5"
    )]
    #[case::waits_for_every_storage_also_when_the_cluster_version_came_down(
        downgrading("3.6.0").with(cluster_version(5)), "wait: waiting for the storage of all members to come down to 3.5"
    )]
    #[case::waits_for_a_silent_member(
        downgrading("3.5.0").silent_for(2, 1), "wait: waiting for the storage of all members to come down to 3.5"
    )]
    #[case::cancels_one_to_another_minor(
        downgrading("3.5.0").with(|s| s.status_mut(1).downgrade = Some(DowngradeMode { target: Minor::new(3, 4) }))
            .with(|s| s.status_mut(0).downgrade = None).with(|s| s.status_mut(2).downgrade = None),
        "cancel the downgrade"
    )]
    #[case::is_cancelled_when_it_was_set_back(downgrading("3.6.0").version("3.6.16"), "cancel the downgrade")]
    #[case::is_cancelled_before_members_go_up_again(
        downgrading("3.5.0").version("3.6.16").running("3.5.35", &[1]).with(cluster_version(5)), "cancel the downgrade"
    )]
    fn a_downgrade(#[case] scenario: Scenario, #[case] next: &str) {
        scenario.expect(next);
    }

    #[rstest]
    #[case::while_the_cluster_version_is_high(6)]
    #[case::when_the_cluster_version_came_down(5)]
    fn a_downgrade_restarts_members_once_every_storage_is_down(#[case] minor: u64) {
        let ready = downgrading("3.5.0").with(cluster_version(minor));
        assert!(ready.next().contains("open restart of 1"), "{}", ready.next());
        let next = ready.running("3.5.35", &[1]).with(|s| s.status_mut(1).storage = None).with(cluster_version(minor));
        assert!(next.next().contains("open restart of 2"), "{}", next.next());
    }

    #[test]
    fn a_roll_set_back_in_the_middle_heals_without_a_downgrade() {
        // Two of three came to 3.6, the cluster version is still 3.5.
        let back = to("3.5.35", "VVV").running("3.5.35", &[0]).with(cluster_version(5));
        assert!(back.next().contains("open restart of 1"), "{}", back.next());
    }

    #[test]
    fn a_member_that_does_not_answer_is_as_old_as_what_it_was_started_with() {
        let scenario = to("3.6.16", "VVv").running("3.5.35", &[0, 1]).running("3.5.20", &[2]);
        scenario.expect("wait: set 3.5.32 or a later 3.5 first");
    }
}
