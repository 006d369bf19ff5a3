//! What is done to a cluster, and how one sees that it has got over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use etcdop_core::{
    id::{InstanceId, MemberId, Slot},
    size::Size,
    summary::{MemberRow, Summary},
    version::Minor,
};
use etcdop_engine::publish::Published;
use etcdop_local::faults::Fault;

/// What is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Scale(Size),
    KillLeader,
    WipeDisk,
    Freeze,
    KillAll,
    Roll(Minor),
    Hibernate,
    Wake(Size),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale(size) => write!(f, "scale to {size}"),
            Self::KillLeader => f.write_str("SIGKILL the leader"),
            Self::WipeDisk => f.write_str("wipe a disk"),
            Self::Freeze => f.write_str("freeze a member"),
            Self::KillAll => f.write_str("kill all members at once"),
            Self::Roll(minor) => write!(f, "roll to {minor}"),
            Self::Hibernate => f.write_str("hibernate"),
            Self::Wake(size) => write!(f, "wake with {size}"),
        }
    }
}

impl Act {
    /// Whom it hits, and with what.
    pub(crate) fn fault(self, summary: &Summary) -> Option<(Fault, Vec<Slot>)> {
        let slots =
            |hit: fn(&MemberRow) -> bool| summary.members.iter().filter(move |row| hit(row)).map(|row| row.slot);
        Some(match self {
            Self::KillLeader => (Fault::Kill, slots(|row| row.leader).collect()),
            Self::KillAll => (Fault::Kill, slots(|_| true).collect()),
            Self::WipeDisk => (Fault::Wipe, slots(|row| !row.leader).take(1).collect()),
            Self::Freeze => (Fault::Freeze, slots(|row| !row.leader).take(1).collect()),
            Self::Scale(_) | Self::Roll(_) | Self::Hibernate | Self::Wake(_) => return None,
        })
    }
}

/// How one sees that a cluster has got over an act: it is as declared, and what the act hit is gone.
#[derive(Debug)]
pub(crate) struct Goal {
    size: Size,
    minor: Minor,
    members_gone: BTreeSet<MemberId>,
    instances_gone: BTreeMap<Slot, InstanceId>,
}

impl Goal {
    /// Of the cluster's creation.
    pub(crate) fn created(size: Size, minor: Minor) -> Self {
        Self { size, minor, members_gone: BTreeSet::new(), instances_gone: BTreeMap::new() }
    }

    /// Of an act on the cluster as it was just before.
    pub(crate) fn of(act: Act, before: &Published, summary: &Summary) -> Self {
        let mut goal = Self::created(before.desired.size, before.desired.template.version.minor());
        match act {
            Act::Scale(size) | Act::Wake(size) => goal.size = size,
            Act::Hibernate => goal.size = Size::ZERO,
            Act::Roll(minor) => goal.minor = minor,
            Act::KillLeader | Act::KillAll | Act::WipeDisk | Act::Freeze => {}
        }
        let Some((fault, slots)) = act.fault(summary) else { return goal };
        if matches!(fault, Fault::Wipe | Fault::Freeze) {
            // Whoever lost its disk, or does not answer, is replaced by another member.
            let hit = |row: &&MemberRow| slots.contains(&row.slot);
            goal.members_gone = summary.members.iter().filter(hit).filter_map(|row| row.id).collect();
        }
        goal.instances_gone = slots.into_iter().filter_map(|slot| Some((slot, instance(before, slot)?))).collect();
        goal
    }

    /// Whether it is reached.
    pub(crate) fn is_reached(&self, now: &Published, summary: &Summary) -> bool {
        let declared = now.desired.size == self.size && now.desired.template.version.minor() == self.minor;
        let stays = summary.members.iter().filter_map(|row| row.id).any(|id| self.members_gone.contains(&id));
        let still = self.instances_gone.iter().any(|(slot, gone)| instance(now, *slot).as_ref() == Some(gone));
        declared && summary.converged && !stays && !still
    }
}

fn instance(published: &Published, slot: Slot) -> Option<InstanceId> {
    let view = published.observation.ground.get(&slot)?;
    let instance = view.instance.known()?.as_ref()?;
    Some(instance.id.clone())
}
