//! What somebody else has changed in the StatefulSet: how many Pods it keeps, how it replaces them, what it starts them from.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use etcdop_api::Cluster;
use etcdop_core::{id::Slot, launch::LaunchSpec, step::Layout};
use etcdop_engine::outcome::Outcome;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, Error, ResourceExt, api::Patch};
use serde_json::{Value, json};

use super::{
    Inner, answer,
    call::{api, apply, change, patch},
    objects::Objects,
};
use crate::{
    platform::chores::Chore,
    resource::{names, pod, statefulset},
};

/// The generation of the StatefulSet that is known to be as this operator wants it.
#[derive(Default)]
pub(crate) struct Drift {
    ours: Mutex<Option<i64>>,
}

impl Drift {
    /// This is what we have written.
    pub(super) fn wrote(&self, set: &StatefulSet) {
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = set.metadata.generation;
    }

    /// Whether somebody else wrote to it since. What an operator finds when it begins is taken as it is: a new one that renders
    /// something differently rewrites no template.
    fn is_foreign(&self, set: &StatefulSet) -> bool {
        let Some(now) = set.metadata.generation else { return false };
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        *ours.get_or_insert(now) != now
    }

    /// What is to be done about it.
    pub(super) fn chore(&self, cluster: &Cluster, objects: &Objects) -> Option<Chore> {
        let set = objects.stateful_set.as_ref()?;
        let foreign = self.is_foreign(set);
        let layout = layout(cluster, objects)?;
        let generation = set.metadata.generation.unwrap_or_default();
        (foreign || differs(&layout, set)).then_some(Chore::PutBack { generation })
    }
}

/// The layout that the set is to hold; `None` when what stands on it is not what the record says: then the planner is about to
/// write it, and nobody is started or stopped by what somebody else wrote there.
fn layout(cluster: &Cluster, objects: &Objects) -> Option<BTreeMap<Slot, LaunchSpec>> {
    let layout = objects.layout();
    let record = objects.record(cluster).ok()?.value;
    let asleep = layout.is_empty() && cluster.desired.size.is_zero();
    (asleep || layout.keys().eq(record.slots.keys())).then_some(layout)
}

fn replicas(layout: &BTreeMap<Slot, LaunchSpec>) -> i32 {
    layout.keys().next_back().map_or(0, |slot| i32::from(slot.0) + 1)
}

/// Whether it keeps another number of Pods than its layout has, or would replace Pods or disks by itself.
fn differs(layout: &BTreeMap<Slot, LaunchSpec>, set: &StatefulSet) -> bool {
    let Some(spec) = &set.spec else { return false };
    let replaces = spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    let retention = spec.persistent_volume_claim_retention_policy.as_ref();
    let kept = retention.and_then(|policy| Some((policy.when_deleted.as_deref()?, policy.when_scaled.as_deref()?)));
    spec.replicas != Some(replicas(layout)) || replaces != Some("OnDelete") || kept != Some(("Retain", "Retain"))
}

/// All of that, for whatever is there now.
fn holding(layout: &BTreeMap<Slot, LaunchSpec>, set: &StatefulSet) -> Value {
    json!({
        "metadata": { "resourceVersion": set.resource_version() },
        "spec": {
            "replicas": replicas(layout),
            "updateStrategy": { "type": "OnDelete", "rollingUpdate": null },
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
        },
    })
}

impl Inner {
    /// Writes again what is ours. Exactly over what was seen: a step that is under way knows better.
    pub(super) async fn put_back(&self) -> Outcome {
        answer::outcome("StatefulSet", self.try_put_back().await)
    }

