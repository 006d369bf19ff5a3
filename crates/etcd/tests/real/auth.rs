//! Users, roles, and logging in.

use etcdop_etcd::{Client, Credentials, Error, Keys, Options, Permission, PermissionKind, Put, Range, Watch};

use crate::support::{Cluster, Minor, on_every_minor, until};

/// Hashing passwords well is slow on purpose; here it is only slow.
const QUICK: &[&str] = &["--bcrypt-cost=4"];

fn client_as(cluster: &Cluster, name: &str, password: &str) -> Client {
    let credentials = Some(Credentials { name: name.to_owned(), password: password.to_owned() });
    Client::new(cluster.members[0].endpoint(), &Options { credentials, ..Options::default() })
}

async fn with_auth(minor: Minor) -> Cluster {
    let cluster = Cluster::single(minor, QUICK).await;
    let client = cluster.client();
    client.user_add("root", "secret").await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    cluster
}

#[tokio::test]
async fn users_and_roles_come_and_go() {
    on_every_minor(async |minor| {
        let cluster = with_auth(minor).await;
        let root = client_as(&cluster, "root", "secret");
        assert!(root.auth_status().await.unwrap().value.enabled);

        root.role_add("reader").await.unwrap();
        let may_read = Permission { kind: PermissionKind::Read, keys: Keys::prefix("public/") };
        root.role_grant_permission("reader", may_read.clone()).await.unwrap();
        assert_eq!(root.role_permissions("reader").await.unwrap().value, [may_read]);
        root.user_add("ann", "first").await.unwrap();
        root.user_add_without_password("by-certificate").await.unwrap();
        root.user_grant_role("ann", "reader").await.unwrap();
        assert_eq!(root.user_roles("ann").await.unwrap().value, ["reader"]);
        assert_eq!(root.user_list().await.unwrap().value, ["ann", "by-certificate", "root"]);
        assert_eq!(root.role_list().await.unwrap().value, ["reader", "root"]);

        let ann = client_as(&cluster, "ann", "first");
        ann.range(Range::new(Keys::prefix("public/"))).await.unwrap();
        ann.watch(Watch::new(Keys::prefix("public/"))).await.unwrap();
        assert_eq!(ann.put(Put::new("public/x", "y")).await.map(drop), Err(Error::PermissionDenied));
        assert_eq!(ann.watch(Watch::new(Keys::one("secret"))).await.map(drop), Err(Error::PermissionDenied));
        assert_eq!(cluster.client().watch(Watch::new(Keys::one("x"))).await.map(drop), Err(Error::AuthRequired));

        root.user_change_password("ann", "second").await.unwrap();
        let behind = client_as(&cluster, "ann", "first").range(Range::new(Keys::one("public/x"))).await;
        assert_eq!(behind.map(drop), Err(Error::AuthFailed));
        client_as(&cluster, "ann", "second").range(Range::new(Keys::one("public/x"))).await.unwrap();
        root.role_revoke_permission("reader", Keys::prefix("public/")).await.unwrap();
        root.user_revoke_role("ann", "reader").await.unwrap();
        root.user_delete("ann").await.unwrap();
        root.role_delete("reader").await.unwrap();
        root.auth_disable().await.unwrap();
        cluster.client().put(Put::new("public/x", "y")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_permission_is_for_its_keys_and_its_kind_only() {
    on_every_minor(async |minor| {
        let cluster = with_auth(minor).await;
        let root = client_as(&cluster, "root", "secret");
        let grants = [
            (PermissionKind::Read, Keys::one("a")),
            (PermissionKind::Write, Keys::Between("b".into(), "d".into())),
            (PermissionKind::ReadWrite, Keys::prefix("e/")),
        ];
        root.role_add("some").await.unwrap();
        root.user_add("ann", "secret").await.unwrap();
        root.user_grant_role("ann", "some").await.unwrap();
        for (kind, keys) in grants.clone() {
            root.role_grant_permission("some", Permission { kind, keys }).await.unwrap();
        }
        let told = root.role_permissions("some").await.unwrap().value;
        assert_eq!(told, grants.map(|(kind, keys)| Permission { kind, keys }));

        let ann = client_as(&cluster, "ann", "secret");
        for (key, may_read, may_write) in [
            ("a", true, false),
            ("a/", false, false),
            ("b", false, true),
            ("c", false, true),
            ("d", false, false),
            ("e/1", true, true),
        ] {
            let verdict = |may| if may { Ok(()) } else { Err(Error::PermissionDenied) };
            assert_eq!(ann.range(Range::new(Keys::one(key))).await.map(drop), verdict(may_read), "read {key}");
            assert_eq!(ann.put(Put::new(key, "v")).await.map(drop), verdict(may_write), "write {key}");
        }
        // All of what is asked for has to be permitted.
        let more = ann.range(Range::new(Keys::prefix("e"))).await;
        assert_eq!(more.map(drop), Err(Error::PermissionDenied));
        ann.range(Range::new(Keys::prefix("e/"))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_logs_in_again_when_its_token_is_forgotten() {
    on_every_minor(async |minor| {
        let mut cluster = with_auth(minor).await;
        let root = client_as(&cluster, "root", "secret");
        let watching = client_as(&cluster, "root", "secret");
        root.put(Put::new("k", "1")).await.unwrap();
        watching.watch(Watch::new(Keys::one("k"))).await.unwrap();

        // Simple tokens live in the member's memory only.
        cluster.members[0].kill();
        cluster.members[0].start();

        until("the member serves", async || match root.put(Put::new("k", "2")).await {
            Ok(_) => Ok(()),
            Err(error @ (Error::Unreachable { .. } | Error::Unavailable { .. } | Error::DeadlineExceeded { .. })) => {
                Err(error.to_string())
            }
            Err(error) => panic!("{error:?}"),
        })
        .await;
        until("the watch, too", async || match watching.watch(Watch::new(Keys::one("k"))).await {
            Ok(_) => Ok(()),
            Err(error @ Error::Unavailable { .. }) => Err(error.to_string()),
            Err(error) => panic!("{error:?}"),
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_client_with_a_password_also_serves_where_nobody_asks() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, QUICK).await;
        let root = client_as(&cluster, "root", "secret");
        root.put(Put::new("k", "1")).await.unwrap();
        // Somebody turns authentication on while the client runs.
        let other = cluster.client();
        other.user_add("root", "secret").await.unwrap();
        other.role_add("root").await.unwrap();
        other.user_grant_role("root", "root").await.unwrap();
        other.auth_enable().await.unwrap();
        root.put(Put::new("k", "2")).await.unwrap();
    })
    .await;
}
