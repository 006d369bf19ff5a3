//! Members as people name them.

use std::{fmt, io, path::PathBuf, str::FromStr};

use etcdop_core::id::{MemberId, Slot};
use thiserror::Error;

use crate::{
    directory::{ClusterDir, SlotDir},
    look::record_now,
    ports::member_name,
    record_file::RecordFile,
};

/// A member as people name it: slot number, etcd name, or member ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberName(String);

/// Why nobody was found.
#[derive(Debug, Error)]
pub enum MemberError {
    /// Nobody is called that.
    #[error("no member is called `{name}`: name a slot ({slots}), an etcd name or a member ID")]
    Unknown {
        /// What was asked for.
        name: MemberName,
        /// The slots that there are.
        slots: String,
    },
    /// The slots cannot be listed.
    #[error("{path} cannot be listed: {source}", path = .path.display())]
    Unlisted {
        /// The cluster's directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for MemberName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every slot that there is, in order.
pub(crate) fn slots(dir: &ClusterDir) -> Result<Vec<SlotDir>, MemberError> {
    dir.slots().map_err(|source| MemberError::Unlisted { path: dir.path().to_owned(), source })
}

/// The slot in which the member lives.
pub(crate) fn find(dir: &ClusterDir, member: &MemberName) -> Result<SlotDir, MemberError> {
    let slots = slots(dir)?;
    let number = member.0.parse::<u8>().ok().map(Slot);
    let by_name =
        slots.iter().find(|files| Some(files.slot) == number || member_name(dir.name(), files.slot) == member.0);
    if let Some(files) = by_name {
        return Ok(files.clone());
    }
    // Short numbers are slots: no member has an ID with that many zeros in front.
    let id = member.0.parse::<MemberId>().ok();
    let seat = id.and_then(|id| record_now(&RecordFile::new(dir.clone())).ok()?.value.slot_of(id));
    seat.map(|slot| dir.slot(slot)).ok_or_else(|| MemberError::Unknown {
        name: member.clone(),
        slots: slots.iter().map(|files| files.slot.to_string()).collect::<Vec<_>>().join(", "),
    })
}
