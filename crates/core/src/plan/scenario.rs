//! Situations for the planner's tests, drawn as pictures: one letter a slot, from slot 0 on.
//!
//! | letter | in the slot |
//! |---|---|
//! | `V` | a healthy voter; the first one leads |
//! | `v` | a voter that does not answer; its process runs |
//! | `x` | a voter whose process ended |
//! | `D` | a voter whose disk is empty; its instance stands at the gate |
//! | `L` | a learner that caught up |
//! | `l` | a learner that is far behind |
//! | `u` | an unnamed learner at the gate, its ID in the record |
//! | `n` | a new learner in the list whose ID is not in the record yet, at the gate |
//! | `g` | a reserved seat, its instance at the gate |
//! | `p` | a reserved seat, its instance not there yet |
//! | `.` | nothing |

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Plan, plan};
use crate::{
    desired::{Desired, Maintenance, Patience, Recovery},
    id::{ClusterId, Incarnation, InstanceId, MemberId, Mono, RecordRevision, Slot, VolumeId},
    launch::{EtcdOptions, LaunchSpec, Template},
    observation::{
        Address, Alarm, AlarmKind, Blocker, Failure, Instance, Marker, MemberStatus, Observation, PeerLinks, PeerPort,
        PermitView, Phase, Probe, Role, Roster, RosterMember, Setback, SlotPolicy, SlotView, Unsettled, Volume,
    },
    permit::{ClusterState, Permit},
    record::{Before, Birth, MAX_LEARNERS, Mutation, Record, Versioned},
    size::Size,
    step::{EtcdStep, GroundStep, Step},
    version::{EtcdVersion, Minor},
};

pub(crate) const CLUSTER: ClusterId = ClusterId(0x00c0_ffee);
pub(crate) const NOW: Mono = Mono(Duration::from_secs(1000));
const COMMITTED: u64 = 10_000;

mod forming;
mod words;
mod world;

pub(crate) use world::World;

/// A situation to be planned for.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) desired: Desired,
    pub(crate) seen: Observation,
    pub(crate) now: Mono,
}

pub(crate) fn template(version: &str) -> Template {
    Template::new(version.parse().unwrap(), EtcdOptions::default())
}

pub(crate) fn launch(version: &str) -> LaunchSpec {
    LaunchSpec { template: template(version), max_learners: MAX_LEARNERS }
}

/// The member that holds `slot` in a picture.
pub(crate) fn member(slot: u8) -> MemberId {
    MemberId(0xa0 + u64::from(slot))
}

pub(crate) fn size(voters: u64) -> Size {
    voters.try_into().unwrap()
}

pub(crate) fn acts(plan: &Plan) -> Option<Step> {
    plan.act.as_ref().map(|(step, _)| step.clone())
}

/// The slots of an `Ensure`, when that is what the plan does.
pub(crate) fn layout_slots(plan: &Plan) -> Option<Vec<u8>> {
    match acts(plan) {
        Some(Step::Ground(GroundStep::Ensure(layout))) => Some(layout.slots.keys().map(|slot| slot.0).collect()),
        _ => None,
    }
}

/// The record that the plan commits, when that is what it does.
pub(crate) fn commits(plan: &Plan) -> Option<Record> {
    match acts(plan) {
        Some(Step::Record(record)) => Some(*record),
        _ => None,
    }
}

fn known<T>(value: T) -> Probe<T> {
    Probe::Known { value, at: NOW }
}

fn silent<T>(seconds: u64) -> Probe<T> {
    Probe::Unknown { why: Blocker("deadline exceeded".to_owned()), since: ago(seconds * 1000) }
}

/// The instant this many milliseconds before now.
pub(crate) fn ago(millis: u64) -> Mono {
    Mono(NOW.0.saturating_sub(Duration::from_millis(millis)))
}

fn address(slot: u8) -> Address {
    Address {
        name: format!("m{slot}"),
        peer: format!("http://127.0.0.1:{}", 2380 + u16::from(slot)).parse().unwrap(),
        client: format!("http://127.0.0.1:{}", 12380 + u16::from(slot)),
    }
}

