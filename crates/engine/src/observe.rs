//! Makes one observation out of what the platform shows and what etcd answers. Never fails and never waits for one member: what was
//! not learnt in time is unknown, since when and why, and the next pass finds the answer that came late.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcdop_core::{
    desired::Desired,
    id::{ClusterId, Incarnation, InstanceId, MemberId, Mono, RecordRevision, Slot},
    observation::{
        Alarm, Blocker, MemberStatus, Observation, PeerLinks, PeerPort, Phase, Probe, Role, Roster, SlotView, Unsettled,
    },
    record::{Birth, Record, Versioned},
    step::EtcdStep,
    version::Minor,
};
use tokio::time::Instant;

use self::{
    inquiry::{Inquiries, Patience},
    links::{LinkMemory, Reading},
    memory::Memory,
    peer_port::Progress,
};
use crate::{
    clock::Clock,
    contact::{Contacts, Routes, may_answer},
    platform::{Ground, GroundSlot, Platform},
    tuning::Tuning,
};

mod inquiry;
mod links;
mod memory;
mod opening;
mod peer_port;
mod questions;
pub(crate) mod roster;
mod status;

/// Answers older than this are none (reliability.md, P4).
const FRESH: Duration = Duration::from_secs(1);

/// How old an alarm list may be while the members still mention an alarm.
const ALARM_FRESH: Duration = Duration::from_secs(3);

/// How old a cluster version may be.
const VERSION_FRESH: Duration = Duration::from_secs(2);

/// A run of a member in its slot; no instance where the platform cannot see it.
type Place = (Slot, Option<InstanceId>);

/// What one pass saw, and whether the record was among it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) observation: Observation,
    /// Nothing may be planned on an observation whose record is an old one.
    pub(crate) record: Result<(), Blocker>,
    /// How long members took to answer about themselves.
    pub(crate) answered_in: Vec<Duration>,
}

/// Observes, pass after pass.
#[derive(Debug)]
pub(crate) struct Observer {
    clock: Clock,
    tuning: Tuning,
    contacts: Contacts,
    memory: Memory,
    statuses: Inquiries<Place, MemberStatus>,
    versions: Inquiries<Place, Minor>,
    ports: Inquiries<Place, Option<ClusterId>>,
    progress: Inquiries<Place, Progress>,
    roster: Inquiries<(), Roster>,
    links: Inquiries<MemberId, Reading>,
    link_memory: LinkMemory,
    alarms: Inquiries<(), BTreeSet<Alarm>>,
    record: Versioned<Record>,
    /// What the members said in the pass before.
    heard: BTreeMap<Slot, Probe<MemberStatus>>,
    roster_unknown_since: Option<Mono>,
    unsettled: Option<Unsettled>,
    routes: Routes,
}

impl Observer {
    pub(crate) fn new(clock: Clock, tuning: Tuning) -> Self {
        let nobody = Record::unborn(Incarnation::first("unknown"));
        Self {
            clock,
            contacts: Contacts::new(tuning.etcd.clone()),
            tuning,
            memory: Memory::default(),
            statuses: Inquiries::new(),
            versions: Inquiries::new(),
            ports: Inquiries::new(),
            progress: Inquiries::new(),
            roster: Inquiries::new(),
            links: Inquiries::new(),
            link_memory: LinkMemory::default(),
            alarms: Inquiries::new(),
            record: Versioned { revision: RecordRevision(String::new()), value: nobody },
            heard: BTreeMap::new(),
            roster_unknown_since: None,
            unsettled: None,
            routes: Routes::default(),
        }
    }

    /// An observation from before the first look.
    pub(crate) fn nothing<P: Platform>(&mut self, platform: &P) -> Observation {
        let why = Blocker("not looked yet".to_owned());
        let ground = Ground { record: Err(why), slots: BTreeMap::new(), safeguards: Vec::new() };
        self.observation(&ground, platform, Duration::ZERO, self.clock.now())
    }

    /// Where to send calls, by what the newest observation saw.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Remembers a membership call whose outcome is unknown.
    pub(crate) fn unsettle(&mut self, step: EtcdStep) {
        self.unsettled = Some(Unsettled { step, since: self.clock.now() });
    }

    /// Takes no alarm list from before for the present: one was changed.
    pub(crate) fn forget_alarms(&mut self) {
        self.alarms = Inquiries::new();
    }

