//! `status`: a live look, never a stale file; works with and without a manager.

use crate::{
    arguments::local::Which,
    exit::Exit,
    failure::Failure,
    local::{Context, declared::look_at, report::Report},
};

/// Shows a cluster as it is now.
pub(crate) async fn status(context: &Context, which: Which) -> Result<Exit, Failure> {
    let cluster = context.cluster(which)?;
    let look = look_at(context, &cluster).await?;
    let report = Report::of(&cluster, &look)?;
    context.output.show(&report, |width| report.text(width))?;
    Ok(Exit::Ok)
}
