//! The conditions: each says what is so, why, and what to do about it.

use std::collections::BTreeMap;

use etcdop_api::{Mode, Phase};
use etcdop_core::{
    observation::Probe,
    quorum::quorum,
    reason::Reason,
    record::Mutation,
    summary::{MemberHealth, MemberRow},
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::Picture;

/// A condition without its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

/// Since when each condition is as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transitions {
    since: BTreeMap<String, (String, Timestamp)>,
}

impl Transitions {
    /// Goes on from conditions that were written before. They are history, not evidence.
    pub(crate) fn resume(conditions: &[Condition]) -> Self {
        let since = conditions.iter().map(|c| (c.type_.clone(), (c.status.clone(), c.last_transition_time.0)));
        Self { since: since.collect() }
    }

    pub(super) fn follow(&mut self, findings: Vec<Finding>, generation: i64, now: Timestamp) -> Vec<Condition> {
        let condition = |finding: Finding| {
            let status = if finding.holds { "True" } else { "False" };
            let entry = self.since.entry(finding.kind.to_owned()).or_insert_with(|| (status.to_owned(), now));
            if entry.0 != status {
                *entry = (status.to_owned(), now);
            }
            Condition {
                type_: finding.kind.to_owned(),
                status: status.to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message,
                last_transition_time: Time(entry.1),
                observed_generation: Some(generation),
            }
        };
        findings.into_iter().map(condition).collect()
    }
}

pub(super) fn conditions(picture: &Picture<'_>) -> Vec<Finding> {
    vec![available(picture), progressing(picture), degraded(picture), quorum_lost(picture), up_to_date(picture)]
}

