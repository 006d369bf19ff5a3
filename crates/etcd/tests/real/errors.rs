//! The error table: each error that etcd names, provoked on each version, with what it says about the effect.

use std::time::Duration;

use etcdop_etcd::{
    Alarm, AlarmKind, Client, Compaction, Consistency, Credentials,
    DowngradeAction::{Cancel, Enable, Validate},
    Effect::{self, NotApplied, Unknown},
    Error, Keys, LeaseId, MemberId, Options, Permission, PermissionKind, Put, Range, Watch,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Cluster, Minor, on_every_minor, until};

/// Why an error is not provoked here. Everything else must be.
fn why_not(error: &Error, minor: Minor) -> Option<&'static str> {
    Some(match error {
        Error::MemberExists => "etcd hashes the clock into a new member's ID: only two adds with one ID would do",
        Error::TooManyRequests => "needs 5,000 entries that are committed and not applied",
        Error::Stopped => "a race with the end of the process",
        Error::LeaseExists => "this client lets etcd choose the ID",
        Error::AuthNotEnabled => "the client logs in by itself and takes this for an answer: auth.rs",
        Error::AuthTokenInvalid => "the client logs in anew by itself: auth.rs",
        Error::AuthTokenOutdated => {
            "needs JWT tokens, or a race of a call with a change of users; treated like AuthTokenInvalid"
        }
        Error::ClusterVersionUnavailable => "a race with the first second of a cluster's life",
        Error::NotCapable => "only clusters older than 3.5",
        Error::Unimplemented => "3.5 knows every call of this client",
        Error::NoDowngradeInProgress if minor >= Minor::V3_6 => "from 3.6 on, cancelling nothing is a success",
        _ => return None,
    })
}

#[derive(Default)]
struct Table {
    seen: Vec<Error>,
    wrong: Vec<String>,
}

impl Table {
    fn row<T>(&mut self, got: Result<T, Error>, error: &Error, effect: Effect) {
        match got {
            Err(got) if got == *error && got.effect() == effect => self.seen.push(got),
            Err(got) => self.wrong.push(format!("{error:?} {effect:?}: got {got:?} {:?}", got.effect())),
            Ok(_) => self.wrong.push(format!("{error:?} {effect:?}: got an answer")),
        }
    }

    /// For errors that carry a text.
    fn row_like<T>(&mut self, got: Result<T, Error>, what: &str, effect: Effect, like: impl Fn(&Error) -> bool) {
        match got {
            Err(got) if like(&got) && got.effect() == effect => {}
            Err(got) => self.wrong.push(format!("{what} {effect:?}: got {got:?} {:?}", got.effect())),
            Ok(_) => self.wrong.push(format!("{what} {effect:?}: got an answer")),
        }
    }
}

#[tokio::test]
async fn each_error_is_told_apart_and_says_whether_anything_was_applied() {
    on_every_minor(async |minor| {
        let tables = futures::future::join_all([
            Box::pin(membership(minor)) as futures::future::LocalBoxFuture<'_, Table>,
            Box::pin(unstarted(minor)),
            Box::pin(leadership(minor)),
            Box::pin(no_quorum(minor)),
            Box::pin(keys_and_leases(minor)),
            Box::pin(space(minor)),
            Box::pin(corruption(minor)),
            Box::pin(users(minor)),
            Box::pin(downgrade(minor)),
        ])
        .await;
        let wrong: Vec<_> = tables.iter().flat_map(|table| table.wrong.clone()).collect();
        assert!(wrong.is_empty(), "{}:\n{}", minor.text(), wrong.join("\n"));
        for error in Error::named() {
            let seen = tables.iter().any(|table| table.seen.contains(error));
            match why_not(error, minor) {
                None => assert!(seen, "{error:?} was not provoked"),
                Some(reason) => assert!(!seen, "{error:?} can be provoked after all, though: {reason}"),
            }
        }
    })
    .await;
}

