//! The status of one cluster: the engine's summary of a live look, with the directory and the manager beside it.

use std::path::PathBuf;

use comfy_table::Cell;
use etcdop_core::{
    id::{ClusterId, MemberId},
    observation::{Phase, Probe, Role, SlotView},
    reason::Reason,
    summary::{ClusterPhase, MemberRow, Summary, summarize},
    version::EtcdVersion,
};
use etcdop_engine::publish::Published;
use etcdop_local::open::Cluster;
use serde::Serialize;

use crate::{
    failure::Failure,
    local::declared::Look,
    output::Width,
    table::{bytes, cell, health, phase_word, table},
};

/// What `status` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// Whether somebody acts on what is declared.
    pub(crate) manager_pid: Option<u32>,
    pub(crate) phase: State,
    converged: bool,
    pub(crate) size: u8,
    pub(crate) ready: usize,
    pub(crate) version: EtcdVersion,
    cluster_id: Option<ClusterId>,
    leader: Option<MemberId>,
    /// What is done next.
    step: Option<String>,
    reasons: Vec<String>,
    members: Vec<MemberRow>,
}

/// What a cluster is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum State {
    /// As its members have it.
    Cluster(ClusterPhase),
    /// Nobody keeps it and no member runs: somebody took it down.
    Down(Down),
}

/// The only way to be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Down {
    /// All disks are kept.
    Stopped,
}

impl State {
    /// In a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Cluster(phase) => phase_word(phase),
            Self::Down(Down::Stopped) => "Stopped",
        }
    }
}

/// The summary of a pass.
pub(crate) fn summary(published: &Published) -> Summary {
    summarize(&published.desired, &published.observation, &published.plan, published.at)
}

impl Report {
    /// What is shown of a look at a cluster.
    pub(crate) fn of(cluster: &Cluster, look: &Look) -> Result<Self, Failure> {
        let Summary { phase, converged, size, ready, version, cluster_id, leader, step, reasons: _, members } =
            summary(&look.published);
        let mut reasons: Vec<String> = look.published.plan.reasons.iter().map(seen_once).collect();
        let manager_pid = cluster.manager_process()?.map(|manager| manager.pid());
        let stopped = manager_pid.is_none() && size > 0 && !members.is_empty() && !anything_runs(&look.published);
        if stopped {
            // What an engine would say of it is true and alarming.
            reasons = vec!["no manager and no member runs; all disks are kept".to_owned()];
        }
        reasons.extend(look.problem.clone());
        Ok(Self {
            name: cluster.directory().name().to_string(),
            directory: cluster.directory().path().to_owned(),
            manager_pid,
            phase: if stopped { State::Down(Down::Stopped) } else { State::Cluster(phase) },
            converged: converged && look.problem.is_none(),
            size,
            ready,
            version,
            cluster_id,
            leader,
            step: step.filter(|_| !stopped),
            reasons,
            members,
        })
    }

    /// For people.
    pub(crate) fn text(&self, width: Width) -> String {
        let Self { name, phase, size, ready, version, .. } = self;
        let mut lines = vec![line(name, phase.word(), (*ready, *size), version, self.step.as_deref())];
        lines.push(match self.manager_pid {
            Some(pid) => format!("kept by the manager with PID {pid}"),
            None => format!("no manager runs: `etcdop local up {name}` keeps it as declared"),
        });
        if width == Width::Wide {
            lines.push(format!("directory {}", self.directory.display()));
            lines.extend(self.cluster_id.map(|id| format!("cluster ID {id}")));
        }
        if !self.members.is_empty() {
            lines.push(String::new());
            lines.push(members(&self.members, width));
        }
        if !self.reasons.is_empty() {
            lines.push(String::new());
            lines.extend(self.reasons.iter().map(|reason| format!("- {reason}")));
        }
        lines.join("\n")
    }
}

/// A reason as somebody can give it who has looked for a moment only, and cannot know how long something has lasted.
fn seen_once(reason: &Reason) -> String {
    match reason {
        Reason::NotDeadYet { member, slot, limit, .. } => format!(
            "member {member} in slot {slot} does not answer: it is replaced after {limit:?}, if its peers cannot reach it either"
        ),
        reason => reason.to_string(),
    }
}

fn anything_runs(published: &Published) -> bool {
    let lives = |view: &SlotView| match &view.instance {
        Probe::Known { value, .. } => {
            value.as_ref().is_some_and(|instance| !matches!(instance.phase, Phase::Exited(_)))
        }
        Probe::Unknown { .. } => true,
    };
    published.observation.ground.values().any(lives)
}

/// A cluster in one line.
pub(crate) fn headline(name: &str, summary: &Summary) -> String {
    let Summary { phase, ready, size, version, step, .. } = summary;
    line(name, phase_word(*phase), (*ready, *size), version, step.as_deref())
}

fn line(name: &str, phase: &str, (ready, size): (usize, u8), version: &EtcdVersion, step: Option<&str>) -> String {
    let next = step.map(|step| format!(", next: {step}")).unwrap_or_default();
    format!("{name}: {phase}, {ready} of {size} ready, etcd {version}{next}")
}

/// The members as a table.
pub(crate) fn members(rows: &[MemberRow], width: Width) -> String {
    match width {
        Width::Narrow => {
            table(&["MEMBER", "ID", "ROLE", "HEALTH", "VERSION", "DB", "ENDPOINT"], rows.iter().map(narrow))
        }
        Width::Wide => table(
            &["MEMBER", "ID", "ROLE", "HEALTH", "VERSION", "DB", "ENDPOINT", "SLOT", "IN USE", "APPLIED", "INSTANCE"],
            rows.iter().map(wide),
        ),
    }
}

fn narrow(row: &MemberRow) -> Vec<Cell> {
    vec![
        Cell::new(&row.name),
        cell(row.id),
        role(row),
        health(row.health),
        cell(row.version.as_ref()),
        cell(row.db_size.map(bytes)),
        Cell::new(&row.endpoint),
    ]
}

fn wide(row: &MemberRow) -> Vec<Cell> {
    let mut cells = narrow(row);
    cells.extend([Cell::new(row.slot), cell(row.db_in_use.map(bytes)), cell(row.applied), cell(row.instance.as_ref())]);
    cells
}

fn role(row: &MemberRow) -> Cell {
    match row.role {
        Some(_) if row.leader => Cell::new("leader"),
        Some(Role::Voter) => Cell::new("voter"),
        Some(Role::Learner) => Cell::new("learner"),
        None => cell(None::<&str>),
    }
}
