//! Who answers, keys, and a member's upkeep.

use std::time::Duration;

use etcdop_etcd::{
    Compaction, Compare, Consistency, Content, Delete, Error, Is, Keys, Op, OpResult, Put, Range, Role, Target, Txn,
};

use crate::support::{Cluster, Minor, on_every_minor};

#[tokio::test]
async fn a_member_tells_who_it_is_and_who_belongs() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &["--quota-backend-bytes=123456789"]).await;
        let client = cluster.client();

        let status = client.status().await.unwrap();
        let list = client.member_list(Consistency::Linearizable).await.unwrap();

        assert!(status.value.version.starts_with(minor.text()), "{status:?}");
        assert_eq!(status.value.leader, Some(status.header.member_id));
        assert_eq!(status.value.role, Role::Voter);
        assert!(status.value.db_size >= status.value.db_size_in_use && status.value.db_size_in_use > 0, "{status:?}");
        assert!(status.value.raft_index >= status.value.raft_applied_index && status.value.raft_applied_index > 0);
        assert_eq!(status.value.raft_term, status.header.raft_term);
        assert_eq!((status.value.alarms, status.value.errors, status.value.downgrade), (vec![], vec![], None));
        let since_3_6 = minor >= Minor::V3_6;
        assert_eq!(status.value.db_size_quota, since_3_6.then_some(123_456_789));
        assert_eq!(status.value.storage_version, since_3_6.then(|| format!("{}.0", minor.text())));
        assert_eq!(list.header.cluster_id, status.header.cluster_id);
        assert_eq!(list.value.len(), 1);
        assert_eq!(list.value[0].id, status.header.member_id);
        assert_eq!(list.value[0].name, cluster.members[0].name);
        assert_eq!(list.value[0].peer_urls, [cluster.members[0].peer_url()]);
        assert_eq!(list.value[0].client_urls, [cluster.members[0].client_url()]);
    })
    .await;
}

#[tokio::test]
async fn keys_are_written_read_and_deleted() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();

        let first = client.put(Put::new("a/1", "one")).await.unwrap().header.revision;
        client.put(Put::new("a/2", "two")).await.unwrap();
        client.put(Put::new("b", "other")).await.unwrap();
        client.put(Put::new("a/1", "uno")).await.unwrap();

        let found = client.range(Range::new(Keys::prefix("a/"))).await.unwrap().value;
        assert_eq!(
            found.kvs.iter().map(|kv| (&kv.key[..], &kv.value[..])).collect::<Vec<_>>(),
            [(&b"a/1"[..], &b"uno"[..]), (&b"a/2"[..], &b"two"[..])]
        );
        assert_eq!((found.kvs[0].create_revision, found.kvs[0].version), (first, 2));

        let old = client.range(Range { revision: Some(first), ..Range::new(Keys::all()) }).await.unwrap().value;
        assert_eq!(old.kvs.iter().map(|kv| &kv.value[..]).collect::<Vec<_>>(), [b"one"]);

        let some = Range { limit: Some(1), content: Content::Keys, ..Range::new(Keys::all()) };
        let some = client.range(some).await.unwrap().value;
        assert_eq!((some.kvs.len(), some.more, some.count, some.kvs[0].value.len()), (1, true, 3, 0));

        let number = Range { content: Content::Count, ..Range::new(Keys::all()) };
        let number = client.range(number).await.unwrap().value;
        assert_eq!((number.kvs.len(), number.count), (0, 3));

        assert_eq!(client.delete(Delete::new(Keys::prefix("a/"))).await.unwrap().value.count, 2);
        let local = Range { consistency: Consistency::Serializable, ..Range::new(Keys::all()) };
        assert_eq!(client.range(local).await.unwrap().value.count, 1);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_takes_one_way_or_the_other() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        // Creates the key if it is not there; otherwise reads it and deletes another.
        let txn = Txn {
            when: vec![Compare { keys: Keys::one("lock"), is: Is::Equal, target: Target::CreateRevision(0) }],
            then: vec![Op::Put(Put::new("lock", "mine"))],
            otherwise: vec![
                Op::Range(Range::new(Keys::one("lock"))),
                Op::Delete(Delete::new(Keys::one("other"))),
                Op::Txn(Txn::default()),
            ],
        };

        let won = client.txn(txn.clone()).await.unwrap().value;
        let lost = client.txn(txn).await.unwrap().value;

        assert_eq!((won.succeeded, won.results), (true, vec![OpResult::Put]));
        assert!(!lost.succeeded);
        let [OpResult::Range(range), OpResult::Delete(deleted), OpResult::Txn(inner)] = &lost.results[..] else {
            panic!("{lost:?}")
        };
        assert_eq!((&range.kvs[0].value[..], deleted.count, inner.succeeded), (&b"mine"[..], 0, true));
    })
    .await;
}

