//! Members come, vote, lead and go; and which list tells the truth.

use std::time::Duration;

use etcdop_etcd::{Consistency, Effect, Error, Put, Role};

use crate::support::{Cluster, on_every_minor, until};

#[tokio::test]
async fn a_learner_is_added_promoted_led_by_and_removed() {
    on_every_minor(async |minor| {
        let mut cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let founder = client.status().await.unwrap().header.member_id;

        let learner = cluster.join(&[]).await;
        let roles = client.member_list(Consistency::Linearizable).await.unwrap().value;
        assert_eq!(roles.iter().find(|member| member.id == learner).unwrap().role, Role::Learner);
        assert_eq!(cluster.members[1].client().status().await.unwrap().value.role, Role::Learner);

        let voters = until("the learner votes", async || match client.member_promote(learner).await {
            Ok(promoted) => Ok(promoted.value),
            Err(Error::LearnerNotReady) => Err("not ready".to_owned()),
            Err(other) => panic!("{other}"),
        })
        .await;
        assert_eq!(voters.iter().filter(|member| member.role == Role::Voter).count(), 2);

        client.move_leader(learner).await.unwrap();
        let joiner = cluster.members[1].client();
        assert_eq!(joiner.status().await.unwrap().value.leader, Some(learner));

        let elsewhere = "http://127.0.0.1:1";
        let moved = joiner.member_update(founder, &[elsewhere, cluster.members[0].peer_url()]).await.unwrap().value;
        assert_eq!(moved.iter().find(|member| member.id == founder).unwrap().peer_urls.len(), 2);

        let left = until("the founder is removed", async || match joiner.member_remove(founder).await {
            Ok(left) => Ok(left.value),
            Err(Error::UnhealthyCluster) => Err("unhealthy cluster".to_owned()),
            Err(other) => panic!("{other}"),
        })
        .await;
        assert_eq!(left.iter().map(|member| member.id).collect::<Vec<_>>(), [learner]);
        joiner.put(Put::new("still", "here")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_voter_is_added_at_once() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let added = cluster.client().member_add_voter(&["http://127.0.0.1:1"]).await.unwrap().value;
        assert_eq!((added.member.role, added.members.len()), (Role::Voter, 2));
    })
    .await;
}

#[tokio::test]
async fn without_a_quorum_only_the_serializable_list_answers() {
    on_every_minor(async |minor| {
        let cluster = Cluster::of(minor, 3, &[]).await;
        cluster.members[1].freeze();
        cluster.members[2].freeze();
        let local = cluster.client().member_list(Consistency::Serializable).await.unwrap();
        assert_eq!(local.value.len(), 3);

        // Shorter than etcd's own patience, which is 7 s.
        let client = cluster.client().deadline(Duration::from_millis(700));
        let fresh = client.member_list(Consistency::Linearizable).await.unwrap_err();
        assert_eq!(fresh, Error::DeadlineExceeded { after: Duration::from_millis(700) });

        let write = client.put(Put::new("k", "v")).await.unwrap_err();
        assert_eq!(write.effect(), Effect::Unknown, "{write}");
    })
    .await;
}
