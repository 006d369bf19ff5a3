//! `env`: what etcdctl needs to talk to a cluster.

use serde::Serialize;

use crate::{
    arguments::local::{EnvShell, Which},
    exit::Exit,
    failure::Failure,
    local::{Context, declared::look_at, report::summary},
};

#[derive(Debug, Serialize)]
struct Environment {
    #[serde(rename = "ETCDCTL_ENDPOINTS")]
    endpoints: String,
}

/// Prints the client URLs of the members that serve.
pub(crate) async fn env(context: &Context, which: Which, shell: EnvShell) -> Result<Exit, Failure> {
    let cluster = context.cluster(which)?;
    let look = look_at(context, &cluster).await?;
    let summary = summary(&look.published);
    let endpoints: Vec<&str> = summary.endpoints().collect();
    if endpoints.is_empty() {
        return Err(Failure::NobodyServes(cluster.directory().name().clone()));
    }
    let environment = Environment { endpoints: endpoints.join(",") };
    context.output.show(&environment, |_| match shell {
        EnvShell::Sh => format!("export ETCDCTL_ENDPOINTS={}", environment.endpoints),
        EnvShell::Fish => format!("set -gx ETCDCTL_ENDPOINTS {}", environment.endpoints),
    })?;
    Ok(Exit::Ok)
}
