//! Random situations: a picture, and what is other than in it.

use std::time::Duration;

use proptest::{prelude::*, sample::select};

use crate::{
    desired::CompactOnNoSpace,
    id::{ClusterId, Generation, Incarnation, MemberId, Mono, Slot},
    observation::{
        Alarm, AlarmKind, Blocker, DowngradeMode, Failure, Instance, Marker, MemberStatus, PeerPort, Phase, Probe,
        Role, Roster, RosterMember, SlotPolicy, SlotView,
    },
    permit::ClusterState,
    plan::scenario::{CLUSTER, NOW, Scenario, acts, ago, launch, member, size, template},
    record::{Before, Birth, Mutation, Seat},
    step::EtcdStep,
    version::Minor,
};

/// One thing that is other than in the picture.
#[derive(Clone, Debug)]
enum Damage {
    Phase(u8, Phase),
    Since(u8, u64),
    NoInstance(u8),
    InstanceUnknown(u8),
    Marker(u8, Marker),
    NoVolume(u8),
    VolumeUnknown(u8),
    Silent(u8, u64),
    Stale(u8),
    Leader(u8, Option<u8>),
    Answers(u8, MemberId, ClusterId),
    Full(u8),
    Behind(u8),
    Runs(u8, &'static str),
    Seat(u8, &'static str),
    SeatMember(u8, Option<MemberId>),
    SeatGone(u8),
    Epoch(u8, u64),
    Undeclared(u8),
    Disk(u8, Option<Marker>),
    Permit(u8, u64, ClusterState),
    PeerPort(u8, Option<u64>),
    Linked(u8),
    LinksUnknown,
    RosterUnknown,
    RosterOf(ClusterId),
    Row(u8, Role),
    RowGone(u8),
    Unnamed(u8),
    Stranger,
    Alarm(AlarmKind, u8),
    AlarmsUnknown,
    Downgrade(u8, u64),
    ClusterVersion(u8, u64),
    Unsettled(EtcdStep),
    SetBack(Failure),
    Open(Mutation, u64),
    Birth(Birth),
    Unrecorded,
    Rejected(&'static str),
    Later(u64),
}

const VERSIONS: [&str; 5] = ["3.5.20", "3.5.35", "3.6.16", "3.6.17", "3.7.3"];

fn slot() -> impl Strategy<Value = u8> {
    0_u8..9
}

fn version() -> impl Strategy<Value = &'static str> {
    select(&VERSIONS[..])
}

fn time() -> impl Strategy<Value = u64> {
    select(vec![0_u64, 100, 2_000, 61_000, 600_000])
}

fn id() -> impl Strategy<Value = MemberId> {
    prop_oneof![slot().prop_map(member), Just(MemberId(0xdead)), Just(MemberId(0))]
}

fn phase() -> impl Strategy<Value = Phase> {
    let why = || Blocker("why".to_owned());
    select(vec![
        Phase::Pending(why()),
        Phase::AtGate,
        Phase::Refused(why()),
        Phase::Running,
        Phase::Exited(why()),
        Phase::Stopping,
    ])
}

fn marker() -> impl Strategy<Value = Marker> {
    let incarnation = || (0_u32..3).prop_map(|number| Incarnation { uid: "uid".to_owned(), number });
    prop_oneof![
        Just(Marker::Empty),
        Just(Marker::Foreign("files".to_owned())),
        (incarnation(), 0_u64..10).prop_map(|(i, g)| Marker::Hollow { incarnation: i, generation: Generation(g) }),
        (incarnation(), prop::option::of(id()), 0_u64..10, 0_u64..3).prop_map(|(incarnation, member, g, epoch)| {
            Marker::Owned { incarnation, member, generation: Generation(g), epoch, max_learners: Some(8) }
        }),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let launch = version().prop_map(launch);
    prop_oneof![
        prop::collection::btree_map(id(), slot().prop_map(Slot), 0..3).prop_map(|members| Mutation::Leave { members }),
        (slot(), launch, select(vec![Before::Serving, Before::Sick]))
            .prop_map(|(slot, from, before)| Mutation::Restart { slot: Slot(slot), from, before }),
    ]
}

fn etcd_step() -> impl Strategy<Value = EtcdStep> {
    let url = || "http://127.0.0.1:2383".parse().unwrap();
    prop_oneof![
        id().prop_map(EtcdStep::Remove),
        id().prop_map(EtcdStep::Promote),
        slot().prop_map(move |slot| EtcdStep::AddLearner(Slot(slot), url())),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let state = || select(vec![ClusterState::New, ClusterState::Existing]);
    let birth = select(vec![Birth::Unborn, Birth::Forming, Birth::Formed(CLUSTER), Birth::Formed(ClusterId(1))]);
    let cluster = || select(vec![CLUSTER, ClusterId(0xbad)]);
    let kind = select(vec![AlarmKind::NoSpace, AlarmKind::Corrupt]);
    let of_slots = prop_oneof![
        (slot(), phase()).prop_map(|(s, phase)| Damage::Phase(s, phase)),
        (slot(), time()).prop_map(|(s, time)| Damage::Since(s, time)),
        slot().prop_map(Damage::NoInstance),
        slot().prop_map(Damage::InstanceUnknown),
        (slot(), marker()).prop_map(|(s, marker)| Damage::Marker(s, marker)),
        slot().prop_map(Damage::NoVolume),
        slot().prop_map(Damage::VolumeUnknown),
        (slot(), prop::option::of(marker())).prop_map(|(s, marker)| Damage::Disk(s, marker)),
        (slot(), time(), state()).prop_map(|(s, time, state)| Damage::Permit(s, time, state)),
        slot().prop_map(Damage::Undeclared),
        (slot(), version()).prop_map(|(s, version)| Damage::Runs(s, version)),
    ];
    let of_seats = prop_oneof![
        (slot(), version()).prop_map(|(s, version)| Damage::Seat(s, version)),
        (slot(), prop::option::of(id())).prop_map(|(s, id)| Damage::SeatMember(s, id)),
        slot().prop_map(Damage::SeatGone),
        (slot(), 0_u64..3).prop_map(|(s, epoch)| Damage::Epoch(s, epoch)),
        (mutation(), time()).prop_map(|(open, time)| Damage::Open(open, time)),
        birth.prop_map(Damage::Birth),
        Just(Damage::Unrecorded),
        version().prop_map(Damage::Rejected),
    ];
    let of_members = prop_oneof![
        (slot(), time()).prop_map(|(s, time)| Damage::Silent(s, time)),
        slot().prop_map(Damage::Stale),
        (slot(), prop::option::of(slot())).prop_map(|(s, leader)| Damage::Leader(s, leader)),
        (slot(), id(), cluster()).prop_map(|(s, id, cluster)| Damage::Answers(s, id, cluster)),
        slot().prop_map(Damage::Full),
        slot().prop_map(Damage::Behind),
        (slot(), prop::option::of(time())).prop_map(|(s, time)| Damage::PeerPort(s, time)),
        slot().prop_map(Damage::Linked),
        (slot(), 5_u64..8).prop_map(|(s, minor)| Damage::Downgrade(s, minor)),
        (slot(), 5_u64..8).prop_map(|(s, minor)| Damage::ClusterVersion(s, minor)),
    ];
    let of_the_list = prop_oneof![
        Just(Damage::LinksUnknown),
        Just(Damage::RosterUnknown),
        cluster().prop_map(Damage::RosterOf),
        (slot(), select(vec![Role::Voter, Role::Learner])).prop_map(|(s, role)| Damage::Row(s, role)),
        slot().prop_map(Damage::RowGone),
        slot().prop_map(Damage::Unnamed),
        Just(Damage::Stranger),
        (kind, slot()).prop_map(|(kind, s)| Damage::Alarm(kind, s)),
        Just(Damage::AlarmsUnknown),
        etcd_step().prop_map(Damage::Unsettled),
        select(vec![Failure::NotApplied, Failure::Unknown]).prop_map(Damage::SetBack),
        time().prop_map(Damage::Later),
    ];
    prop_oneof![4 => of_slots, 2 => of_seats, 3 => of_members, 2 => of_the_list]
}

impl Damage {
    fn apply(self, s: &mut Scenario) {
        let unknown = || Blocker("unknown".to_owned());
        match self {
            Self::Phase(slot, phase) => with_instance(s, slot, |instance| instance.phase = phase),
            Self::Since(slot, millis) => with_instance(s, slot, |instance| instance.since = ago(millis)),
            Self::Runs(slot, version) => {
                with_instance(s, slot, |instance| instance.launch.template = template(version));
                with_status(s, slot, |status| status.version = version.parse().unwrap());
            }
            Self::NoInstance(slot) => with_view(s, slot, |view| view.instance = Probe::Known { value: None, at: NOW }),
            Self::InstanceUnknown(slot) => {
                with_view(s, slot, |view| view.instance = Probe::Unknown { why: unknown(), since: NOW });
            }
            Self::Marker(slot, marker) => with_view(s, slot, |view| {
                if let Probe::Known { value: Some(volume), .. } = &mut view.volume {
                    volume.marker = marker;
                }
            }),
            Self::NoVolume(slot) => with_view(s, slot, |view| view.volume = Probe::Known { value: None, at: NOW }),
            Self::VolumeUnknown(slot) => {
                with_view(s, slot, |view| view.volume = Probe::Unknown { why: unknown(), since: NOW });
            }
            Self::Undeclared(slot) => with_view(s, slot, |view| view.declared = None),
            Self::Disk(slot, marker) => {
                if !s.seen.ground.contains_key(&Slot(slot)) {
                    *s = s.clone().disk(slot, marker);
                }
            }
            Self::Permit(slot, millis, state) => {
                let instance = s.seen.ground.get(&Slot(slot)).and_then(|view| view.instance.known()?.as_ref());
                if instance.is_some() && s.record().slots.contains_key(&Slot(slot)) {
                    *s = s.clone().permitted(slot, millis, state);
                }
            }
            Self::Silent(slot, millis) => {
                s.seen.status.insert(Slot(slot), Probe::Unknown { why: unknown(), since: ago(millis) });
            }
            Self::Stale(slot) => {
                if let Some(Probe::Known { at, .. }) = s.seen.status.get_mut(&Slot(slot)) {
                    *at = ago(5000);
                }
            }
            Self::Leader(slot, leader) => with_status(s, slot, |status| status.leader = leader.map(member)),
            Self::Answers(slot, id, cluster) => {
                with_status(s, slot, |status| (status.member, status.cluster) = (id, cluster));
            }
            Self::Full(slot) => with_status(s, slot, |status| status.db_size = 3 << 30),
            Self::Behind(slot) => with_status(s, slot, |status| status.applied = 0),
            Self::Downgrade(slot, minor) => with_status(s, slot, |status| {
                status.downgrade = Some(DowngradeMode { target: Minor::new(3, minor) });
            }),
            Self::ClusterVersion(slot, minor) => {
                with_status(s, slot, |status| status.cluster_version = Some(Minor::new(3, minor)));
            }
            Self::PeerPort(slot, stranded) => {
                let value = PeerPort { cluster: Some(CLUSTER), stranded_since: stranded.map(ago) };
                s.seen.peer_ports.insert(Slot(slot), Probe::Known { value, at: NOW });
            }
            Self::Linked(slot) => *s = s.clone().linked(slot),
            Self::LinksUnknown => s.seen.links = Probe::Unknown { why: unknown(), since: NOW },
            Self::Seat(slot, version) => with_seat(s, slot, |seat| seat.launch.template = template(version)),
            Self::SeatMember(slot, id) => with_seat(s, slot, |seat| seat.member = id),
            Self::Epoch(slot, epoch) => with_seat(s, slot, |seat| seat.epoch = epoch),
            Self::SeatGone(slot) => {
                s.record_mut().slots.remove(&Slot(slot));
            }
            Self::Open(open, millis) => {
                s.record_mut().open = Some(open);
                s.seen.open_since = Some(ago(millis));
            }
            Self::Birth(birth) => s.record_mut().birth = birth,
            Self::Unrecorded => *s = s.clone().without_record(),
            Self::Rejected(version) => s.record_mut().rejected = Some(template(version)),
            Self::RosterUnknown => s.seen.roster = Probe::Unknown { why: unknown(), since: NOW },
            Self::RosterOf(cluster) => with_roster(s, |roster| roster.cluster = cluster),
            Self::Row(slot, role) => with_rows(s, slot, |row| row.role = role),
            Self::Unnamed(slot) => with_rows(s, slot, |row| row.name.clear()),
            Self::RowGone(slot) => with_roster(s, |roster| roster.members.retain(|row| row.id != member(slot))),
            Self::Stranger => with_roster(s, |roster| roster.members.push(stranger())),
            Self::Alarm(kind, slot) => *s = s.clone().alarm(kind, slot),
            Self::AlarmsUnknown => {
                s.seen.alarms = Probe::Unknown { why: unknown(), since: NOW };
                let alarm = Alarm { member: member(0), kind: AlarmKind::Corrupt };
                with_status(s, 0, |status| {
                    status.alarms.insert(alarm);
                });
            }
            Self::Unsettled(step) => *s = s.clone().unsettled(step),
            Self::SetBack(failure) => {
                if let Some(step) = acts(&s.plan()) {
                    *s = s.clone().set_back(step, failure);
                }
            }
            Self::Later(millis) => s.now = Mono(NOW.0 + Duration::from_millis(millis)),
        }
    }
}

fn stranger() -> RosterMember {
    let peer_urls = vec!["http://10.0.0.9:2380".to_owned()];
    RosterMember { id: MemberId(0xdead), name: String::new(), peer_urls, role: Role::Learner }
}

fn with_view(s: &mut Scenario, slot: u8, change: impl FnOnce(&mut SlotView)) {
    if let Some(view) = s.seen.ground.get_mut(&Slot(slot)) {
        change(view);
    }
}

fn with_instance(s: &mut Scenario, slot: u8, change: impl FnOnce(&mut Instance)) {
    with_view(s, slot, |view| {
        if let Probe::Known { value: Some(instance), .. } = &mut view.instance {
            change(instance);
        }
    });
}

fn with_status(s: &mut Scenario, slot: u8, change: impl FnOnce(&mut MemberStatus)) {
    if let Some(Probe::Known { value, .. }) = s.seen.status.get_mut(&Slot(slot)) {
        change(value);
    }
}

fn with_seat(s: &mut Scenario, slot: u8, change: impl FnOnce(&mut Seat)) {
    if let Some(seat) = s.record_mut().slots.get_mut(&Slot(slot)) {
        change(seat);
    }
}

fn with_roster(s: &mut Scenario, change: impl FnOnce(&mut Roster)) {
    if let Probe::Known { value, .. } = &mut s.seen.roster {
        change(value);
    }
}

fn with_rows(s: &mut Scenario, slot: u8, change: impl Fn(&mut RosterMember)) {
    with_roster(s, |roster| roster.members.iter_mut().filter(|row| row.id == member(slot)).for_each(change));
}

/// A situation drawn at random and then damaged at random.
pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    let born = ("V[VvxDLlungp.]{0,8}", prop::bool::weighted(0.85));
    let policy = select(vec![SlotPolicy::Prefix, SlotPolicy::Any]);
    let wanted = (select(vec![0_u64, 1, 3, 5, 7, 9]), version());
    let compact = select(vec![CompactOnNoSpace::Never, CompactOnNoSpace::ToLatest]);
    (born, policy, wanted, compact, prop::collection::vec(damage(), 0..6)).prop_map(
        |((picture, formed), policy, (voters, version), compact, damages)| {
            let start = if formed { Scenario::formed(&picture) } else { Scenario::forming(&picture.replace('.', "g")) };
            let mut scenario = start.size(size(voters));
            scenario.seen.slots = policy;
            if voters != 3 {
                scenario = scenario.version(version);
            }
            scenario.desired.maintenance.compact_on_no_space = compact;
            scenario.desired.maintenance.defragment_above = (voters == 5).then_some(1000);
            for damage in damages {
                damage.apply(&mut scenario);
            }
            scenario
        },
    )
}
