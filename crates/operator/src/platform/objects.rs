//! The few objects of one cluster, read live. By name: the API server answers that from its database, where a list may be served
//! from a cache that first has to catch up. Lists are only asked for what nobody knows the name of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use etcdop_api::{Cluster, EtcdCluster};
use etcdop_core::{
    id::{Incarnation, InstanceId, RecordRevision, Slot},
    launch::LaunchSpec,
    record::{Record, Versioned},
};
use etcdop_engine::platform::Footing;
use etcdop_guard::Report;
use futures::future::try_join_all;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Error, ResourceExt,
    api::{ListParams, ObjectMeta},
};
use tokio::time::Instant;

use super::{
    call::api,
    kept::{self, Permits},
    reports::Heard,
};
use crate::resource::{keys, names};

/// Between two looks for objects that nobody knows of: disks of slots that are not used any more.
const DISCOVERY: Duration = Duration::from_secs(10);

/// How old a bound claim gets that is taken over while the Pod is the same that stands on it: Kubernetes deletes no claim under a Pod
/// (the finalizer `pvc-protection`). Half of all reads of a look are for claims.
const CLAIM: Duration = Duration::from_secs(1);

/// What the record's revision is while there is none.
pub(crate) const NO_RECORD: &str = "none";

/// Whether the resource is there, as it was when its keeper began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wished {
    /// It is.
    #[default]
    Still,
    /// It is gone, being deleted, or another one: the watch is about to tell.
    NoMore,
}

/// Whether this is the resource that the cluster was declared by, and stays.
pub(crate) fn is_wished(resource: &ObjectMeta, cluster: &Cluster) -> bool {
    resource.uid.as_ref() == Some(&cluster.uid) && resource.deletion_timestamp.is_none()
}

/// Everything of one cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) wished: Wished,
    pub(crate) stateful_set: Option<StatefulSet>,
    pub(crate) members: Option<ConfigMap>,
    pub(crate) pods: BTreeMap<Slot, Pod>,
    pub(crate) claims: BTreeMap<Slot, PersistentVolumeClaim>,
}

impl Objects {
    /// The record, with the revision that its next commit names.
    pub(crate) fn record(&self, cluster: &Cluster) -> Result<Versioned<Record>, String> {
        let Some(members) = &self.members else {
            let value = Record::unborn(Incarnation::first(cluster.uid.clone()));
            return Ok(Versioned { revision: RecordRevision(NO_RECORD.to_owned()), value });
        };
        let name = members.name_any();
        let unreadable = |why| format!("ConfigMap {name} cannot be understood: {why}");
        let (value, _) = kept::read(members.data.as_ref().unwrap_or(&BTreeMap::new())).map_err(unreadable)?;
        let revision = RecordRevision(members.resource_version().unwrap_or_default());
        Ok(Versioned { revision, value })
    }

    /// The permits that were handed out last.
    pub(crate) fn permits(&self) -> Permits {
        let data = self.members.as_ref().and_then(|members| members.data.as_ref());
        data.and_then(|data| kept::read(data).ok()).map(|(_, permits)| permits).unwrap_or_default()
    }

    /// What each slot is declared to run.
    pub(crate) fn layout(&self) -> BTreeMap<Slot, LaunchSpec> {
        let text = self.stateful_set.as_ref().and_then(|set| set.annotations().get(keys::LAYOUT));
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// What the StatefulSet starts its next Pod with.
    pub(crate) fn template_launch(&self) -> Option<LaunchSpec> {
        let spec = self.stateful_set.as_ref()?.spec.as_ref()?;
        let text = spec.template.metadata.as_ref()?.annotations.as_ref()?.get(keys::LAUNCH)?;
        serde_json::from_str(text).ok()
    }
}

/// Reads the objects of one cluster.
pub(crate) struct Reader {
    name: String,
    resources: Api<EtcdCluster>,
    stateful_sets: Api<StatefulSet>,
    config_maps: Api<ConfigMap>,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    slices: Api<EndpointSlice>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Slots that a list has shown.
    listed: BTreeSet<Slot>,
    listed_at: Option<Instant>,
    /// UIDs of Pods whose name was seen to have their address.
    named: BTreeSet<String>,
    /// Bound claims, and when they were read.
    claims: BTreeMap<Slot, (Standing, Instant)>,
}

/// A bound claim and the Pod that stands on it.
#[derive(Clone, Debug)]
struct Standing {
    claim: PersistentVolumeClaim,
    pod: String,
}

impl Standing {
    /// A claim that stays for as long as the Pod does.
    fn of(claim: &PersistentVolumeClaim, pod: Option<&Pod>) -> Option<Self> {
        let phase = claim.status.as_ref()?.phase.as_deref()?;
        let stays = phase == "Bound" && claim.metadata.deletion_timestamp.is_none();
        stays.then_some(Self { claim: claim.clone(), pod: staying(pod?)? })
    }
}

/// The UID of a Pod that is not being deleted.
fn staying(pod: &Pod) -> Option<String> {
    pod.uid().filter(|_| pod.metadata.deletion_timestamp.is_none())
}

impl Reader {
    pub(crate) fn new(client: &Client, cluster: &Cluster) -> Self {
        let namespace = &cluster.namespace;
        Self {
            name: cluster.name.clone(),
            resources: api(client, namespace),
            stateful_sets: api(client, namespace),
            config_maps: api(client, namespace),
            pods: api(client, namespace),
            claims: api(client, namespace),
            slices: api(client, namespace),
            memory: Mutex::default(),
        }
    }

