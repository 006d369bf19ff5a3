//! The one durable truth besides etcd itself: which slots hold which members, whether the cluster was born, and the mutation
//! whose outcome is not known yet. Changed by compare-and-swap only. Losing it costs time, never data: it can be rebuilt from
//! the disks' markers and the member list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ClusterId, Generation, Incarnation, InstanceId, MemberId, RecordRevision, Slot},
    launch::{LaunchSpec, Template},
};

/// Learners that one incarnation may have in flight when it is born on 3.6 or later; never changed afterwards (rule 3).
pub const MAX_LEARNERS: u8 = 8;

/// A value with what the platform compares when it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What to name as the base of the next commit.
    pub revision: RecordRevision,
    /// The value.
    pub value: T,
}

/// How far the bootstrap has come. `initial-cluster-state=new` is used while `Forming` only (rule 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Birth {
    /// Nothing was ever started.
    Unborn,
    /// The founders may start on empty disks.
    Forming,
    /// Every founder was seen in this cluster; no founder starts on an empty disk again.
    Formed(ClusterId),
}

/// Who holds a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// Tells the disks apart that the slot has had.
    pub generation: Generation,
    /// The member, once etcd has given it an ID. A seat without one is reserved: its instance waits at the gate.
    pub member: Option<MemberId>,
    /// The highest number of starts seen on its disk; an older copy of the disk is refused by the guard.
    pub epoch: u64,
    /// What its instance runs from its next start on.
    pub launch: LaunchSpec,
    /// The instance that gets this seat's founder permit, written down before the permit is given: nobody else is ever started as
    /// this founder, also when instance, permit and disk are gone together (rule 2). Only while the birth is `Forming`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founder: Option<InstanceId>,
}

/// A change whose outcome is not known yet (write-ahead intent, reliability.md P7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mutation {
    /// These members are being removed, and no others (H26).
    Leave {
        /// Who, and from where.
        members: BTreeMap<MemberId, Slot>,
    },
    /// One member is being restarted with another launch spec.
    Restart {
        /// Where.
        slot: Slot,
        /// What it ran before: put back when it does not serve in time.
        from: LaunchSpec,
        /// How it was before: a member that was sick already says nothing about the launch spec when it stays so.
        before: Before,
    },
}

/// How a member was before its restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    /// It answered.
    Serving,
    /// It did not.
    Sick,
}

/// The record of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Which life of the cluster.
    pub incarnation: Incarnation,
    /// How far its bootstrap has come.
    pub birth: Birth,
    /// `--max-learners` of every member, for the whole incarnation.
    pub max_learners: u8,
    /// The last generation given to a seat.
    pub generation: Generation,
    /// The raft index from which on etcd 3.7 can read the log: 0 when no member ever ran 3.5, unknown until it matters.
    #[serde(default)]
    pub readable_from: Option<u64>,
    /// Who holds which slot.
    pub slots: BTreeMap<Slot, Seat>,
    /// The mutation in flight.
    pub open: Option<Mutation>,
    /// What a member was last restarted with in vain: not tried again until the user names something else. While the birth is
    /// `Forming`: what the founders were started with in vain, tried again only now and then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Template>,
}

impl Record {
    /// The record of a cluster that does not exist yet.
    pub const fn unborn(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            birth: Birth::Unborn,
            max_learners: 1,
            generation: Generation(0),
            readable_from: None,
            slots: BTreeMap::new(),
            open: None,
            rejected: None,
        }
    }

    /// Reserves `slot` for a member to come, under a generation of its own. Whoever held it before has lost it.
    pub fn reserve(&mut self, slot: Slot, launch: LaunchSpec) {
        self.generation = self.generation.next();
        self.slots.insert(slot, Seat { generation: self.generation, member: None, epoch: 0, launch, founder: None });
    }

    /// The slot that `member` holds.
    pub fn slot_of(&self, member: MemberId) -> Option<Slot> {
        self.slots.iter().find(|(_, seat)| seat.member == Some(member)).map(|(&slot, _)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::EtcdOptions;

    #[test]
    fn a_record_survives_its_own_text() {
        let template = Template::new("3.6.16".parse().unwrap(), EtcdOptions::default());
        let launch = LaunchSpec { template: template.clone(), max_learners: MAX_LEARNERS };
        let mut record = Record::unborn(Incarnation::first("4f1c"));
        record.reserve(Slot(0), launch.clone());
        record.reserve(Slot(11), launch.clone());
        record.birth = Birth::Formed(ClusterId(0xabc));
        record.rejected = Some(template);
        for open in [
            Mutation::Leave { members: BTreeMap::from([(MemberId(0xfe), Slot(11))]) },
            Mutation::Restart { slot: Slot(0), from: launch, before: Before::Serving },
        ] {
            record.open = Some(open);
            let text = serde_json::to_string_pretty(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
        assert_eq!(record.slots[&Slot(11)].generation, Generation(2));
    }

    #[test]
    fn a_founder_survives_the_text_and_an_earlier_record_has_none() {
        let template = Template::new("3.6.16".parse().unwrap(), EtcdOptions::default());
        let mut record = Record::unborn(Incarnation::first("4f1c"));
        record.reserve(Slot(0), LaunchSpec { template, max_learners: MAX_LEARNERS });
        let earlier = serde_json::to_string(&record).unwrap();
        assert!(!earlier.contains("founder"), "{earlier}");
        assert_eq!(serde_json::from_str::<Record>(&earlier).unwrap(), record);
        record.slots.entry(Slot(0)).and_modify(|seat| seat.founder = Some(InstanceId("pod:0".to_owned())));
        assert_eq!(serde_json::from_str::<Record>(&serde_json::to_string(&record).unwrap()).unwrap(), record);
    }
}