    /// An answer that no pass waited for has come.
    pub(crate) async fn late_answer(&mut self) {
        tokio::select! {
            () = self.statuses.late() => {}
            () = self.versions.late() => {}
            () = self.ports.late() => {}
            () = self.progress.late() => {}
            () = self.roster.late() => {}
            () = self.links.late() => {}
            () = self.alarms.late() => {}
        }
    }

    /// One look at everything.
    pub(crate) async fn observe<P: Platform>(&mut self, platform: &P, desired: &Desired) -> Seen {
        let ground = platform.observe().await;
        let start = self.clock.now();
        let asked = Instant::now();
        // To a manager that has just come everybody is new, and nobody is down for that.
        let newcomer = if self.heard.is_empty() { self.tuning.budget } else { self.tuning.newcomer };
        let patience = Patience { prompt: asked + self.tuning.budget, newcomer: asked + newcomer };
        let record = match &ground.record {
            Ok(record) => {
                self.record = record.clone();
                Ok(())
            }
            Err(why) => Err(why.clone()),
        };
        self.ask(&ground, start);
        tokio::join!(
            self.statuses.settle(patience),
            self.versions.settle(patience),
            self.ports.settle(patience),
            self.progress.settle(patience),
            self.roster.settle(patience),
            self.links.settle(patience),
            self.alarms.settle(patience),
        );
        let now = self.clock.now();
        let observation = self.observation(&ground, platform, desired.patience.settle, now);
        Seen { observation, record, answered_in: self.statuses.answered_in() }
    }

    fn observation<P: Platform>(&mut self, ground: &Ground, platform: &P, settle: Duration, now: Mono) -> Observation {
        let status: BTreeMap<Slot, Probe<MemberStatus>> =
            ground.slots.keys().map(|&slot| (slot, self.status(ground, slot, now))).collect();
        let views: BTreeMap<Slot, SlotView> =
            ground.slots.iter().map(|(&slot, seen)| (slot, self.memory.slot(slot, seen, now))).collect();
        let silent = status.iter().filter(|(_, status)| status.known().is_none()).map(|(&slot, _)| slot);
        let peer_ports = silent.filter_map(|slot| Some((slot, self.peer_port(ground, slot, now)?))).collect();
        let roster = self.roster(now);
        self.settle(&roster, settle, now);
        self.heard.clone_from(&status);
        self.routes = Routes::new(cluster(&self.record.value), ground, &status, &mut self.contacts);
        Observation {
            record: self.record.clone(),
            ground: views,
            roster,
            links: self.links(now),
            alarms: self.alarms(now),
            status,
            peer_ports,
            safeguards: ground.safeguards.clone(),
            unsettled: self.unsettled.clone(),
            // The driver knows them.
            setbacks: Vec::new(),
            errand: None,
            open_since: self.memory.open_since(&self.record.value, now),
            slots: platform.slot_policy(),
            pace: platform.pace(),
        }
    }

    fn status(&mut self, ground: &Ground, slot: Slot, now: Mono) -> Probe<MemberStatus> {
        let seat = self.record.value.slots.get(&slot).map(|seat| seat.generation);
        let place = (slot, instance_id(ground, slot));
        let mut probe = match ground.slots.get(&slot) {
            Some(there) if may_answer(there) => self.statuses.probe(&place, now, FRESH),
            there => Probe::Unknown { why: why_not_asked(there), since: now },
        };
        if let Probe::Known { value, .. } = &mut probe {
            value.cluster_version = self.versions.probe(&place, now, VERSION_FRESH).known().copied();
        }
        self.memory.heard(slot, seat, probe)
    }

    fn peer_port(&mut self, ground: &Ground, slot: Slot, now: Mono) -> Option<Probe<PeerPort>> {
        let place = (slot, instance_id(ground, slot));
        self.ports.last_asked(&place)?;
        let publishing = self.progress.probe(&place, now, FRESH).known() == Some(&Progress::Publishing);
        Some(match (self.ports.probe(&place, now, FRESH), place.1) {
            (Probe::Known { value: cluster, at }, Some(instance)) => {
                let stranded_since = if publishing {
                    Some(self.memory.stranded_since(slot, instance, now))
                } else {
                    self.memory.not_stranded(slot);
                    None
                };
                Probe::Known { value: PeerPort { cluster, stranded_since }, at }
            }
            (Probe::Known { at, .. }, None) => {
                Probe::Unknown { why: Blocker("whose port it is cannot be seen".to_owned()), since: at }
            }
            (Probe::Unknown { why, since }, _) => Probe::Unknown { why, since },
        })
    }

