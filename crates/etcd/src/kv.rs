//! Keys: range, put, delete, transaction.

use bytes::Bytes;

use crate::{
    answer::Answer,
    channel::Channel,
    client::Client,
    error::Error,
    generated::{
        etcdserverpb::{
            self as pb, DeleteRangeRequest, DeleteRangeResponse, PutRequest, RangeRequest, RangeResponse, RequestOp,
            TxnRequest, TxnResponse, compare, kv_client::KvClient, request_op::Request, response_op::Response,
        },
        mvccpb,
    },
    id::LeaseId,
    membership::Consistency,
};

/// A key, its value, and the story of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty where only keys were asked for.
    pub value: Bytes,
    /// The revision at which the key was created.
    pub create_revision: i64,
    /// The revision at which it was last written.
    pub mod_revision: i64,
    /// How often it was written since it was created.
    pub version: i64,
    /// The lease that it ends with.
    pub lease: Option<LeaseId>,
}

/// Which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// This one.
    One(Bytes),
    /// All that begin like this; nothing means all there are.
    Prefix(Bytes),
    /// From the first (included) to the second (excluded).
    Between(Bytes, Bytes),
}

impl Keys {
    /// One key.
    pub fn one(key: impl Into<Bytes>) -> Self {
        Self::One(key.into())
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self::Prefix(prefix.into())
    }

    /// All keys.
    pub fn all() -> Self {
        Self::Prefix(Bytes::new())
    }

    /// `key` and `range_end` on the wire.
    pub(crate) fn into_wire(self) -> (Bytes, Bytes) {
        match self {
            Self::One(key) => (key, Bytes::new()),
            Self::Between(from, to) => (from, to),
            Self::Prefix(prefix) => {
                let end = after_prefix(&prefix);
                // An empty key is none; the smallest is one zero byte.
                (if prefix.is_empty() { Bytes::from_static(&[0]) } else { prefix }, end)
            }
        }
    }

    /// The same the other way round.
    pub(crate) fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        if range_end.is_empty() {
            Self::One(key)
        } else if key == [0].as_slice() && range_end == [0].as_slice() {
            Self::all()
        } else if range_end == after_prefix(&key) {
            Self::Prefix(key)
        } else {
            Self::Between(key, range_end)
        }
    }
}

/// The first key behind all that begin with `prefix`; one zero byte where nothing is behind them.
fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}

/// How much of each key an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Keys and values.
    Full,
    /// Keys without values.
    Keys,
    /// Only how many there are.
    Count,
}

/// A question for keys. Fresh, complete and linearizable unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Which keys.
    pub keys: Keys,
    /// Which truth.
    pub consistency: Consistency,
    /// As of which revision; nothing: the newest.
    pub revision: Option<i64>,
    /// At most so many keys; nothing: all.
    pub limit: Option<u32>,
    /// How much of each.
    pub content: Content,
}

impl Range {
    /// Asks for these keys.
    pub fn new(keys: Keys) -> Self {
        Self { keys, consistency: Consistency::Linearizable, revision: None, limit: None, content: Content::Full }
    }
}

/// Keys that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranged {
    /// In the order of the keys.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some out.
    pub more: bool,
    /// How many there are, whatever the limit.
    pub count: u64,
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: Bytes,
    /// Its new value.
    pub value: Bytes,
    /// The lease to end with.
    pub lease: Option<LeaseId>,
}

impl Put {
    /// Writes `value` under `key`, bound to no lease.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), lease: None }
    }
}

/// A deletion of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which keys.
    pub keys: Keys,
}

impl Delete {
    /// Deletes these keys.
    pub fn new(keys: Keys) -> Self {
        Self { keys }
    }
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// How many keys there were.
    pub count: u64,
}

/// What of a key is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// How often it was written since it was created; 0: it is not there.
    Version(i64),
    /// The revision at which it was created; 0: it is not there.
    CreateRevision(i64),
    /// The revision at which it was last written.
    ModRevision(i64),
    /// Its value.
    Value(Bytes),
    /// Its lease; 0: none.
    Lease(i64),
}

