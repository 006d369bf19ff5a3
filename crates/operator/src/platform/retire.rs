//! Ends: of exactly one Pod, of exactly one disk.

use etcdop_api::{Cluster, WhenScaled};
use etcdop_core::{
    id::{InstanceId, Slot, VolumeId},
    observation::Phase,
};
use etcdop_engine::outcome::Outcome;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, Patch, Preconditions},
};
use serde_json::json;

use super::{
    Inner, answer,
    call::{api, change, delete, patch},
    phase::{Name, phase},
};
use crate::resource::keys;

impl Inner {
    /// Ends exactly this Pod. The StatefulSet starts the next one with what is declared for the slot.
    pub(super) async fn retire(&self, slot: Slot, instance: &InstanceId) -> Outcome {
        let (cluster, objects) = (self.cluster(), self.objects());
        let Some(pod) = objects.pods.get(&slot).filter(|pod| pod.uid().as_ref() == Some(&instance.0)) else {
            return Outcome::Done;
        };
        let layout = objects.layout();
        if let Some(next) = layout.get(&slot)
            && objects.template_launch().as_ref() != Some(next)
        {
            let set = self.write_set(&cluster, &objects, &layout, Some(next.clone())).await;
            match answer::outcome("StatefulSet", set) {
                Outcome::Done => {}
                stop => return stop,
            }
        }
        // One member alone, or one that serves nobody: there is nothing that a disruption budget could keep.
        let serves = matches!(phase(pod, None, Name::Resolves), Phase::Running);
        let evicts = serves && layout.len() > 1;
        let pods: Api<Pod> = api(&self.around.client, &cluster.namespace);
        let ended = if evicts {
            let with = EvictParams { delete_options: Some(delete(&instance.0)), ..EvictParams::default() };
            change(pods.evict(&pod.name_any(), &with)).await.map(drop)
        } else {
            change(pods.delete(&pod.name_any(), &delete(&instance.0))).await.map(drop)
        };
        match ended {
            Err(error) if answer::is_missing(&error) => Outcome::Done,
            Err(error) if answer::is_over_budget(&error) => {
                Outcome::NotYet(format!("{}: {}", pod.name_any(), answer::words(&error)))
            }
            ended => answer::outcome(&pod.name_any(), ended),
        }
    }

    /// Destroys exactly this disk, and ends the Pod that waits before it. The claim goes first, so that the next Pod gets a new one.
    pub(super) async fn discard(&self, slot: Slot, volume: &VolumeId) -> Outcome {
        let (cluster, objects) = (self.cluster(), self.objects());
        let Some(claim) = objects.claims.get(&slot).filter(|claim| claim.uid().as_ref() == Some(&volume.0)) else {
            return Outcome::Done;
        };
        let declared = objects.layout().contains_key(&slot);
        if !declared && cluster.storage.when_scaled == WhenScaled::Retain {
            return self.retire_claim(&cluster, claim).await;
        }
        let deleted = self.delete_claim(&cluster, claim).await;
        let (Outcome::Done, Some(pod)) = (&deleted, objects.pods.get(&slot)) else { return deleted };
        let pods: Api<Pod> = api(&self.around.client, &cluster.namespace);
        let uid = pod.uid().unwrap_or_default();
        match change(pods.delete(&pod.name_any(), &delete(&uid))).await {
            Err(error) if answer::is_missing(&error) || answer::is_conflict(&error) => Outcome::Done,
            ended => answer::outcome(&pod.name_any(), ended),
        }
    }

    /// Deletes exactly this claim, as it was seen.
    pub(super) async fn delete_claim(&self, cluster: &Cluster, claim: &PersistentVolumeClaim) -> Outcome {
        let claims: Api<PersistentVolumeClaim> = api(&self.around.client, &cluster.namespace);
        if claim.metadata.deletion_timestamp.is_some() {
            return Outcome::Done;
        }
        let as_seen = Preconditions { uid: claim.uid(), resource_version: claim.resource_version() };
        let as_seen = DeleteParams::default().preconditions(as_seen);
        match change(claims.delete(&claim.name_any(), &as_seen)).await {
            Err(error) if answer::is_missing(&error) => Outcome::Done,
            deleted => answer::outcome(&claim.name_any(), deleted),
        }
    }

    /// Keeps the disk of a member that has left, and marks it so that nobody takes it for one in use.
    async fn retire_claim(&self, cluster: &Cluster, claim: &PersistentVolumeClaim) -> Outcome {
        let claims: Api<PersistentVolumeClaim> = api(&self.around.client, &cluster.namespace);
        let mark = json!({ "metadata": { "uid": claim.uid(), "annotations": { keys::RETIRED: "true" } } });
        let marked = change(claims.patch(&claim.name_any(), &patch(), &Patch::Merge(mark))).await;
        answer::outcome(&claim.name_any(), marked)
    }
}
