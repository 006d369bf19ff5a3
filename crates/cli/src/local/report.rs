//! The status of one cluster: the engine's summary of a live look, with the directory and the manager beside it.

use std::path::PathBuf;

use comfy_table::Cell;
use etcdop_core::{
    observation::Role,
    summary::{MemberRow, Summary, summarize},
};
use etcdop_engine::publish::Published;
use serde::Serialize;

use crate::{
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
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

/// The summary of a pass.
pub(crate) fn summary(published: &Published) -> Summary {
    summarize(&published.desired, &published.observation, &published.plan, published.at)
}

impl Report {
    /// For people.
    pub(crate) fn text(&self, width: Width) -> String {
        let mut lines = vec![headline(&self.name, &self.summary)];
        lines.push(match self.manager_pid {
            Some(pid) => format!("kept by the manager with PID {pid}"),
            None => format!("no manager runs: `etcdop local up {}` keeps it as declared", self.name),
        });
        if width == Width::Wide {
            lines.push(format!("directory {}", self.directory.display()));
            lines.extend(self.summary.cluster_id.map(|id| format!("cluster ID {id}")));
        }
        if !self.summary.members.is_empty() {
            lines.push(String::new());
            lines.push(members(&self.summary.members, width));
        }
        let reasons = self.summary.reasons.iter();
        let notes: Vec<String> = reasons.map(|reason| format!("- {reason}")).collect();
        if !notes.is_empty() {
            lines.push(String::new());
            lines.extend(notes);
        }
        lines.join("\n")
    }
}

/// A cluster in one line.
pub(crate) fn headline(name: &str, summary: &Summary) -> String {
    let Summary { phase, ready, size, version, step, .. } = summary;
    let next = step.as_ref().map(|step| format!(", next: {step}")).unwrap_or_default();
    format!("{name}: {}, {ready} of {size} ready, etcd {version}{next}", phase_word(*phase))
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