#[tokio::test]
async fn everything_of_a_key_can_be_compared_in_every_way() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let lease = client.lease_grant(Duration::from_mins(1)).await.unwrap().value.id;
        let created = client.put(Put::new("key", "a")).await.unwrap().header.revision;
        let modified = client.put(Put { lease: Some(lease), ..Put::new("key", "m") }).await.unwrap().header.revision;
        // What is compared, with something less, the same, and something greater.
        let around = |number: i64| [number - 1, number, number + 1];
        let targets = [
            around(2).map(Target::Version),
            around(created).map(Target::CreateRevision),
            around(modified).map(Target::ModRevision),
            ["l", "m", "n"].map(|value| Target::Value(value.into())),
            around(lease.0).map(Target::Lease),
        ];
        for [below, same, above] in targets {
            for (is, holds_with) in [
                (Is::Equal, [false, true, false]),
                (Is::NotEqual, [true, false, true]),
                (Is::Greater, [true, false, false]),
                (Is::Less, [false, false, true]),
            ] {
                for (target, holds) in [&below, &same, &above].into_iter().zip(holds_with) {
                    let when = vec![Compare { keys: Keys::one("key"), is, target: target.clone() }];
                    let answer = client.txn(Txn { when, ..Txn::default() }).await.unwrap().value;
                    assert_eq!(answer.succeeded, holds, "{is:?} {target:?}");
                }
            }
        }

        // Each of several keys has to fulfil it, and all conditions together.
        client.put(Put::new("key/2", "m")).await.unwrap();
        let is_m = |keys| Compare { keys, is: Is::Equal, target: Target::Value("m".into()) };
        let holds =
            async |when: Vec<Compare>| client.txn(Txn { when, ..Txn::default() }).await.unwrap().value.succeeded;
        assert!(holds(vec![is_m(Keys::prefix("key"))]).await);
        client.put(Put::new("key/2", "other")).await.unwrap();
        assert!(!holds(vec![is_m(Keys::prefix("key"))]).await);
        assert!(!holds(vec![is_m(Keys::one("key")), is_m(Keys::one("key/2"))]).await);
    })
    .await;
}

#[tokio::test]
async fn history_is_hashed_compacted_and_defragmented() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        for n in 0..20 {
            client.put(Put::new("k", vec![n; 100_000])).await.unwrap();
        }
        let newest = client.status().await.unwrap().header.revision;

        let hash = client.hash_kv(None).await.unwrap().value;
        assert_eq!((hash.revision, client.hash_kv(Some(newest)).await.unwrap().value.hash), (newest, hash.hash));
        assert_ne!(client.hash_kv(Some(newest - 1)).await.unwrap().value.hash, hash.hash);

        client.compact(newest, Compaction::Physical).await.unwrap();
        let old = client.range(Range { revision: Some(newest - 1), ..Range::new(Keys::all()) }).await;
        assert_eq!(old.map(drop), Err(Error::Compacted { oldest: None }));
        assert_eq!(client.hash_kv(None).await.unwrap().value.compact_revision, newest);

        let before = client.status().await.unwrap().value.db_size;
        client.defragment(Duration::from_secs(30)).await.unwrap();
        let after = client.status().await.unwrap().value;
        assert!(after.db_size < before && after.db_size < 1_000_000, "from {before} to {}", after.db_size);
    })
    .await;
}