fn finding(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Finding {
    Finding { kind, holds, reason, message }
}

fn available(picture: &Picture<'_>) -> Finding {
    let summary = picture.summary;
    let voters = summary.members.iter().filter(|row| row.role == Some(etcdop_core::observation::Role::Voter)).count();
    let serves = voters > 0 && summary.ready >= quorum(voters) && summary.leader.is_some();
    let answer = format!("{} of {voters} voting members answer", summary.ready);
    if serves {
        return finding("Available", true, "QuorumAnswers", answer);
    }
    let reason = match picture.phase() {
        Phase::Hibernated => "Hibernated",
        Phase::Pending | Phase::Creating => "NotFormed",
        Phase::QuorumLost => "QuorumLost",
        _ => "NoQuorumSeen",
    };
    finding("Available", false, reason, picture.message().unwrap_or(answer))
}

fn progressing(picture: &Picture<'_>) -> Finding {
    let at_rest = || "nothing is in flight".to_owned();
    if picture.cluster.mode == Mode::Paused {
        return finding("Progressing", false, "Paused", "spec.paused is set: nothing is changed".to_owned());
    }
    if picture.in_the_way.is_some() {
        return finding("Progressing", false, "ObjectInTheWay", picture.message().unwrap_or_default());
    }
    if let Some(unproven) = picture.unproven {
        return finding("Progressing", true, "Preflight", unproven.to_owned());
    }
    // Disks that are kept beside those in use change nothing about it.
    let quiet = picture.phase() == Phase::Running && picture.message().is_none();
    if picture.summary.converged || quiet {
        return finding("Progressing", false, "AsDeclared", at_rest());
    }
    if let Some(lacks) = picture.lacks {
        return finding("Progressing", false, "Lacking", lacks.to_owned());
    }
    if let Some(setback) = picture.setback() {
        return finding("Progressing", true, "StepFails", setback);
    }
    let said = |wanted: fn(&Reason) -> bool| {
        picture.published.plan.reasons.iter().find(|reason| wanted(reason)).map(ToString::to_string)
    };
    let refused =
        said(|reason| matches!(reason, Reason::VersionPath(_) | Reason::BadOption(_) | Reason::StillRejected { .. }));
    if let Some(refused) = refused {
        return finding("Progressing", false, "Refused", refused);
    }
    let reason = match picture.phase() {
        Phase::Creating => "Creating",
        Phase::Scaling => "Scaling",
        Phase::Updating => "Updating",
        Phase::Recovering => "Recovering",
        Phase::QuorumLost => "WaitsForQuorum",
        Phase::Hibernated => "Hibernating",
        Phase::Pending | Phase::Running | Phase::Deleting | Phase::Paused => "Settling",
    };
    finding("Progressing", true, reason, picture.message().unwrap_or_else(at_rest))
}

fn degraded(picture: &Picture<'_>) -> Finding {
    if let Some(foreign) = picture.in_the_way {
        return finding("Degraded", true, "ObjectInTheWay", foreign.to_owned());
    }
    if let Some(lacks) = picture.lacks {
        return finding("Degraded", true, "Lacking", lacks.to_owned());
    }
    let restarting = match &picture.published.observation.record.value.open {
        Some(Mutation::Restart { slot, .. }) => Some(*slot),
        Some(Mutation::Leave { .. }) | None => None,
    };
    let sick = |row: &&MemberRow| {
        let unwell = matches!(row.health, MemberHealth::Silent | MemberHealth::Dead);
        unwell && Some(row.slot) != restarting && picture.phase() != Phase::Creating
    };
    let sick: Vec<String> = picture.summary.members.iter().filter(sick).map(|row| ailment(picture, row)).collect();
    if !sick.is_empty() {
        return finding("Degraded", true, "MemberUnhealthy", sick.join("; "));
    }
    let refused = picture.published.plan.reasons.iter().find(|reason| matches!(reason, Reason::GateRefused { .. }));
    if let Some(refused) = refused {
        return finding("Degraded", true, "DiskRefused", refused.to_string());
    }
    if let Some(setback) = picture.setback() {
        return finding("Degraded", true, "StepFails", setback);
    }
    finding("Degraded", false, "MembersHealthy", "every member answers".to_owned())
}

/// What is wrong with a member: its own silence, or how far its Pod has come.
fn ailment(picture: &Picture<'_>, row: &MemberRow) -> String {
    let why = match picture.published.observation.status.get(&row.slot) {
        Some(Probe::Unknown { why, .. }) => why.to_string(),
        Some(Probe::Known { .. }) | None => "it follows no leader".to_owned(),
    };
    match &row.instance {
        Some(instance) if !why.contains(instance.as_str()) => format!("{}: {why} ({instance})", row.name),
        Some(_) => format!("{}: {why}", row.name),
        None => format!("{}: {why}; it has no Pod", row.name),
    }
}

fn quorum_lost(picture: &Picture<'_>) -> Finding {
    let lost = picture.published.plan.reasons.iter().find(|reason| matches!(reason, Reason::QuorumLost { .. }));
    match lost {
        Some(lost) => finding("QuorumLost", true, "TooFewVoters", lost.to_string()),
        None => finding("QuorumLost", false, "QuorumNotLost", "no majority of members is known to be gone".to_owned()),
    }
}

fn up_to_date(picture: &Picture<'_>) -> Finding {
    if let Some(foreign) = picture.in_the_way {
        return finding("MembersUpToDate", false, "ObjectInTheWay", foreign.to_owned());
    }
    if picture.phase() == Phase::Pending {
        return finding("MembersUpToDate", false, "NotFormed", "there are no members yet".to_owned());
    }
    if let Some(unproven) = picture.unproven {
        return finding("MembersUpToDate", false, "Preflight", unproven.to_owned());
    }
    let wanted = &picture.published.desired.template;
    let behind = picture.published.observation.ground.values().filter(|view| {
        let instance = view.instance.known().and_then(Option::as_ref);
        instance.is_some_and(|instance| instance.launch.template != *wanted)
    });
    let behind: Vec<&str> = behind.map(|view| view.address.name.as_str()).collect();
    if behind.is_empty() {
        finding("MembersUpToDate", true, "AsDeclared", format!("every member runs etcd {} as declared", wanted.version))
    } else {
        finding("MembersUpToDate", false, "OutOfDate", format!("still to be restarted: {}", behind.join(", ")))
    }
}
