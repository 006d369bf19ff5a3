//! Between the model's small numbers and the names of the core and the guard.

use std::sync::LazyLock;

use etcdop_core::{
    id::{ClusterId, Generation, Incarnation, MemberId, Slot},
    launch::{EtcdOptions, LaunchSpec, Template},
    observation::Address,
    version::EtcdVersion,
};

use crate::state::{Era, Gen, Id, Release, SLOTS};

/// The cluster that the founders form.
pub(crate) const CLUSTER: ClusterId = ClusterId(0xc0_ffee);

/// Added to an ID, so that a member and its slot are never the same number.
const FIRST_MEMBER: u64 = 0xa0;

/// What the record gave out last: more than every generation of a canonical state, so that new ones are newer.
pub(crate) const LAST_GENERATION: Generation = Generation(100);

static ADDRESSES: LazyLock<Vec<Address>> = LazyLock::new(|| (0..SLOTS).filter_map(make_address).collect());

static PAST: LazyLock<Incarnation> = LazyLock::new(|| Incarnation::first("model"));

static NOW: LazyLock<Incarnation> = LazyLock::new(|| PAST.next());

fn make_address(slot: usize) -> Option<Address> {
    let peer = format!("http://10.0.0.{}:2380", slot + 1).parse().ok()?;
    Some(Address { name: format!("m{slot}"), peer, client: format!("http://10.0.0.{}:2379", slot + 1) })
}

pub(crate) fn address(slot: u8) -> &'static Address {
    &ADDRESSES[usize::from(slot)]
}

/// The slot that a peer URL belongs to.
pub(crate) fn slot_at(url: &str) -> Option<u8> {
    (0..).zip(ADDRESSES.iter()).find(|(_, address)| address.peer.as_str() == url).map(|(slot, _)| slot)
}

pub(crate) fn incarnation(era: Era) -> &'static Incarnation {
    match era {
        Era::Now => &NOW,
        Era::Past => &PAST,
    }
}

pub(crate) fn era(incarnation: &Incarnation) -> Era {
    if incarnation == &*NOW { Era::Now } else { Era::Past }
}

pub(crate) const fn member(id: Id) -> MemberId {
    MemberId(FIRST_MEMBER + id.0 as u64)
}

pub(crate) fn id(member: MemberId) -> Id {
    Id(u8::try_from(member.0.saturating_sub(FIRST_MEMBER)).unwrap_or(u8::MAX))
}

pub(crate) const fn generation(generation: Gen) -> Generation {
    Generation(generation.0 as u64)
}

pub(crate) fn r#gen(generation: Generation) -> Gen {
    Gen(u8::try_from(generation.0).unwrap_or(u8::MAX))
}

pub(crate) const fn slot(slot: u8) -> Slot {
    Slot(slot)
}

pub(crate) const fn version(release: Release) -> EtcdVersion {
    match release {
        Release::V3_5 => EtcdVersion::new(3, 5, 35),
        Release::V3_6 => EtcdVersion::new(3, 6, 16),
    }
}

pub(crate) fn release(version: &EtcdVersion) -> Release {
    if *version < version_of_3_6() { Release::V3_5 } else { Release::V3_6 }
}

const fn version_of_3_6() -> EtcdVersion {
    EtcdVersion::new(3, 6, 0)
}

pub(crate) fn template(release: Release) -> Template {
    Template::new(version(release), EtcdOptions::default())
}

pub(crate) fn launch(release: Release, limit: u8) -> LaunchSpec {
    LaunchSpec { template: template(release), max_learners: limit }
}
