//! What must still hold right before a step is carried out. Checked by the engine before every mutation, in release builds
//! too: a plan made from what was true a moment ago must not act on what is true now.

use serde::Serialize;

use crate::{
    id::{ClusterId, InstanceId, MemberId, RecordRevision, Slot},
    observation::{Role, Roster},
};

/// Everything about a member list that a decision may rest on, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RosterDigest {
    /// Whose list.
    pub cluster: ClusterId,
    /// Sorted by ID.
    pub members: Vec<(MemberId, Role, Vec<String>)>,
}

impl Roster {
    /// What a fence compares: names are left out, because a member publishing itself changes nothing that was decided.
    pub fn digest(&self) -> RosterDigest {
        let mut members: Vec<_> = self.members.iter().map(|m| (m.id, m.role, m.peer_urls.clone())).collect();
        members.sort();
        RosterDigest { cluster: self.cluster, members }
    }
}

/// The preconditions of one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fence {
    /// The record must still have this revision.
    pub record: RecordRevision,
    /// The linearizable member list must still be this one; set for every step that touches etcd.
    pub roster: Option<RosterDigest>,
    /// This slot must still hold this instance.
    pub instance: Option<(Slot, InstanceId)>,
}
