//! A world in which whatever the planner does succeeds, except where a test says otherwise: enough to see that a way leads out of
//! a situation. The real world is another crate's (`sim`).

use std::{collections::BTreeSet, time::Duration};

use super::{Scenario, acts, address, known};
use crate::{
    id::{Generation, InstanceId, MemberId, Mono, Slot, VolumeId},
    observation::{
        Blocker, DowngradeMode, Failure, Instance, Marker, MemberStatus, PeerLinks, PermitView, Phase, Probe, Role,
        Roster, RosterMember, Safeguard, SlotView, Volume,
    },
    plan::Wake,
    step::{DowngradeOp, EtcdStep, GroundStep, Layout, Step},
    version::EtcdVersion,
};

/// Steps and waits after which a test gives up.
const PATIENCE: usize = 600;

/// A situation and what does not work in it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Scenario,
    /// Ends at every start on a disk that holds data already.
    pub(crate) broken: Option<EtcdVersion>,
    /// Their instances never reach the gate.
    pub(crate) pending: BTreeSet<Slot>,
    /// Their etcd never serves.
    pub(crate) mute: BTreeSet<Slot>,
    /// The platform can make nothing of them.
    pub(crate) unusable: BTreeSet<Slot>,
    /// Their disks cannot be destroyed.
    pub(crate) busy: BTreeSet<Slot>,
    starts: u64,
}

impl Scenario {
    pub(crate) fn world(self) -> World {
        World {
            now: self,
            broken: None,
            pending: BTreeSet::new(),
            mute: BTreeSet::new(),
            unusable: BTreeSet::new(),
            busy: BTreeSet::new(),
            starts: 0,
        }
    }
}

