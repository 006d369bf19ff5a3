//! Members that die, freeze and come back.

use std::time::{Duration, Instant};

use etcdop_etcd::{Client, Consistency, Effect, Error, Keys, Options, Put, Range, Watch};

use crate::support::{Cluster, Minor, on_every_minor, until};

#[tokio::test]
async fn a_member_that_restarts_is_reachable_as_soon_as_it_serves() {
    on_every_minor(async |minor| {
        let mut cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        client.status().await.unwrap();

        cluster.members[0].kill();
        until("the death is noticed", async || match client.put(Put::new("k", "v")).await.unwrap_err() {
            error @ Error::Unreachable { .. } => {
                assert_eq!(error.effect(), Effect::NotApplied);
                Ok(())
            }
            // The connection broke under the call: it cannot know.
            error => {
                assert_eq!(error.effect(), Effect::Unknown);
                Err(error.to_string())
            }
        })
        .await;

        cluster.members[0].start();
        until("a new client gets an answer", async || {
            cluster.client().status().await.map_err(|error| error.to_string())
        })
        .await;
        client.status().await.expect("the old client gets one, too, at its first try");
    })
    .await;
}

#[tokio::test]
async fn a_call_in_flight_when_the_member_dies_has_an_unknown_outcome() {
    let mut cluster = Cluster::of(Minor::V3_6, 3, &[]).await;
    let leader = cluster.leader().await;
    let client = cluster.members[leader].client();
    client.status().await.unwrap();
    // Nobody is left to agree, so the write waits.
    for (position, member) in cluster.members.iter().enumerate() {
        if position != leader {
            member.freeze();
        }
    }

    let write = tokio::spawn(async move { client.put(Put::new("k", "v")).await });
    until("the write is in the log", async || {
        let metrics = cluster.members[leader].http().metrics().await.map_err(|error| error.to_string())?;
        match metrics.value("etcd_server_proposals_pending") {
            Some(pending) if pending > 0.0 => Ok(()),
            pending => Err(format!("{pending:?} pending")),
        }
    })
    .await;
    cluster.members[leader].kill();

    let lost = write.await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::Unavailable { .. }), "{lost:?}");
    assert_eq!(lost.effect(), Effect::Unknown);
}

#[tokio::test]
async fn a_frozen_member_costs_one_deadline_and_answers_again_when_it_thaws() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let patience = Duration::from_secs(2);
        let client = cluster.client().deadline(patience);
        client.status().await.unwrap();
        cluster.members[0].freeze();

        let start = Instant::now();
        let calls = futures::future::join_all((0..4).map(|_| client.status())).await;
        for call in calls {
            assert_eq!(call.map(drop), Err(Error::DeadlineExceeded { after: patience }));
        }
        assert!(start.elapsed() < 2 * patience, "they wait together: {:?}", start.elapsed());

        cluster.members[0].thaw();
        until("it answers", async || client.status().await.map_err(|error| error.to_string())).await;
    })
    .await;
}

#[tokio::test]
async fn a_member_that_never_accepts_costs_one_connect_timeout_for_all_callers() {
    // Connections to a listener that accepts nobody are made until its queue is full; then they hang.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options { connect_timeout: Duration::from_secs(1), ..Options::default() };
    let mut queue = Vec::new();
    while let Ok(Ok(connection)) =
        tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
    {
        queue.push(connection);
    }
    let client = Client::new(format!("http://{address}").parse().unwrap(), &options);

    let start = Instant::now();
    let calls = futures::future::join_all((0..5).map(|_| client.status())).await;
    assert!(start.elapsed() < 2 * options.connect_timeout, "{:?}", start.elapsed());
    for call in calls {
        let error = call.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { reason, .. } if reason.contains("1s")), "{error:?}");
    }
}

/// Why the keep-alive interval is above 5 s by default: see `Options::keep_alive_interval`.
#[tokio::test]
async fn etcd_hangs_up_on_clients_that_ping_every_second() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let options = Options {
            keep_alive_interval: Duration::from_secs(1),
            // So long that the watch itself asks for nothing meanwhile.
            progress_timeout: Duration::from_secs(100),
            ..Options::default()
        };
        let client = Client::new(cluster.members[0].endpoint(), &options);
        let mut watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;

        let end = tokio::time::timeout(Duration::from_secs(15), watcher.next()).await.expect("it hangs up");
        assert!(matches!(end, Err(Error::Unavailable { .. })), "{end:?}");
        // The next call finds a connection all the same.
        client.range(Range::new(Keys::all())).await.unwrap();
    })
    .await;
}

#[test]
fn futures_of_the_client_may_move_between_threads() {
    fn may_move<T: Send>(_: T) {}
    // Never polled: the compiler is the test.
    let client = Client::new("http://127.0.0.1:1".parse().unwrap(), &Options::default());
    let http = etcdop_etcd::Http::new("http://127.0.0.1:1".parse().unwrap(), &Options::default());
    may_move(client.member_list(Consistency::Linearizable));
    may_move(client.member_add_learner(&["http://127.0.0.1:1"]));
    may_move(client.status());
    may_move(client.put(Put::new("k", "v")));
    may_move(client.lease_keep_alive(etcdop_etcd::LeaseId(1)));
    may_move(client.watch(Watch::new(Keys::all())));
    may_move(async { client.watch(Watch::new(Keys::all())).await.unwrap().value.next().await });
    may_move(client.snapshot(&mut Vec::new()));
    may_move(client.auth_enable());
    may_move(http.metrics());
}
