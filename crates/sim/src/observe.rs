//! What a manager sees of a state: the observation that the engine would make of it, with no view staler than one pass.
//!
//! Time is the environment's choice. A [`Clock`] says what has lasted longer than every patience: nothing, everything, or the
//! things of one slot. A manager that was restarted knows of nothing that lasted long, so every crash of the manager, at every
//! point, is a plan by a young clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcdop_core::{
    desired::{Desired, Maintenance, Patience, Recovery},
    id::{InstanceId, Mono, RecordRevision, VolumeId},
    observation::{
        Blocker, DowngradeMode, Instance, Marker, MemberStatus, Observation, PeerLinks, PeerPort, PermitView,
        Phase as SeenPhase, Probe, Roster, RosterMember, Safeguard, SlotPolicy, SlotView, Volume,
    },
    permit::{ClusterState, Permit as CorePermit},
    record::{Birth as CoreBirth, Mutation, Record, Seat as CoreSeat, Versioned},
    size::Size,
    version::EtcdVersion,
};

use crate::{
    names,
    state::{Birth, Data, Disk, Era, Founding, Holder, Life, Open, Permit, Phase, Place, Reach, Release, State},
};

/// When the pass happens.
pub(crate) const NOW: Mono = Mono(Duration::from_secs(100_000));

/// Longer ago than every patience.
const LONG_AGO: Mono = Mono(Duration::from_secs(50_000));

/// The raft index of the leader; that of a near log is within the lag that counts as ready.
const COMMITTED: u64 = 10_000;

/// What has lasted long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// Nothing.
    Young,
    /// Everything.
    Old,
    /// What is in this slot.
    OldIn(u8),
}

impl Clock {
    /// Since when something in `slot` has been as it is.
    fn since(self, slot: u8) -> Mono {
        let old = match self {
            Self::Young => false,
            Self::Old => true,
            Self::OldIn(one) => one == slot,
        };
        if old { LONG_AGO } else { NOW }
    }
}

/// Whether it makes a difference how long things have been as they are in this slot.
pub(crate) fn is_waited_for(state: &State, slot: u8) -> bool {
    let place = state.at(slot);
    open_slot(state) == Some(slot) || (is_on_the_ground(place) && !answers(place))
}

/// The slot that the open mutation is timed by.
fn open_slot(state: &State) -> Option<u8> {
    match state.open {
        Open::Restart { slot, .. } => Some(slot),
        Open::Leave(ids) => (0..).zip(ids).find(|(_, id)| id.is_some()).map(|(slot, _)| slot),
        Open::Nothing => None,
    }
}

/// What the user wants.
pub(crate) fn desired(state: &State) -> Desired {
    Desired {
        size: Size::try_from(u64::from(state.size)).unwrap_or(Size::ZERO),
        template: names::template(state.release),
        recovery: Recovery::default(),
        maintenance: Maintenance::default(),
        patience: Patience::default(),
    }
}

/// What the manager sees.
pub(crate) fn observation(state: &State, policy: SlotPolicy, clock: Clock) -> Observation {
    let ground = || state.each().filter(|(_, place)| is_on_the_ground(place));
    let status: BTreeMap<_, _> = ground().map(|(slot, _)| (names::slot(slot), status(state, slot, clock))).collect();
    let leader = state.leader.filter(|&slot| state.at(slot).reach == Reach::Everyone);
    let readable = state.leader.is_some() && state.places.iter().any(|place| place.votes() && answers(place));
    Observation {
        record: Versioned { revision: RecordRevision("1".to_owned()), value: record(state) },
        ground: ground().map(|(slot, place)| (names::slot(slot), view(state, slot, place, clock))).collect(),
        roster: if readable { known(roster(state)) } else { unknown(NOW) },
        peer_ports: ground()
            .filter_map(|(slot, place)| Some((names::slot(slot), peer_port(slot, place, clock)?)))
            .collect(),
        status,
        links: leader.map_or_else(|| unknown(NOW), |leader| links(state, leader)),
        alarms: known(BTreeSet::new()),
        safeguards: vec![Safeguard {
            before: names::version(Release::V3_6).minor(),
            incarnation: names::incarnation(Era::Now).clone(),
            age: Duration::ZERO,
        }],
        unsettled: None,
        setbacks: Vec::new(),
        errand: None,
        open_since: open_slot(state).map(|slot| clock.since(slot)),
        slots: policy,
        pace: Duration::from_millis(50),
    }
}

