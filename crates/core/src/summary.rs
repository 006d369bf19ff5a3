//! What a person wants to know about a cluster: a projection of one pass's live answers, never read back by the planner.
//!
//! Ready is a voter of the linearizable list that answered for itself in this pass and follows the agreed leader; unknown is
//! shown as unknown (reliability.md, H4).

use serde::Serialize;

use crate::{
    desired::Desired,
    id::{ClusterId, MemberId, Mono, Slot},
    observation::{Observation, Phase, Probe, Role},
    plan::Plan,
    reason::Reason,
    record::{Birth, Mutation},
    situation::{Death, Member, Situation},
    version::EtcdVersion,
};

/// What the cluster is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ClusterPhase {
    /// Nothing was created.
    Pending,
    /// The founders are coming up.
    Creating,
    /// As declared.
    Running,
    /// Members are joining or leaving.
    Scaling,
    /// Members are being restarted with another version or other options.
    Updating,
    /// A member is dead or silent.
    Recovering,
    /// Too few members run for anything to be decided.
    QuorumLost,
    /// No member runs, every disk is kept.
    Hibernated,
}

/// How one member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberHealth {
    /// Answers and follows the agreed leader.
    Healthy,
    /// Its instance waits at the gate, or its learner is on the way to its first answer.
    Joining,
    /// Does not answer, or follows no leader.
    Silent,
    /// To be replaced.
    Dead,
    /// Nothing is supposed to run.
    Stopped,
}

/// One row of a status table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRow {
    /// Its place.
    pub slot: Slot,
    /// etcd's name for it.
    pub name: String,
    /// etcd's ID for it, once it has one.
    pub id: Option<MemberId>,
    /// Whether it votes; unknown while no list can be read.
    pub role: Option<Role>,
    /// How it is.
    pub health: MemberHealth,
    /// Whether it leads.
    pub leader: bool,
    /// The version that it says it runs.
    pub version: Option<EtcdVersion>,
    /// Bytes allocated by its database.
    pub db_size: Option<u64>,
    /// Bytes of it in use.
    pub db_in_use: Option<u64>,
    /// Raft index that it has applied.
    pub applied: Option<u64>,
    /// How far its instance has come.
    pub instance: Option<String>,
    /// Where clients reach it.
    pub endpoint: String,
}

/// What a person wants to know about a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// What it is about.
    pub phase: ClusterPhase,
    /// Whether it is as declared and nothing is in flight.
    pub converged: bool,
    /// Voters asked for.
    pub size: u8,
    /// Healthy voters.
    pub ready: usize,
    /// The version asked for.
    pub version: EtcdVersion,
    /// etcd's ID for it.
    pub cluster_id: Option<ClusterId>,
    /// Whom a quorum believes to lead.
    pub leader: Option<MemberId>,
    /// What is being done right now, in words.
    pub step: Option<String>,
    /// What blocks, and what to do, in words.
    pub reasons: Vec<String>,
    /// Its members and the slots that wait for one.
    pub members: Vec<MemberRow>,
}

impl Summary {
    /// Clients may use these members: voters that are healthy.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        let serving = |row: &&MemberRow| row.role == Some(Role::Voter) && row.health == MemberHealth::Healthy;
        self.members.iter().filter(serving).map(|row| row.endpoint.as_str())
    }
}

/// Projects one pass.
pub fn summarize(desired: &Desired, observation: &Observation, plan: &Plan, now: Mono) -> Summary {
    let s = Situation::new(desired, observation, now);
    let ready = s.voters().filter(|voter| s.is_healthy(voter)).count();
    let members: Vec<MemberRow> = observation.ground.keys().map(|&slot| row(&s, slot)).collect();
    let cluster_id = match s.record.birth {
        Birth::Formed(cluster) => Some(cluster),
        Birth::Unborn | Birth::Forming => None,
    };
    Summary {
        phase: phase(&s, plan, ready),
        converged: is_converged(&s, plan, ready),
        size: desired.size.get(),
        ready,
        version: desired.template.version.clone(),
        cluster_id,
        leader: s.leader,
        step: plan.act.as_ref().map(|(step, _)| step.to_string()),
        reasons: plan.reasons.iter().map(ToString::to_string).collect(),
        members,
    }
}

