//! What every answer of etcd carries, whatever was asked.

use crate::{
    error::Error,
    generated::etcdserverpb::ResponseHeader,
    id::{ClusterId, MemberId},
};

/// Who answered, and where its cluster stood when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster of the member that answered.
    pub cluster_id: ClusterId,
    /// The member that answered.
    pub member_id: MemberId,
    /// The newest revision of the key space as that member knew it; 0 where the call has none (auth, members on some versions).
    pub revision: i64,
    /// The raft term as that member knew it.
    pub raft_term: u64,
}

/// An answer: its value, and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// Who answered.
    pub header: Header,
    /// What was asked for.
    pub value: T,
}

impl<T> Answer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { header: self.header, value: change(self.value) }
    }
}

impl Header {
    /// Reads the header and holds it against the cluster that the caller expects.
    pub(crate) fn checked(header: Option<ResponseHeader>, expected: Option<ClusterId>) -> Result<Self, Error> {
        let header = header.ok_or_else(|| Error::InvalidAnswer { reason: "it has no header".to_owned() })?;
        let got = ClusterId(header.cluster_id);
        match expected {
            Some(expected) if expected != got => Err(Error::WrongCluster { expected, got }),
            _ => Ok(Self {
                cluster_id: got,
                member_id: MemberId(header.member_id),
                revision: header.revision,
                raft_term: header.raft_term,
            }),
        }
    }
}
