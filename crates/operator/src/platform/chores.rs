//! What the objects need that no decision is about: notes on claims, a nudge for the kubelet, a template that fits. Found by every look,
//! done beside it, and looked at again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcdop_core::{
    id::Slot,
    observation::{Marker, Phase},
    record::{Birth, Record},
};
use etcdop_engine::{outcome::Outcome, platform::Ground};
use etcdop_guard::{Progress, WaitKind};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, Preconditions},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Inner, answer,
    call::{api, change, delete, patch},
    disk,
    look::View,
    permits::{stale_seat, undelivered},
    phase::container,
    reports::Heard,
    template,
};
use crate::resource::{keys, names, volume};

/// For how long a scheduled Pod may be without a sandbox: then the kubelet lost it for 10 s and more, and an annotation wakes it. Of six
/// Pods that come at once that happens to most; one that was only slow is not hurt.
const SANDBOX: Duration = Duration::from_millis(500);
/// How long an annotation may be on its way into a Pod: mostly it takes half of that. Once in some dozen fresh Pods the kubelet loses
/// the update and brings it with its next look at everything, a minute later.
const DELIVERED: Duration = Duration::from_millis(400);
/// How long a Pod may take to end after its grace period: then its node does not answer any more.
const ENDED: Duration = Duration::from_secs(10);
/// Between two tries of the same chore.
const AGAIN: Duration = Duration::from_secs(1);

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Chore {
    /// Wake the kubelet for a Pod.
    Touch { slot: Slot, uid: String },
    /// Wake the kubelet for a Pod whose guard has not seen the permit that the Pod carries.
    Remind { slot: Slot, uid: String },
    /// Note on the claim what a guard saw on the disk.
    NoteDisk { slot: Slot, uid: String, text: String },
    /// Give a Pod what was meant for it.
    Give { slot: Slot, uid: String, annotations: String },
    /// Let the template start what the next Pod is to run.
    Template { version: String },
    /// A new disk for a slot that has lost its own.
    MakeClaim { slot: Slot },
    /// End a Pod that runs nothing and was made to run something else than is declared.
    Renew { slot: Slot, uid: String },
    /// Give up a Pod that cannot end because its node is gone, and whose member has left.
    GiveUp { slot: Slot, uid: String },
    /// Let the garbage collector take the claim along with the resource, or not.
    Own { slot: Slot, uid: String, owners: String },
    /// Write the StatefulSet again, which somebody else has changed.
    PutBack { generation: i64 },
    /// Ask for a larger disk.
    Grow { slot: Slot, uid: String, size: String },
}

impl Chore {
    /// To give these annotations to this Pod.
    pub(super) fn give(slot: Slot, uid: String, annotations: &Value) -> Self {
        Self::Give { slot, uid, annotations: annotations.to_string() }
    }

    /// For how long it must have been due.
    const fn patience(&self) -> Duration {
        match self {
            Self::Touch { .. } => SANDBOX,
            Self::Remind { .. } => DELIVERED,
            Self::GiveUp { .. } => ENDED,
            _ => Duration::ZERO,
        }
    }
}

/// Everything that is due by what one look found.
pub(crate) fn chores(view: &View<'_>, ground: &Ground) -> Vec<Chore> {
    let mut due = Vec::new();
    let record = ground.record.as_ref().map(|record| &record.value).ok();
    for (&slot, pod) in &view.objects.pods {
        let uid = pod.uid().unwrap_or_default();
        if lacks_sandbox(pod) {
            due.push(Chore::Touch { slot, uid: uid.clone() });
        }
        if waits_for_its_permit(view, ground, slot, pod) {
            due.push(Chore::Remind { slot, uid: uid.clone() });
        }
        if is_outdated(ground, slot) || record.is_some_and(|record| could_wait_now(record, ground, slot)) {
            due.push(Chore::Renew { slot, uid: uid.clone() });
        }
        if let Some(record) = record {
            if let Some(seat) = stale_seat(pod, record, slot) {
                due.push(Chore::give(slot, uid.clone(), &seat));
            }
            if pod.metadata.deletion_timestamp.is_some() && has_left(record, slot) {
                due.push(Chore::GiveUp { slot, uid });
            }
        }
    }
    if let Some(record) = record {
        let missed = undelivered(view.objects, record).filter_map(|(pod, gift)| {
            let (&slot, _) = view.objects.pods.iter().find(|(_, other)| other.metadata.uid == pod.metadata.uid)?;
            Some(Chore::give(slot, pod.uid()?, &gift))
        });
        due.extend(missed);
    }
    due.extend(claims(view, ground));
    due.extend(template_chore(view));
    due
}

