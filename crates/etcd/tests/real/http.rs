//! The HTTP side: probes, versions, metrics, and what peers tell.

use std::time::Duration;

use etcdop_etcd::{Consistency, Effect, Error, Role};

use crate::support::{Cluster, Minor, on_every_minor};

#[tokio::test]
async fn a_member_answers_on_its_client_and_peer_ports() {
    on_every_minor(async |minor| {
        let mut cluster = Cluster::single(minor, &[]).await;
        let learner = cluster.join(&[]).await;
        let (founder, joiner) = (&cluster.members[0], &cluster.members[1]);
        let http = founder.http();

        for probe in [http.health().await, http.readyz().await, http.livez().await, joiner.http().livez().await] {
            assert!(probe.clone().unwrap().passed, "{probe:?}");
        }
        let unready = joiner.http().readyz().await.unwrap();
        assert!(!unready.passed && unready.text.contains("learner"), "{unready:?}");

        let header = founder.client().status().await.unwrap().header;
        for versions in [http.version().await.unwrap(), founder.peer().version().await.unwrap()] {
            assert!(versions.server.starts_with(minor.text()), "{versions:?}");
            assert_eq!(versions.cluster, format!("{}.0", minor.text()));
            assert_eq!(versions.storage, (minor >= Minor::V3_6).then(|| format!("{}.0", minor.text())));
        }

        let known = founder.peer().peer_members().await.unwrap();
        let list = founder.client().member_list(Consistency::Linearizable).await.unwrap();
        assert_eq!(known.cluster_id, Some(header.cluster_id));
        let by_id = |mut members: Vec<etcdop_etcd::Member>| {
            members.sort_by_key(|member| member.id);
            members
        };
        assert_eq!(by_id(known.members), by_id(list.value));
        assert_eq!(list.header.cluster_id, header.cluster_id);

        let metrics = http.metrics().await.unwrap();
        assert_eq!(metrics.value("etcd_server_has_leader"), Some(1.0));
        let links: Vec<_> = metrics.samples("etcd_network_active_peers").collect();
        assert!(
            links.iter().any(|link| link.label("Local") == Some(&header.member_id.to_string())
                && link.label("Remote") == Some(&learner.to_string())
                && link.value > 0.0),
            "{links:?}"
        );
        assert_eq!(joiner.client().status().await.unwrap().value.role, Role::Learner);
    })
    .await;
}

#[tokio::test]
async fn a_member_without_quorum_is_alive_but_not_ready() {
    on_every_minor(async |minor| {
        let cluster = Cluster::of(minor, 3, &[]).await;
        cluster.members[1].freeze();
        cluster.members[2].freeze();
        let http = cluster.members[0].http();
        assert!(http.livez().await.unwrap().passed);
        let hurried = http.deadline(Duration::from_millis(300));
        assert_eq!(hurried.readyz().await, Err(Error::DeadlineExceeded { after: Duration::from_millis(300) }));
        assert!(matches!(http.peer_members().await, Err(Error::HttpStatus { status: 404, .. })));
    })
    .await;
}

#[tokio::test]
async fn a_member_that_is_not_there_is_unreachable() {
    let mut cluster = Cluster::single(Minor::V3_6, &[]).await;
    cluster.members[0].kill();
    let gone = cluster.members[0].http().livez().await.unwrap_err();
    assert!(matches!(gone, Error::Unreachable { .. }), "{gone:?}");
    assert_eq!(gone.effect(), Effect::NotApplied);
}