fn row(s: &Situation<'_>, slot: Slot) -> MemberRow {
    let member = s.members.iter().find(|member| member.slot == Some(slot));
    let status = s.observation.status.get(&slot).and_then(Probe::known);
    let view = &s.observation.ground[&slot];
    let id = member.map(Member::id).or_else(|| s.record.slots.get(&slot)?.member);
    MemberRow {
        slot,
        name: view.address.name.clone(),
        id,
        role: member.map(|member| member.row.role),
        health: health(s, slot, member),
        leader: id.is_some() && id == s.leader,
        version: status.map(|status| status.version.clone()),
        db_size: status.map(|status| status.db_size),
        db_in_use: status.map(|status| status.db_in_use),
        applied: status.map(|status| status.applied),
        instance: instance(s, slot),
        endpoint: view.address.client.clone(),
    }
}

fn health(s: &Situation<'_>, slot: Slot, member: Option<&Member<'_>>) -> MemberHealth {
    let declared = s.view(slot).is_some_and(|view| view.declared.is_some());
    let answers = s.observation.status.get(&slot).and_then(Probe::known).is_some();
    match member {
        Some(member) if s.death(member).is_some() => MemberHealth::Dead,
        Some(member) if s.is_healthy(member) => MemberHealth::Healthy,
        Some(member) if member.is_learner() => MemberHealth::Joining,
        Some(_) => MemberHealth::Silent,
        None if !declared => MemberHealth::Stopped,
        None if answers || s.record.slots.get(&slot).is_some_and(|seat| seat.member.is_some()) => MemberHealth::Silent,
        None => MemberHealth::Joining,
    }
}

fn instance(s: &Situation<'_>, slot: Slot) -> Option<String> {
    let instance = match &s.view(slot)?.instance {
        Probe::Known { value, .. } => value.as_ref()?,
        Probe::Unknown { why, .. } => return Some(format!("unknown: {why}")),
    };
    Some(match &instance.phase {
        Phase::Pending(why) => format!("pending: {why}"),
        Phase::AtGate => "at the gate".to_owned(),
        Phase::Refused(why) => format!("refused: {why}"),
        Phase::Running => "running".to_owned(),
        Phase::Exited(why) => format!("exited: {why}"),
        Phase::Stopping => "stopping".to_owned(),
    })
}

/// As declared: the voters asked for and nobody else, each healthy on what was asked for, nothing open and nothing to wait for.
fn is_converged(s: &Situation<'_>, plan: &Plan, ready: usize) -> bool {
    if plan.act.is_some() || s.record.open.is_some() {
        return false;
    }
    if s.desired.size.is_zero() {
        let still = |view: &crate::observation::SlotView| view.instance.known().is_some_and(Option::is_none);
        let asleep = plan
            .reasons
            .iter()
            .all(|r| matches!(r, Reason::Hibernating | Reason::RecordLostAsleep | Reason::NothingToCreate));
        return asleep && s.observation.ground.values().all(still);
    }
    let wanted = s.wanted_launch();
    let up_to_date = |member: &Member<'_>| member.instance().is_some_and(|instance| instance.launch == wanted);
    let exact = s.members.len() == usize::from(s.desired.size.get()) && s.record.slots.len() == s.members.len();
    let alone = s.observation.ground.len() == s.members.len();
    exact && alone && ready == s.members.len() && s.members.iter().all(up_to_date) && plan.reasons.is_empty()
}