async fn membership(minor: Minor) -> Table {
    let mut table = Table::default();
    let mut cluster = Cluster::single(minor, &[]).await;
    let client = cluster.client();
    let founder = client.status().await.unwrap().header.member_id;

    table.row(client.member_remove(MemberId(1)).await, &Error::MemberNotFound, NotApplied);
    table.row(client.member_add_learner(&["no url"]).await, &Error::BadPeerUrls, NotApplied);
    let own = cluster.members[0].peer_url();
    table.row(client.member_add_learner(&[own]).await, &Error::PeerUrlExists, NotApplied);
    table.row(client.member_promote(founder).await, &Error::NotALearner, Unknown);

    let absent = client.member_add_learner(&["http://127.0.0.1:1"]).await.unwrap().value.member.id;
    table.row(client.member_promote(absent).await, &Error::LearnerNotReady, NotApplied);
    table.row(client.member_add_learner(&["http://127.0.0.1:2"]).await, &Error::TooManyLearners, NotApplied);
    client.member_remove(absent).await.unwrap();
    table.row(client.member_remove(absent).await, &Error::MemberNotFound, NotApplied);

    cluster.join(&[]).await;
    let learner = cluster.members[1].client();
    table.row(learner.member_list(Consistency::Linearizable).await, &Error::NotSupportedForLearner, NotApplied);
    table.row(learner.put(Put::new("k", "v")).await, &Error::NotSupportedForLearner, NotApplied);
    table
}

async fn unstarted(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &[]).await;
    let client = cluster.client();
    client.member_add_voter(&["http://127.0.0.1:1"]).await.unwrap();
    let second = client.member_add_voter(&["http://127.0.0.1:2"]).await;
    table.row(second, &Error::NotEnoughStartedMembers, NotApplied);
    table
}

async fn leadership(minor: Minor) -> Table {
    let mut table = Table::default();
    let mut cluster = Cluster::of(minor, 3, &[]).await;
    let (leader, follower) = cluster.leader_and_follower().await;
    let client = cluster.members[leader].client();
    let other = cluster.members[follower].client();
    let other_id = other.status().await.unwrap().header.member_id;

    table.row(other.move_leader(other_id).await, &Error::NotLeader, NotApplied);
    table.row(client.move_leader(MemberId(1)).await, &Error::BadLeaderTransferee, NotApplied);

    let mut watcher = other.watch(Watch::new(Keys::all())).await.unwrap().value;
    cluster.members[follower].kill();
    table.row_like(watcher.next().await, "Unavailable", Unknown, |error| matches!(error, Error::Unavailable { .. }));
    table.row(client.member_add_learner(&["http://127.0.0.1:1"]).await, &Error::UnhealthyCluster, NotApplied);
    until("the dead one is known to be unreachable", async || {
        let error = other.status().await.unwrap_err();
        if matches!(error, Error::Unreachable { .. }) { Ok(()) } else { Err(error.to_string()) }
    })
    .await;
    table.row_like(other.put(Put::new("k", "v")).await, "Unreachable", NotApplied, |error| {
        matches!(error, Error::Unreachable { .. })
    });
    table
}

async fn no_quorum(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::of(minor, 3, &[]).await;
    let leader = cluster.leader().await;
    let client = cluster.members[leader].client();
    let frozen: Vec<_> = (0..3).filter(|position| *position != leader).map(|at| &cluster.members[at]).collect();
    for member in &frozen {
        member.freeze();
    }

    let hurried = client.deadline(Duration::from_millis(200));
    let late = Error::DeadlineExceeded { after: Duration::from_millis(200) };
    table.row(hurried.put(Put::new("k", "v")).await, &late, Unknown);
    table.row(frozen[0].client().deadline(Duration::from_millis(200)).status().await, &late, Unknown);

    // etcd gives up on what nobody agrees to after 7 s: while there was a leader, and when there is none any more.
    let patient = client.deadline(Duration::from_secs(15));
    let timed_out = |error: &Error| matches!(error, Error::TimedOut { .. });
    let leaderless = client.require_leader();
    let leader_is_gone = async {
        let last =
            until("the leader steps down", async || match leaderless.put(Put::new("k", "v")).await.unwrap_err() {
                error @ Error::NoLeader => Ok(error),
                other => Err(other.to_string()),
            })
            .await;
        (last, patient.put(Put::new("k", "v")).await)
    };
    let (early, (last, late)) = tokio::join!(patient.put(Put::new("k", "v")), leader_is_gone);
    table.row_like(early, "TimedOut with a leader", Unknown, timed_out);
    table.row(Err::<(), _>(last), &Error::NoLeader, Unknown);
    table.row_like(late, "TimedOut without one", Unknown, timed_out);

    // A read that waits for a leader and lives to see one. It is on its way before the others thaw, and an election takes a second.
    let thaw = async {
        for member in &frozen {
            member.thaw();
        }
    };
    let (read, ()) = tokio::join!(patient.range(Range::new(Keys::all())), thaw);
    table.row(read, &Error::LeaderChanged, Unknown);
    table
}

