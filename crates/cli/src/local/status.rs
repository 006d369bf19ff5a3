//! `status`: a live look, never a stale file; works with and without a manager.

use etcdop_local::open::Cluster;

use crate::{
    arguments::local::Which,
    exit::Exit,
    failure::Failure,
    local::{
        Context,
        declared::{Look, look_at},
        report::{Report, summary},
    },
};

/// Shows a cluster as it is now.
pub(crate) async fn status(context: &Context, which: Which) -> Result<Exit, Failure> {
    let cluster = context.cluster(which)?;
    let look = look_at(context, &cluster).await?;
    let report = report(&cluster, &look)?;
    context.output.show(&report, |width| report.text(width))?;
    Ok(Exit::Ok)
}

/// What is shown of a look.
pub(crate) fn report(cluster: &Cluster, look: &Look) -> Result<Report, Failure> {
    let mut summary = summary(&look.published);
    if let Some(problem) = &look.problem {
        summary.converged = false;
        summary.reasons.insert(0, problem.clone());
    }
    Ok(Report {
        name: cluster.directory().name().to_string(),
        directory: cluster.directory().path().to_owned(),
        manager_pid: cluster.manager_process()?.map(|manager| manager.pid()),
        summary,
    })
}