fn phase(s: &Situation<'_>, plan: &Plan, ready: usize) -> ClusterPhase {
    let said = |wanted: fn(&Reason) -> bool| plan.reasons.iter().any(wanted);
    match s.record.birth {
        Birth::Unborn if said(|reason| matches!(reason, Reason::RecordLostAsleep)) => return ClusterPhase::Hibernated,
        Birth::Unborn => return ClusterPhase::Pending,
        Birth::Forming => return ClusterPhase::Creating,
        Birth::Formed(_) => {}
    }
    if said(|reason| matches!(reason, Reason::QuorumLost { .. })) {
        return ClusterPhase::QuorumLost;
    }
    if s.desired.size.is_zero() {
        return ClusterPhase::Hibernated;
    }
    let dead = s.members.iter().any(|member| matches!(s.death(member), Some(Death::DiskLost | Death::Unreachable)));
    let restarting = matches!(s.record.open, Some(Mutation::Restart { .. }));
    if dead || s.members.is_empty() || (!restarting && s.voters().count() > ready) {
        return ClusterPhase::Recovering;
    }
    let exact = s.members.len() == usize::from(s.desired.size.get()) && s.learners().next().is_none();
    if !exact || s.record.slots.len() != s.members.len() {
        return ClusterPhase::Scaling;
    }
    let wanted = s.wanted_launch();
    let behind = s.members.iter().any(|member| member.instance().is_some_and(|instance| instance.launch != wanted));
    if restarting || behind { ClusterPhase::Updating } else { ClusterPhase::Running }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        observation::{Blocker, Marker},
        permit::ClusterState,
        plan::scenario::{NOW, Scenario, member, size},
        size::Size,
    };

    fn summary(scenario: &Scenario) -> Summary {
        summarize(&scenario.desired, &scenario.seen, &scenario.plan(), scenario.now)
    }

    #[rstest]
    #[case::nothing_yet(Scenario::unborn(3), ClusterPhase::Pending, 0)]
    #[case::founders_come_up(Scenario::forming("ggp"), ClusterPhase::Creating, 0)]
    #[case::growing(Scenario::formed("VVVgg"), ClusterPhase::Scaling, 3)]
    #[case::learners_catch_up(Scenario::formed("VVVll"), ClusterPhase::Scaling, 3)]
    #[case::shrinking(Scenario::formed("VVVVV").size(size(3)), ClusterPhase::Scaling, 5)]
    #[case::to_be_rolled(Scenario::formed("VVV").version("3.7.3"), ClusterPhase::Updating, 3)]
    #[case::one_restarts(
        Scenario::formed("VVV").version("3.7.3").restarting(1, "3.6.16", 1).restarted_in_vain(1, Phase::Running),
        ClusterPhase::Updating,
        2
    )]
    #[case::one_is_silent(Scenario::formed("VVv"), ClusterPhase::Recovering, 2)]
    #[case::one_is_dead(Scenario::formed("VVD"), ClusterPhase::Recovering, 2)]
    #[case::too_many_are_down(Scenario::formed("Vxx").no_roster(), ClusterPhase::QuorumLost, 0)]
    #[case::the_list_cannot_be_read(Scenario::formed("VVV").no_roster(), ClusterPhase::Recovering, 0)]
    fn a_cluster_that_is_not_as_declared_says_what_it_is_about(
        #[case] scenario: Scenario,
        #[case] phase: ClusterPhase,
        #[case] ready: usize,
    ) {
        let summary = summary(&scenario);
        assert_eq!((summary.phase, summary.ready, summary.converged), (phase, ready, false));
        assert!(summary.step.is_some() || !summary.reasons.is_empty(), "says neither what it does nor what blocks");
    }

    #[test]
    fn a_cluster_as_declared_is_converged() {
        let summary = summary(&Scenario::formed("VVV"));
        assert_eq!((summary.phase, summary.ready, summary.converged), (ClusterPhase::Running, 3, true));
        assert_eq!((summary.step, summary.reasons.len(), summary.leader), (None, 0, Some(member(0))));
        assert_eq!(summary.cluster_id.map(|id| id.to_string()), Some("c0ffee".to_owned()));
    }

    #[test]
    fn a_sleeping_cluster_is_converged_once_nothing_runs() {
        let falling_asleep = Scenario::formed("VVV").size(Size::ZERO);
        assert_eq!(summary(&falling_asleep).phase, ClusterPhase::Hibernated);
        assert!(!summary(&falling_asleep).converged);
        let asleep = summary(&falling_asleep.asleep());
        assert_eq!((asleep.phase, asleep.converged), (ClusterPhase::Hibernated, true));
        assert!(asleep.members.iter().all(|row| row.health == MemberHealth::Stopped));
        let lost = summary(&Scenario::formed("VVV").size(Size::ZERO).asleep().without_record());
        assert_eq!((lost.phase, lost.converged), (ClusterPhase::Hibernated, true));
    }

    #[test]
    fn what_is_not_known_is_not_shown_as_ready() {
        let mut blind = Scenario::formed("VVV").no_roster();
        blind.view_mut(2).instance = Probe::Unknown { why: Blocker("refused".to_owned()), since: NOW };
        let summary = summary(&blind);
        assert!(summary.members.iter().all(|row| row.role.is_none() && row.health == MemberHealth::Silent));
        assert_eq!(summary.members[2].instance.as_deref(), Some("unknown: refused"));
        assert_eq!(summary.endpoints().count(), 0);
    }

    #[test]
    fn clients_are_sent_to_healthy_voters_only() {
        let summary = summary(&Scenario::formed("VVvL"));
        assert_eq!(summary.endpoints().collect::<Vec<_>>(), ["http://127.0.0.1:12380", "http://127.0.0.1:12381"]);
    }

    #[rstest]
    #[case::leads("V", MemberHealth::Healthy, "running")]
    #[case::silent("VVv", MemberHealth::Silent, "running")]
    #[case::ended("VVx", MemberHealth::Silent, "exited: exit code 2")]
    #[case::disk_lost("VVD", MemberHealth::Dead, "at the gate")]
    #[case::joins("Vuu", MemberHealth::Joining, "at the gate")]
    #[case::waits_to_be_added("Vgg", MemberHealth::Joining, "at the gate")]
    fn the_last_member_of(#[case] picture: &str, #[case] health: MemberHealth, #[case] instance: &str) {
        let row = summary(&Scenario::formed(picture)).members.pop().unwrap();
        assert_eq!((row.health, row.instance.as_deref()), (health, Some(instance)));
    }

    #[rstest]
    #[case::pending(Phase::Pending(Blocker("no node".to_owned())), "pending: no node")]
    #[case::refused(Phase::Refused(Blocker("another life".to_owned())), "refused: another life")]
    #[case::stopping(Phase::Stopping, "stopping")]
    fn an_instance_on_its_way_is_told(#[case] phase: Phase, #[case] words: &str) {
        let row = summary(&Scenario::formed("VVx").phase(2, phase)).members.pop().unwrap();
        assert_eq!(row.instance.as_deref(), Some(words));
    }

    #[test]
    fn a_row_shows_what_the_member_says_of_itself() {
        let mut summary = summary(&Scenario::formed("VVL"));
        let (learner, leader) = (summary.members.pop().unwrap(), summary.members.swap_remove(0));
        assert_eq!((leader.leader, leader.role, leader.name.as_str()), (true, Some(Role::Voter), "m0"));
        assert_eq!((learner.leader, learner.role, learner.id), (false, Some(Role::Learner), Some(member(2))));
        assert_eq!(learner.version.map(|version| version.to_string()), Some("3.6.16".to_owned()));
        assert_eq!((learner.db_size, learner.db_in_use, learner.applied), (Some(20_480), Some(16_384), Some(10_000)));
    }

    #[test]
    fn a_slot_that_is_left_over_keeps_the_cluster_from_being_done() {
        let left_over = Scenario::formed("VVV").disk(3, Some(Marker::Foreign("files".to_owned())));
        assert!(!summary(&left_over).converged);
    }

    #[test]
    fn a_summary_is_written_with_ids_as_etcdctl_prints_them() {
        let permitted = Scenario::formed("Vuu").permitted(1, 100, ClusterState::Existing);
        let text = serde_json::to_string(&summary(&permitted)).unwrap();
        for part in [r#""phase":"Scaling""#, r#""clusterId":"c0ffee""#, r#""leader":"a0""#, r#""health":"joining""#] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