fn is_on_the_ground(place: &Place) -> bool {
    place.declared.is_some() || place.process.is_some() || place.disk != Disk::Absent
}

/// Whether its member answers the manager.
fn answers(place: &Place) -> bool {
    place.is_live() && place.reach == Reach::Everyone && place.listed.is_some_and(|row| row.life == Life::Named)
}

fn known<T>(value: T) -> Probe<T> {
    Probe::Known { value, at: NOW }
}

fn unknown<T>(since: Mono) -> Probe<T> {
    Probe::Unknown { why: Blocker(String::new()), since }
}

fn record(state: &State) -> Record {
    let mut record = Record::unborn(names::incarnation(Era::Now).clone());
    record.birth = match state.birth {
        Birth::Unborn => CoreBirth::Unborn,
        Birth::Forming => CoreBirth::Forming,
        Birth::Formed => CoreBirth::Formed(names::CLUSTER),
    };
    record.max_learners = state.limit;
    record.generation = names::LAST_GENERATION;
    for (slot, place) in state.each() {
        if let Some(seat) = place.seat {
            let seat = CoreSeat {
                generation: names::generation(seat.generation),
                member: seat.member.map(names::member),
                epoch: seat.epoch.into(),
                launch: names::launch(seat.release, state.limit),
                founder: seat.founder.map(|founder| instance(slot, founder)),
            };
            record.slots.insert(names::slot(slot), seat);
        }
    }
    record.open = match state.open {
        Open::Nothing => None,
        Open::Leave(ids) => {
            let leaving = (0..).zip(ids).filter_map(|(slot, id)| Some((names::member(id?), names::slot(slot))));
            Some(Mutation::Leave { members: leaving.collect() })
        }
        Open::Restart { slot, from, before } => {
            Some(Mutation::Restart { slot: names::slot(slot), from: names::launch(from, state.limit), before })
        }
    };
    record.rejected = state.rejected.map(names::template);
    record
}

fn view(state: &State, slot: u8, place: &Place, clock: Clock) -> SlotView {
    let instance = place.process.map(|process| Instance {
        id: instance(slot, Holder::Current),
        launch: names::launch(process.release, state.born),
        phase: match process.phase {
            Phase::Gate => SeenPhase::AtGate,
            Phase::Refused => SeenPhase::Refused(Blocker(String::new())),
            Phase::Starting | Phase::Serving => SeenPhase::Running,
            Phase::Exited => SeenPhase::Exited(Blocker(String::new())),
        },
        since: clock.since(slot),
    });
    let marker = match place.disk {
        Disk::Absent => None,
        Disk::Empty => Some(Marker::Empty),
        Disk::Hollow { era, generation } => Some(Marker::Hollow {
            incarnation: names::incarnation(era).clone(),
            generation: names::generation(generation),
        }),
        Disk::Owned(owned) => Some(Marker::Owned {
            incarnation: names::incarnation(owned.era).clone(),
            member: owned.marker.map(names::member),
            generation: names::generation(owned.generation),
            epoch: owned.epoch.into(),
            max_learners: Some(state.born),
        }),
    };
    SlotView {
        address: names::address(slot).clone(),
        declared: place.declared.map(|release| names::launch(release, state.born)),
        instance: known(instance),
        volume: known(marker.map(|marker| Volume { id: VolumeId(String::from("disk")), marker })),
        permit: place.permit.map(|permit| PermitView { permit: self::permit(slot, permit), since: clock.since(slot) }),
    }
}

/// The name of the process in `slot`, or of the one before it.
pub(crate) fn instance(slot: u8, holder: Holder) -> InstanceId {
    InstanceId(match holder {
        Holder::Current => format!("i{slot}"),
        Holder::Former => format!("x{slot}"),
    })
}

