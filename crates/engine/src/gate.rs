//! Between the words of the core and those of the guard, which depends on nothing and has its own; for every platform.

use etcdop_core::{
    id::{Generation, Incarnation, InstanceId, MemberId, PeerUrl, Slot},
    observation::Marker,
    permit::{ClusterState, Permit},
    record::{Record, Seat},
};
use etcdop_guard::{DataState, MarkerState};

/// What a data directory stands for, with the marker that was found in it.
pub fn disk(marker: &MarkerState, data: DataState) -> Marker {
    match (marker, data) {
        (MarkerState::Absent, DataState::Empty) => Marker::Empty,
        (MarkerState::Absent, DataState::HasWal) => Marker::Foreign("an etcd log without a marker".to_owned()),
        (MarkerState::Absent, DataState::Remnants) => Marker::Foreign("files without a marker".to_owned()),
        (MarkerState::Unreadable(why), _) => Marker::Foreign(format!("a marker that cannot be understood ({why})")),
        (MarkerState::Present(marker), data) => marked(marker, data),
    }
}

fn marked(marker: &etcdop_guard::Marker, data: DataState) -> Marker {
    let Ok(incarnation) = marker.incarnation.as_str().parse::<Incarnation>() else {
        return Marker::Foreign(format!("a marker of `{}`, which is no incarnation of ours", marker.incarnation));
    };
    let generation = Generation(marker.generation.0);
    if data == DataState::HasWal {
        let member = marker.member.map(|member| MemberId(member.0));
        let max_learners = marker.max_learners.map(|limit| limit.0);
        Marker::Owned { incarnation, member, generation, epoch: marker.epoch.0, max_learners }
    } else {
        Marker::Hollow { incarnation, generation }
    }
}

/// The seat as the guard reads it; `None` when the incarnation cannot stand in its file.
pub fn seat(record: &Record, seat: &Seat) -> Option<etcdop_guard::Seat> {
    Some(etcdop_guard::Seat {
        incarnation: record.incarnation.to_string().parse().ok()?,
        member: seat.member.map(|member| etcdop_guard::MemberId(member.0)),
        generation: etcdop_guard::Generation(seat.generation.0),
        max_learners: Some(etcdop_guard::LearnerLimit(record.max_learners)),
        epoch: etcdop_guard::Epoch(seat.epoch),
    })
}

/// The permit as the guard reads it; the error says what cannot stand in its file.
pub fn permit(permit: &Permit) -> Result<etcdop_guard::Permit, String> {
    let peer = |(name, url): &(String, PeerUrl)| {
        let wrong = |why: etcdop_guard::BadPeer| format!("`{name}={url}` cannot stand in a permit: {why}");
        Ok((name.parse().map_err(wrong)?, url.as_str().parse().map_err(wrong)?))
    };
    let id = |why: etcdop_guard::BadId| why.to_string();
    Ok(etcdop_guard::Permit {
        instance: permit.instance.0.parse().map_err(id)?,
        incarnation: permit.incarnation.to_string().parse().map_err(id)?,
        generation: etcdop_guard::Generation(permit.generation.0),
        member: permit.member.map(|member| etcdop_guard::MemberId(member.0)),
        initial_cluster: permit.initial_cluster.iter().map(peer).collect::<Result<_, String>>()?,
        state: match permit.state {
            ClusterState::New => etcdop_guard::ClusterState::New,
            ClusterState::Existing => etcdop_guard::ClusterState::Existing,
        },
    })
}

/// A permit that lies in a slot; `None` for one that the core could not have made.
pub fn held_permit(slot: Slot, permit: &etcdop_guard::Permit) -> Option<Permit> {
    let peers = permit.initial_cluster.iter().map(|(name, url)| Some((name.to_string(), url.as_str().parse().ok()?)));
    Some(Permit {
        slot,
        instance: InstanceId(permit.instance.to_string()),
        incarnation: permit.incarnation.as_str().parse().ok()?,
        generation: Generation(permit.generation.0),
        member: permit.member.map(|member| MemberId(member.0)),
        initial_cluster: peers.collect::<Option<_>>()?,
        state: match permit.state {
            etcdop_guard::ClusterState::New => ClusterState::New,
            etcdop_guard::ClusterState::Existing => ClusterState::Existing,
        },
    })
}
