//! What a person is told of a cluster: a projection of one pass's live answers. Pure; nothing of it is ever read back by a decision.

use etcdop_api::{Cluster, EtcdClusterStatus, MemberRole, MemberState, Mode, Operation, Phase};
use etcdop_core::{
    observation::Role,
    step::Step,
    summary::{ClusterPhase, MemberHealth, MemberRow, Summary, summarize},
};
use etcdop_engine::publish::Published;
use k8s_openapi::jiff::Timestamp;

use self::conditions::conditions;
use crate::resource::{Site, names};

mod conditions;
mod operation;
mod sight;

pub(crate) use conditions::Transitions;
pub(crate) use operation::Running;
pub(crate) use sight::Sight;

/// One pass with everything that its projection needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) published: &'a Published,
    pub(crate) summary: &'a Summary,
    /// An object of one of our names that is somebody else's.
    pub(crate) in_the_way: Option<&'a str>,
    /// What is declared and was not tried yet, and why not.
    pub(crate) unproven: Option<&'a str>,
    /// What the cluster around does not give, and what to do about it.
    pub(crate) lacks: Option<&'a str>,
    pub(crate) site: &'a Site,
}

/// The summary that a picture is drawn from.
pub(crate) fn summary(published: &Published) -> Summary {
    summarize(&published.desired, &published.observation, &published.plan, published.at)
}

impl Picture<'_> {
    /// What the cluster is doing.
    pub(crate) fn phase(&self) -> Phase {
        if self.cluster.mode == Mode::Paused {
            return Phase::Paused;
        }
        if self.in_the_way.is_some() {
            return Phase::Pending;
        }
        match self.summary.phase {
            ClusterPhase::Pending => Phase::Pending,
            ClusterPhase::Creating => Phase::Creating,
            ClusterPhase::Running if self.unproven.is_some() => Phase::Updating,
            ClusterPhase::Running => Phase::Running,
            ClusterPhase::Scaling => Phase::Scaling,
            ClusterPhase::Updating => Phase::Updating,
            ClusterPhase::Recovering => Phase::Recovering,
            ClusterPhase::QuorumLost => Phase::QuorumLost,
            ClusterPhase::Hibernated => Phase::Hibernated,
        }
    }

    /// The step that keeps failing, in words.
    pub(crate) fn setback(&self) -> Option<String> {
        let setback = self.published.setback.as_ref().filter(|setback| setback.tries > 1)?;
        Some(format!("cannot {}: {}", setback.step, setback.why))
    }

    /// What is being done, in words. That the record is committed is nobody's business.
    fn step(&self) -> Option<String> {
        let (step, _) = self.published.plan.act.as_ref()?;
        if matches!(step, Step::Record(_)) { None } else { Some(step.to_string()) }
    }

    /// The most important thing to know; nothing when all is as declared.
    pub(crate) fn message(&self) -> Option<String> {
        let said = |text: &str| Some(text.to_owned());
        let waits = || self.summary.reasons.first().cloned();
        self.in_the_way
            .and_then(said)
            .or_else(|| self.lacks.and_then(said))
            .or_else(|| self.setback())
            .or_else(waits)
            .or_else(|| self.unproven.and_then(said))
            .or_else(|| self.step())
    }
}

/// Projects one pass.
pub(crate) fn project(
    picture: &Picture<'_>,
    running: &mut Running,
    transitions: &mut Transitions,
    now: Timestamp,
) -> EtcdClusterStatus {
    let Picture { cluster, summary, .. } = picture;
    let rows: Vec<&MemberRow> = summary.members.iter().filter(|row| row.id.is_some()).collect();
    let listed = rows.iter().filter(|row| row.role.is_some() || summary.leader.is_none());
    let operation = running.follow(picture, now).map(|(name, started_at)| Operation {
        name,
        started_at,
        step: picture.message().unwrap_or_else(|| "looking again".to_owned()),
    });
    EtcdClusterStatus {
        observed_generation: Some(cluster.generation),
        phase: Some(picture.phase()),
        message: picture.message(),
        current_size: i32::try_from(listed.count()).unwrap_or(i32::MAX),
        ready_members: i32::try_from(sight::ready(picture.published, summary)).unwrap_or(i32::MAX),
        members: rows.iter().filter_map(|row| member(row)).collect(),
        leader: rows.iter().find(|row| row.leader).map(|row| row.name.clone()),
        cluster_id: summary.cluster_id.map(|id| id.to_string()),
        version: rows.iter().filter_map(|row| row.version.clone()).min().map(|version| version.to_string()),
        db_size: rows.iter().filter_map(|row| row.db_size).max().map(rough),
        endpoints: summary.cluster_id.map(|_| names::client_endpoint(cluster, picture.site)).into_iter().collect(),
        selector: Some(names::selector(&cluster.name)),
        operation,
        conditions: transitions.follow(conditions(picture), cluster.generation, now),
    }
}

fn member(row: &MemberRow) -> Option<MemberState> {
    Some(MemberState {
        name: row.name.clone(),
        id: row.id?.to_string(),
        role: match row.role {
            Some(Role::Learner) => MemberRole::Learner,
            // Those of the record, while no list can be read: only voters are worth a majority.
            Some(Role::Voter) | None => MemberRole::Voter,
        },
        version: row.version.as_ref().map(ToString::to_string),
        healthy: row.health == MemberHealth::Healthy,
        db_size: row.db_size.map(rough),
    })
}

/// Bytes to two digits, so that a database that grows does not change its cluster's status all the time.
fn rough(bytes: u64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut rest = bytes;
    let mut unit = 0;
    while rest >= 1024 && unit + 1 < units.len() {
        rest = rest.div_ceil(1024);
        unit += 1;
    }
    let step = if rest >= 100 { 10 } else { 1 };
    format!("{}{}", rest.div_ceil(step) * step, units[unit])
}

/// Whether the difference is worth telling at once: everything but how the words go on while one waits.
pub(crate) fn differs_in_substance(old: &EtcdClusterStatus, new: &EtcdClusterStatus) -> bool {
    let substance = |status: &EtcdClusterStatus| {
        let mut status = status.clone();
        status.message = None;
        if let Some(operation) = &mut status.operation {
            operation.step.clear();
        }
        for condition in &mut status.conditions {
            condition.message.clear();
        }
        status
    };
    substance(old) != substance(new)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
