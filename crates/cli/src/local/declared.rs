//! What is declared, for whoever only looks. A broken manifest or a missing binary must not hide a running cluster: then it is
//! held against what its record says that it was last.

use etcdop_core::{
    desired::{Desired, Maintenance, Patience, Recovery},
    launch::Template,
    record::Record,
    size::Size,
};
use etcdop_engine::{driver::look, platform::Platform, publish::Published, tuning::Tuning};
use etcdop_local::{binaries::Binaries, open::Cluster};

use crate::{failure::Failure, local::Context};

/// A look at a cluster, and what is wrong with its declaration.
pub(crate) struct Look {
    pub(crate) published: Published,
    pub(crate) problem: Option<String>,
}

/// Looks at the cluster as declared now.
pub(crate) async fn look_at(context: &Context, cluster: &Cluster) -> Result<Look, Failure> {
    let binaries = Binaries::find(context.etcd_dir.as_deref()).await;
    let declared = binaries.map_err(Failure::from).and_then(|binaries| declared(cluster, &binaries));
    look_with(cluster, declared).await
}

/// What the manifest says now.
pub(crate) fn declared(cluster: &Cluster, binaries: &Binaries) -> Result<Desired, Failure> {
    Ok(cluster.manifest()?.desired(binaries)?)
}

/// Looks at the cluster, held against what is declared or else against its record.
pub(crate) async fn look_with(cluster: &Cluster, declared: Result<Desired, Failure>) -> Result<Look, Failure> {
    let reader = cluster.reader();
    let (desired, problem) = match declared {
        Ok(desired) => (desired, None),
        Err(failure) => {
            let record = reader.observe().await.record;
            match record.ok().and_then(|record| as_recorded(&record.value)) {
                Some(desired) => (desired, Some(in_one_line(&failure))),
                None => return Err(failure),
            }
        }
    };
    Ok(Look { published: look(&reader, desired, Tuning::default()).await, problem })
}

/// The cluster as its record has it; `None` while it has no members.
fn as_recorded(record: &Record) -> Option<Desired> {
    let template: Template = record.slots.values().next()?.launch.template.clone();
    let seats = record.slots.len() as u64;
    // In the middle of a scaling the number may be even.
    let size = Size::try_from(seats).or_else(|_| Size::try_from(seats - 1)).ok()?;
    Some(Desired {
        size,
        template,
        recovery: Recovery::default(),
        maintenance: Maintenance::default(),
        patience: Patience::default(),
    })
}

fn in_one_line(failure: &Failure) -> String {
    [failure.to_string()].into_iter().chain(failure.causes()).collect::<Vec<_>>().join(": ")
}
