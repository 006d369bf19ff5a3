//! Situations before a cluster is formed.

use super::{Scenario, address, known, member, silent};
use crate::{
    id::{Incarnation, InstanceId, Slot, VolumeId},
    observation::{Blocker, Marker, Phase, Probe, Role, RosterMember, SlotView, Volume},
    permit::ClusterState,
    plan::scenario::NOW,
    quorum::quorum,
    record::{Birth, Record},
};

impl Scenario {
    /// Founders on their way, drawn as members are, and `P`: at the gate with a permit. `V` answers, `v` runs silently, `D` had
    /// its permit in a run before this one and its disk is empty; `g` was not noted as a founder yet.
    pub(crate) fn forming(picture: &str) -> Self {
        let mut scenario = Self::formed(&picture.replace('P', "g"));
        scenario.record_mut().birth = Birth::Forming;
        for (kind, slot) in picture.chars().zip(0..) {
            let seat = scenario.seat_mut(slot);
            (seat.member, seat.epoch) = (None, 0);
            if let Marker::Owned { member, .. } = &mut scenario.volume_mut(slot).marker {
                *member = None;
            }
            if matches!(kind, 'P' | 'V' | 'v' | 'D') {
                scenario = scenario.permitted(slot, 1000, ClusterState::New);
            }
            if kind == 'D' {
                scenario.view_mut(slot).permit.as_mut().unwrap().permit.instance = InstanceId("before".to_owned());
            }
            let permit = scenario.seen.ground[&Slot(slot)].permit.as_ref().map(|view| view.permit.instance.clone());
            scenario.seat_mut(slot).founder = permit;
        }
        let founders = picture.chars().count();
        if picture.matches('V').count() < quorum(founders) {
            return scenario.no_roster();
        }
        scenario.with(|s| {
            let Probe::Known { value, .. } = &mut s.seen.roster else { return };
            let row = |slot: u8| RosterMember {
                id: member(slot),
                name: format!("m{slot}"),
                peer_urls: vec![address(slot).peer.to_string()],
                role: Role::Voter,
            };
            value.members = (0..).take(founders).map(row).collect();
        })
    }

    /// The instance of `slot` is another one, on another, empty disk, and nothing is left of its permit: as when a Pod and its
    /// claim were deleted.
    pub(crate) fn vanished(self, slot: u8) -> Self {
        self.with(|s| {
            s.instance_mut(slot).id = InstanceId(format!("i{slot}-again"));
            s.instance_mut(slot).phase = Phase::AtGate;
            s.view_mut(slot).permit = None;
            s.view_mut(slot).volume =
                known(Some(Volume { id: VolumeId(format!("d{slot}-again")), marker: Marker::Empty }));
            s.seen.status.insert(Slot(slot), silent(10));
        })
    }

    /// The same cluster after its record was lost.
    pub(crate) fn without_record(self) -> Self {
        self.with(|s| *s.record_mut() = Record::unborn(Incarnation::first("uid")))
    }

    /// A slot that nothing was declared for, with this disk; `None` is one that cannot be looked at.
    pub(crate) fn disk(self, slot: u8, marker: Option<Marker>) -> Self {
        let unknown = Probe::Unknown { why: Blocker("permission denied".to_owned()), since: NOW };
        let volume = marker.map_or(unknown, |marker| known(Some(Volume { id: VolumeId(format!("d{slot}")), marker })));
        let view = SlotView { address: address(slot), declared: None, instance: known(None), volume, permit: None };
        self.with(|s| {
            s.seen.ground.insert(Slot(slot), view);
            s.seen.status.insert(Slot(slot), silent(10));
        })
    }

    /// All instances have been as they are for this long.
    pub(crate) fn standing_for(self, seconds: u64) -> Self {
        self.with(|s| {
            for view in s.seen.ground.values_mut() {
                if let Probe::Known { value: Some(instance), .. } = &mut view.instance {
                    instance.since = super::ago(seconds * 1000);
                }
            }
        })
    }
}