async fn keys_and_leases(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &[]).await;
    let client = cluster.client();
    let newest = client.put(Put::new("k", "v")).await.unwrap().header.revision;
    let at = |revision| Range { revision: Some(revision), ..Range::new(Keys::all()) };

    table.row(client.range(at(newest + 1)).await, &Error::FutureRevision, NotApplied);
    client.compact(newest, Compaction::Physical).await.unwrap();
    table.row(client.range(at(newest - 1)).await, &Error::Compacted { oldest: None }, NotApplied);
    table.row(client.compact(newest, Compaction::Physical).await, &Error::Compacted { oldest: None }, NotApplied);
    table.row(client.put(Put::new("k", vec![0; 1_700_000])).await, &Error::RequestTooLarge, NotApplied);
    table.row_like(client.put(Put::new("", "v")).await, "InvalidArgument", NotApplied, |error| {
        *error == Error::InvalidArgument { message: "key is not provided".to_owned() }
    });
    table.row(client.lease_revoke(LeaseId(1)).await, &Error::LeaseNotFound, NotApplied);
    table.row(
        client.put(Put { lease: Some(LeaseId(1)), ..Put::new("k", "v") }).await,
        &Error::LeaseNotFound,
        NotApplied,
    );
    let eternal = Duration::from_secs(10_000_000_000);
    table.row(client.lease_grant(eternal).await, &Error::LeaseTtlTooLarge, NotApplied);
    table
}

async fn space(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &["--quota-backend-bytes=1000000"]).await;
    let client = cluster.client();
    let member = client.status().await.unwrap().header.member_id;
    let alarm = Alarm { member, kind: AlarmKind::NoSpace };

    // The size that etcd holds against its quota follows the writes by up to 100 ms.
    let full = until("the quota is used up", async || match client.put(Put::new("k", vec![0; 300_000])).await {
        Ok(_) => Err("there is space".to_owned()),
        Err(error) => Ok(error),
    })
    .await;
    table.row(Err::<(), _>(full), &Error::NoSpace, NotApplied);
    table.row(client.put(Put::new("k", "small")).await, &Error::NoSpace, NotApplied);

    // What an operator does about it, and what the member says meanwhile.
    let status = client.status().await.unwrap().value;
    assert_eq!(status.alarms, [alarm], "{status:?}");
    assert_eq!(client.alarms().await.unwrap().value, [alarm]);
    let newest = client.status().await.unwrap().header.revision;
    client.compact(newest, Compaction::Physical).await.unwrap();
    client.defragment(Duration::from_secs(10)).await.unwrap();
    assert_eq!(client.disarm(alarm).await.unwrap().value, [alarm]);
    assert_eq!(client.alarms().await.unwrap().value, []);
    client.delete(etcdop_etcd::Delete::new(Keys::all())).await.unwrap();
    table
}

async fn corruption(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &[]).await;
    let client = cluster.client();
    let member = client.status().await.unwrap().header.member_id;
    raise_corrupt(&cluster, member).await;

    table.row(client.put(Put::new("k", "v")).await, &Error::Corrupt, NotApplied);
    let alarm = Alarm { member, kind: AlarmKind::Corrupt };
    assert_eq!(client.status().await.unwrap().value.alarms, [alarm]);
    client.disarm(alarm).await.unwrap();
    client.put(Put::new("k", "v")).await.unwrap();
    table
}

