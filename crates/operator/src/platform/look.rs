//! From objects to what the engine wants to see. Pure.

use std::collections::{BTreeMap, BTreeSet};

use etcdop_api::Cluster;
use etcdop_core::{
    id::{InstanceId, Slot},
    launch::LaunchSpec,
    observation::{Address, Blocker},
    permit::Permit,
};
use etcdop_engine::{
    gate,
    platform::{Dial, Ground, GroundInstance, GroundSlot},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    disk,
    kept::{Handed, Permits},
    objects::Objects,
    phase::{Name, phase},
    reports::Heard,
};
use crate::resource::{Site, keys, names};

/// Everything that one look found.
pub(crate) struct View<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) site: &'a Site,
    pub(crate) objects: &'a Objects,
    pub(crate) reports: &'a BTreeMap<Slot, Heard>,
    /// UIDs of Pods whose name has their address.
    pub(crate) named: &'a BTreeSet<String>,
    pub(crate) dials: &'a BTreeMap<Slot, Option<Dial>>,
}

/// What the platform shows of it. Its safeguards are not in objects.
pub(crate) fn ground(view: &View<'_>) -> Ground {
    let objects = view.objects;
    let layout = objects.layout();
    let permits = objects.permits();
    let slots: BTreeSet<Slot> =
        layout.keys().chain(objects.pods.keys()).chain(objects.claims.keys()).copied().collect();
    let slots = slots.into_iter().filter_map(|slot| Some((slot, look_at(view, slot, layout.get(&slot), &permits)?)));
    Ground { record: objects.record(view.cluster).map_err(Blocker), slots: slots.collect(), safeguards: Vec::new() }
}

fn look_at(view: &View<'_>, slot: Slot, declared: Option<&LaunchSpec>, permits: &Permits) -> Option<GroundSlot> {
    let (pod, claim) = (view.objects.pods.get(&slot), view.objects.claims.get(&slot));
    let heard = view.reports.get(&slot);
    let handed = permits.get(&slot);
    let instance = pod.map(|pod| instance(view, pod, heard)).transpose();
    let volume = disk::volume(claim, pod, heard, handed);
    let deserted = declared.is_none() && instance == Ok(None) && volume == Ok(None);
    if deserted {
        return None;
    }
    let address = names::address(view.cluster, view.site, slot);
    Some(GroundSlot {
        dial: view.dials.get(&slot).cloned().flatten().unwrap_or_else(|| nowhere(&address)),
        address,
        declared: declared.cloned(),
        instance,
        volume,
        permit: handed.and_then(|handed| held(slot, handed)),
    })
}

fn instance(view: &View<'_>, pod: &Pod, heard: Option<&Heard>) -> Result<GroundInstance, Blocker> {
    let uid = pod.uid().unwrap_or_default();
    let launch = launch(pod).ok_or_else(|| {
        Blocker(format!("Pod {} does not say what it runs: annotation {} is missing", pod.name_any(), keys::LAUNCH))
    })?;
    let name = if view.named.contains(&uid) { Name::Resolves } else { Name::NotYet };
    Ok(GroundInstance { phase: phase(pod, heard, name), launch, id: InstanceId(uid) })
}

/// What a Pod was made to run.
pub(crate) fn launch(pod: &Pod) -> Option<LaunchSpec> {
    serde_json::from_str(pod.annotations().get(keys::LAUNCH)?).ok()
}

/// The permit of a slot, as it was handed out last.
fn held(slot: Slot, handed: &Handed) -> Option<Permit> {
    gate::held_permit(slot, &etcdop_guard::Permit::parse(&handed.permit).ok()?)
}

/// A Pod without an address is not asked anything.
fn nowhere(address: &Address) -> Dial {
    let client = address.client.clone();
    Dial { peer: client.clone(), metrics: client.clone(), client }
}