fn claims(view: &View<'_>, ground: &Ground) -> Vec<Chore> {
    let mut due = Vec::new();
    for (&slot, claim) in &view.objects.claims {
        let uid = claim.uid().unwrap_or_default();
        if claim.metadata.deletion_timestamp.is_some() {
            continue;
        }
        if let (Some(pod), Some(heard)) = (view.objects.pods.get(&slot), view.reports.get(&slot))
            && let Some(text) = disk::note(claim, pod, heard)
        {
            due.push(Chore::NoteDisk { slot, uid: uid.clone(), text });
        }
        let wanted = volume::claim(view.cluster, slot);
        // The rest of a reference is the server's to fill in.
        let owners = |claim: &PersistentVolumeClaim| {
            claim.owner_references().iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>()
        };
        if owners(&wanted) != owners(claim) {
            let owners = serde_json::to_string(&wanted.metadata.owner_references).unwrap_or_default();
            due.push(Chore::Own { slot, uid: uid.clone(), owners });
        }
        if let Some(size) = growth(claim, &wanted) {
            due.push(Chore::Grow { slot, uid, size });
        }
    }
    // While the cluster forms, a founder's disk that is gone is for the planner to see.
    let formed = ground.record.as_ref().is_ok_and(|record| matches!(record.value.birth, Birth::Formed(_)));
    let lost =
        ground.slots.iter().filter(|(slot, seen)| seen.declared.is_some() && !view.objects.claims.contains_key(slot));
    due.extend(lost.filter(|_| formed).map(|(&slot, _)| Chore::MakeClaim { slot }));
    due
}

fn template_chore(view: &View<'_>) -> Option<Chore> {
    let objects = view.objects;
    let has_pod = |slot| objects.pods.get(&slot).is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
    let layout = objects.layout();
    let now = objects.template_launch();
    let wanted = template::launch(&layout, has_pod, now.as_ref())?;
    let template = &wanted.template;
    (now.as_ref() != Some(wanted))
        .then(|| Chore::Template { version: format!("{} {}", template.version, template.rendering) })
}

/// A larger size than the claim asks for.
fn growth(claim: &PersistentVolumeClaim, wanted: &PersistentVolumeClaim) -> Option<String> {
    let asks = |claim: &PersistentVolumeClaim| {
        let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        Some(requests.get("storage")?.0.clone())
    };
    let (now, wanted) = (asks(claim)?, asks(wanted)?);
    let bytes = |text: &str| text.parse::<etcdop_api::Quantity>().ok()?.value();
    (bytes(&wanted)? > bytes(&now)?).then_some(wanted)
}

/// It is scheduled, and the kubelet has not made its sandbox.
fn lacks_sandbox(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let is = |kind: &str| status.conditions.iter().flatten().any(|c| c.type_ == kind && c.status == "True");
    let none_yet = status.pod_ip.is_none() && container(pod).is_none_or(|container| container.container_id.is_none());
    is("PodScheduled") && !is("PodReadyToStartContainers") && none_yet && pod.metadata.deletion_timestamp.is_none()
}