    fn roster(&mut self, now: Mono) -> Probe<Roster> {
        match self.roster.take_probe(&(), now, FRESH) {
            known @ Probe::Known { .. } => {
                self.roster_unknown_since = None;
                known
            }
            Probe::Unknown { why, since } => {
                let nobody = self.roster.last_asked(&()).is_none();
                let why = if nobody { Blocker("no member runs".to_owned()) } else { why };
                Probe::Unknown { why, since: *self.roster_unknown_since.get_or_insert(since) }
            }
        }
    }

    /// Forgets the call whose outcome was unknown once the list shows that it happened, or once it cannot happen any more.
    fn settle(&mut self, roster: &Probe<Roster>, within: Duration, now: Mono) {
        let Some(Unsettled { step, since }) = &self.unsettled else { return };
        let shown = matches!(roster, Probe::Known { value, at } if at >= since && shows(value, step));
        if shown || now.since(*since) > within {
            self.unsettled = None;
        }
    }

    fn links(&mut self, now: Mono) -> Probe<PeerLinks> {
        let Some(leader) = self.routes.leader else {
            return Probe::Unknown { why: Blocker("no leader to ask".to_owned()), since: now };
        };
        match self.links.probe(&leader, now, FRESH) {
            Probe::Known { value, at } => {
                let patience = links::patience(&self.record.value);
                Probe::Known { value: self.link_memory.judge(leader, &value, at, patience), at }
            }
            Probe::Unknown { why, since } => Probe::Unknown { why, since },
        }
    }

    fn alarms(&self, now: Mono) -> Probe<BTreeSet<Alarm>> {
        let mentioned = self.heard.values().filter_map(Probe::known).any(|status| !status.alarms.is_empty());
        if mentioned {
            self.alarms.probe(&(), now, ALARM_FRESH)
        } else {
            Probe::Known { value: BTreeSet::new(), at: now }
        }
    }
}

fn cluster(record: &Record) -> Option<ClusterId> {
    match record.birth {
        Birth::Formed(cluster) => Some(cluster),
        Birth::Unborn | Birth::Forming => None,
    }
}

fn instance_id(ground: &Ground, slot: Slot) -> Option<InstanceId> {
    let instance = ground.slots.get(&slot)?.instance.as_ref().ok()?;
    instance.as_ref().map(|instance| instance.id.clone())
}

fn why_not_asked(there: Option<&GroundSlot>) -> Blocker {
    let instance = there.and_then(|there| there.instance.as_ref().ok()).and_then(Option::as_ref);
    let why = match instance.map(|instance| &instance.phase) {
        None => "nothing runs there".to_owned(),
        Some(Phase::Pending(why)) => format!("it is not at the gate yet: {why}"),
        Some(Phase::AtGate) => "it waits at the gate".to_owned(),
        Some(Phase::Refused(why)) => format!("its guard refused to start it: {why}"),
        Some(Phase::Exited(why)) => format!("it ended: {why}"),
        Some(Phase::Stopping) => "it is being stopped".to_owned(),
        Some(Phase::Running) => "it was not asked yet".to_owned(),
    };
    Blocker(why)
}

/// Whether the list shows that a membership call was carried out.
fn shows(roster: &Roster, step: &EtcdStep) -> bool {
    let row = |id: MemberId| roster.members.iter().find(|member| member.id == id);
    match step {
        EtcdStep::AddLearner(_, url) => roster.members.iter().any(|m| m.peer_urls.iter().any(|u| u == url.as_str())),
        EtcdStep::Promote(member) => row(*member).is_none_or(|member| member.role == Role::Voter),
        EtcdStep::Remove(member) => row(*member).is_none(),
        EtcdStep::MoveLeader { .. }
        | EtcdStep::Compact { .. }
        | EtcdStep::Defragment(_)
        | EtcdStep::Disarm(_)
        | EtcdStep::Downgrade(_)
        | EtcdStep::PadLog { .. }
        | EtcdStep::Snapshot { .. } => true,
    }
}

#[cfg(test)]
mod tests;