/// Raises the alarm through etcd's JSON gateway: our client has no business with raising alarms.
async fn raise_corrupt(cluster: &Cluster, member: MemberId) {
    let address = cluster.members[0].client_url().replace("http://", "");
    let body = format!(r#"{{"action":"ACTIVATE","memberID":"{}","alarm":"CORRUPT"}}"#, member.0);
    let request = format!(
        "POST /v3/maintenance/alarm HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn users(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &["--bcrypt-cost=4"]).await;
    let client = cluster.client();
    table.row(client.auth_enable().await, &Error::RootUserMissing, NotApplied);
    client.user_add("root", "secret").await.unwrap();
    table.row(client.auth_enable().await, &Error::RootRoleMissing, NotApplied);
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    table.row(client.user_add("root", "again").await, &Error::UserExists, NotApplied);
    table.row(client.user_delete("nobody").await, &Error::UserNotFound, NotApplied);
    table.row(client.role_add("root").await, &Error::RoleExists, NotApplied);
    table.row(client.role_delete("none").await, &Error::RoleNotFound, NotApplied);
    client.user_add("ann", "secret").await.unwrap();
    client.role_add("reader").await.unwrap();
    let some = Permission { kind: PermissionKind::Read, keys: Keys::one("some") };
    client.role_grant_permission("reader", some).await.unwrap();
    table.row(client.user_revoke_role("ann", "reader").await, &Error::RoleNotGranted, NotApplied);
    let other = client.role_revoke_permission("reader", Keys::one("other")).await;
    table.row(other, &Error::PermissionNotGranted, NotApplied);
    client.user_grant_role("ann", "reader").await.unwrap();
    client.auth_enable().await.unwrap();

    table.row(client.put(Put::new("k", "v")).await, &Error::AuthRequired, NotApplied);
    let come_as = |name: &str, password: &str| {
        let credentials = Some(Credentials { name: name.to_owned(), password: password.to_owned() });
        Client::new(cluster.members[0].endpoint(), &Options { credentials, ..Options::default() })
    };
    table.row(come_as("ann", "wrong").put(Put::new("k", "v")).await, &Error::AuthFailed, NotApplied);
    table.row(come_as("ann", "secret").put(Put::new("k", "v")).await, &Error::PermissionDenied, NotApplied);
    table.row(come_as("ann", "secret").user_add("x", "y").await, &Error::PermissionDenied, NotApplied);
    table.row(come_as("root", "secret").user_delete("root").await, &Error::InvalidAuthManagement, NotApplied);
    table
}

async fn downgrade(minor: Minor) -> Table {
    let mut table = Table::default();
    let cluster = Cluster::single(minor, &[]).await;
    let client = cluster.client();
    let below = match minor {
        Minor::V3_5 => "3.4",
        Minor::V3_6 => "3.5",
        Minor::V3_7 => "3.6",
    };
    let now = client.downgrade(Validate, below).await.unwrap().value;
    assert!(now.starts_with(minor.text()), "{now}");
    table.row(client.downgrade(Validate, "3.2").await, &Error::InvalidDowngradeTarget, NotApplied);
    let nothing = client.downgrade(Cancel, "").await;
    if minor >= Minor::V3_6 {
        nothing.unwrap();
    } else {
        table.row(nothing, &Error::NoDowngradeInProgress, NotApplied);
    }
    table.row_like(client.downgrade(Validate, "soon").await, "InvalidArgument", NotApplied, |error| {
        matches!(error, Error::InvalidArgument { .. })
    });
    if minor >= Minor::V3_6 {
        client.downgrade(Enable, below).await.unwrap();
        let target = client.status().await.unwrap().value.downgrade.unwrap().target;
        assert!(target.starts_with(below), "{target}");
    } else {
        // 3.5 does it and forgets to answer.
        let enabled = client.deadline(Duration::from_millis(500)).downgrade(Enable, below).await;
        table.row_like(enabled, "DeadlineExceeded", Unknown, |error| matches!(error, Error::DeadlineExceeded { .. }));
    }
    table.row(client.downgrade(Enable, below).await, &Error::DowngradeInProgress, NotApplied);
    table
}
