//! Holds a layout: the claims first, then the StatefulSet over them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use etcdop_api::Cluster;
use etcdop_core::{id::Slot, launch::LaunchSpec, step::Layout};
use etcdop_engine::outcome::Outcome;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, StatefulSet},
    core::v1::{PersistentVolumeClaim, PodTemplateSpec, Service},
    storage::v1::StorageClass,
};
use kube::{
    Api, Error, ResourceExt,
    api::{ListParams, Patch},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Inner, answer,
    call::{api, apply, change, patch, post},
    disk,
    objects::Objects,
    owner::{Kept, refusal},
    template,
};
use crate::resource::{keys, names, pod, service, statefulset, volume};

/// How long claims may take to be bound, where their class binds at once: a Pod that comes before costs the kubelet 10 s and more.
const BOUND: Duration = Duration::from_millis(1500);
/// Between two looks at claims that are being bound.
const BOUND_LOOK: Duration = Duration::from_millis(20);

impl Inner {
    /// Holds `layout` from now on.
    pub(super) async fn ensure(&self, layout: &Layout) -> Outcome {
        let (cluster, objects) = (self.cluster(), self.objects());
        if let Err(stop) = self.peer_service(&cluster).await {
            return stop;
        }
        if let Err(stop) = self.claims(&cluster, &objects, layout).await {
            return stop;
        }
        let set = self.stateful_set(&cluster, &objects, &layout.slots).await;
        answer::outcome("StatefulSet", set)
    }

    /// Members find each other by names that this Service makes.
    async fn peer_service(&self, cluster: &Cluster) -> Result<(), Outcome> {
        let services: Api<Service> = api(&self.around.client, &cluster.namespace);
        let name = names::peer_service(&cluster.name);
        let found = change(services.get_opt(&name)).await.map_err(|error| answer::outcome::<()>(&name, Err(error)))?;
        if let Some(found) = found {
            let foreign = refusal("Service", &found.metadata, cluster, Kept::No);
            return foreign.map_or(Ok(()), |why| Err(Outcome::NotApplied(why)));
        }
        let wanted = service::peer(cluster);
        let made = change(services.patch(&name, &apply(), &Patch::Apply(&wanted))).await;
        done(answer::outcome(&name, made))
    }

    /// A claim for each slot, bound where that is to be had at once.
    async fn claims(&self, cluster: &Cluster, objects: &Objects, layout: &Layout) -> Result<(), Outcome> {
        let missing: Vec<Slot> =
            layout.slots.keys().copied().filter(|slot| !objects.claims.contains_key(slot)).collect();
        // A disk that was kept after its member had left: its slot is used again, by another member.
        let retired = layout.slots.keys().filter_map(|slot| objects.claims.get(slot));
        let retired: Vec<_> = retired.filter(|claim| claim.annotations().contains_key(keys::RETIRED)).collect();
        for claim in &retired {
            done(self.delete_claim(cluster, claim).await)?;
        }
        if !retired.is_empty() {
            return Err(Outcome::NotApplied("claims of former members are being deleted first".to_owned()));
        }
        let made = join_all(missing.iter().map(|&slot| self.make_claim(cluster, slot))).await;
        made.into_iter().try_for_each(done)?;
        self.bound(cluster, &missing).await;
        Ok(())
    }

    /// Makes the claim of a slot; one that is there already is as good.
    pub(super) async fn make_claim(&self, cluster: &Cluster, slot: Slot) -> Outcome {
        let claims: Api<PersistentVolumeClaim> = api(&self.around.client, &cluster.namespace);
        let mut wanted = volume::claim(cluster, slot);
        wanted.annotations_mut().insert(keys::DISK.to_owned(), disk::new_disk());
        match change(claims.create(&post(), &wanted)).await {
            Err(error) if answer::is_conflict(&error) => Outcome::Done,
            made => answer::outcome(&wanted.name_any(), made),
        }
    }

    /// Waits for a moment until these claims are bound, unless they only are when a Pod comes.
    async fn bound(&self, cluster: &Cluster, slots: &[Slot]) {
        let claims: &Api<PersistentVolumeClaim> = &api(&self.around.client, &cluster.namespace);
        let begin = Instant::now();
        let Some(&first) = slots.first() else { return };
        if !self.binds_at_once(claims, &names::claim(&cluster.name, first)).await {
            return;
        }
        while begin.elapsed() < BOUND {
            let phases = slots.iter().map(|&slot| async move {
                let claim = claims.get_opt(&names::claim(&cluster.name, slot)).await?;
                Ok::<_, Error>(
                    claim.is_some_and(|claim| claim.status.is_some_and(|s| s.phase.as_deref() == Some("Bound"))),
                )
            });
            match try_join_all(phases).await {
                Ok(bound) if bound.iter().all(|bound| *bound) => return,
                Ok(_) => sleep(BOUND_LOOK).await,
                Err(_) => return,
            }
        }
    }

