//! Waiting for a cluster to be as declared, by looking at it: nobody's word is taken for it.

use std::time::{Duration, Instant};

use etcdop_core::summary::Summary;
use etcdop_local::{binaries::Binaries, open::Cluster};
use tokio::time::{interval, timeout};

use crate::{
    failure::Failure,
    local::{
        Context,
        declared::{declared, look_with},
        report::{headline, summary},
    },
    progress::Spinner,
};

/// Between two looks.
const PACE: Duration = Duration::from_millis(200);

/// Waits at most `limit`; says how long it took.
pub(crate) async fn until_as_declared(
    context: &Context,
    cluster: &Cluster,
    limit: Duration,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let name = cluster.directory().name();
    let spinner = Spinner::start(format!("{name}: waiting"));
    let binaries = Binaries::find(context.etcd_dir.as_deref()).await?;
    let mut last = Err("nothing was seen".to_owned());
    let waited = timeout(limit, async {
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            if cluster.manager_process()?.is_none() {
                last = Err("no manager runs".to_owned());
                return Ok(false);
            }
            let look = look_with(cluster, declared(cluster, &binaries)).await?;
            let seen = summary(&look.published);
            if seen.converged && look.problem.is_none() {
                return Ok(true);
            }
            spinner.say(|| headline(name.as_str(), &seen));
            last = look.problem.map_or(Ok(seen), Err);
        }
    });
    match waited.await {
        Ok(Ok(true)) => Ok(began.elapsed()),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(false)) | Err(_) => {
            Err(Failure::NotConverged { name: name.clone(), waited: began.elapsed(), why: why(last) })
        }
    }
}

fn why(last: Result<Summary, String>) -> String {
    match last {
        Ok(seen) if seen.reasons.is_empty() => format!("{} of {} ready", seen.ready, seen.size),
        Ok(seen) => seen.reasons.join("; "),
        Err(why) => why,
    }
}
