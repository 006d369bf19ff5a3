//! When a step is over: etcd itself says so, asked the same way for the floor and for ours.

use std::{collections::HashMap, future::Future, time::Duration};

use etcdop_etcd::{Client, Consistency, Endpoint, Error, Http, Options, Role};
use futures::future::{join_all, try_join};
use tokio::time::{Instant, sleep, timeout};

use crate::failure::Failure;

/// Between two looks. Small against every figure, and little work.
const PACE: Duration = Duration::from_millis(5);
/// For one look: a member that hangs is asked again.
const LOOK: Duration = Duration::from_millis(250);
/// For one member's list: then the next one is asked.
const TURN: Duration = Duration::from_millis(50);
/// Between two heartbeats of a leader: etcd's default.
const HEARTBEAT_MS: u64 = 100;
/// For everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks until `look` gives something.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure::NotInTime { what: what.to_owned(), after: PATIENCE });
        }
        sleep(PACE).await;
    }
}

/// Does something until etcd does not refuse it any more: for refusals that pass by themselves.
pub async fn accepted<T, F>(what: &'static str, mut call: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Error>>,
{
    let accepted = until(what, || {
        let call = call();
        async move {
            match call.await {
                Err(Error::UnhealthyCluster | Error::LearnerNotReady) => None,
                outcome => Some(outcome),
            }
        }
    });
    accepted.await?.map_err(Failure::etcd(what))
}

/// Until the cluster that these members belong to has exactly `size` members, all of them vote, and each of them says that it is healthy.
/// It does not matter whether all who are asked still belong to it.
pub async fn healthy(asked: &[Endpoint], size: usize) -> Result<(), Failure> {
    let options = Options { connect_timeout: LOOK, call_timeout: LOOK, ..Options::default() };
    let clients: Vec<Client> = asked.iter().map(|endpoint| Client::new(endpoint.clone(), &options)).collect();
    let mut probes: HashMap<Endpoint, Http> = HashMap::new();
    let deadline = Instant::now() + PATIENCE;
    let mut turn = clients.iter().cycle().peekable();
    while Instant::now() < deadline
        && let Some(client) = turn.peek()
    {
        // One at a time, the one that answered before first: asking all of them so often would slow down what is measured.
        let client = client.deadline(TURN);
        let list = Box::pin(client.member_list(Consistency::Linearizable)).await;
        if list.is_err() {
            turn.next();
        }
        if let Ok(list) = list
            && list.value.len() == size
            && list.value.iter().all(|member| member.role == Role::Voter && !member.client_urls.is_empty())
        {
            let urls = list.value.iter().filter_map(|member| member.client_urls.first());
            let ports = urls.filter_map(|url| url.parse().ok()).map(|port: Endpoint| {
                probes.entry(port).or_insert_with_key(|port| Http::new(port.clone(), &options)).clone()
            });
            let ports: Vec<Http> = ports.collect();
            let healths = join_all(ports.iter().map(Http::health)).await;
            if healths.len() == size && healths.into_iter().all(|health| health.is_ok_and(|health| health.passed)) {
                return Ok(());
            }
        }
        sleep(PACE).await;
    }
    Err(Failure::NotInTime { what: format!("{size} healthy voters"), after: PATIENCE })
}

/// The place of the leader among these members.
pub async fn leader(endpoints: &[Endpoint]) -> Result<usize, Failure> {
    let options = Options { call_timeout: LOOK, ..Options::default() };
    let clients: Vec<Client> = endpoints.iter().map(|endpoint| Client::new(endpoint.clone(), &options)).collect();
    until("a leader", || async {
        let answers = join_all(clients.iter().map(Client::status)).await;
        answers
            .iter()
            .position(|answer| answer.as_ref().is_ok_and(|answer| answer.value.leader == Some(answer.header.member_id)))
    })
    .await
}

/// Lets a cluster of several members stand: for its first five seconds etcd takes no new member. Then waits for a random part of the
/// leader's heartbeat: a joiner gets its log with the next beat (100 ms by default), so a step that always began at the same moment
/// after the cluster's start would be lucky or unlucky for a whole run.
pub async fn settle(size: usize) {
    let stands = if size > 1 { 5_300 } else { 0 };
    sleep(Duration::from_millis(stands + fastrand::u64(..HEARTBEAT_MS))).await;
}

/// Until a member serves its peers.
pub async fn serves_peers(peer: Http) -> Result<(), Failure> {
    let peer = peer.deadline(Duration::from_millis(20));
    until("a member that serves its peers", || async { peer.version().await.ok() }).await.map(|_| ())
}

/// How long each of two things took since `began`; they go on side by side.
pub async fn both_since(
    began: std::time::Instant,
    one: impl Future<Output = Result<(), Failure>>,
    other: impl Future<Output = Result<(), Failure>>,
) -> Result<(Duration, Duration), Failure> {
    let one = async { one.await.map(|()| began.elapsed()) };
    let other = async { other.await.map(|()| began.elapsed()) };
    try_join(one, other).await
}

/// What somebody else waits for, within our patience.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> Result<T, Failure> {
    let late = |_| Failure::NotInTime { what: what.to_owned(), after: PATIENCE };
    timeout(PATIENCE, event).await.map_err(late)
}
