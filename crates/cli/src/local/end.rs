//! `down` and `destroy`: the end of a cluster's processes, and of the cluster.

use etcdop_local::down::{self, IfKept};
use serde::Serialize;

use crate::{arguments::local::Which, exit::Exit, failure::Failure, local::Context, progress::Spinner};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stopped {
    name: String,
    members_stopped: usize,
}

/// Stops the manager and all members.
pub(crate) async fn down(context: &Context, which: Which) -> Result<Exit, Failure> {
    let cluster = context.cluster(which)?;
    let name = cluster.directory().name().to_string();
    let spinner = Spinner::start(format!("stopping {name}"));
    let members_stopped = down::down(cluster.directory(), IfKept::StopManager).await?;
    spinner.end();
    let stopped = Stopped { name, members_stopped };
    context.output.show(&stopped, |_| match members_stopped {
        0 => format!("{}: nothing ran", stopped.name),
        members => format!("{}: {members} members stopped, their disks are kept", stopped.name),
    })?;
    Ok(Exit::Ok)
}

#[derive(Debug, Serialize)]
struct Destroyed {
    name: String,
    destroyed: std::path::PathBuf,
}

/// Stops everything and removes the directory.
pub(crate) async fn destroy(context: &Context, which: Which, yes: bool) -> Result<Exit, Failure> {
    let cluster = context.cluster(which)?;
    let (name, directory) = (cluster.directory().name().clone(), cluster.directory().path().to_owned());
    if !yes {
        return Err(Failure::NotConfirmed { name, directory });
    }
    let spinner = Spinner::start(format!("destroying {name}"));
    down::destroy(cluster.directory(), IfKept::StopManager).await?;
    spinner.end();
    let destroyed = Destroyed { name: name.to_string(), destroyed: directory };
    context.output.show(&destroyed, |_| format!("{name} is gone, data included"))?;
    Ok(Exit::Ok)
}
