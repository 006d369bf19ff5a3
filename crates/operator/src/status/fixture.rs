//! Looks at a platform that shows always the same, for tests of what is told of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use etcdop_api::Cluster;
use etcdop_core::{
    id::{ClusterId, Incarnation, InstanceId, MemberId, Mono, RecordRevision, Slot},
    launch::LaunchSpec,
    observation::{
        Address, Blocker, Instance, MemberStatus, Observation, Phase, Probe, Role, Roster, RosterMember, SlotPolicy,
        SlotView,
    },
    plan::{Plan, Wake},
    record::{Birth, Record, Versioned},
    step::GroundStep,
    version::{EtcdVersion, Minor},
};
use etcdop_engine::{
    driver::look,
    outcome::{CommitError, Outcome},
    platform::{Ground, Platform},
    publish::Published,
    tuning::Tuning,
};

use crate::resource::Site;

/// A cluster that nobody has looked at yet.
pub(crate) fn declared() -> Cluster {
    let resource = serde_json::json!({
        "apiVersion": "etcd.etcd.io/v1alpha1", "kind": "EtcdCluster",
        "metadata": { "name": "demo", "namespace": "ns", "uid": "u", "generation": 4 },
        "spec": { "size": 3, "version": "3.6.16" },
    });
    serde_json::from_value::<etcdop_api::EtcdCluster>(resource).unwrap().checked().unwrap()
}

/// A platform that shows always the same.
struct Still(Ground);

