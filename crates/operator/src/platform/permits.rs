//! The record and the permits: what decides who may start where. Both are committed in one object before any Pod hears of them.

use std::{collections::BTreeMap, sync::Arc};

use etcdop_core::{
    id::{RecordRevision, Slot},
    permit::Permit,
    record::Record,
};
use etcdop_engine::{
    gate,
    outcome::{CommitError, Outcome},
};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt, api::Patch};
use serde_json::json;

use super::{
    Inner, answer,
    call::{api, change, patch, post},
    chores::Chore,
    kept::{self, Handed, Permits},
    objects::{NO_RECORD, Objects},
};
use crate::resource::{
    configmap, keys,
    names::{self, HAND_OVER_PORT},
};

impl Inner {
    /// Replaces the record.
    pub(super) async fn commit(&self, base: &RecordRevision, next: &Record) -> Result<RecordRevision, CommitError> {
        let objects = self.objects();
        let revision = self.write(base, next, &objects.permits()).await?;
        // Guards at the gate go by the seats that their Pods carry; those of another member must not be gone by any more.
        let stale = objects.pods.iter().filter_map(|(&slot, pod)| Some((pod, stale_seat(pod, next, slot)?)));
        let refreshed = join_all(stale.map(|(pod, seat)| self.annotate(pod, seat))).await;
        match refreshed.into_iter().find(|outcome| *outcome != Outcome::Done) {
            // The record stands. A seat that lags behind permits nothing that the new one does not, and is brought up again.
            Some(Outcome::NotApplied(why) | Outcome::NotYet(why) | Outcome::Unknown(why)) => {
                Err(CommitError::Unknown(why))
            }
            Some(Outcome::Done) | None => Ok(revision),
        }
    }

    async fn write(
        &self,
        base: &RecordRevision,
        record: &Record,
        permits: &Permits,
    ) -> Result<RecordRevision, CommitError> {
        let cluster = self.cluster();
        let maps: Api<ConfigMap> = api(&self.around.client, &cluster.namespace);
        let data = kept::render(record, permits, |slot| names::pod(&cluster.name, slot));
        let data = data.map_err(|error| CommitError::Failed(error.to_string()))?;
        let mut wanted = configmap::members(&cluster, data);
        let written = if base.0 == NO_RECORD {
            change(maps.create(&post(), &wanted)).await
        } else {
            wanted.metadata.resource_version = Some(base.0.clone());
            change(maps.replace(&wanted.name_any(), &post(), &wanted)).await
        };
        match written {
            Ok(written) => Ok(RecordRevision(written.resource_version().unwrap_or_default())),
            Err(error) if answer::is_conflict(&error) || answer::is_missing(&error) => Err(CommitError::Conflict),
            Err(error) => match answer::outcome::<()>("ConfigMap of the members", Err(error)) {
                Outcome::NotApplied(why) | Outcome::NotYet(why) => Err(CommitError::Failed(why)),
                Outcome::Unknown(why) => Err(CommitError::Unknown(why)),
                Outcome::Done => Err(CommitError::Unknown("an error that is none".to_owned())),
            },
        }
    }

    /// Hands permits out: they are noted for good, and then brought to the Pods by whoever has time. What was noted counts as handed
    /// out; whoever does not hear of it now hears of it later, from this operator or the next one.
    pub(super) async fn permit(self: &Arc<Self>, permits: &[Permit]) -> Outcome {
        let objects = self.objects();
        let record = match objects.record(&self.cluster()) {
            Ok(record) => record,
            Err(why) => return Outcome::NotApplied(why),
        };
        let mut handed = objects.permits();
        let mut gifts = Vec::new();
        for permit in permits {
            let holder = objects.pods.get(&permit.slot).filter(|pod| pod.uid().as_ref() == Some(&permit.instance.0));
            if holder.is_none() {
                return Outcome::NotApplied(format!("Pod {} is not in slot {} any more", permit.instance, permit.slot));
            }
            let text = match gate::permit(permit) {
                Ok(permit) => permit.render(),
                Err(why) => return Outcome::NotApplied(why),
            };
            let gift = gift(&record.value, permit.slot, &text);
            gifts.push(Chore::give(permit.slot, permit.instance.0.clone(), &gift));
            let claim = objects.claims.get(&permit.slot).and_then(ResourceExt::uid);
            handed.insert(permit.slot, Handed { permit: text, claim });
        }
        match self.write(&record.revision, &record.value, &handed).await {
            Ok(_) => {}
            Err(CommitError::Unknown(why)) => return Outcome::Unknown(why),
            Err(error) => return Outcome::NotApplied(error.to_string()),
        }
        self.chores.begin(self, gifts);
        Outcome::Done
    }

