//! Leases: keys that end with whoever holds them.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    answer::Answer,
    client::Client,
    error::Error,
    generated::etcdserverpb::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, lease_client::LeaseClient,
    },
    id::LeaseId,
};

/// A lease that was granted or renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its ID.
    pub id: LeaseId,
    /// How long it lives from now on unless it is renewed; at least what was asked for.
    pub ttl: Duration,
}

/// What is left of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseLife {
    /// What is left, in whole seconds.
    pub left: Duration,
    /// What it was granted for.
    pub granted: Duration,
    /// The keys that end with it.
    pub keys: Vec<Bytes>,
}

impl Client {
    /// Grants a lease; etcd counts in seconds, so a part of one is rounded up.
    pub async fn lease_grant(&self, ttl: Duration) -> Result<Answer<Lease>, Error> {
        let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let question = LeaseGrantRequest { ttl: i64::try_from(whole).unwrap_or(i64::MAX), id: 0 };
        let got = self
            .call(question, |channel, request| async move { LeaseClient::new(channel).lease_grant(request).await })
            .await?;
        self.answer(got.header, Lease { id: LeaseId(got.id), ttl: seconds(got.ttl) })
    }

    /// Ends a lease, and its keys with it.
    pub async fn lease_revoke(&self, lease: LeaseId) -> Result<Answer<()>, Error> {
        let got = self
            .call(LeaseRevokeRequest { id: lease.0 }, |channel, request| async move {
                LeaseClient::new(channel).lease_revoke(request).await
            })
            .await?;
        self.answer(got.header, ())
    }

    /// Renews a lease once. Whoever holds it calls this three times within its life, so that one failure costs nothing.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`] when it is gone.
    pub async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Answer<Lease>, Error> {
        // A stream on the wire; one question, one answer, and within the call's deadline like any other call.
        let question = LeaseKeepAliveRequest { id: lease.0 };
        let mut got = self
            .call(question, |channel, request| async move {
                let (metadata, extensions, question) = request.into_parts();
                let questions = tonic::Request::from_parts(metadata, extensions, futures::stream::iter([question]));
                let mut answers = LeaseClient::new(channel).lease_keep_alive(questions).await?.into_inner();
                let answer = answers.message().await?;
                answer.map(tonic::Response::new).ok_or_else(|| tonic::Status::unavailable("the stream ended"))
            })
            .await?;
        if got.ttl <= 0 {
            return Err(Error::LeaseNotFound);
        }
        self.answer(got.header.take(), Lease { id: LeaseId(got.id), ttl: seconds(got.ttl) })
    }

    /// What is left of a lease.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`] when it is gone.
    pub async fn lease_life(&self, lease: LeaseId) -> Result<Answer<LeaseLife>, Error> {
        let got = self
            .call(LeaseTimeToLiveRequest { id: lease.0, keys: true }, |channel, request| async move {
                LeaseClient::new(channel).lease_time_to_live(request).await
            })
            .await?;
        if got.ttl < 0 {
            return Err(Error::LeaseNotFound);
        }
        let life = LeaseLife { left: seconds(got.ttl), granted: seconds(got.granted_ttl), keys: got.keys };
        self.answer(got.header, life)
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