impl Scenario {
    /// A cluster that was never created, on empty ground.
    pub(crate) fn unborn(voters: u64) -> Self {
        let record = Record::unborn(Incarnation::first("uid"));
        let seen = Observation {
            record: Versioned { revision: RecordRevision("1".to_owned()), value: record },
            ground: BTreeMap::new(),
            roster: silent(1),
            status: BTreeMap::new(),
            peer_ports: BTreeMap::new(),
            links: silent(1),
            alarms: known(BTreeSet::new()),
            safeguards: Vec::new(),
            unsettled: None,
            setbacks: Vec::new(),
            errand: None,
            open_since: None,
            slots: SlotPolicy::Prefix,
            pace: Duration::from_millis(50),
        };
        let desired = Desired {
            size: size(voters),
            template: template("3.6.16"),
            recovery: Recovery::default(),
            maintenance: Maintenance::default(),
            patience: Patience::default(),
        };
        Self { desired, seen, now: NOW }
    }

    /// A formed cluster as in the picture, of etcd 3.6, wanted with as many voters as it has seats.
    pub(crate) fn formed(picture: &str) -> Self {
        let slots = u64::try_from(picture.chars().filter(|kind| *kind != '.').count()).unwrap();
        let mut scenario = Self::unborn(if slots.is_multiple_of(2) { slots + 1 } else { slots }.min(9));
        scenario.record_mut().birth = Birth::Formed(CLUSTER);
        scenario.record_mut().max_learners = MAX_LEARNERS;
        scenario.record_mut().readable_from = Some(0);
        let leader = picture.chars().zip(0..).find(|(kind, _)| *kind == 'V').map(|(_, slot)| member(slot));
        let mut roster = Roster { cluster: CLUSTER, members: Vec::new() };
        for (kind, slot) in picture.chars().zip(0..).filter(|(kind, _)| *kind != '.') {
            scenario.place(kind, slot, leader, &mut roster);
        }
        let active = scenario.seen.status.values().filter_map(Probe::known).map(|status| status.member);
        if let Some(leader) = leader {
            scenario.seen.links = known(PeerLinks { leader, active: active.collect() });
            scenario.seen.roster = known(roster);
        }
        scenario
    }

    fn place(&mut self, kind: char, slot: u8, leader: Option<MemberId>, roster: &mut Roster) {
        let launch = launch("3.6.16");
        let key = Slot(slot);
        self.record_mut().reserve(key, launch.clone());
        let generation = self.record().generation;
        let incarnation = self.record().incarnation.clone();
        let listed = !matches!(kind, 'g' | 'p');
        let role = if matches!(kind, 'V' | 'v' | 'x' | 'D') { Role::Voter } else { Role::Learner };
        let runs = matches!(kind, 'V' | 'v' | 'L' | 'l');
        let has_data = runs || kind == 'x';
        let seat = self.seat_mut(slot);
        seat.member = (listed && kind != 'n').then(|| member(slot));
        seat.epoch = u64::from(has_data || kind == 'D');
        if listed {
            let name = if matches!(kind, 'u' | 'n') { String::new() } else { format!("m{slot}") };
            let peer_urls = vec![address(slot).peer.to_string()];
            roster.members.push(RosterMember { id: member(slot), name, peer_urls, role });
        }
        let phase = match kind {
            'x' => Phase::Exited(Blocker("exit code 2".to_owned())),
            _ if runs => Phase::Running,
            _ => Phase::AtGate,
        };
        let instance = Instance { id: InstanceId(format!("i{slot}")), launch: launch.clone(), phase, since: NOW };
        let max_learners = Some(MAX_LEARNERS);
        let owned = Marker::Owned { incarnation, member: Some(member(slot)), generation, epoch: 1, max_learners };
        let marker = if has_data { owned } else { Marker::Empty };
        let view = SlotView {
            address: address(slot),
            declared: Some(launch),
            instance: known((kind != 'p').then_some(instance)),
            volume: known(Some(Volume { id: VolumeId(format!("d{slot}")), marker })),
            permit: None,
        };
        self.seen.ground.insert(key, view);
        let status = MemberStatus {
            member: member(slot),
            cluster: CLUSTER,
            version: EtcdVersion::new(3, 6, 16),
            role,
            leader,
            term: 2,
            committed: COMMITTED,
            applied: if kind == 'l' { 1 } else { COMMITTED },
            db_size: 20_480,
            db_in_use: 16_384,
            quota: Some(2 << 30),
            storage: Some(EtcdVersion::new(3, 6, 0)),
            cluster_version: Some(Minor::new(3, 6)),
            downgrade: None,
            alarms: BTreeSet::new(),
        };
        let answer = if matches!(kind, 'V' | 'L' | 'l') { known(status) } else { silent(10) };
        self.seen.status.insert(key, answer);
    }

