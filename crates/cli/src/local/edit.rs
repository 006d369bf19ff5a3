//! `scale` and `upgrade`: they check, change one value of cluster.yaml, and leave the rest to whoever keeps the cluster.

use etcdop_core::{
    observation::{Observation, Probe},
    size::Size,
    version::{EtcdVersion, Minor, Path, path},
};
use etcdop_local::{
    binaries::{Binaries, VersionWish},
    open::Cluster,
};
use serde::Serialize;

use crate::{
    arguments::local::Wait,
    exit::Exit,
    failure::Failure,
    local::{Context, declared::look_with, wait::until_as_declared},
    output::remark,
};

/// What was changed, and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Edited {
    name: String,
    field: &'static str,
    from: String,
    to: String,
    /// Who carries it out.
    manager_pid: Option<u32>,
    /// How long it took, when it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
}

/// Declares another size.
pub(crate) async fn scale(context: &Context, size: Size, wait: Wait) -> Result<Exit, Failure> {
    let cluster = context.named_cluster()?;
    let from = cluster.manifest()?.size;
    cluster.set_size(size)?;
    tell(context, &cluster, ("size", from.to_string(), size.to_string()), wait).await
}

/// Declares another version.
pub(crate) async fn upgrade(context: &Context, version: VersionWish, wait: Wait) -> Result<Exit, Failure> {
    let cluster = context.named_cluster()?;
    let binaries = Binaries::find(context.etcd_dir.as_deref()).await?;
    let from = cluster.manifest()?.version;
    set_version(&cluster, &version, &binaries).await?;
    tell(context, &cluster, ("version", from.to_string(), version.to_string()), wait).await
}

/// Declares another version, if there is a way to it from what runs, and a binary.
pub(crate) async fn set_version(cluster: &Cluster, wish: &VersionWish, binaries: &Binaries) -> Result<(), Failure> {
    let target = binaries.resolve(wish)?;
    let mut manifest = cluster.manifest()?;
    // An option that the other version lacks would only show when the roll is to begin.
    manifest.options.check(&target)?;
    manifest.version.clone_from(wish);
    let declared = manifest.desired(binaries)?;
    let look = look_with(cluster, Ok(declared)).await?;
    if let Some((lowest, cluster)) = versions(&look.published.observation)
        && let Path::Refused(why) = path(cluster, &lowest, &target)
    {
        return Err(why.into());
    }
    Ok(cluster.set_version(wish)?)
}

/// The lowest version of a member and the cluster version: as the members say, or as they were started last when none answers.
fn versions(observation: &Observation) -> Option<(EtcdVersion, Minor)> {
    let answers = || observation.status.values().filter_map(Probe::known);
    let recorded = || observation.record.value.slots.values().map(|seat| seat.launch.version().clone());
    let lowest = answers().map(|status| status.version.clone()).min().or_else(|| recorded().min())?;
    let cluster = answers().filter_map(|status| status.cluster_version).max().unwrap_or_else(|| lowest.minor());
    Some((lowest, cluster))
}

async fn tell(
    context: &Context,
    cluster: &Cluster,
    (field, from, to): (&'static str, String, String),
    wait: Wait,
) -> Result<Exit, Failure> {
    let name = cluster.directory().name();
    let manager_pid = cluster.manager_process()?.map(|manager| manager.pid());
    if manager_pid.is_none() {
        let up = context.hint("up", name);
        remark(&format!("no manager runs: it is carried out by the next `{up}`"));
    }
    let took = match wait.wait {
        Some(limit) => Some(until_as_declared(context, cluster, limit).await?),
        None => None,
    };
    let edited = Edited {
        name: name.to_string(),
        field,
        from,
        to,
        manager_pid,
        took_seconds: took.map(|took| took.as_secs_f64()),
    };
    context.output.show(&edited, |_| {
        let Edited { name, field, from, to, .. } = &edited;
        match took {
            Some(took) => format!("{name}: {field} {from} -> {to}, done after {:.1} s", took.as_secs_f64()),
            None => format!("{name}: {field} {from} -> {to}"),
        }
    })?;
    Ok(Exit::Ok)
}
