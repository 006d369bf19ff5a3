//! A new image or flag set is tried before any member gets it: by a Pod that is no member. Until that Pod is ready, members go on
//! with what they run; when it never gets ready, no member was ever touched, and the resource says why.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use etcdop_api::Cluster;
use etcdop_core::{
    id::Slot,
    launch::{LaunchSpec, Template},
    observation::Phase,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    platform::{
        Surroundings, call,
        objects::Objects,
        phase::{Name, phase},
        words,
    },
    resource::{keys, names, pod},
};

/// Between two looks at the Pod that tries.
const LOOK: Duration = Duration::from_millis(300);
/// How old the Pod of a trial that failed gets.
const AGAIN: Duration = Duration::from_mins(2);

/// What became of the trial so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works.
    Proven,
    /// Not yet, and why.
    Waits(String),
}

/// A trial under way; it ends when this is dropped, and its Pod with the next one or with the resource.
pub(super) struct Trial {
    pub(super) launch: LaunchSpec,
    pub(super) verdict: watch::Receiver<Verdict>,
    _task: AbortOnDropHandle<()>,
}

/// What members run while `wanted` is still to be tried, and with which learner limit it is to be; `None` when somebody runs it, or
/// when there is nobody who runs anything.
pub(super) fn in_use_instead(objects: &Objects, wanted: &Template) -> Option<LaunchSpec> {
    let layout: BTreeMap<Slot, LaunchSpec> = objects.layout();
    let running = objects.pods.values().filter_map(crate::platform::launch);
    let known = layout.values().cloned().chain(running).any(|launch| launch.template == *wanted);
    if known {
        return None;
    }
    let count = |launch: &LaunchSpec| layout.values().filter(|other| *other == launch).count();
    layout.values().max_by_key(|launch| count(launch)).cloned()
}

impl Trial {
    pub(super) fn start(around: Surroundings, cluster: Arc<Cluster>, launch: LaunchSpec) -> Self {
        let (sender, verdict) = watch::channel(Verdict::Waits("it is about to be tried".to_owned()));
        let tried = launch.clone();
        let task = async move {
            let pods: Api<Pod> = call::api(&around.client, &cluster.namespace);
            let mut first = FirstSeen::default();
            loop {
                let seen = look(&pods, &cluster, &tried, &mut first).await.unwrap_or_else(Verdict::Waits);
                let proven = seen == Verdict::Proven;
                sender.send_if_modified(|known| std::mem::replace(known, seen.clone()) != seen);
                if proven {
                    return;
                }
                sleep(LOOK).await;
            }
        };
        Self { launch, verdict, _task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }
}

/// Removes the Pod of a trial that nobody waits for any more. Whatever becomes of it: the next trial removes it as well.
pub(super) fn clear(around: &Surroundings, cluster: &Cluster) {
    let pods: Api<Pod> = call::api(&around.client, &cluster.namespace);
    let name = names::preflight(&cluster.name);
    let ours = cluster.uid.clone();
    tokio::spawn(async move {
        let Ok(Some(left)) = call::change(pods.get_opt(&name)).await else { return };
        if left.owner_references().iter().any(|owner| owner.uid == ours) {
            let _ = call::change(pods.delete(&name, &call::delete(&left.uid().unwrap_or_default()))).await;
        }
    });
}

/// One look at the Pod that tries, which is made where there is none and removed where it has done its work.
async fn look(
    pods: &Api<Pod>,
    cluster: &Cluster,
    launch: &LaunchSpec,
    first: &mut FirstSeen,
) -> Result<Verdict, String> {
    let wanted = pod::preflight(cluster, launch);
    let name = wanted.name_any();
    let found = call::change(pods.get_opt(&name)).await.map_err(|error| words(&error))?;
    let Some(found) = found else {
        call::change(pods.create(&call::post(), &wanted)).await.map_err(|error| words(&error))?;
        return Ok(Verdict::Waits("its Pod was made".to_owned()));
    };
    if found.metadata.deletion_timestamp.is_some() {
        return Ok(Verdict::Waits("the Pod of the trial before is being stopped".to_owned()));
    }
    let end = async |uid: Option<String>| {
        let ended = call::change(pods.delete(&name, &call::delete(&uid.unwrap_or_default()))).await;
        ended.map(drop).map_err(|error| words(&error))
    };
    if found.annotations().get(keys::LAUNCH) != wanted.annotations().get(keys::LAUNCH) {
        end(found.uid()).await?;
        return Ok(Verdict::Waits("the Pod of the trial before is being stopped".to_owned()));
    }
    if is_ready(&found) {
        end(found.uid()).await?;
        return Ok(Verdict::Proven);
    }
    if first.is_long_ago(&found) && matches!(phase(&found, None, Name::Resolves), Phase::Exited(_)) {
        // Whatever it died of may have passed.
        end(found.uid()).await?;
    }
    Ok(Verdict::Waits(match phase(&found, None, Name::Resolves) {
        Phase::Pending(why) | Phase::Exited(why) | Phase::Refused(why) => why.0,
        Phase::AtGate | Phase::Running | Phase::Stopping => "it is starting".to_owned(),
    }))
}

/// Since when one Pod has been seen.
#[derive(Default)]
struct FirstSeen {
    pod: Option<(String, Instant)>,
}

impl FirstSeen {
    /// Whether this Pod has been there for long enough to be tried again.
    fn is_long_ago(&mut self, pod: &Pod) -> bool {
        let uid = pod.uid().unwrap_or_default();
        if self.pod.as_ref().is_none_or(|(known, _)| *known != uid) {
            self.pod = Some((uid, Instant::now()));
        }
        self.pod.as_ref().is_some_and(|(_, since)| since.elapsed() > AGAIN)
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
