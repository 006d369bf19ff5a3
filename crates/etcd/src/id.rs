//! etcd's numbers for clusters, members and leases: types of their own, because a member ID in the place of a cluster ID compiles
//! and then removes the wrong thing.

use std::fmt;

/// A cluster's 64-bit ID. It never changes, whoever joins or leaves; a restore under the same token and peer URLs gives the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// A member's 64-bit ID. Names and positions are not identities, this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A lease's ID. Never zero: zero is "no lease" on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl fmt::Display for ClusterId {
    /// Hexadecimal, as etcdctl prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for MemberId {
    /// Hexadecimal, as etcdctl prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for LeaseId {
    /// Hexadecimal, as etcdctl prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl MemberId {
    /// The ID, or nothing for etcd's way of saying "nobody" (zero).
    pub(crate) fn from_wire(id: u64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }
}