    /// One look at everything.
    pub(crate) async fn read(&self, cluster: &Cluster) -> Result<Objects, Error> {
        let (set, members) = (names::stateful_set(&self.name), names::members(&self.name));
        let (stateful_set, members, wish, ()) = tokio::try_join!(
            self.stateful_sets.get_opt(&set),
            self.config_maps.get_opt(&members),
            self.resources.get_metadata_opt(&self.name),
            self.discover(),
        )?;
        let wished =
            if wish.is_some_and(|wish| is_wished(&wish.metadata, cluster)) { Wished::Still } else { Wished::NoMore };
        let mut objects = Objects { wished, stateful_set, members, ..Objects::default() };
        let slots = self.slots(cluster, &objects);
        let pods = slots.iter().map(|&slot| async move {
            let pod = self.pods.get_opt(&names::pod(&self.name, slot)).await?;
            Ok::<_, Error>(pod.map(|pod| (slot, pod)))
        });
        let kept = self.kept_claims();
        let claims = |slots: BTreeSet<Slot>| try_join_all(slots.into_iter().map(|slot| self.claim(slot)));
        let unknown = slots.iter().copied().filter(|slot| !kept.contains_key(slot)).collect();
        let (pods, read) = tokio::try_join!(try_join_all(pods), claims(unknown))?;
        objects.pods = pods.into_iter().flatten().collect();
        let stands =
            |slot: &Slot, standing: &Standing| objects.pods.get(slot).and_then(staying).as_ref() == Some(&standing.pod);
        let (kept, moved): (BTreeMap<_, _>, BTreeMap<_, _>) =
            kept.into_iter().partition(|(slot, standing)| stands(slot, standing));
        let read_now = claims(moved.into_keys().collect()).await?;
        let read = read.into_iter().chain(read_now).flatten();
        objects.claims = kept.into_iter().map(|(slot, standing)| (slot, standing.claim)).collect();
        for (slot, claim) in read {
            self.keep_claim(slot, &claim, objects.pods.get(&slot));
            objects.claims.insert(slot, claim);
        }
        Ok(objects)
    }

    async fn claim(&self, slot: Slot) -> Result<Option<(Slot, PersistentVolumeClaim)>, Error> {
        let claim = self.claims.get_opt(&names::claim(&self.name, slot)).await?;
        Ok(claim.map(|claim| (slot, claim)))
    }

    fn kept_claims(&self) -> BTreeMap<Slot, Standing> {
        let memory = self.memory();
        let young = memory.claims.iter().filter(|(_, (_, read))| read.elapsed() < CLAIM);
        young.map(|(&slot, (standing, _))| (slot, standing.clone())).collect()
    }

    fn keep_claim(&self, slot: Slot, claim: &PersistentVolumeClaim, pod: Option<&Pod>) {
        let mut memory = self.memory();
        match Standing::of(claim, pod) {
            Some(standing) => memory.claims.insert(slot, (standing, Instant::now())),
            None => memory.claims.remove(&slot),
        };
    }

    /// Forgets what was taken over of this slot's disk: something is being done to it.
    pub(super) fn forget_claim(&self, slot: Slot) {
        self.memory().claims.remove(&slot);
    }

    /// What the fence of a step asks for: the record's revision, and the UIDs of the Pods in these slots; nothing of a resource that is
    /// not wished for any more.
    pub(super) async fn footing(&self, cluster: &Cluster, slots: &[Slot]) -> Result<Option<Footing>, Error> {
        let members = names::members(&self.name);
        let pods = slots.iter().map(|&slot| async move {
            let pod = self.pods.get_metadata_opt(&names::pod(&self.name, slot)).await?;
            Ok::<_, Error>(pod.and_then(|pod| Some((slot, InstanceId(pod.uid()?)))))
        });
        let (members, wish, pods) = tokio::try_join!(
            self.config_maps.get_metadata_opt(&members),
            self.resources.get_metadata_opt(&self.name),
            try_join_all(pods),
        )?;
        if !wish.is_some_and(|wish| is_wished(&wish.metadata, cluster)) {
            return Ok(None);
        }
        let revision =
            members.map_or_else(|| NO_RECORD.to_owned(), |members| members.resource_version().unwrap_or_default());
        let instances = pods.into_iter().flatten().collect();
        Ok(Some(Footing { record: Ok(RecordRevision(revision)), instances }))
    }

