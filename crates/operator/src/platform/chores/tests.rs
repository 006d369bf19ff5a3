use std::collections::{BTreeMap, BTreeSet};

use etcdop_core::id::{ClusterId, Incarnation};
use etcdop_guard::{DataState, DataView, MarkerState, Report, Status, WaitReason};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::de::DeserializeOwned;

use super::*;
use crate::{
    platform::{
        kept,
        look::ground,
        objects::{Objects, Wished},
        permits,
    },
    resource::Site,
    status::fixture::{declared, site},
};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

const LAUNCH: &str = r#"{"version":"3.6.16","options":{},"max_learners":8}"#;
const OTHER: &str = r#"{"version":"3.7.3","options":{},"max_learners":8}"#;

/// A cluster of one member that is as it should be.
struct Stand {
    objects: Objects,
    reports: BTreeMap<Slot, Heard>,
}

impl Stand {
    fn new() -> Self {
        let mut record = Record::unborn(Incarnation::first("u"));
        record.reserve(Slot(0), serde_json::from_str(LAUNCH).unwrap());
        record.birth = Birth::Formed(ClusterId(1));
        let data = kept::render(&record, &BTreeMap::new(), |slot| format!("demo-{slot}")).unwrap();
        let labels = json!({ keys::CLUSTER: "demo" });
        let set = json!({
            "metadata": { "name": "demo", "annotations": { keys::LAYOUT: format!("{{\"0\":{LAUNCH}}}") } },
            "spec": {
                "serviceName": "demo-peer", "selector": {}, "replicas": 1,
                "template": { "metadata": { "annotations": { keys::LAUNCH: LAUNCH } } },
            },
        });
        let claim = json!({
            "metadata": { "name": "data-demo-0", "uid": "c", "labels": labels },
            "spec": { "resources": { "requests": { "storage": "1Gi" } } },
        });
        let objects = Objects {
            wished: Wished::Still,
            stateful_set: Some(object(set)),
            members: Some(object::<ConfigMap>(
                json!({ "metadata": { "name": "demo-members", "resourceVersion": "1" }, "data": data }),
            )),
            pods: BTreeMap::from([(Slot(0), pod(json!({})))]),
            claims: BTreeMap::from([(Slot(0), object(claim))]),
        };
        Self { objects, reports: BTreeMap::new() }
    }

    fn due(&self) -> Vec<Chore> {
        let (cluster, site): (_, Site) = (declared(), site());
        let (named, dials) = (BTreeSet::new(), BTreeMap::new());
        let view = View {
            cluster: &cluster,
            site: &site,
            objects: &self.objects,
            reports: &self.reports,
            named: &named,
            dials: &dials,
        };
        chores(&view, &ground(&view))
    }

    fn with_pod(mut self, changes: Value) -> Self {
        self.objects.pods = BTreeMap::from([(Slot(0), pod(changes))]);
        self
    }

    fn hears(mut self, progress: Progress) -> Self {
        let status = Some(Status { instance: "p".parse().unwrap(), progress });
        let report = Report { status, data: DataView::Seen(DataState::Empty), marker: MarkerState::Absent };
        self.reports.insert(Slot(0), Heard::Report(report));
        self
    }

    /// As if this permit had been handed out to the Pod.
    fn permitted(mut self) -> Self {
        let record = self.objects.record(&declared()).unwrap().value;
        let permits = BTreeMap::from([(Slot(0), kept::Handed { permit: PERMIT.to_owned(), claim: None })]);
        let data = kept::render(&record, &permits, |slot| format!("demo-{slot}")).unwrap();
        self.objects.members.as_mut().unwrap().data = Some(data);
        self
    }
}

const PERMIT: &str = "instance=p\nincarnation=u/1\ngeneration=1\nmember=-\ninitial-cluster=demo-0=http://demo-0:2380\n\
                      initial-cluster-state=new\n";

/// A Pod that runs, with these changes.
fn pod(changes: Value) -> Pod {
    let mut whole = json!({
        "metadata": { "name": "demo-0", "uid": "p", "annotations": { keys::LAUNCH: LAUNCH } },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1",
            "conditions": [{ "type": "PodScheduled", "status": "True" }, { "type": "PodReadyToStartContainers", "status": "True" }],
            "containerStatuses": [
                { "name": "etcd", "image": "", "imageID": "", "containerID": "x", "ready": true, "restartCount": 0, "state": { "running": {} }, "started": true }
            ],
        },
    });
    merge(&mut whole, changes);
    object(whole)
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, changes) => *into = changes,
    }
}

#[test]
fn nothing_is_due_where_all_is_well() {
    assert_eq!(Stand::new().due(), []);
}

#[test]
fn a_scheduled_pod_without_a_sandbox_is_touched() {
    let waiting = json!({
        "status": { "phase": "Pending", "podIP": null, "containerStatuses": null, "conditions": [{ "type": "PodScheduled", "status": "True" }] },
    });
    assert_eq!(Stand::new().with_pod(waiting).due(), [Chore::Touch { slot: Slot(0), uid: "p".to_owned() }]);
}

#[test]
fn a_guard_that_has_not_seen_its_pods_permit_is_reminded() {
    let carries = json!({ "metadata": { "annotations": { keys::PERMIT: PERMIT, keys::SEAT: "incarnation=u/1\nmember=-\ngeneration=1\nepoch=0\n" } } });
    let waits = || Progress::from(&WaitReason::NoPermit);
    let stand = Stand::new().permitted().with_pod(carries).hears(waits());
    assert!(stand.due().contains(&Chore::Remind { slot: Slot(0), uid: "p".to_owned() }), "{:?}", stand.due());
    let without = Stand::new().hears(waits());
    assert!(!without.due().iter().any(|chore| matches!(chore, Chore::Remind { .. })));
}

