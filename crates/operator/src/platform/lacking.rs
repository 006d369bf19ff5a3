//! What only the cluster around can tell: a quota that is too small, a StorageClass that does not exist. Asked for only while a Pod or a
//! disk has been missing for a while, and told until it is there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use etcdop_api::Cluster;
use etcdop_core::id::Slot;
use k8s_openapi::api::{
    core::v1::{Event, PersistentVolumeClaim},
    storage::v1::StorageClass,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::time::Instant;

use super::{call::api, objects::Objects};
use crate::resource::names;

/// For how long something must have been missing, and between two questions.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is lacking, as it was told last.
#[derive(Default)]
pub(crate) struct Lacking {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    asked: Option<Instant>,
    told: Option<String>,
}

/// What is missing.
enum Missing {
    Nothing,
    Disk(String),
    Pod,
}

fn missing(objects: &Objects) -> Missing {
    let unbound = |claim: &&PersistentVolumeClaim| {
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        phase != Some("Bound") && claim.metadata.deletion_timestamp.is_none()
    };
    if let Some(claim) = objects.claims.values().find(unbound) {
        let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
        return Missing::Disk(class.unwrap_or_default());
    }
    let layout: BTreeMap<Slot, _> = objects.layout();
    if layout.keys().any(|slot| !objects.pods.contains_key(slot)) { Missing::Pod } else { Missing::Nothing }
}

impl Lacking {
    /// What is lacking now, in words for people; what to do about it is in them.
    pub(super) async fn look(&self, client: &Client, cluster: &Cluster, objects: &Objects) -> Option<String> {
        let missing = missing(objects);
        if matches!(missing, Missing::Nothing) {
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
            return None;
        }
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let since = *state.since.get_or_insert(now);
            let due = state.asked.is_none_or(|asked| now - asked >= PATIENCE);
            if now - since < PATIENCE || !due {
                return state.told.clone();
            }
            state.asked = Some(now);
        }
        let told = match missing {
            Missing::Disk(class) => class_trouble(client, &class).await,
            Missing::Pod => pod_trouble(client, cluster).await,
            Missing::Nothing => None,
        };
        self.state.lock().unwrap_or_else(PoisonError::into_inner).told.clone_from(&told);
        told
    }
}

async fn class_trouble(client: &Client, class: &str) -> Option<String> {
    if class.is_empty() {
        return Some(
            "claims have no StorageClass and the cluster has no default one: set spec.storage.storageClassName in a new EtcdCluster, \
             or mark a StorageClass as default and delete the claims"
                .to_owned(),
        );
    }
    let classes: Api<StorageClass> = Api::all(client.clone());
    let found = classes.get_opt(class).await.ok()?;
    found
        .is_none()
        .then(|| format!("StorageClass {class} does not exist: create it, or use another one in a new EtcdCluster"))
}

/// Why the StatefulSet's controller makes no Pod: it tells nobody but in events.
async fn pod_trouble(client: &Client, cluster: &Cluster) -> Option<String> {
    let events: Api<Event> = api(client, &cluster.namespace);
    let set = names::stateful_set(&cluster.name);
    let of_set = format!("involvedObject.kind=StatefulSet,involvedObject.name={set},reason=FailedCreate");
    let found = events.list(&ListParams::default().fields(&of_set)).await.ok()?;
    let newest = found.items.into_iter().max_by_key(|event| {
        let seen = event.last_timestamp.as_ref().map(|time| time.0);
        seen.or_else(|| event.event_time.as_ref().map(|time| time.0))
            .or_else(|| event.creation_timestamp().map(|time| time.0))
    });
    newest.and_then(|event| event.message).map(|message| format!("Pods are not made: {message}"))
}