impl World {
    /// Goes on until nothing is left to do, or only a human can help; what was done, in words.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..PATIENCE {
            let plan = self.now.plan();
            match acts(&plan) {
                Some(step) => {
                    done.push(self.now.told(&plan));
                    self.now.seen.setbacks.retain(|setback| setback.step != step);
                    if self.fails(&step) {
                        self.now = self.now.clone().set_back(step.clone(), Failure::NotApplied);
                    }
                    self.obey(step);
                    self.pass(Duration::from_millis(50));
                }
                None if plan.next == Wake::OnChange => break,
                None => self.pass(Duration::from_secs(1)),
            }
        }
        done
    }

    /// Voters that answer, by slot.
    pub(crate) fn voters(&self) -> Vec<u8> {
        let rows = self.roster().members.iter().filter(|row| row.role == Role::Voter);
        let mut slots: Vec<u8> = rows.filter_map(|row| self.serving_slot(row.id)).map(|slot| slot.0).collect();
        slots.sort_unstable();
        slots
    }

    /// What the members that answer run.
    pub(crate) fn versions(&self) -> BTreeSet<String> {
        self.now.seen.status.values().filter_map(Probe::known).map(|status| status.version.to_string()).collect()
    }

    fn serving_slot(&self, id: MemberId) -> Option<Slot> {
        let status = self.now.seen.status.iter().find(|(_, s)| s.known().is_some_and(|status| status.member == id));
        status.map(|(&slot, _)| slot)
    }

    fn roster(&self) -> &Roster {
        self.now.seen.roster.known().unwrap()
    }

    fn roster_mut(&mut self) -> &mut Vec<RosterMember> {
        match &mut self.now.seen.roster {
            Probe::Known { value, .. } => &mut value.members,
            Probe::Unknown { .. } => panic!("no list"),
        }
    }

    fn slot(&self, id: MemberId) -> Slot {
        let row = self.roster().members.iter().find(|row| row.id == id).unwrap();
        self.now.seen.slot_at(row).unwrap()
    }

    fn fails(&self, step: &Step) -> bool {
        match step {
            Step::Ground(GroundStep::Ensure(layout)) => layout.slots.keys().any(|slot| self.unusable.contains(slot)),
            Step::Ground(GroundStep::Discard(slot, _)) => self.busy.contains(slot),
            _ => false,
        }
    }

    fn obey(&mut self, step: Step) {
        match step {
            Step::Ground(GroundStep::Discard(slot, _)) if self.busy.contains(&slot) => {}
            Step::Record(record) => *self.now.record_mut() = *record,
            Step::Ground(GroundStep::Ensure(layout)) => self.ensure(&layout),
            Step::Ground(GroundStep::Permit(permits)) => {
                for permit in permits {
                    let (slot, generation, member) = (permit.slot, permit.generation, permit.member);
                    let since = self.now.now;
                    self.now.view_mut(slot.0).permit = Some(PermitView { permit, since });
                    if !self.mute.contains(&slot) {
                        self.first_start(slot, generation, member);
                    }
                }
            }
            Step::Ground(GroundStep::Retire(slot, _)) => self.start(slot),
            Step::Ground(GroundStep::Discard(slot, _)) => {
                self.starts += 1;
                let volume = Volume { id: VolumeId(format!("d{slot}-{}", self.starts)), marker: Marker::Empty };
                if self.now.record().slots.contains_key(&slot) {
                    self.now.view_mut(slot.0).volume = known(Some(volume));
                } else {
                    self.now.seen.ground.remove(&slot);
                    self.now.seen.status.remove(&slot);
                }
            }
            Step::Etcd(step) => self.call(step),
        }
        self.agree();
    }

    fn call(&mut self, step: EtcdStep) {
        match step {
            EtcdStep::AddLearner(_, url) => {
                self.starts += 1;
                let (id, role) = (MemberId(0x1000 + self.starts), Role::Learner);
                let row = RosterMember { id, name: String::new(), peer_urls: vec![url.to_string()], role };
                self.roster_mut().push(row);
            }
            EtcdStep::Promote(id) => {
                self.roster_mut().iter_mut().filter(|row| row.id == id).for_each(|row| row.role = Role::Voter);
            }
            EtcdStep::Remove(id) => {
                let slot = self.slot(id);
                self.roster_mut().retain(|row| row.id != id);
                self.now.seen.status.insert(slot, self.silent());
                if self.now.view_mut(slot.0).instance.known().is_some_and(Option::is_some) {
                    self.now.instance_mut(slot.0).phase = Phase::Exited(Blocker("it was removed".to_owned()));
                }
            }
            EtcdStep::MoveLeader { to } => self.lead(to),
            EtcdStep::Defragment(id) => {
                let status = self.now.status_mut(self.slot(id).0);
                status.db_size = status.db_in_use;
            }
            EtcdStep::Disarm(_) => self.now.seen.alarms = known(BTreeSet::new()),
            EtcdStep::Snapshot { before, .. } => {
                let incarnation = self.now.record().incarnation.clone();
                self.now.seen.safeguards.push(Safeguard { before, incarnation, age: Duration::ZERO });
            }
            EtcdStep::Downgrade(op) => self.each_status(|status| {
                status.downgrade = match op {
                    DowngradeOp::Enable(target) => Some(DowngradeMode { target }),
                    DowngradeOp::Cancel => None,
                };
                if let DowngradeOp::Enable(target) = op {
                    status.cluster_version = Some(target);
                    status.storage = Some(EtcdVersion::new(target.major, target.minor, 0));
                }
            }),
            EtcdStep::Compact { .. } => self.each_status(|status| status.db_in_use = 0),
            other @ EtcdStep::PadLog { .. } => panic!("no test pads the log: {other:?}"),
        }
    }

    fn each_status(&mut self, mut change: impl FnMut(&mut MemberStatus)) {
        for status in self.now.seen.status.values_mut() {
            if let Probe::Known { value, .. } = status {
                change(value);
            }
        }
    }

    fn lead(&mut self, id: MemberId) {
        self.each_status(|status| status.leader = Some(id));
    }

    fn ensure(&mut self, layout: &Layout) {
        // What can be held is held.
        let unusable = self.unusable.clone();
        for (&slot, launch) in layout.slots.iter().filter(|(slot, _)| !unusable.contains(slot)) {
            let volume = Volume { id: VolumeId(format!("d{slot}")), marker: Marker::Empty };
            let (address, volume) = (address(slot.0), known(Some(volume)));
            let view = SlotView { address, declared: None, instance: known(None), volume, permit: None };
            let silent = self.silent();
            self.now.seen.ground.entry(slot).or_insert(view);
            self.now.seen.status.entry(slot).or_insert(silent);
            self.now.view_mut(slot.0).declared = Some(launch.clone());
            if self.now.view_mut(slot.0).instance.known().is_some_and(Option::is_none) {
                self.start(slot);
            }
        }
        let silent = self.silent();
        for (slot, view) in &mut self.now.seen.ground {
            if !layout.slots.contains_key(slot) {
                (view.declared, view.instance) = (None, known(None));
                self.now.seen.status.insert(*slot, silent.clone());
            }
        }
    }

    /// The platform starts the next instance of a slot with what is declared.
    fn start(&mut self, slot: Slot) {
        self.starts += 1;
        let Some(launch) = self.now.view_mut(slot.0).declared.clone() else { return };
        let broken = self.broken.as_ref() == Some(launch.version());
        let empty = matches!(&self.now.view_mut(slot.0).volume, Probe::Known { value: Some(volume), .. } if volume.marker == Marker::Empty);
        let member = self.now.record().slots.get(&slot).and_then(|seat| seat.member);
        let listed = member.is_some_and(|id| self.roster().members.iter().any(|row| row.id == id));
        let phase = match () {
            () if self.pending.contains(&slot) => Phase::Pending(Blocker("no node".to_owned())),
            () if empty => Phase::AtGate,
            () if broken || !listed => Phase::Exited(Blocker("exit code 2".to_owned())),
            () => Phase::Running,
        };
        let (id, since) = (InstanceId(format!("i{slot}-{}", self.starts)), self.now.now);
        let running = phase == Phase::Running;
        self.now.view_mut(slot.0).instance = known(Some(Instance { id, launch, phase, since }));
        if self.now.seen.status.get(&slot).is_none_or(|status| status.known().is_some()) {
            self.now.seen.status.insert(slot, self.silent());
        }
        if let Some(member) = member.filter(|_| running) {
            self.serve(slot, member);
        }
    }

    fn first_start(&mut self, slot: Slot, generation: Generation, member: Option<MemberId>) {
        let incarnation = self.now.record().incarnation.clone();
        let max_learners = Some(self.now.record().max_learners);
        self.now.volume_mut(slot.0).marker = Marker::Owned { incarnation, member, generation, epoch: 1, max_learners };
        self.now.instance_mut(slot.0).phase = Phase::Running;
        if let Some(member) = member {
            self.serve(slot, member);
        }
    }

    fn serve(&mut self, slot: Slot, member: MemberId) {
        let version = self.now.instance_mut(slot.0).launch.version().clone();
        let name = address(slot.0).name;
        let Some(row) = self.roster_mut().iter_mut().find(|row| row.id == member) else { return };
        row.name = name;
        let role = row.role;
        let other = self.now.seen.status.values().find_map(Probe::known).unwrap().clone();
        let storage = Some(EtcdVersion::new(3, version.minor().minor, 0));
        self.now.seen.status.insert(slot, known(MemberStatus { member, version, role, storage, ..other }));
    }

    /// The members agree on a leader that answers, and the cluster version rises with the lowest of them.
    fn agree(&mut self) {
        let rows = self.roster().members.clone();
        let lowest = self.now.seen.status.values().filter_map(Probe::known).map(|status| status.version.minor()).min();
        let leader = self.now.seen.status.values().find_map(Probe::known).and_then(|status| status.leader);
        let first = || rows.iter().find(|row| row.role == Role::Voter && self.serving_slot(row.id).is_some());
        let stays = leader.filter(|&id| self.serving_slot(id).is_some() && rows.iter().any(|row| row.id == id));
        let leader = stays.or_else(|| first().map(|row| row.id));
        let answering = rows.len() == self.now.seen.status.values().filter(|status| status.known().is_some()).count();
        self.each_status(|status| {
            status.leader = leader;
            status.role = rows.iter().find(|row| row.id == status.member).map_or(status.role, |row| row.role);
            if answering && status.downgrade.is_none() {
                status.cluster_version = status.cluster_version.max(lowest);
            }
        });
        let active = self.now.seen.status.values().filter_map(Probe::known).map(|status| status.member).collect();
        if let Some(leader) = leader {
            self.now.seen.links = known(PeerLinks { leader, active });
        }
    }

    fn silent<T>(&self) -> Probe<T> {
        Probe::Unknown { why: Blocker("connection refused".to_owned()), since: self.now.now }
    }

    /// Time passes, platforms start what is not there, and everything is looked at again.
    fn pass(&mut self, time: Duration) {
        let stopped = |view: &SlotView| match view.instance.known() {
            Some(Some(instance)) => matches!(instance.phase, Phase::Exited(_)),
            Some(None) => view.declared.is_some(),
            None => false,
        };
        let ground = self.now.seen.ground.iter();
        let slots: Vec<Slot> = ground.filter(|(_, view)| stopped(view)).map(|(&slot, _)| slot).collect();
        for slot in slots {
            self.start(slot);
        }
        self.agree();
        self.now.now = Mono(self.now.now.0 + time);
        let now = self.now.now;
        let seen = &mut self.now.seen;
        for status in seen.status.values_mut() {
            if let Probe::Known { at, .. } = status {
                *at = now;
            }
        }
        let open = seen.record.value.open.is_some();
        seen.open_since = seen.open_since.filter(|_| open).or_else(|| open.then_some(now));
    }
}
