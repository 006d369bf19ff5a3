//! etcd's downgrade mode: begun, and called off.

use std::time::Duration;

use etcdop_etcd::{
    Client,
    DowngradeAction::{Cancel, Enable, Validate},
    Error,
};

use crate::support::{Cluster, Minor, on_every_minor, until};

/// Begins or ends a downgrade. 3.5 does it and forgets to answer.
async fn change(client: &Client, minor: Minor, action: etcdop_etcd::DowngradeAction, target: &str) {
    let answer = client.deadline(Duration::from_millis(500)).downgrade(action, target).await;
    match (minor, answer) {
        (Minor::V3_5, Err(Error::DeadlineExceeded { .. })) | (Minor::V3_6 | Minor::V3_7, Ok(_)) => {}
        (_, answer) => panic!("{action:?}: {answer:?}"),
    }
}

#[tokio::test]
async fn a_downgrade_that_was_begun_is_called_off_and_can_begin_again() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let below = match minor {
            Minor::V3_5 => "3.4",
            Minor::V3_6 => "3.5",
            Minor::V3_7 => "3.6",
        };
        let mode = async || client.status().await.unwrap().value.downgrade.map(|downgrade| downgrade.target);
        until("the cluster's version is decided", async || {
            client.downgrade(Validate, below).await.map_err(|error| error.to_string())
        })
        .await;
        for _ in 0..2 {
            change(&client, minor, Enable, below).await;
            until("it is under way", async || match client.downgrade(Validate, below).await {
                Err(Error::DowngradeInProgress) => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
            // 3.5 keeps to itself where it goes.
            assert_eq!(mode().await.is_some(), minor >= Minor::V3_6);

            change(&client, minor, Cancel, "").await;
            let version = until("it is called off", async || {
                client.downgrade(Validate, below).await.map_err(|error| error.to_string())
            })
            .await
            .value;
            assert!(version.starts_with(minor.text()), "{version}");
            assert_eq!(mode().await, None);
        }
    })
    .await;
}