fn permit(slot: u8, permit: Permit) -> CorePermit {
    let named = (0..).take(crate::state::SLOTS).filter(|peer| permit.list & (1 << peer) != 0);
    CorePermit {
        slot: names::slot(slot),
        instance: instance(slot, permit.holder),
        incarnation: names::incarnation(permit.era).clone(),
        generation: names::generation(permit.generation),
        member: permit.member.map(names::member),
        initial_cluster: named
            .map(|peer| (names::address(peer).name.clone(), names::address(peer).peer.clone()))
            .collect(),
        state: match permit.state {
            Founding::New => ClusterState::New,
            Founding::Existing => ClusterState::Existing,
        },
    }
}

fn roster(state: &State) -> Roster {
    let row = |(slot, place): (u8, &Place)| {
        let listed = place.listed?;
        let address = names::address(slot);
        Some(RosterMember {
            id: names::member(listed.id),
            name: if listed.life == Life::Named { address.name.clone() } else { String::new() },
            peer_urls: vec![address.peer.to_string()],
            role: listed.role,
        })
    };
    let mut members: Vec<RosterMember> = state.each().filter_map(row).collect();
    members.sort();
    Roster { cluster: names::CLUSTER, members }
}

fn status(state: &State, slot: u8, clock: Clock) -> Probe<MemberStatus> {
    let place = state.at(slot);
    let (Some(listed), Some(owned), true) = (place.listed, place.own_log(), answers(place)) else {
        return unknown(clock.since(slot));
    };
    let release = place.process.map_or(Release::V3_6, |process| process.release);
    let leader = state.leader.and_then(|leader| state.at(leader).listed).map(|leader| names::member(leader.id));
    let is_3_6 = release == Release::V3_6;
    known(MemberStatus {
        member: names::member(listed.id),
        cluster: names::CLUSTER,
        version: names::version(release),
        role: listed.role,
        leader,
        term: 2,
        committed: if owned.data == Data::Far { 1 } else { COMMITTED },
        applied: if owned.data == Data::Far { 1 } else { COMMITTED },
        db_size: 20_480,
        db_in_use: 16_384,
        quota: is_3_6.then_some(2 << 30),
        storage: is_3_6.then(|| EtcdVersion::new(3, names::version(state.cluster).minor().minor, 0)),
        cluster_version: Some(names::version(state.cluster).minor()),
        downgrade: (state.downgrade && is_3_6).then(|| DowngradeMode { target: names::version(Release::V3_5).minor() }),
        alarms: BTreeSet::new(),
    })
}

/// Shown while the member does not answer: the first start of a joiner, or one that hangs.
fn peer_port(slot: u8, place: &Place, clock: Clock) -> Option<Probe<PeerPort>> {
    if !place.is_live() || place.reach != Reach::Everyone || answers(place) {
        return None;
    }
    let stranded = place.learns() && place.own_log().is_some_and(|owned| owned.data > Data::Far);
    let stranded_since = stranded.then(|| clock.since(slot));
    Some(known(PeerPort { cluster: Some(names::CLUSTER), stranded_since }))
}

fn links(state: &State, leader: u8) -> Probe<PeerLinks> {
    let active = state.places.iter().filter(|place| place.is_live()).filter_map(|place| Some(place.listed?.id));
    let Some(listed) = state.at(leader).listed else { return unknown(NOW) };
    known(PeerLinks { leader: names::member(listed.id), active: active.map(names::member).collect() })
}

/// Only what the observation is made of, so that a plan can be looked up.
pub(crate) fn visible(state: &State) -> State {
    let mut seen = *state;
    seen.left = crate::state::Budget::default();
    for place in &mut seen.places {
        place.ledger = crate::state::Ledger::Blank;
        if let Disk::Owned(owned) = &mut place.disk {
            owned.data = owned.data.min(Data::Near);
        }
        if let Some(listed) = &mut place.listed {
            listed.matched = false;
        }
    }
    seen
}
