//! What etcd itself says: nobody takes our status for it.

use etcdop_etcd::{Client, Consistency, Keys, Options, Put, Range, Role};
use serde_json::Value;

use crate::home::PATIENCE;

/// The client URLs in a status.
pub(crate) fn endpoints(status: &Value) -> Vec<String> {
    let members = status["members"].as_array().unwrap();
    members.iter().map(|member| member["endpoint"].as_str().unwrap().to_owned()).collect()
}

/// The IDs of the voters by a linearizable list, sorted.
pub(crate) fn voters(endpoint: &str) -> Vec<String> {
    block_on(async {
        let list = client(endpoint).member_list(Consistency::Linearizable).await.unwrap().value;
        let mut ids: Vec<String> =
            list.iter().filter(|member| member.role == Role::Voter).map(|member| member.id.to_string()).collect();
        ids.sort();
        ids
    })
}

pub(crate) fn put(endpoint: &str, key: &str, value: &str) {
    block_on(async { client(endpoint).put(Put::new(key.to_owned(), value.to_owned())).await.unwrap() });
}

pub(crate) fn get(endpoint: &str, key: &str) -> Option<Vec<u8>> {
    let found = block_on(async { client(endpoint).range(Range::new(Keys::one(key.to_owned()))).await.unwrap().value });
    found.kvs.into_iter().next().map(|pair| pair.value.to_vec())
}

fn client(endpoint: &str) -> Client {
    // Each call is made once: it must not fail because the machine is busy.
    Client::new(endpoint.parse().unwrap(), &Options::default()).deadline(PATIENCE)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