    /// Whether the class of a claim binds it without a Pod. Where that cannot be told, nobody waits.
    async fn binds_at_once(&self, claims: &Api<PersistentVolumeClaim>, name: &str) -> bool {
        let Ok(Some(claim)) = claims.get_opt(name).await else { return false };
        let Some(class) = claim.spec.and_then(|spec| spec.storage_class_name).filter(|class| !class.is_empty()) else {
            return false;
        };
        let classes: Api<StorageClass> = Api::all(self.around.client.clone());
        let class = classes.get_opt(&class).await.ok().flatten();
        class.is_some_and(|class| class.volume_binding_mode.as_deref() != Some("WaitForFirstConsumer"))
    }

    /// The StatefulSet over these slots.
    pub(super) async fn stateful_set(
        &self,
        cluster: &Arc<Cluster>,
        objects: &Objects,
        slots: &BTreeMap<Slot, LaunchSpec>,
    ) -> Result<(), Error> {
        let has_pod = |slot| objects.pods.get(&slot).is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
        let now = objects.template_launch();
        let launch = template::launch(slots, has_pod, now.as_ref()).cloned();
        self.write_set(cluster, objects, slots, launch).await
    }

    /// The StatefulSet over these slots, whose next Pod starts with `launch`.
    pub(super) async fn write_set(
        &self,
        cluster: &Cluster,
        objects: &Objects,
        slots: &BTreeMap<Slot, LaunchSpec>,
        launch: Option<LaunchSpec>,
    ) -> Result<(), Error> {
        let sets: Api<StatefulSet> = api(&self.around.client, &cluster.namespace);
        let name = names::stateful_set(&cluster.name);
        let replicas = slots.keys().next_back().map_or(0, |slot| i32::from(slot.0) + 1);
        let now = objects.template_launch();
        let renderable = launch.as_ref().is_some_and(|launch| launch.template.rendering == pod::digest(cluster));
        let keeps_template = objects.stateful_set.is_some() && (launch.is_none() || (!renderable && launch == now));
        if keeps_template {
            let set = change(sets.patch(&name, &patch(), &Patch::Merge(layout_patch(slots, replicas)?))).await?;
            self.drift.wrote(&set);
            return Ok(());
        }
        // Nothing is declared and nothing was: there is nothing to make.
        let Some(launch) = launch else { return Ok(()) };
        let layout = Layout { slots: slots.clone() };
        let mut wanted = statefulset::build(cluster, &self.around.site, &launch, &layout, replicas);
        if let Some(there) = &objects.stateful_set {
            statefulset::keep_claim_templates(&mut wanted, there);
        }
        if !renderable && let Some(template) = self.former_template(cluster, &launch).await? {
            // What the declaration renders to now is something else than what is to be started: the way it was rendered then.
            if let Some(spec) = wanted.spec.as_mut() {
                spec.template = template;
            }
        }
        let set = change(sets.patch(&name, &apply(), &Patch::Apply(&wanted))).await?;
        self.drift.wrote(&set);
        Ok(())
    }

    /// The template that started this before, out of the StatefulSet's history.
    async fn former_template(&self, cluster: &Cluster, launch: &LaunchSpec) -> Result<Option<PodTemplateSpec>, Error> {
        let revisions: Api<ControllerRevision> = api(&self.around.client, &cluster.namespace);
        let selector = ListParams::default().labels(&names::selector(&cluster.name));
        let revisions = change(revisions.list(&selector)).await?;
        let templates = revisions.items.into_iter().filter_map(|revision| {
            let template = revision.data?.0.pointer("/spec/template")?.clone();
            serde_json::from_value::<PodTemplateSpec>(without_directives(template)).ok()
        });
        let starts = |template: &PodTemplateSpec| {
            let text = template.metadata.as_ref()?.annotations.as_ref()?.get(keys::LAUNCH)?;
            serde_json::from_str::<LaunchSpec>(text).ok()
        };
        Ok(templates.into_iter().find(|template| starts(template).as_ref() == Some(launch)))
    }
}

/// A StatefulSet's history keeps its template as a patch that replaces.
fn without_directives(mut template: Value) -> Value {
    if let Some(fields) = template.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('$'));
    }
    template
}

fn layout_patch(slots: &BTreeMap<Slot, LaunchSpec>, replicas: i32) -> Result<Value, Error> {
    let layout = serde_json::to_string(slots).map_err(Error::SerdeError)?;
    Ok(json!({ "metadata": { "annotations": { keys::LAYOUT: layout } }, "spec": { "replicas": replicas } }))
}

/// Goes on when it was done.
fn done(outcome: Outcome) -> Result<(), Outcome> {
    match outcome {
        Outcome::Done => Ok(()),
        stop => Err(stop),
    }
}
