//! One cluster that is measured: ours, or a plain StatefulSet of etcd.

mod ours;
mod plain;

use std::{fmt::Debug, time::Duration};

use etcdop_etcd::{Client, Endpoint};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Pod},
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::{
    Bench,
    done::{self, Wanted, done},
    failure::Failure,
    ground::{Ground, PATIENCE, object},
    pods::{INSTANCE, Place, Pods},
};

pub(crate) use self::{ours::EDITS, plain::First};

/// What the clusters run, and what they are rolled to.
pub(crate) const VERSION: &str = "3.6.16";
pub(crate) const NEXT_VERSION: &str = "3.7.3";
/// For one call that changes something by hand.
const CALL: Duration = Duration::from_secs(3);
/// Between two looks at what is no figure.
const PACE: Duration = Duration::from_millis(100);

/// Who keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody: a StatefulSet whose Pods form one cluster by static bootstrap.
    Plain,
    /// Nobody: a StatefulSet each of whose Pods is a cluster of its own. What Kubernetes takes by itself for more Pods.
    Alone,
    /// The operator.
    Ours,
}

/// A cluster.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    ground: Ground,
    pods: Pods,
}

impl Subject {
    /// Asks for one, under a name of its own. The plain ones' disks are made first, which is the quickest way.
    pub(crate) async fn declare(bench: &Bench, kind: Kind, size: usize) -> Result<Self, Failure> {
        let (ground, pods) = (bench.ground.clone(), bench.pods.clone());
        let subject = Self { kind, name: bench.name(), ground, pods };
        match kind {
            Kind::Plain | Kind::Alone => subject.apply_plain(size).await?,
            Kind::Ours => subject.create_ours(size).await?,
        }
        Ok(subject)
    }

    /// One that stands.
    pub(crate) async fn standing(bench: &Bench, kind: Kind, size: usize) -> Result<Self, Failure> {
        let subject = Self::declare(bench, kind, size).await?;
        subject.is(&Wanted::voters(size)).await?;
        if kind == Kind::Ours {
            subject.shows(size).await?;
        }
        Ok(subject)
    }

    /// Until it is as wanted.
    pub(crate) async fn is(&self, wanted: &Wanted) -> Result<(), Failure> {
        let wanted = Wanted { alone: self.kind == Kind::Alone, ..wanted.clone() };
        done(&self.pods, &self.name, &wanted).await
    }

    pub(crate) async fn scale(&self, size: usize) -> Result<(), Failure> {
        match self.kind {
            Kind::Plain | Kind::Alone => self.scale_plain(size).await,
            Kind::Ours => self.edit(json!({ "size": size })).await,
        }
    }

    pub(crate) fn pods(&self) -> &Pods {
        &self.pods
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        self.pods.of(&self.name)
    }

    pub(crate) fn place(&self, slot: usize) -> Result<Place, Failure> {
        let place = self.places().into_iter().find(|place| place.slot == slot && !place.ends);
        place.ok_or(Failure::Unreadable { what: "the Pods of a cluster" })
    }

    pub(crate) fn client(&self, slot: usize) -> Result<Client, Failure> {
        let client = self.place(slot)?.client().ok_or(Failure::Unreadable { what: "the address of a Pod" })?;
        Ok(client.deadline(CALL))
    }

    pub(crate) async fn leader(&self) -> Result<usize, Failure> {
        done::leader(&self.pods, &self.name).await
    }

    /// Where clients find the members, followed.
    pub(crate) fn endpoints(&self) -> watch::Receiver<Vec<Endpoint>> {
        self.pods.endpoints(&self.name)
    }

    /// Deletes a Pod as `kubectl delete pod` does; gives the UID that it had.
    pub(crate) async fn delete_pod(&self, slot: usize) -> Result<String, Failure> {
        let place = self.place(slot)?;
        let pods: Api<Pod> = self.ground.api();
        pods.delete(&place.name, &DeleteParams::default()).await.map_err(Failure::ours("delete a Pod"))?;
        Ok(place.uid)
    }

    /// Deletes the disk of a Pod and the Pod.
    pub(crate) async fn lose_disk(&self, slot: usize) -> Result<(), Failure> {
        let claims: Api<PersistentVolumeClaim> = self.ground.api();
        let claim = format!("data-{}-{slot}", self.name);
        claims.delete(&claim, &DeleteParams::default()).await.map_err(Failure::ours("delete a claim"))?;
        self.delete_pod(slot).await.map(drop)
    }

    /// Takes it away, disks included, and waits until it is gone: the next repetition is to find the machine at rest.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        match self.kind {
            Kind::Plain | Kind::Alone => self.delete_plain().await?,
            Kind::Ours => self.delete_ours().await?,
        }
        let claims: Api<PersistentVolumeClaim> = self.ground.api();
        let selected = ListParams::default().labels(&format!("{INSTANCE}={}", self.name));
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if self.places().is_empty() {
                let left = claims.list_metadata(&selected).await.map_err(Failure::ours("list claims"))?;
                if left.items.is_empty() {
                    return Ok(());
                }
            }
            sleep(PACE).await;
        }
        Err(Failure::NotInTime { what: format!("{} gone", self.name), after: PATIENCE })
    }

    async fn create<K>(&self, what: Value) -> Result<(), Failure>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let api: Api<K> = self.ground.api();
        let wanted: K = object(what)?;
        api.create(&PostParams::default(), &wanted).await.map_err(Failure::ours("create an object"))?;
        Ok(())
    }
}
