//! `ls`: every cluster in a line, each looked at now and all at the same time.

use comfy_table::Cell;
use etcdop_local::{home::ClusterName, open::Cluster};
use futures::future::join_all;
use serde::Serialize;

use crate::{
    exit::Exit,
    failure::Failure,
    local::{
        Context,
        declared::look_at,
        report::{Report, State},
    },
    output::Width,
    table::{cell, phase, table},
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    /// Unknown when it cannot be looked at.
    phase: Option<State>,
    ready: Option<usize>,
    size: Option<u8>,
    version: Option<String>,
    manager_pid: Option<u32>,
    directory: std::path::PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists all clusters.
pub(crate) async fn list(context: &Context) -> Result<Exit, Failure> {
    let names = context.home.clusters()?;
    let rows: Vec<Row> = join_all(names.iter().map(|name| row(context, name))).await;
    context.output.show(&rows, |width| {
        if rows.is_empty() { format!("no clusters in {}", context.home.root().display()) } else { text(&rows, width) }
    })?;
    Ok(Exit::Ok)
}

async fn row(context: &Context, name: &ClusterName) -> Row {
    let directory = context.home.cluster(name).path().to_owned();
    match seen(context, name).await {
        Ok(Report { name, directory, manager_pid, phase, ready, size, version, .. }) => Row {
            name,
            phase: Some(phase),
            ready: Some(ready),
            size: Some(size),
            version: Some(version.to_string()),
            manager_pid,
            directory,
            problem: None,
        },
        // One cluster that cannot be looked at must not hide the others.
        Err(failure) => Row {
            name: name.to_string(),
            phase: None,
            ready: None,
            size: None,
            version: None,
            manager_pid: None,
            directory,
            problem: Some(failure.to_string()),
        },
    }
}

async fn seen(context: &Context, name: &ClusterName) -> Result<Report, Failure> {
    let cluster = Cluster::open(&context.home, name)?;
    Report::of(&cluster, &look_at(context, &cluster).await?)
}

fn text(rows: &[Row], width: Width) -> String {
    let mut heads = vec!["NAME", "PHASE", "READY", "VERSION", "MANAGER"];
    if width == Width::Wide {
        heads.push("DIRECTORY");
    }
    let problems = rows.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.problem.as_ref()?)));
    [table(&heads, rows.iter().map(|row| cells(row, width)))]
        .into_iter()
        .chain(problems)
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn cells(row: &Row, width: Width) -> Vec<Cell> {
    let ready = row.ready.zip(row.size).map(|(ready, size)| format!("{ready}/{size}"));
    let mut cells = vec![
        Cell::new(&row.name),
        row.phase.map_or_else(|| cell(None::<&str>), phase),
        cell(ready),
        cell(row.version.as_ref()),
        cell(row.manager_pid),
    ];
    if width == Width::Wide {
        cells.push(Cell::new(row.directory.display()));
    }
    cells
}