    async fn try_put_back(&self) -> Result<(), Error> {
        let (cluster, objects) = (self.cluster(), self.objects());
        let (Some(there), Some(layout)) = (&objects.stateful_set, layout(&cluster, &objects)) else { return Ok(()) };
        let sets: Api<StatefulSet> = api(&self.around.client, &cluster.namespace);
        let name = names::stateful_set(&cluster.name);
        let mut held = change(sets.patch(&name, &patch(), &Patch::Merge(holding(&layout, there)))).await?;
        // What was rendered from an earlier declaration cannot be rendered again; a roll is about to replace it.
        let starts = objects.template_launch().filter(|launch| launch.template.rendering == pod::digest(&cluster));
        if let Some(launch) = starts {
            let replicas = replicas(&layout);
            let layout = Layout { slots: layout };
            let mut wanted = statefulset::build(&cluster, &self.around.site, &launch, &layout, replicas);
            statefulset::keep_claim_templates(&mut wanted, &held);
            wanted.metadata.resource_version = held.resource_version();
            held = change(sets.patch(&name, &apply(), &Patch::Apply(&wanted))).await?;
        }
        tracing::info!(generation = held.metadata.generation, "the StatefulSet was changed by somebody, put back");
        self.drift.wrote(&held);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use etcdop_core::{id::Incarnation, record::Record};
    use rstest::rstest;

    use super::*;
    use crate::{platform::kept, resource::keys, status::fixture::declared};

    const LAUNCH: &str = r#"{"version":"3.6.16","options":{},"max_learners":8}"#;

    /// A set over two slots, with this field of its spec.
    fn objects(generation: i64, field: Option<(&str, Value)>) -> Objects {
        let mut set = json!({
            "metadata": { "name": "demo", "generation": generation },
            "spec": {
                "serviceName": "demo-peer", "selector": {}, "template": {}, "replicas": 2, "updateStrategy": { "type": "OnDelete" },
                "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
            },
        });
        if let Some((field, value)) = field {
            set["spec"][field] = value;
        }
        let mut record = Record::unborn(Incarnation::first("u"));
        for slot in [0, 1] {
            record.reserve(Slot(slot), serde_json::from_str(LAUNCH).unwrap());
        }
        let data = kept::render(&record, &BTreeMap::new(), |slot| format!("demo-{slot}")).unwrap();
        let members = json!({ "metadata": { "name": "demo-members", "resourceVersion": "1" }, "data": data });
        let objects = Objects {
            stateful_set: Some(serde_json::from_value(set).unwrap()),
            members: Some(serde_json::from_value(members).unwrap()),
            ..Objects::default()
        };
        with_layout(objects, &format!("{{\"0\":{LAUNCH},\"1\":{LAUNCH}}}"))
    }

    fn with_layout(mut objects: Objects, layout: &str) -> Objects {
        let set = objects.stateful_set.as_mut().unwrap();
        set.annotations_mut().insert(keys::LAYOUT.to_owned(), layout.to_owned());
        objects
    }

    fn chore(drift: &Drift, objects: &Objects) -> Option<Chore> {
        drift.chore(&declared(), objects)
    }

    #[rstest]
    #[case::fewer_pods("replicas", json!(1))]
    #[case::more_pods("replicas", json!(3))]
    #[case::replaces_pods_by_itself("updateStrategy", json!({ "type": "RollingUpdate" }))]
    #[case::deletes_disks("persistentVolumeClaimRetentionPolicy", json!({ "whenDeleted": "Delete", "whenScaled": "Retain" }))]
    fn what_would_harm_is_put_back_whoever_wrote_it_and_when(#[case] field: &str, #[case] value: Value) {
        let due = chore(&Drift::default(), &objects(1, Some((field, value))));
        assert_eq!(due, Some(Chore::PutBack { generation: 1 }));
    }

    #[test]
    fn what_is_found_at_first_is_taken_as_it_is_and_what_changes_then_is_put_back() {
        let drift = Drift::default();
        assert_eq!(chore(&drift, &objects(3, None)), None);
        assert_eq!(chore(&drift, &objects(4, None)), Some(Chore::PutBack { generation: 4 }));
        drift.wrote(objects(5, None).stateful_set.as_ref().unwrap());
        assert_eq!(chore(&drift, &objects(5, None)), None);
    }

    #[rstest]
    #[case::less_than_the_record(&format!("{{\"0\":{LAUNCH}}}"))]
    #[case::nothing("{}")]
    #[case::nothing_that_is_understood("?")]
    fn a_layout_that_somebody_else_wrote_stops_nobody(#[case] layout: &str) {
        assert_eq!(chore(&Drift::default(), &with_layout(objects(1, None), layout)), None);
    }

    #[test]
    fn nothing_is_put_back_where_there_is_nothing() {
        assert_eq!(chore(&Drift::default(), &Objects::default()), None);
    }
}