impl Platform for Still {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Prefix
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(1)
    }

    async fn observe(&self) -> Ground {
        self.0.clone()
    }

    async fn commit(&self, _: &RecordRevision, _: &Record) -> Result<RecordRevision, CommitError> {
        Err(CommitError::Conflict)
    }

    async fn apply(&self, _: &GroundStep) -> Outcome {
        Outcome::Done
    }

    fn snapshot_path(&self, _: Minor) -> PathBuf {
        PathBuf::new()
    }

    async fn keep_snapshot(&self, _: Minor) -> Outcome {
        Outcome::Done
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

/// One look at a record, with nothing else there.
pub(crate) async fn look_at(record: Record, cluster: &Cluster) -> Published {
    let record = Versioned { revision: RecordRevision("7".to_owned()), value: record };
    let ground = Ground { record: Ok(record), slots: BTreeMap::new(), safeguards: Vec::new() };
    look(&Still(ground), cluster.desired.clone(), Tuning::default()).await
}

pub(crate) fn unborn() -> Record {
    Record::unborn(Incarnation::first("u"))
}

pub(crate) fn formed() -> Record {
    let mut record = unborn();
    record.birth = Birth::Formed(ClusterId(0x00c0_ffee));
    record
}

pub(crate) fn site() -> Site {
    Site { operator_image: "o".to_owned(), cluster_domain: "cluster.local".to_owned(), namespace: None }
}

const CLUSTER: ClusterId = ClusterId(0x00c0_ffee);

fn member(slot: u8) -> MemberId {
    MemberId(0xa0 + u64::from(slot))
}

/// A pass over three members that serve, each in its slot; slot 0 leads.
pub(crate) fn three_that_serve(at: Mono) -> Published {
    let cluster = declared();
    let launch = LaunchSpec { template: cluster.desired.template.clone(), max_learners: 8 };
    let mut record = formed();
    for slot in (0..3).map(Slot) {
        record.reserve(slot, launch.clone());
        record.slots.entry(slot).and_modify(|seat| seat.member = Some(member(slot.0)));
    }
    let known = |slot| Probe::Known { value: answer(slot), at };
    let nothing = |why: &str| Blocker(why.to_owned());
    let observation = Observation {
        record: Versioned { revision: RecordRevision("7".to_owned()), value: record },
        ground: (0..3).map(|slot| (Slot(slot), place(slot, &launch, at))).collect(),
        roster: Probe::Known { value: Roster { cluster: CLUSTER, members: (0..3).map(row).collect() }, at },
        status: (0..3).map(|slot| (Slot(slot), known(slot))).collect(),
        peer_ports: BTreeMap::new(),
        links: Probe::Unknown { why: nothing("not asked"), since: at },
        alarms: Probe::Known { value: BTreeSet::new(), at },
        safeguards: Vec::new(),
        unsettled: None,
        setbacks: Vec::new(),
        errand: None,
        open_since: None,
        slots: SlotPolicy::Prefix,
        pace: Duration::from_millis(1),
    };
    Published {
        pass: 1,
        at,
        desired: cluster.desired,
        observation: Arc::new(observation),
        answered_in: Vec::new(),
        plan: Plan { act: None, reasons: Vec::new(), next: Wake::OnChange },
        steps: Vec::new(),
        setback: None,
        busy: None,
    }
}

fn answer(slot: u8) -> MemberStatus {
    MemberStatus {
        member: member(slot),
        cluster: CLUSTER,
        version: EtcdVersion::new(3, 6, 16),
        role: Role::Voter,
        leader: Some(member(0)),
        term: 2,
        committed: 100,
        applied: 100,
        db_size: 20_480,
        db_in_use: 16_384,
        quota: None,
        storage: None,
        cluster_version: None,
        downgrade: None,
        alarms: BTreeSet::new(),
    }
}

fn place(slot: u8, launch: &LaunchSpec, at: Mono) -> SlotView {
    let instance =
        Instance { id: InstanceId(format!("pod-{slot}")), launch: launch.clone(), phase: Phase::Running, since: at };
    SlotView {
        address: Address {
            name: format!("demo-{slot}"),
            peer: format!("http://demo-{slot}:2380").parse().unwrap(),
            client: format!("http://demo-{slot}:2379"),
        },
        declared: Some(launch.clone()),
        instance: Probe::Known { value: Some(instance), at },
        volume: Probe::Unknown { why: Blocker("nobody asks".to_owned()), since: at },
        permit: None,
    }
}

fn row(slot: u8) -> RosterMember {
    let (name, url) = (format!("demo-{slot}"), format!("http://demo-{slot}:2380"));
    RosterMember { id: member(slot), name, peer_urls: vec![url], role: Role::Voter }
}

/// What may be wrong with a pass.
pub(crate) type Blur = Box<dyn Fn(&mut Published)>;

fn blur(change: impl Fn(&mut Observation, Mono) + 'static) -> Blur {
    Box::new(move |published| {
        let at = published.at;
        change(Arc::make_mut(&mut published.observation), at);
    })
}

fn unknown<T>(since: Mono) -> Probe<T> {
    Probe::Unknown { why: Blocker("no answer".to_owned()), since }
}

/// These slots' members have not answered.
pub(crate) fn silent(slots: &'static [u8]) -> Blur {
    blur(|seen, at| slots.iter().for_each(|&slot| drop(seen.status.insert(Slot(slot), unknown(at)))))
}

/// Nobody could read the member list.
pub(crate) fn listless() -> Blur {
    blur(|seen, at| seen.roster = unknown(at))
}

/// What the API server has could not be read, and no answer came.
pub(crate) fn blind() -> Blur {
    blur(|seen, at| {
        seen.roster = unknown(at);
        seen.status.values_mut().for_each(|status| *status = unknown(at));
        seen.ground.values_mut().for_each(|view| view.instance = unknown(at));
    })
}

/// The slot has no Pod.
pub(crate) fn gone(slot: u8) -> Blur {
    instead(slot, |_| None)
}

/// The slot has another Pod.
pub(crate) fn replaced(slot: u8) -> Blur {
    instead(slot, |instance| Some(Instance { id: InstanceId("other".to_owned()), ..instance }))
}

fn instead(slot: u8, change: fn(Instance) -> Option<Instance>) -> Blur {
    blur(move |seen, at| {
        seen.status.insert(Slot(slot), unknown(at));
        let view = seen.ground.get_mut(&Slot(slot)).unwrap();
        let value = view.instance.known().cloned().flatten().and_then(change);
        view.instance = Probe::Known { value, at };
    })
}

/// The slot's member answers and follows nobody.
pub(crate) fn leaderless(slot: u8) -> Blur {
    blur(move |seen, at| {
        let value = MemberStatus { leader: None, ..answer(slot) };
        seen.status.insert(Slot(slot), Probe::Known { value, at });
    })
}
