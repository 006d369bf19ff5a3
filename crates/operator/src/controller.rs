//! Which clusters there are, and one keeper for each. Watches only wake; whoever is woken looks for himself.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use etcdop_api::EtcdCluster;
use futures::{StreamExt, stream::BoxStream, stream::SelectAll};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{keeper::Keeper, retry::Retry, triggers::Bell};
use crate::{
    events::Events,
    health::Readiness,
    metrics::Metrics,
    platform::{Surroundings, words},
};

mod keeper;
mod proof;
mod report;
mod retry;
mod triggers;
mod upkeep;

/// For a keeper to end the step that it is in.
const FAREWELL: Duration = Duration::from_secs(6);

/// What all keepers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) around: Surroundings,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ready: Readiness,
}

impl Shared {
    pub(crate) const fn new(around: Surroundings, events: Events, metrics: Arc<Metrics>, ready: Readiness) -> Self {
        Self { around, events, metrics, ready }
    }
}

/// Where clusters are kept.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// In every namespace.
    Everywhere,
    /// In these.
    In(Vec<String>),
}

impl Scope {
    pub(crate) fn of(mut namespaces: Vec<String>) -> Self {
        namespaces.retain(|namespace| !namespace.is_empty());
        namespaces.sort();
        namespaces.dedup();
        if namespaces.is_empty() { Self::Everywhere } else { Self::In(namespaces) }
    }

    /// One API for each watch that is needed.
    fn apis<K>(&self, client: &kube::Client) -> Vec<Api<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match self {
            Self::Everywhere => vec![Api::all(client.clone())],
            Self::In(namespaces) => {
                namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("all namespaces"),
            Self::In(namespaces) => write!(f, "namespaces {}", namespaces.join(", ")),
        }
    }
}

/// Namespace and name of a cluster.
type Key = (String, String);

/// A keeper at work.
struct Kept {
    uid: String,
    resource: watch::Sender<Arc<EtcdCluster>>,
    bell: Arc<Bell>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Keeps every cluster in scope until it is told to stop. Members go on without it.
///
/// # Errors
/// The resources cannot be listed for a reason that does not pass: the CRD is missing, or a right.
pub(crate) async fn run(shared: Shared, scope: Scope, stop: CancellationToken) -> Result<(), String> {
    for api in scope.apis::<EtcdCluster>(&shared.around.client) {
        can_list(&api).await?;
    }
    let mut kept = Fleet { shared: shared.clone(), stop: stop.clone(), keepers: HashMap::new() };
    let mut resources: SelectAll<BoxStream<'_, (usize, _)>> = SelectAll::new();
    for (number, api) in scope.apis::<EtcdCluster>(&shared.around.client).into_iter().enumerate() {
        let stream = watcher(api, watcher::Config::default()).backoff(Retry::default());
        resources.push(stream.map(move |event| (number, event)).boxed());
    }
    let mut owned = triggers::watch(&shared.around.client, &scope);
    let mut listed: HashMap<usize, HashSet<Key>> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some((number, event)) = resources.next() => match event {
                Ok(watcher::Event::Init) => {
                    listed.insert(number, HashSet::new());
                }
                Ok(watcher::Event::InitApply(resource)) => {
                    listed.entry(number).or_default().insert(key(&resource));
                    kept.apply(resource).await;
                }
                Ok(watcher::Event::InitDone) => {
                    shared.ready.set();
                    let there = listed.remove(&number).unwrap_or_default();
                    let watched = |key: &Key| match &scope {
                        Scope::Everywhere => true,
                        Scope::In(namespaces) => namespaces.get(number) == Some(&key.0),
                    };
                    let gone: Vec<Key> = kept.keepers.keys().filter(|key| watched(key) && !there.contains(*key)).cloned().collect();
                    for key in gone {
                        kept.drop(&key).await;
                    }
                }
                Ok(watcher::Event::Apply(resource)) => kept.apply(resource).await,
                Ok(watcher::Event::Delete(resource)) => kept.drop(&key(&resource)).await,
                Err(error) => tracing::warn!(why = why(&error), "EtcdClusters are not watched, tried again"),
            },
            Some(touched) = owned.next() => {
                if let Some(kept) = kept.keepers.get(&touched.cluster) {
                    kept.bell.ring(touched.kind);
                }
            }
        }
    }
    kept.close().await;
    Ok(())
}

/// What a watch failed of, without the whole answer.
fn why(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Says the very command that helps when the CRD is not there.
async fn can_list(api: &Api<EtcdCluster>) -> Result<(), String> {
    let one = kube::api::ListParams::default().limit(1);
    match timeout(Duration::from_secs(10), api.list(&one)).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
            Err("the API server knows no EtcdCluster: install it with `etcd-operator crd | kubectl apply --server-side -f -`".to_owned())
        }
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            Err(format!("EtcdClusters may not be listed: {}; see `etcd-operator manifests` for the rights", status.message))
        }
        // Whatever else it is may pass: the watch goes on trying.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn key(resource: &EtcdCluster) -> Key {
    (resource.namespace().unwrap_or_default(), resource.name_any())
}

/// All keepers.
struct Fleet {
    shared: Shared,
    stop: CancellationToken,
    keepers: HashMap<Key, Kept>,
}

impl Fleet {
    async fn apply(&mut self, resource: EtcdCluster) {
        let (key, uid) = (key(&resource), resource.uid().unwrap_or_default());
        if let Some(kept) = self.keepers.get(&key) {
            if kept.uid == uid && !kept.task.is_finished() {
                let changed = |old: &Arc<EtcdCluster>| {
                    old.spec != resource.spec || old.metadata.deletion_timestamp != resource.metadata.deletion_timestamp
                };
                kept.resource.send_if_modified(|old| {
                    let changed = changed(old);
                    if changed {
                        *old = Arc::new(resource.clone());
                    }
                    changed
                });
                return;
            }
            self.drop(&key).await;
        }
        let (sender, receiver) = watch::channel(Arc::new(resource));
        let (bell, stop) = (Arc::new(Bell::default()), self.stop.child_token());
        let keeper =
            Keeper { shared: self.shared.clone(), resource: receiver, bell: Arc::clone(&bell), stop: stop.clone() };
        let span = tracing::info_span!("cluster", namespace = key.0, name = key.1);
        let task = tokio::spawn(tracing::Instrument::instrument(keeper.keep(), span));
        self.keepers.insert(key, Kept { uid, resource: sender, bell, stop, task });
    }

    async fn drop(&mut self, key: &Key) {
        if let Some(kept) = self.keepers.remove(key) {
            kept.stop.cancel();
            end(kept.task).await;
            self.shared.metrics.forget(&key.0, &key.1);
        }
    }

    async fn close(self) {
        let tasks = self.keepers.into_values().map(|kept| {
            kept.stop.cancel();
            end(kept.task)
        });
        futures::future::join_all(tasks).await;
    }
}

async fn end(mut task: JoinHandle<()>) {
    if timeout(FAREWELL, &mut task).await.is_err() {
        task.abort();
    }
}
