//! The HTTP/2 ping: what notices a frozen member when nothing else asks it for anything.

use std::time::{Duration, Instant};

use etcdop_etcd::{Client, Effect, Error, Keys, Options, Put, Watch};

use crate::support::{Cluster, on_every_minor};

#[tokio::test]
async fn an_open_stream_to_a_frozen_member_ends_with_the_ping_that_is_not_answered() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &["--grpc-keepalive-min-time=100ms"]).await;
        let patience = Duration::from_secs(1);
        let options = Options {
            keep_alive_interval: patience,
            keep_alive_timeout: patience,
            // So long that the watch itself asks for nothing meanwhile.
            progress_timeout: Duration::from_secs(100),
            ..Options::default()
        };
        let client = Client::new(cluster.members[0].endpoint(), &options);
        let mut watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;
        // Pings are answered, and etcd does not mind them: see `--grpc-keepalive-min-time`.
        let quiet = tokio::time::timeout(3 * patience, watcher.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");

        cluster.members[0].freeze();
        let frozen = Instant::now();
        let end = tokio::time::timeout(Duration::from_secs(50), watcher.next()).await.expect("it ends").unwrap_err();

        assert!(matches!(end, Error::Unavailable { .. }), "{end:?}");
        assert_eq!(end.effect(), Effect::Unknown);
        let took = frozen.elapsed();
        // Two of them, and some for a loaded machine; less than the least that the defaults take.
        assert!(took < 5 * patience, "{took:?}");
        cluster.members[0].thaw();
        client.put(Put::new("k", "v")).await.unwrap();
    })
    .await;
}
