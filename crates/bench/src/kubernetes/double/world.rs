//! What the doubles are by now: whatever their Pods were told.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use etcdop_guard::{
    DataState, DataView, Epoch, Marker, MarkerState, Permit, Progress, Report, Seat, Status, WaitReason,
};

use super::FIRST;

/// All doubles, by address.
#[derive(Debug, Default)]
pub(super) struct World {
    doubles: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_address: BTreeMap<Ipv4Addr, Double>,
    by_pod: HashMap<String, Ipv4Addr>,
}

/// A Pod's guard and etcd.
#[derive(Clone, Debug)]
pub(super) struct Double {
    pub(super) pod: String,
    uid: String,
    seat: Option<Seat>,
    permit: Option<Permit>,
}

impl World {
    /// The address of a Pod, a new one for a new Pod; what its annotations say is taken over.
    pub(super) fn learn(&self, pod: &str, uid: &str, seat: Option<&str>, permit: Option<&str>) -> Ipv4Addr {
        let mut known = self.known();
        let next = known.by_address.last_key_value().map_or(FIRST, |(last, _)| Ipv4Addr::from(u32::from(*last) + 1));
        let address = *known.by_pod.entry(uid.to_owned()).or_insert(next);
        let seat = seat.and_then(|seat| Seat::parse(seat).ok());
        let permit = permit.and_then(|permit| Permit::parse(permit).ok());
        let double = Double { pod: pod.to_owned(), uid: uid.to_owned(), seat, permit };
        known.by_address.insert(address, double);
        address
    }

    /// Who is at this address.
    pub(super) fn at(&self, address: Ipv4Addr) -> Option<Double> {
        self.known().by_address.get(&address).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is one insertion.
        self.doubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Double {
    /// What its guard would say: it waits for a permit, and then etcd runs.
    pub(super) fn report(&self) -> String {
        let started = |permit: &Permit| Marker {
            incarnation: permit.incarnation.clone(),
            member: permit.member,
            generation: permit.generation,
            max_learners: self.seat.as_ref().and_then(|seat| seat.max_learners),
            epoch: Epoch(1),
        };
        let (progress, data, marker) = match &self.permit {
            None => (Progress::from(&WaitReason::NoPermit), DataState::Empty, MarkerState::Absent),
            Some(permit) => {
                (Progress::Started { epoch: Epoch(1) }, DataState::HasWal, MarkerState::Present(started(permit)))
            }
        };
        let status = self.uid.parse().ok().map(|instance| Status { instance, progress });
        Report { status, data: DataView::Seen(data), marker }.render()
    }

    /// Names and peer URLs of its cluster; nothing before etcd runs.
    pub(super) fn members(&self) -> Option<Vec<(String, String)>> {
        let peers = &self.permit.as_ref()?.initial_cluster;
        let mut peers: Vec<_> = peers.iter().map(|(name, url)| (name.to_string(), url.to_string())).collect();
        peers.sort();
        Some(peers)
    }
}

/// A number for a text, as etcd makes IDs; never zero.
pub(super) fn id(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() | 1
}