/// It carries its permit, and its guard still waits for one.
fn waits_for_its_permit(view: &View<'_>, ground: &Ground, slot: Slot, pod: &Pod) -> bool {
    let Some(Heard::Report(report)) = view.reports.get(&slot) else { return false };
    let waits = match report.status.as_ref().map(|status| &status.progress) {
        Some(Progress::Waiting { kind, .. }) => {
            matches!(kind, WaitKind::NoPermit | WaitKind::PermitForOther | WaitKind::PermitStale | WaitKind::NoRecord)
        }
        Some(Progress::Refused { .. } | Progress::Joins { .. } | Progress::Started { .. }) | None => false,
    };
    let permit = ground.slots.get(&slot).and_then(|seen| seen.permit.as_ref());
    let for_it = permit.is_some_and(|permit| pod.metadata.uid.as_ref() == Some(&permit.instance.0));
    waits && for_it && pod.annotations().contains_key(keys::PERMIT)
}

/// It runs nothing, and what it would run is not what is declared: its platform starts it with that again.
fn is_outdated(ground: &Ground, slot: Slot) -> bool {
    let Some(seen) = ground.slots.get(&slot) else { return false };
    let (Some(declared), Ok(Some(instance))) = (&seen.declared, &seen.instance) else { return false };
    instance.launch != *declared && matches!(instance.phase, Phase::Exited(_) | Phase::Pending(_))
}

/// Its guard refused for the member before, and would wait at the gate by now: the kubelet takes minutes to find out.
fn could_wait_now(record: &Record, ground: &Ground, slot: Slot) -> bool {
    let Some(seen) = ground.slots.get(&slot) else { return false };
    let refused = matches!(&seen.instance, Ok(Some(instance)) if matches!(instance.phase, Phase::Refused(_)));
    let empty = matches!(&seen.volume, Ok(Some(volume)) if volume.marker == Marker::Empty);
    let reserved = record.slots.get(&slot).is_some_and(|seat| seat.member.is_none());
    refused && empty && reserved && matches!(record.birth, Birth::Formed(_))
}

/// Whether the slot's member was taken out of the list: the record drops or renews a seat only after that.
fn has_left(record: &Record, slot: Slot) -> bool {
    matches!(record.birth, Birth::Formed(_)) && record.slots.get(&slot).is_none_or(|seat| seat.member.is_none())
}

/// Does what is due, at most one batch at a time.
#[derive(Default)]
pub(crate) struct Chores {
    known: Mutex<HashMap<Chore, Known>>,
}

/// Since when a chore is due, and when it is tried (again).
#[derive(Clone, Copy, Debug)]
struct Known {
    next: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Runs,
}

impl Chores {
    /// Starts what has been due for long enough. Ends at once.
    pub(super) fn start(&self, inner: &Arc<Inner>, due: Vec<Chore>) {
        run_beside(inner, self.ready(due, Instant::now()));
    }

    /// Starts these, whatever else is due. Ends at once.
    pub(super) fn begin(&self, inner: &Arc<Inner>, chores: Vec<Chore>) {
        run_beside(inner, self.taken(chores, Instant::now()));
    }

    /// Those of them that have been due for long enough; they run from now on.
    fn ready(&self, due: Vec<Chore>, now: Instant) -> Vec<Chore> {
        self.known().retain(|chore, known| known.state == State::Runs || due.contains(chore));
        self.taken(due, now)
    }

    fn taken(&self, due: Vec<Chore>, now: Instant) -> Vec<Chore> {
        let mut known = self.known();
        let mut is_ready = |chore: &Chore| {
            let first = Known { next: now + chore.patience(), state: State::Waits };
            let known = known.entry(chore.clone()).or_insert(first);
            let ready = known.state == State::Waits && known.next <= now;
            if ready {
                known.state = State::Runs;
            }
            ready
        };
        due.into_iter().filter(|chore| is_ready(chore)).collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Chore, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, chore: &Chore) {
        if let Some(known) = self.known().get_mut(chore) {
            *known = Known { next: Instant::now() + AGAIN, state: State::Waits };
        }
    }
}

/// Beside everything else; then there is a reason to look.
fn run_beside(inner: &Arc<Inner>, chores: Vec<Chore>) {
    if !chores.is_empty() {
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            join_all(chores.into_iter().map(|chore| inner.finish(chore))).await;
            inner.changed.notify_one();
        });
    }
}

