//! Watches: what they bring, and how they notice that nothing will come any more.

use std::time::{Duration, Instant};

use etcdop_etcd::{Client, Compaction, Delete, Error, Event, Keys, Options, Previous, Put, Watch, WatchBatch};

use crate::support::{Cluster, on_every_minor};

fn story(batch: &WatchBatch) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |event: &Event| match event {
        Event::Put { now, before } => {
            let before = before.as_ref().map_or_else(String::new, |kv| format!(" (was {})", text(&kv.value)));
            format!("{} is {}{before}", text(&now.key), text(&now.value))
        }
        Event::Delete { now, .. } => format!("{} is gone", text(&now.key)),
    };
    batch.value.iter().map(line).collect()
}

#[tokio::test]
async fn a_watch_brings_past_and_coming_changes_in_order() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let first = client.put(Put::new("a/1", "one")).await.unwrap().header.revision;
        client.put(Put::new("b", "not watched")).await.unwrap();

        let watch = Watch { from: Some(first), previous: Previous::Included, ..Watch::new(Keys::prefix("a/")) };
        let started = client.watch(watch).await.unwrap();
        assert_eq!(started.header.cluster_id, client.status().await.unwrap().header.cluster_id);
        let mut watcher = started.value;
        assert_eq!(story(&watcher.next().await.unwrap()), ["a/1 is one"]);

        client.put(Put::new("a/1", "uno")).await.unwrap();
        assert_eq!(story(&watcher.next().await.unwrap()), ["a/1 is uno (was one)"]);
        let deleted = client.delete(Delete::new(Keys::all())).await.unwrap().header.revision;
        let last = watcher.next().await.unwrap();
        assert_eq!((story(&last), last.header.revision), (vec!["a/1 is gone".to_owned()], deleted));
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_compacted_history_says_what_is_left() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        client.put(Put::new("k", "1")).await.unwrap();
        let newest = client.put(Put::new("k", "2")).await.unwrap().header.revision;
        client.compact(newest, Compaction::Logical).await.unwrap();

        let watch = Watch { from: Some(1), ..Watch::new(Keys::one("k")) };
        let end = match client.watch(watch).await {
            Ok(mut started) => started.value.next().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(end, Error::Compacted { oldest: Some(newest) });
    })
    .await;
}

#[tokio::test]
async fn a_quiet_watch_on_a_living_member_goes_on_and_on_a_frozen_one_ends() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let patience = Duration::from_secs(2);
        let options = Options { progress_timeout: patience, ..Options::default() };
        let client = Client::new(cluster.members[0].endpoint(), &options);
        let mut watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;

        // Nothing happens for several times the progress timeout, and that is fine.
        let quiet = tokio::time::timeout(3 * patience, watcher.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        client.put(Put::new("quiet", "no more")).await.unwrap();
        assert_eq!(story(&watcher.next().await.unwrap()), ["quiet is no more"]);

        cluster.members[0].freeze();
        let start = Instant::now();
        assert_eq!(watcher.next().await, Err(Error::NoProgress { after: patience }));
        assert!(start.elapsed() < 2 * patience, "{:?}", start.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_requires_a_leader_ends_without_one() {
    on_every_minor(async |minor| {
        let cluster = Cluster::of(minor, 3, &[]).await;
        let client = cluster.client().require_leader();
        let mut watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;
        cluster.members[1].freeze();
        cluster.members[2].freeze();
        let end = tokio::time::timeout(Duration::from_secs(15), watcher.next()).await.expect("it ends");
        assert_eq!(end, Err(Error::NoLeader));
    })
    .await;
}
