//! Leases.

use std::time::Duration;

use etcdop_etcd::{Error, Keys, Put, Range};

use crate::support::{Cluster, Minor, on_every_minor, until};

#[tokio::test]
async fn a_lease_lives_as_long_as_it_is_renewed_and_takes_its_keys_along() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let lease = client.lease_grant(Duration::from_millis(89_500)).await.unwrap().value;
        assert_eq!(lease.ttl, Duration::from_secs(90));
        client.put(Put { lease: Some(lease.id), ..Put::new("k", "v") }).await.unwrap();

        assert_eq!(client.lease_keep_alive(lease.id).await.unwrap().value, lease);
        let life = client.lease_life(lease.id).await.unwrap().value;
        assert_eq!((life.granted, &life.keys[..]), (Duration::from_secs(90), &["k".into()][..]));
        assert!(life.left > Duration::from_secs(50), "{life:?}");
        let found = client.range(Range::new(Keys::one("k"))).await.unwrap().value;
        assert_eq!(found.kvs[0].lease, Some(lease.id));

        client.lease_revoke(lease.id).await.unwrap();
        assert_eq!(client.range(Range::new(Keys::one("k"))).await.unwrap().value.count, 0);
        assert_eq!(client.lease_keep_alive(lease.id).await.map(drop), Err(Error::LeaseNotFound));
        assert_eq!(client.lease_life(lease.id).await.map(drop), Err(Error::LeaseNotFound));
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_nobody_renews_ends() {
    let cluster = Cluster::single(Minor::V3_6, &[]).await;
    let client = cluster.client();
    let lease = client.lease_grant(Duration::from_secs(3)).await.unwrap().value;
    client.put(Put { lease: Some(lease.id), ..Put::new("k", "v") }).await.unwrap();
    until("its key ends", async || match client.range(Range::new(Keys::one("k"))).await.unwrap().value.count {
        0 => Ok(()),
        count => Err(format!("{count} keys")),
    })
    .await;
}
