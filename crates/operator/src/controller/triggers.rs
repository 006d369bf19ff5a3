//! What wakes a keeper: any change of any object that carries its cluster's label. Only names travel; what changed is looked at live.

use futures::{Stream, StreamExt, stream::SelectAll};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Client, Resource,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::{Scope, retry::Retry};
use crate::resource::keys;

/// What an object is to its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A member is made of it.
    Member,
    /// It is around the members.
    Around,
}

/// An object of a cluster has changed.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) cluster: (String, String),
    pub(super) kind: Kind,
}

/// Wakes one keeper.
#[derive(Debug, Default)]
pub(super) struct Bell {
    pub(super) members: Notify,
    pub(super) around: Notify,
}

impl Bell {
    pub(super) fn ring(&self, kind: Kind) {
        match kind {
            Kind::Member => self.members.notify_one(),
            Kind::Around => self.around.notify_one(),
        }
    }
}

/// All changes of all objects that carry a cluster's label.
pub(super) fn watch(client: &Client, scope: &Scope) -> impl Stream<Item = Touched> + Unpin + use<> {
    let mut all = SelectAll::new();
    all.push(kind::<StatefulSet>(client, scope, Kind::Member));
    all.push(kind::<Pod>(client, scope, Kind::Member));
    all.push(kind::<PersistentVolumeClaim>(client, scope, Kind::Member));
    all.push(kind::<ConfigMap>(client, scope, Kind::Member));
    all.push(kind::<Service>(client, scope, Kind::Around));
    all.push(kind::<PodDisruptionBudget>(client, scope, Kind::Around));
    all.push(kind::<NetworkPolicy>(client, scope, Kind::Around));
    all
}

fn kind<K>(client: &Client, scope: &Scope, kind: Kind) -> futures::stream::BoxStream<'static, Touched>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    let watches = scope.apis::<PartialObjectMeta<K>>(client).into_iter().map(|api| {
        let config = watcher::Config::default().labels(keys::CLUSTER);
        let events = watcher(api, config).backoff(Retry::default());
        events.filter_map(move |event| std::future::ready(touched::<K>(event, kind))).boxed()
    });
    futures::stream::select_all(watches.collect::<Vec<_>>()).boxed()
}

fn touched<K: Resource<DynamicType = ()>>(
    event: watcher::Result<watcher::Event<PartialObjectMeta<K>>>,
    kind: Kind,
) -> Option<Touched> {
    let object = match event {
        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object)) => {
            object
        }
        Ok(watcher::Event::Init | watcher::Event::InitDone) => return None,
        Err(error) => {
            tracing::debug!(kind = %K::kind(&()), %error, "not watched, tried again");
            return None;
        }
    };
    let name = object.metadata.labels.as_ref()?.get(keys::CLUSTER)?.clone();
    Some(Touched { cluster: (object.metadata.namespace?, name), kind })
}