    /// Every slot that something may be in.
    fn slots(&self, cluster: &Cluster, objects: &Objects) -> BTreeSet<Slot> {
        let seats = objects.record(cluster).map(|record| record.value.slots.into_keys().collect::<Vec<_>>());
        let replicas = objects.stateful_set.as_ref().and_then(|set| set.spec.as_ref()?.replicas);
        let replicas = replicas.and_then(|replicas| u8::try_from(replicas).ok()).unwrap_or(0);
        let declared = (0..replicas.max(cluster.desired.size.get())).map(Slot);
        let listed = self.memory().listed.clone();
        declared.chain(seats.unwrap_or_default()).chain(objects.layout().into_keys()).chain(listed).collect()
    }

    async fn discover(&self) -> Result<(), Error> {
        if self.memory().listed_at.is_some_and(|at| at.elapsed() < DISCOVERY) {
            return Ok(());
        }
        // Any version will do: what is found is read live.
        let all = ListParams { resource_version: Some("0".to_owned()), ..ListParams::default() };
        let all = all.labels(&names::selector(&self.name));
        let (pods, claims) = tokio::try_join!(self.pods.list_metadata(&all), self.claims.list_metadata(&all))?;
        let pods = pods.items.iter().filter_map(|pod| slot_of(&pod.name_any(), &names::pod(&self.name, Slot(0))));
        let claims =
            claims.items.iter().filter_map(|claim| slot_of(&claim.name_any(), &names::claim(&self.name, Slot(0))));
        let mut memory = self.memory();
        memory.listed = pods.chain(claims).collect();
        memory.listed_at = Some(Instant::now());
        Ok(())
    }

    /// UIDs of the Pods that stand at the gate and whose name has their address by now: whoever asks for a name before that is
    /// told for seconds that there is none (kubernetes-timings.md).
    pub(crate) async fn resolvable(&self, objects: &Objects, reports: &BTreeMap<Slot, Heard>) -> BTreeSet<String> {
        let at_gate = objects
            .pods
            .iter()
            .filter(|(slot, _)| matches!(reports.get(slot), Some(Heard::Report(report)) if waits(report)));
        let at_gate: BTreeMap<String, &Pod> = at_gate.filter_map(|(_, pod)| Some((pod.uid()?, pod))).collect();
        self.memory().named.retain(|uid| objects.pods.values().any(|pod| pod.uid().as_ref() == Some(uid)));
        let unknown = at_gate.keys().any(|uid| !self.memory().named.contains(uid));
        if unknown {
            // An old version shows fewer addresses, never wrong ones: they are compared with the Pod.
            let slices = ListParams { resource_version: Some("0".to_owned()), ..ListParams::default() };
            let service = names::peer_service(&self.name);
            let slices = slices.labels(&format!("kubernetes.io/service-name={service}"));
            if let Ok(slices) = self.slices.list(&slices).await {
                let found = slices.items.iter().flat_map(|slice| &slice.endpoints);
                let found = found.filter_map(|endpoint| {
                    let uid = endpoint.target_ref.as_ref()?.uid.clone()?;
                    let ip = at_gate.get(&uid)?.status.as_ref()?.pod_ip.as_ref()?;
                    endpoint.addresses.contains(ip).then_some(uid)
                });
                let found: Vec<String> = found.collect();
                self.memory().named.extend(found);
            }
        }
        self.memory().named.clone()
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn waits(report: &Report) -> bool {
    let progress = report.status.as_ref().map(|status| &status.progress);
    matches!(progress, Some(etcdop_guard::Progress::Waiting { .. }))
}

/// The slot of an object by its name; `first` is the name for slot 0.
fn slot_of(name: &str, first: &str) -> Option<Slot> {
    let number = name.strip_prefix(first.strip_suffix('0')?)?;
    let slot: u8 = number.parse().ok()?;
    (slot.to_string() == number).then_some(Slot(slot))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::is_bound_and_under_a_pod("Bound", json!({}), json!({}), Some("p"))]
    #[case::waits_for_its_volume("Pending", json!({}), json!({}), None)]
    #[case::is_being_deleted("Bound", json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }), json!({}), None)]
    #[case::is_under_a_pod_that_goes("Bound", json!({}), json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }), None)]
    fn a_claim_stays_while_its_pod_does_that(
        #[case] phase: &str,
        #[case] claim: Value,
        #[case] mut pod: Value,
        #[case] stands: Option<&str>,
    ) {
        pod["uid"] = json!("p");
        let claim: PersistentVolumeClaim =
            serde_json::from_value(json!({ "metadata": claim, "status": { "phase": phase } })).unwrap();
        let pod: Pod = serde_json::from_value(json!({ "metadata": pod })).unwrap();
        let standing = Standing::of(&claim, Some(&pod));
        assert_eq!(standing.map(|standing| standing.pod).as_deref(), stands);
        assert!(Standing::of(&claim, None).is_none(), "nobody stands on it");
    }

    #[rstest]
    #[case("data-a-0", Some(0))]
    #[case("data-a-12", Some(12))]
    #[case("data-a-01", None)]
    #[case("data-a-", None)]
    #[case("data-a-b-0", None)]
    #[case("data-b-0", None)]
    #[case("data-a-300", None)]
    fn the_slot_of_a_claim_is_read_from_its_name(#[case] name: &str, #[case] slot: Option<u8>) {
        assert_eq!(slot_of(name, "data-a-0"), slot.map(Slot));
    }
}