#[test]
fn a_permit_that_was_noted_and_not_given_is_given() {
    let stand = Stand::new().permitted();
    let due = stand.due();
    let [Chore::Give { annotations, .. }] = due.as_slice() else { panic!("{due:?}") };
    let record = stand.objects.record(&declared()).unwrap().value;
    let began = Chore::give(Slot(0), "p".to_owned(), &permits::gift(&record, Slot(0), PERMIT));
    assert_eq!(due, [began], "the same that a step begins: it is not given twice at a time");
    let given: Value = serde_json::from_str(annotations).unwrap();
    assert_eq!(given[keys::PERMIT], PERMIT);
    let seat = etcdop_guard::Seat::parse(given[keys::SEAT].as_str().unwrap()).unwrap();
    assert_eq!((seat.incarnation.as_str(), seat.generation.0), ("u/1", 1));
}

#[test]
fn what_a_guard_sees_on_the_disk_is_noted_on_the_claim() {
    let due = Stand::new().hears(Progress::from(&WaitReason::NoPermit)).due();
    assert!(matches!(due.as_slice(), [Chore::NoteDisk { slot: Slot(0), .. }]), "{due:?}");
}

#[test]
fn a_template_that_was_lent_to_a_restart_is_put_back() {
    let mut stand = Stand::new();
    let set = stand.objects.stateful_set.as_mut().unwrap().spec.as_mut().unwrap();
    set.template
        .metadata
        .as_mut()
        .unwrap()
        .annotations
        .as_mut()
        .unwrap()
        .insert(keys::LAUNCH.to_owned(), OTHER.to_owned());
    assert!(matches!(stand.due().as_slice(), [Chore::Template { .. }]), "{:?}", stand.due());
}

#[test]
fn a_pod_that_runs_nothing_of_what_is_declared_is_started_again() {
    let crashed = json!({
        "metadata": { "annotations": { keys::LAUNCH: OTHER } },
        "status": { "containerStatuses": [
            { "name": "etcd", "image": "", "imageID": "", "containerID": "x", "ready": false, "restartCount": 1, "state": { "terminated": { "exitCode": 1 } } }
        ] },
    });
    let due = Stand::new().with_pod(crashed).due();
    assert_eq!(due, [Chore::Renew { slot: Slot(0), uid: "p".to_owned() }]);
    let runs = json!({ "metadata": { "annotations": { keys::LAUNCH: OTHER } } });
    assert_eq!(Stand::new().with_pod(runs).due(), [], "one that runs is the planner's to stop");
}

#[test]
fn a_pod_on_a_dead_node_is_given_up_only_when_its_member_has_left() {
    let ending = || json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    let left = Stand::new().with_pod(ending()).due();
    assert!(left.contains(&Chore::GiveUp { slot: Slot(0), uid: "p".to_owned() }), "{left:?}");
    let mut member = Stand::new().with_pod(ending());
    let mut record = member.objects.record(&declared()).unwrap().value;
    record.slots.entry(Slot(0)).and_modify(|seat| seat.member = Some(etcdop_core::id::MemberId(7)));
    let data = kept::render(&record, &BTreeMap::new(), |slot| format!("demo-{slot}")).unwrap();
    member.objects.members.as_mut().unwrap().data = Some(data);
    assert!(!member.due().iter().any(|chore| matches!(chore, Chore::GiveUp { .. })));
}

#[test]
fn a_lost_claim_is_made_again_and_a_small_one_grows() {
    let mut lost = Stand::new();
    lost.objects.claims.clear();
    assert_eq!(lost.due(), [Chore::MakeClaim { slot: Slot(0) }]);
    let mut small = Stand::new();
    let claim = small.objects.claims.get_mut(&Slot(0)).unwrap();
    claim.spec = Some(object(json!({ "resources": { "requests": { "storage": "512Mi" } } })));
    assert_eq!(small.due(), [Chore::Grow { slot: Slot(0), uid: "c".to_owned(), size: "1Gi".to_owned() }]);
}

#[test]
fn a_chore_that_runs_is_not_begun_again_before_it_has_failed() {
    let (chores, now) = (Chores::default(), Instant::now());
    let give = Chore::give(Slot(0), "p".to_owned(), &json!({ keys::PERMIT: PERMIT }));
    assert_eq!(chores.taken(vec![give.clone()], now), std::slice::from_ref(&give));
    assert_eq!(chores.ready(vec![give.clone()], now + AGAIN), []);
    chores.done(&give);
    assert_eq!(chores.ready(vec![give.clone()], now), []);
    assert_eq!(chores.ready(vec![give.clone()], Instant::now() + AGAIN), [give]);
}

#[test]
fn what_a_step_begins_keeps_the_others_waiting_no_longer() {
    let (chores, now) = (Chores::default(), Instant::now());
    let touch = Chore::Touch { slot: Slot(1), uid: "q".to_owned() };
    assert_eq!(chores.ready(vec![touch.clone()], now), []);
    chores.taken(vec![Chore::MakeClaim { slot: Slot(0) }], now);
    assert_eq!(chores.ready(vec![touch.clone()], now + SANDBOX), [touch]);
}
