//! What a cluster holds before a step is measured.

use std::time::Duration;

use etcdop_etcd::{Client, Endpoint, Options, Put};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::failure::Failure;

/// Writes under way at once.
const AT_ONCE: usize = 16;

/// How much history a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Age {
    /// None: whoever joins gets the raft log.
    Fresh,
    /// A thousand writes: whoever joins gets a raft snapshot.
    Aged,
}

impl Age {
    /// Gives a cluster this much history.
    pub async fn put_on(self, members: &[Endpoint]) -> Result<(), Failure> {
        match self {
            Self::Fresh => Ok(()),
            Self::Aged => write(members, 1_000, 100).await,
        }
    }
}

/// Fifty megabytes in values of 100 kB.
pub async fn fifty_megabytes(members: &[Endpoint]) -> Result<(), Failure> {
    write(members, 500, 100_000).await
}

async fn write(members: &[Endpoint], keys: usize, bytes: usize) -> Result<(), Failure> {
    let options = Options { call_timeout: Duration::from_secs(10), ..Options::default() };
    let Some(member) = members.first() else { return Ok(()) };
    let client = Client::new(member.clone(), &options);
    let put = |n| client.put(Put::new(format!("/bench/{n}"), vec![b'x'; bytes]));
    let writes = stream::iter(0..keys).map(put).buffer_unordered(AT_ONCE);
    writes.try_for_each(|_| async { Ok(()) }).await.map_err(Failure::etcd("write test data"))
}