impl Inner {
    async fn finish(&self, chore: Chore) {
        let outcome = self.carry_out(&chore).await;
        match &outcome {
            Outcome::Done => tracing::debug!(?chore, "chore"),
            Outcome::NotApplied(why) | Outcome::NotYet(why) | Outcome::Unknown(why) => {
                tracing::info!(?chore, why, "chore failed, tried again");
            }
        }
        self.chores.done(&chore);
    }

    async fn carry_out(&self, chore: &Chore) -> Outcome {
        let (cluster, objects) = (self.cluster(), self.objects());
        let pod = |slot: &Slot, uid: &String| objects.pods.get(slot).filter(|pod| pod.uid().as_ref() == Some(uid));
        match chore {
            Chore::Touch { slot, uid } | Chore::Remind { slot, uid } => match pod(slot, uid) {
                Some(pod) => {
                    let touched = pod.annotations().get(keys::TOUCHED).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
                    self.annotate(pod, json!({ keys::TOUCHED: (touched + 1).to_string() })).await
                }
                None => Outcome::Done,
            },
            Chore::Give { slot, uid, annotations } => {
                match (pod(slot, uid), serde_json::from_str::<Value>(annotations)) {
                    (Some(pod), Ok(annotations)) => self.give(pod, annotations).await,
                    _ => Outcome::Done,
                }
            }
            Chore::NoteDisk { slot, uid, text } => {
                self.patch_claim(*slot, uid, json!({ "metadata": { "annotations": { keys::DISK: text } } })).await
            }
            Chore::Own { slot, uid, owners } => match serde_json::from_str::<Value>(owners) {
                Ok(owners) => self.patch_claim(*slot, uid, json!({ "metadata": { "ownerReferences": owners } })).await,
                Err(_) => Outcome::Done,
            },
            Chore::Grow { slot, uid, size } => {
                let size = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
                self.patch_claim(*slot, uid, size).await
            }
            Chore::Template { .. } => {
                answer::outcome("StatefulSet", self.stateful_set(&cluster, &objects, &objects.layout()).await)
            }
            Chore::MakeClaim { slot } => self.make_claim(&cluster, *slot).await,
            Chore::Renew { slot, uid } => {
                let pods: Api<Pod> = api(&self.around.client, &cluster.namespace);
                gone(change(pods.delete(&names::pod(&cluster.name, *slot), &delete(uid))).await)
            }
            Chore::GiveUp { slot, uid } => self.give_up(*slot, uid).await,
            Chore::PutBack { .. } => self.put_back().await,
        }
    }

    async fn patch_claim(&self, slot: Slot, uid: &str, mut fields: Value) -> Outcome {
        let cluster = self.cluster();
        let claims: Api<PersistentVolumeClaim> = api(&self.around.client, &cluster.namespace);
        let name = names::claim(&cluster.name, slot);
        fields["metadata"]["uid"] = json!(uid);
        answer::outcome(&name, change(claims.patch(&name, &patch(), &Patch::Merge(fields))).await)
    }

    /// The member has left the list, so a ghost of it on a node that nobody can ask is fenced by raft.
    async fn give_up(&self, slot: Slot, uid: &str) -> Outcome {
        let (cluster, objects) = (self.cluster(), self.objects());
        // Its successor in the slot needs another disk. A slot that is left leaves its disk to whoever decides about that.
        let succeeded = objects.record(&cluster).is_ok_and(|record| record.value.slots.contains_key(&slot));
        if let Some(claim) = objects.claims.get(&slot).filter(|_| succeeded) {
            match self.delete_claim(&cluster, claim).await {
                Outcome::Done => {}
                stop => return stop,
            }
        }
        let pods: Api<Pod> = api(&self.around.client, &cluster.namespace);
        let at_once = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }.preconditions(at_once);
        gone(change(pods.delete(&names::pod(&cluster.name, slot), &at_once)).await)
    }
}

fn gone<T>(deleted: Result<T, kube::Error>) -> Outcome {
    match deleted {
        Err(error) if answer::is_missing(&error) || answer::is_conflict(&error) => Outcome::Done,
        deleted => answer::outcome("Pod", deleted),
    }
}

#[cfg(test)]
mod tests;
