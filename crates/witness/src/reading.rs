//! Reads back, from each member on its own, everything that the run wrote: linearizable (what the cluster says), serializable (what
//! this member's disk says), and the hash over the whole key space at one revision.

use std::{collections::BTreeMap, time::Duration};

use etcdop_etcd::{Client, ClusterId, Endpoint, Error, HashKv, Options, Range, Role};
use tokio::time::{Instant, sleep};

use crate::{
    history::{Consistency, Found, Hash, History, Reading, Unread},
    key::{Run, number},
};

/// For one member to get to the last write.
const CATCH_UP: Duration = Duration::from_secs(10);
/// For one call. Hashing reads the whole database.
const CALL: Duration = Duration::from_secs(10);
/// Between two looks at a member that is behind.
const PAUSE: Duration = Duration::from_millis(50);
/// Keys in one answer.
const PAGE: u32 = 2_000;

/// Reads a run back.
#[derive(Debug)]
pub(crate) struct ReadBack {
    pub(crate) run: Run,
    pub(crate) cluster: ClusterId,
    pub(crate) options: Options,
    /// The revision of the last write of all; nothing: it could not be written.
    pub(crate) last: Option<i64>,
}

/// One member's keys: linearizable where it serves that, and serializable.
struct Kept {
    client: Client,
    role: Role,
    readings: Vec<Reading>,
}

impl ReadBack {
    /// Asks all members and adds what they say to `history`.
    pub(crate) async fn of(&self, endpoints: &[Endpoint], history: &mut History) {
        let mut voters = Vec::new();
        for endpoint in endpoints {
            match self.keys(endpoint).await {
                Ok(kept) => {
                    history.readings.extend(kept.readings);
                    if kept.role == Role::Voter {
                        voters.push(kept.client);
                    }
                }
                Err(why) => history.unread.push(Unread { endpoint: endpoint.to_string(), why }),
            }
        }
        match self.hashes(&voters).await {
            Ok(hashes) => history.hashes = hashes,
            Err(unread) => history.unread.push(unread),
        }
    }

    async fn keys(&self, endpoint: &Endpoint) -> Result<Kept, Error> {
        let client = Client::new(endpoint.clone(), &self.options).expect_cluster(self.cluster).deadline(CALL);
        let role = self.caught_up(&client).await?;
        let mut readings = Vec::new();
        if role == Role::Voter {
            readings.push(self.reading(&client, Consistency::Linearizable).await?);
        }
        readings.push(self.reading(&client, Consistency::Serializable).await?);
        Ok(Kept { client, role, readings })
    }

    /// Waits until the member has applied the last write, and says whether it votes.
    async fn caught_up(&self, client: &Client) -> Result<Role, Error> {
        let deadline = Instant::now() + CATCH_UP;
        loop {
            let late = match client.deadline(Duration::from_secs(1)).status().await {
                Ok(status) if self.last.is_none_or(|last| status.header.revision >= last) => {
                    return Ok(status.value.role);
                }
                Ok(_) => Error::DeadlineExceeded { after: CATCH_UP },
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(late);
            }
            sleep(PAUSE).await;
        }
    }

    /// All keys of the run, page by page. Nobody writes to them any more, so the pages fit together.
    async fn reading(&self, client: &Client, consistency: Consistency) -> Result<Reading, Error> {
        let endpoint = client.endpoint().to_string();
        let mut reading = Reading { endpoint, consistency, keys: BTreeMap::new(), strange: Vec::new() };
        let mut from = self.run.prefix().as_bytes().to_vec();
        loop {
            let range = Range { consistency, limit: Some(PAGE), ..Range::new(self.run.keys_from(from)) };
            let page = client.range(range).await?.value;
            for kv in &page.kvs {
                match (self.run.key(&kv.key), number(&kv.value)) {
                    (Some(key), Some(value)) => {
                        reading.keys.insert(key, Found { value, revision: kv.mod_revision });
                    }
                    _ => reading.strange.push(String::from_utf8_lossy(&kv.key).into_owned()),
                }
            }
            match page.kvs.last() {
                Some(kv) if page.more => from = [&kv.key[..], &[0]].concat(),
                _ => return Ok(reading),
            }
        }
    }

    /// Hashes of all voters that may be compared: at one revision that all have, with one history. A compaction that is on its way from
    /// member to member makes them differ for a moment: then once more.
    async fn hashes(&self, voters: &[Client]) -> Result<Vec<Hash>, Unread> {
        let deadline = Instant::now() + CATCH_UP;
        loop {
            let hashes = self.hashes_now(voters).await?;
            let alike =
                hashes.windows(2).all(|pair| matches!(pair, [a, b] if a.compact_revision == b.compact_revision));
            if alike || Instant::now() >= deadline {
                return Ok(hashes);
            }
            sleep(PAUSE).await;
        }
    }

    async fn hashes_now(&self, voters: &[Client]) -> Result<Vec<Hash>, Unread> {
        // All members have the last write. What others write behind it is none of ours.
        let mut revision = self.last;
        let mut hashes = Vec::new();
        for client in voters {
            let endpoint = client.endpoint().to_string();
            let unread = |why| Unread { endpoint: endpoint.clone(), why };
            let hash = client.hash_kv(revision).await.map_err(unread)?;
            let member = hash.header.member_id;
            let HashKv { hash: value, revision: at, compact_revision } = hash.value;
            revision = Some(at);
            hashes.push(Hash { endpoint, member, revision: at, compact_revision, value });
        }
        Ok(hashes)
    }
}