    /// Gives a Pod what is meant for it. A permit is brought to its guard as well: an annotation is in a fresh container a second
    /// later, and where this way is closed, nobody waits longer than for that.
    pub(super) async fn give(&self, pod: &Pod, annotations: serde_json::Value) -> Outcome {
        let text = |key: &str| annotations.get(key).and_then(serde_json::Value::as_str);
        let brought = text(keys::SEAT).zip(text(keys::PERMIT)).map(|(seat, permit)| format!("{seat}\n{permit}end\n"));
        let bring = async {
            if let Some(text) = brought {
                self.hand_over(&pod.name_any(), &text).await;
            }
        };
        let ((), given) = tokio::join!(bring, self.annotate(pod, annotations.clone()));
        given
    }

    async fn hand_over(&self, pod: &str, text: &str) {
        match self.reach.hand_over(pod, HAND_OVER_PORT, text).await {
            Ok(answer) => tracing::debug!(pod, answer, "permit brought"),
            Err(why) => tracing::debug!(pod, why, "permit not brought"),
        }
    }

    /// Sets annotations of exactly this Pod.
    pub(super) async fn annotate(&self, pod: &Pod, annotations: serde_json::Value) -> Outcome {
        let pods: Api<Pod> = api(&self.around.client, &self.cluster().namespace);
        let change_of = json!({ "metadata": { "uid": pod.uid(), "annotations": annotations } });
        let patched = change(pods.patch(&pod.name_any(), &patch(), &Patch::Merge(change_of))).await;
        answer::outcome(&pod.name_any(), patched)
    }
}

/// What a Pod is given with its permit: guards take both in one look.
pub(super) fn gift(record: &Record, slot: Slot, permit: &str) -> serde_json::Value {
    json!({ keys::SEAT: seat(record, slot), keys::PERMIT: permit })
}

fn seat(record: &Record, slot: Slot) -> Option<String> {
    Some(gate::seat(record, record.slots.get(&slot)?)?.render())
}

/// The annotation that a Pod is to carry as its seat, where it carries that of another member.
pub(super) fn stale_seat(pod: &Pod, record: &Record, slot: Slot) -> Option<serde_json::Value> {
    let carried = pod.annotations().get(keys::SEAT)?;
    let wanted = seat(record, slot);
    (occupant(Some(carried)) != occupant(wanted.as_deref())).then(|| json!({ keys::SEAT: wanted }))
}

/// Whom a seat is for.
fn occupant(text: Option<&str>) -> Option<etcdop_guard::Seat> {
    let seat = etcdop_guard::Seat::parse(text?).ok()?;
    Some(etcdop_guard::Seat { epoch: etcdop_guard::Epoch(0), ..seat })
}

/// Permits that were noted and whose Pod does not carry them yet.
pub(super) fn undelivered<'a>(
    objects: &'a Objects,
    record: &'a Record,
) -> impl Iterator<Item = (&'a Pod, serde_json::Value)> {
    let permits: BTreeMap<Slot, Handed> = objects.permits();
    objects.pods.iter().filter_map(move |(&slot, pod)| {
        let handed = permits.get(&slot)?;
        let permit = etcdop_guard::Permit::parse(&handed.permit).ok()?;
        let for_it = pod.metadata.uid.as_deref() == Some(permit.instance.as_str());
        let carries = pod.annotations().get(keys::PERMIT) == Some(&handed.permit);
        (for_it && !carries).then(|| (pod, gift(record, slot, &handed.permit)))
    })
}

#[cfg(test)]
mod tests;
