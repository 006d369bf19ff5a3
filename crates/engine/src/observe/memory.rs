//! When this manager first saw things. The only memory there is besides the record: in RAM, by the monotonic clock, and lost with
//! the manager. Every wait then starts again, which errs on the side of patience (rule 7).

use std::{
    collections::HashMap,
    hash::Hash,
    mem::{self, Discriminant},
};

use etcdop_core::{
    id::{Generation, InstanceId, MemberId, Mono, Slot},
    observation::{Instance, PermitView, Phase, Probe, SlotView},
    permit::Permit,
    record::{Mutation, Record},
};

use crate::platform::{GroundInstance, GroundSlot};

/// When values of one kind were first seen; one that changed is a new one.
#[derive(Debug)]
struct FirstSeen<K, V> {
    by_key: HashMap<K, (V, Mono)>,
}

impl<K, V> Default for FirstSeen<K, V> {
    fn default() -> Self {
        Self { by_key: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: PartialEq> FirstSeen<K, V> {
    /// Since when `key` has had this value.
    fn since(&mut self, key: K, value: V, now: Mono) -> Mono {
        match self.by_key.get(&key) {
            Some((seen, since)) if *seen == value => *since,
            _ => {
                self.by_key.insert(key, (value, now));
                now
            }
        }
    }

    fn forget(&mut self, key: &K) {
        self.by_key.remove(key);
    }
}

/// What identifies an open mutation: not the rest of the record, which changes while it is open.
#[derive(Clone, Debug, PartialEq)]
enum Open {
    Leave(Vec<MemberId>),
    Restart(Slot),
}

/// When this manager first saw what is there now.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    phases: FirstSeen<Slot, (InstanceId, Discriminant<Phase>)>,
    permits: FirstSeen<Slot, Permit>,
    stranded: FirstSeen<Slot, InstanceId>,
    silent: FirstSeen<Slot, Option<Generation>>,
    blind: FirstSeen<(Slot, Sight), ()>,
    open: FirstSeen<(), Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sight {
    Instance,
    Volume,
}

impl Memory {
    /// A slot with since when it has been so.
    pub(crate) fn slot(&mut self, slot: Slot, seen: &GroundSlot, now: Mono) -> SlotView {
        let instance = match &seen.instance {
            Ok(instance) => {
                self.blind.forget(&(slot, Sight::Instance));
                let value = instance.as_ref().map(|instance| self.instance(slot, instance, now));
                Probe::Known { value, at: now }
            }
            Err(why) => {
                let since = self.blind.since((slot, Sight::Instance), (), now);
                Probe::Unknown { why: why.clone(), since }
            }
        };
        let volume = match &seen.volume {
            Ok(volume) => {
                self.blind.forget(&(slot, Sight::Volume));
                Probe::Known { value: volume.clone(), at: now }
            }
            Err(why) => {
                let since = self.blind.since((slot, Sight::Volume), (), now);
                Probe::Unknown { why: why.clone(), since }
            }
        };
        let permit = seen.permit.clone().map(|permit| {
            let since = self.permits.since(slot, permit.clone(), now);
            PermitView { permit, since }
        });
        SlotView { address: seen.address.clone(), declared: seen.declared.clone(), instance, volume, permit }
    }

    fn instance(&mut self, slot: Slot, seen: &GroundInstance, now: Mono) -> Instance {
        let since = self.phases.since(slot, (seen.id.clone(), mem::discriminant(&seen.phase)), now);
        Instance { id: seen.id.clone(), launch: seen.launch.clone(), phase: seen.phase.clone(), since }
    }

    /// The answer of the slot's member, or silence that began when *anything* was last heard of the seat's member, through all
    /// restarts of its process.
    pub(crate) fn heard<T>(&mut self, slot: Slot, seat: Option<Generation>, probe: Probe<T>) -> Probe<T> {
        match probe {
            Probe::Known { .. } => {
                self.silent.forget(&slot);
                probe
            }
            Probe::Unknown { why, since } => Probe::Unknown { why, since: self.silent.since(slot, seat, since) },
        }
    }

    /// Since when the instance has waited for its own publish.
    pub(crate) fn stranded_since(&mut self, slot: Slot, instance: InstanceId, now: Mono) -> Mono {
        self.stranded.since(slot, instance, now)
    }

    /// The instance does not wait for its publish.
    pub(crate) fn not_stranded(&mut self, slot: Slot) {
        self.stranded.forget(&slot);
    }

    /// Since when the record's mutation has been open.
    pub(crate) fn open_since(&mut self, record: &Record, now: Mono) -> Option<Mono> {
        let Some(mutation) = &record.open else {
            self.open.forget(&());
            return None;
        };
        let open = match mutation {
            Mutation::Leave { members } => Open::Leave(members.keys().copied().collect()),
            Mutation::Restart { slot, .. } => Open::Restart(*slot),
        };
        Some(self.open.since((), open, now))
    }
}
