//! The Pods of a namespace as the API server tells of them: by a watch, so that looking at them costs the cluster nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use etcdop_etcd::Endpoint;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// The label that tells of which cluster a Pod is, on ours as on plain ones.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";

type Known = Arc<BTreeMap<String, Pod>>;

/// All Pods of a namespace.
#[derive(Clone)]
pub(crate) struct Pods {
    known: watch::Receiver<Known>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// One member's Pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) slot: usize,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) address: Option<String>,
    pub(crate) ends: bool,
    /// How often its etcd was started again.
    pub(crate) restarts: i32,
    /// What its etcd asks for.
    pub(crate) memory: Option<String>,
}

impl Pods {
    pub(crate) fn watch(client: &Client, namespace: &str) -> Self {
        let (sender, known) = watch::channel(Known::default());
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let task = async move {
            let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
            let mut draft = BTreeMap::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Init) => draft = BTreeMap::new(),
                    Ok(watcher::Event::InitApply(pod)) => _ = draft.insert(pod.name_any(), pod),
                    Ok(watcher::Event::InitDone) => _ = sender.send_replace(Arc::new(std::mem::take(&mut draft))),
                    Ok(watcher::Event::Apply(pod)) => {
                        sender.send_modify(|known| _ = Arc::make_mut(known).insert(pod.name_any(), pod));
                    }
                    Ok(watcher::Event::Delete(pod)) => {
                        sender.send_modify(|known| _ = Arc::make_mut(known).remove(&pod.name_any()));
                    }
                    // Tried again by itself.
                    Err(_) => {}
                }
            }
        };
        Self { known, _task: Arc::new(AbortOnDropHandle::new(tokio::spawn(task))) }
    }

    /// The members' Pods of one cluster, by slot.
    pub(crate) fn of(&self, cluster: &str) -> Vec<Place> {
        let known = Arc::clone(&self.known.borrow());
        let mut places: Vec<Place> = known.values().filter_map(|pod| place(pod, cluster)).collect();
        places.sort_by_key(|place| place.slot);
        places
    }

    /// A Pod by its name.
    pub(crate) fn get(&self, name: &str) -> Option<Pod> {
        self.known.borrow().get(name).cloned()
    }

    /// Until something has changed, for so long at most.
    pub(crate) async fn changed(&mut self, within: Duration) {
        if let Ok(Err(_)) = timeout(within, self.known.changed()).await {
            // Nobody tells any more.
            sleep(within).await;
        }
    }

    /// Where clients find the members of a cluster, followed for as long as somebody wants to know.
    pub(crate) fn endpoints(&self, cluster: &str) -> watch::Receiver<Vec<Endpoint>> {
        let found = |pods: &Self, cluster: &str| -> Vec<Endpoint> {
            let stay = pods.of(cluster).into_iter().filter(|place| !place.ends);
            stay.filter_map(|place| format!("http://{}:2379", place.address?).parse().ok()).collect()
        };
        let (sender, receiver) = watch::channel(found(self, cluster));
        let (mut pods, cluster) = (self.clone(), cluster.to_owned());
        tokio::spawn(async move {
            while !sender.is_closed() {
                pods.changed(Duration::from_millis(200)).await;
                let now = found(&pods, &cluster);
                sender.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
            }
        });
        receiver
    }

    /// Why Pods of this cluster do not run, where that can be told.
    pub(crate) fn trouble(&self, cluster: &str) -> Option<String> {
        let known = Arc::clone(&self.known.borrow());
        known.values().filter(|pod| pod.labels().get(INSTANCE).is_some_and(|of| of == cluster)).find_map(|pod| {
            let status = pod.status.as_ref()?;
            let waits = statuses(pod).find_map(|container| container.state.as_ref()?.waiting.clone());
            let why = waits.and_then(|waits| Some(format!("{}: {}", waits.reason?, waits.message.unwrap_or_default())));
            let unscheduled = || status.conditions.iter().flatten().find_map(|condition| condition.message.clone());
            Some(format!("{}: {}", pod.name_any(), why.or_else(unscheduled)?))
        })
    }
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses)).flatten()
}

fn place(pod: &Pod, cluster: &str) -> Option<Place> {
    let name = pod.name_any();
    if pod.labels().get(INSTANCE)? != cluster {
        return None;
    }
    let slot = name.strip_prefix(cluster)?.strip_prefix('-')?.parse().ok()?;
    let container = pod.spec.as_ref()?.containers.iter().find(|container| container.name == "etcd")?;
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    Some(Place {
        slot,
        uid: pod.uid()?,
        address: pod.status.as_ref().and_then(|status| status.pod_ip.clone()).filter(|ip| !ip.is_empty()),
        ends: pod.metadata.deletion_timestamp.is_some(),
        restarts: statuses(pod).filter(|container| container.name == "etcd").map(|etcd| etcd.restart_count).sum(),
        memory: requests.and_then(|requests| Some(requests.get("memory")?.0.clone())),
        name,
    })
}