/// How it must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It is the same.
    Equal,
    /// It is another.
    NotEqual,
    /// It is greater than the given one.
    Greater,
    /// It is less than the given one.
    Less,
}

/// One condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// Which keys; each must fulfil it.
    pub keys: Keys,
    /// How.
    pub is: Is,
    /// With what.
    pub target: Target,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads.
    Range(Range),
    /// Writes.
    Put(Put),
    /// Deletes.
    Delete(Delete),
    /// A transaction of its own.
    Txn(Txn),
}

/// Conditions, what to do when all hold, and what to do otherwise; in one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// The conditions.
    pub when: Vec<Compare>,
    /// Done when all hold.
    pub then: Vec<Op>,
    /// Done otherwise.
    pub otherwise: Vec<Op>,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnResult {
    /// Whether all conditions held.
    pub succeeded: bool,
    /// One for each operation that was done, in their order.
    pub results: Vec<OpResult>,
}

/// What one operation of a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// Of [`Op::Range`].
    Range(Ranged),
    /// Of [`Op::Put`].
    Put,
    /// Of [`Op::Delete`].
    Delete(Deleted),
    /// Of [`Op::Txn`].
    Txn(TxnResult),
}

impl Client {
    /// Reads keys.
    pub async fn range(&self, range: Range) -> Result<Answer<Ranged>, Error> {
        let got = self
            .call(RangeRequest::from(range), |channel, request| async move { kv(channel).range(request).await })
            .await?;
        self.answer(got.header, got.into())
    }

    /// Writes one key.
    pub async fn put(&self, put: Put) -> Result<Answer<()>, Error> {
        let got =
            self.call(PutRequest::from(put), |channel, request| async move { kv(channel).put(request).await }).await?;
        self.answer(got.header, ())
    }

    /// Deletes keys.
    pub async fn delete(&self, delete: Delete) -> Result<Answer<Deleted>, Error> {
        let question = DeleteRangeRequest::from(delete);
        let got =
            self.call(question, |channel, request| async move { kv(channel).delete_range(request).await }).await?;
        self.answer(got.header, got.into())
    }

    /// Does several things at once, or others.
    pub async fn txn(&self, txn: Txn) -> Result<Answer<TxnResult>, Error> {
        let got =
            self.call(TxnRequest::from(txn), |channel, request| async move { kv(channel).txn(request).await }).await?;
        self.answer(got.header, TxnResult::try_from(got)?)
    }
}

/// Ranges may be larger than the 4 MB that gRPC libraries take by default.
fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(usize::MAX)
}

impl From<mvccpb::KeyValue> for KeyValue {
    fn from(kv: mvccpb::KeyValue) -> Self {
        Self {
            key: kv.key,
            value: kv.value,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: (kv.lease != 0).then_some(LeaseId(kv.lease)),
        }
    }
}

impl From<Range> for RangeRequest {
    fn from(range: Range) -> Self {
        let (key, range_end) = range.keys.into_wire();
        Self {
            key,
            range_end,
            limit: range.limit.map_or(0, i64::from),
            revision: range.revision.unwrap_or(0),
            serializable: range.consistency == Consistency::Serializable,
            keys_only: range.content == Content::Keys,
            count_only: range.content == Content::Count,
        }
    }
}

impl From<RangeResponse> for Ranged {
    fn from(found: RangeResponse) -> Self {
        Self { kvs: found.kvs.into_iter().map(KeyValue::from).collect(), more: found.more, count: count(found.count) }
    }
}

impl From<Put> for PutRequest {
    fn from(put: Put) -> Self {
        Self { key: put.key, value: put.value, lease: put.lease.map_or(0, |lease| lease.0), prev_kv: false }
    }
}

impl From<Delete> for DeleteRangeRequest {
    fn from(delete: Delete) -> Self {
        let (key, range_end) = delete.keys.into_wire();
        Self { key, range_end, prev_kv: false }
    }
}