    pub(crate) fn record(&self) -> &Record {
        &self.seen.record.value
    }

    pub(crate) fn record_mut(&mut self) -> &mut Record {
        &mut self.seen.record.value
    }

    pub(crate) fn seat_mut(&mut self, slot: u8) -> &mut crate::record::Seat {
        self.record_mut().slots.get_mut(&Slot(slot)).unwrap()
    }

    pub(crate) fn view_mut(&mut self, slot: u8) -> &mut SlotView {
        self.seen.ground.get_mut(&Slot(slot)).unwrap()
    }

    pub(crate) fn instance_mut(&mut self, slot: u8) -> &mut Instance {
        match &mut self.view_mut(slot).instance {
            Probe::Known { value: Some(instance), .. } => instance,
            other => panic!("no instance in slot {slot}: {other:?}"),
        }
    }

    pub(crate) fn volume_mut(&mut self, slot: u8) -> &mut Volume {
        match &mut self.view_mut(slot).volume {
            Probe::Known { value: Some(volume), .. } => volume,
            other => panic!("no volume in slot {slot}: {other:?}"),
        }
    }

    pub(crate) fn status_mut(&mut self, slot: u8) -> &mut MemberStatus {
        match self.seen.status.get_mut(&Slot(slot)) {
            Some(Probe::Known { value, .. }) => value,
            other => panic!("slot {slot} does not answer: {other:?}"),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.desired, &self.seen, self.now)
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn size(self, size: Size) -> Self {
        self.with(|s| s.desired.size = size)
    }

    /// As it was adopted, or born on 3.5: one learner at a time for ever.
    pub(crate) fn serial(self) -> Self {
        self.with(|s| {
            s.record_mut().max_learners = 1;
            for slot in s.record().slots.keys().map(|slot| slot.0).collect::<Vec<_>>() {
                s.seat_mut(slot).launch.max_learners = 1;
                let view = s.view_mut(slot);
                view.declared.as_mut().unwrap().max_learners = 1;
                if let Probe::Known { value: Some(instance), .. } = &mut view.instance {
                    instance.launch.max_learners = 1;
                }
                if let Marker::Owned { max_learners, .. } = &mut s.volume_mut(slot).marker {
                    *max_learners = Some(1);
                }
            }
        })
    }

    pub(crate) fn slots_any(self) -> Self {
        self.with(|s| s.seen.slots = SlotPolicy::Any)
    }

    pub(crate) fn undeclared(self, slot: u8) -> Self {
        self.with(|s| s.view_mut(slot).declared = None)
    }

    /// Nothing runs and the list cannot be read.
    pub(crate) fn asleep(self) -> Self {
        self.with(|s| {
            for view in s.seen.ground.values_mut() {
                view.declared = None;
                view.instance = known(None);
            }
            s.seen.status.values_mut().for_each(|status| *status = silent(10));
            s.seen.roster = silent(10);
        })
    }

    pub(crate) fn leaving(self, slots: &[u8]) -> Self {
        let members = slots.iter().map(|&slot| (member(slot), Slot(slot))).collect();
        self.with(|s| s.record_mut().open = Some(Mutation::Leave { members }))
    }

    /// A restart of `slot` to what is wanted was opened `seconds` ago; the old instance still runs.
    pub(crate) fn restarting(self, slot: u8, from: &str, seconds: u64) -> Self {
        self.with(|s| {
            s.record_mut().open =
                Some(Mutation::Restart { slot: Slot(slot), from: launch(from), before: Before::Serving });
            let wanted = LaunchSpec { template: s.desired.template.clone(), max_learners: MAX_LEARNERS };
            s.seat_mut(slot).launch = wanted.clone();
            s.view_mut(slot).declared = Some(wanted);
            s.seen.open_since = Some(ago(seconds * 1000));
        })
    }

    /// The instance of `slot` runs what its seat says, in this phase, and does not answer.
    pub(crate) fn restarted_in_vain(self, slot: u8, phase: Phase) -> Self {
        self.with(|s| {
            let launch = s.record().slots[&Slot(slot)].launch.clone();
            let instance = s.instance_mut(slot);
            (instance.launch, instance.phase) = (launch, phase);
            s.seen.status.insert(Slot(slot), silent(10));
        })
    }

    pub(crate) fn version(self, version: &str) -> Self {
        self.with(|s| s.desired.template = template(version))
    }

    /// Slots run this version, and say so.
    pub(crate) fn running(self, version: &str, slots: &[u8]) -> Self {
        self.with(|s| {
            for &slot in slots {
                s.seat_mut(slot).launch = launch(version);
                s.view_mut(slot).declared = Some(launch(version));
                s.instance_mut(slot).launch = launch(version);
                if let Some(Probe::Known { value, .. }) = s.seen.status.get_mut(&Slot(slot)) {
                    value.version = version.parse().unwrap();
                    value.cluster_version = Some(value.version.minor());
                    value.storage = Some(EtcdVersion::new(3, value.version.minor().minor, 0));
                }
            }
        })
    }

    pub(crate) fn leader(self, slot: u8) -> Self {
        self.with(|s| {
            for status in s.seen.status.values_mut() {
                if let Probe::Known { value, .. } = status {
                    value.leader = Some(member(slot));
                }
            }
            let active = s.seen.links.known().map(|links| links.active.clone()).unwrap_or_default();
            s.seen.links = known(PeerLinks { leader: member(slot), active });
        })
    }

    /// The member of `slot` has applied so many entries fewer than were committed.
    pub(crate) fn behind(self, slot: u8, entries: u64) -> Self {
        self.with(|s| s.status_mut(slot).applied = COMMITTED - entries)
    }

    pub(crate) fn no_roster(self) -> Self {
        self.with(|s| s.seen.roster = silent(3))
    }

    /// The silent member of `slot` has been so for this long.
    pub(crate) fn silent_for(self, slot: u8, seconds: u64) -> Self {
        self.with(|s| {
            s.seen.status.insert(Slot(slot), silent(seconds));
        })
    }

    pub(crate) fn linked(self, slot: u8) -> Self {
        self.with(|s| {
            if let Probe::Known { value, .. } = &mut s.seen.links {
                value.active.insert(member(slot));
            }
        })
    }

    /// The instance of `slot` got its permit this long ago.
    pub(crate) fn permitted(self, slot: u8, millis: u64, state: ClusterState) -> Self {
        self.with(|s| {
            let permit = Permit {
                slot: Slot(slot),
                instance: s.instance_mut(slot).id.clone(),
                incarnation: s.record().incarnation.clone(),
                generation: s.record().slots[&Slot(slot)].generation,
                member: None,
                initial_cluster: Vec::new(),
                state,
            };
            let since = ago(millis);
            s.view_mut(slot).permit = Some(PermitView { permit, since });
        })
    }

    /// The slot's peer port serves; its learner has been stranded for this long.
    pub(crate) fn peers_served(self, slot: u8, stranded_millis: Option<u64>) -> Self {
        self.with(|s| {
            let stranded_since = stranded_millis.map(ago);
            s.seen.peer_ports.insert(Slot(slot), known(PeerPort { cluster: Some(CLUSTER), stranded_since }));
        })
    }

    pub(crate) fn alarm(self, kind: AlarmKind, slot: u8) -> Self {
        self.with(|s| s.seen.alarms = known(BTreeSet::from([Alarm { member: member(slot), kind }])))
    }

    pub(crate) fn marker(self, slot: u8, marker: Marker) -> Self {
        self.with(|s| s.volume_mut(slot).marker = marker)
    }

    pub(crate) fn unsettled(self, step: EtcdStep) -> Self {
        self.with(|s| s.seen.unsettled = Some(Unsettled { step, since: NOW }))
    }

    /// The step failed for the third time just now, and is due in a second.
    pub(crate) fn set_back(self, step: Step, failure: Failure) -> Self {
        self.with(|s| {
            let (why, due) = (Blocker("no space left".to_owned()), Mono(s.now.0 + Duration::from_secs(1)));
            s.seen.setbacks.push(Setback { step, failure, why, tries: 3, since: s.now, due });
        })
    }

    pub(crate) fn phase(self, slot: u8, phase: Phase) -> Self {
        self.with(|s| s.instance_mut(slot).phase = phase)
    }
}