impl From<DeleteRangeResponse> for Deleted {
    fn from(deleted: DeleteRangeResponse) -> Self {
        Self { count: count(deleted.deleted) }
    }
}

impl From<Compare> for pb::Compare {
    fn from(condition: Compare) -> Self {
        let (key, range_end) = condition.keys.into_wire();
        let result = match condition.is {
            Is::Equal => compare::CompareResult::Equal,
            Is::NotEqual => compare::CompareResult::NotEqual,
            Is::Greater => compare::CompareResult::Greater,
            Is::Less => compare::CompareResult::Less,
        };
        let (target, value) = match condition.target {
            Target::Version(version) => (compare::CompareTarget::Version, compare::TargetUnion::Version(version)),
            Target::CreateRevision(revision) => {
                (compare::CompareTarget::Create, compare::TargetUnion::CreateRevision(revision))
            }
            Target::ModRevision(revision) => (compare::CompareTarget::Mod, compare::TargetUnion::ModRevision(revision)),
            Target::Value(value) => (compare::CompareTarget::Value, compare::TargetUnion::Value(value)),
            Target::Lease(lease) => (compare::CompareTarget::Lease, compare::TargetUnion::Lease(lease)),
        };
        Self { result: result.into(), target: target.into(), key, range_end, target_union: Some(value) }
    }
}

impl From<Op> for RequestOp {
    fn from(op: Op) -> Self {
        let request = match op {
            Op::Range(range) => Request::RequestRange(range.into()),
            Op::Put(put) => Request::RequestPut(put.into()),
            Op::Delete(delete) => Request::RequestDeleteRange(delete.into()),
            Op::Txn(txn) => Request::RequestTxn(txn.into()),
        };
        Self { request: Some(request) }
    }
}

impl From<Txn> for TxnRequest {
    fn from(txn: Txn) -> Self {
        Self {
            compare: txn.when.into_iter().map(Into::into).collect(),
            success: txn.then.into_iter().map(Into::into).collect(),
            failure: txn.otherwise.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<TxnResponse> for TxnResult {
    type Error = Error;

    fn try_from(done: TxnResponse) -> Result<Self, Error> {
        let result = |response| {
            Ok(match response {
                Some(Response::ResponseRange(range)) => OpResult::Range(range.into()),
                Some(Response::ResponsePut(_)) => OpResult::Put,
                Some(Response::ResponseDeleteRange(deleted)) => OpResult::Delete(deleted.into()),
                Some(Response::ResponseTxn(txn)) => OpResult::Txn(txn.try_into()?),
                None => return Err(Error::InvalidAnswer { reason: "an operation has no result".to_owned() }),
            })
        };
        let results = done.responses.into_iter().map(|op| result(op.response)).collect::<Result<_, _>>()?;
        Ok(Self { succeeded: done.succeeded, results })
    }
}

/// Go counts with a sign; less than nothing is nothing.
fn count(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_key(Keys::one("a"), b"a", b"")]
    #[case::a_prefix(Keys::prefix("ab"), b"ab", b"ac")]
    #[case::a_prefix_at_the_end_of_a_byte(Keys::prefix(&b"a\xff"[..]), b"a\xff", b"b")]
    #[case::a_prefix_at_the_end_of_all_keys(Keys::prefix(&b"\xff\xff"[..]), b"\xff\xff", b"\0")]
    #[case::a_range(Keys::Between("a".into(), "k".into()), b"a", b"k")]
    #[case::all_keys(Keys::all(), b"\0", b"\0")]
    fn keys_have_a_beginning_and_an_end(#[case] keys: Keys, #[case] key: &[u8], #[case] end: &[u8]) {
        let (wire_key, wire_end) = keys.clone().into_wire();
        assert_eq!((&wire_key[..], &wire_end[..]), (key, end));
        assert_eq!(Keys::from_wire(wire_key, wire_end), keys);
    }
}
