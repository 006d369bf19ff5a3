//! What holds for each call of the client: whose answer it is, and what it is when it is another cluster's.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use etcdop_etcd::{
    Alarm, AlarmKind, Answer, Client, ClusterId, Compaction, Consistency, Credentials, Delete, DowngradeAction, Effect,
    Error, Header, Keys, LeaseId, Options, Permission, PermissionKind, Put, Range, Txn, Watch,
};

use crate::support::{Cluster, Minor, on_every_minor, until};

/// What each call brought back.
type Told = Vec<(&'static str, Result<Header, Error>)>;

fn told<T>(answer: Result<Answer<T>, Error>) -> Result<Header, Error> {
    answer.map(|answer| answer.header)
}

fn as_root(cluster: &Cluster) -> Client {
    let credentials = Some(Credentials { name: "root".to_owned(), password: "secret".to_owned() });
    Client::new(cluster.members[0].endpoint(), &Options { credentials, ..Options::default() })
}

async fn prepare(minor: Minor) -> Cluster {
    Cluster::single(minor, &["--bcrypt-cost=4"]).await
}

/// Asks `client` everything that it can be asked; `known` is a client of the same member that prepares what a call needs.
async fn ask_everything(cluster: &mut Cluster, client: &Client, known: &Client, minor: Minor) -> Told {
    let mut all = keys(client, known).await;
    all.extend(leases(client, known).await);
    all.extend(upkeep(client, known, minor).await);
    all.extend(users(client).await);
    all.extend(members(cluster, client, known).await);
    all
}

async fn keys(client: &Client, known: &Client) -> Told {
    known.put(Put::new("k", "v")).await.unwrap();
    let newest = known.put(Put::new("k", "w")).await.unwrap().header.revision;
    vec![
        ("range", told(client.range(Range::new(Keys::all())).await)),
        ("put", told(client.put(Put::new("k", "x")).await)),
        ("delete", told(client.delete(Delete::new(Keys::one("other"))).await)),
        ("txn", told(client.txn(Txn::default()).await)),
        ("compact", told(client.compact(newest, Compaction::Physical).await)),
        ("watch", told(client.watch(Watch::new(Keys::all())).await)),
    ]
}

async fn leases(client: &Client, known: &Client) -> Told {
    let lease: LeaseId = known.lease_grant(Duration::from_mins(1)).await.unwrap().value.id;
    vec![
        ("lease_grant", told(client.lease_grant(Duration::from_mins(1)).await)),
        ("lease_keep_alive", told(client.lease_keep_alive(lease).await)),
        ("lease_life", told(client.lease_life(lease).await)),
        ("lease_revoke", told(client.lease_revoke(lease).await)),
    ]
}

async fn upkeep(client: &Client, known: &Client, minor: Minor) -> Told {
    let member = known.status().await.unwrap().header.member_id;
    let below = match minor {
        Minor::V3_5 => "3.4",
        Minor::V3_6 => "3.5",
        Minor::V3_7 => "3.6",
    };
    vec![
        ("status", told(client.status().await)),
        ("alarms", told(client.alarms().await)),
        ("disarm", told(client.disarm(Alarm { member, kind: AlarmKind::NoSpace }).await)),
        ("hash_kv", told(client.hash_kv(None).await)),
        ("snapshot", told(client.snapshot(&mut Vec::new()).await)),
        ("defragment", told(client.defragment(Duration::from_secs(30)).await)),
        ("downgrade", told(client.downgrade(DowngradeAction::Validate, below).await)),
    ]
}

async fn users(client: &Client) -> Told {
    let some = Permission { kind: PermissionKind::Read, keys: Keys::one("some") };
    vec![
        ("user_add", told(client.user_add("root", "secret").await)),
        ("user_add_without_password", told(client.user_add_without_password("by-certificate").await)),
        ("role_add", told(client.role_add("root").await)),
        ("user_grant_role", told(client.user_grant_role("root", "root").await)),
        ("user_grant_role", told(client.user_grant_role("by-certificate", "root").await)),
        ("auth_enable", told(client.auth_enable().await)),
        ("auth_status", told(client.auth_status().await)),
        ("user_list", told(client.user_list().await)),
        ("user_roles", told(client.user_roles("root").await)),
        ("user_change_password", told(client.user_change_password("root", "secret").await)),
        ("user_revoke_role", told(client.user_revoke_role("by-certificate", "root").await)),
        ("user_delete", told(client.user_delete("by-certificate").await)),
        ("role_add", told(client.role_add("reader").await)),
        ("role_list", told(client.role_list().await)),
        ("role_grant_permission", told(client.role_grant_permission("reader", some).await)),
        ("role_permissions", told(client.role_permissions("reader").await)),
        ("role_revoke_permission", told(client.role_revoke_permission("reader", Keys::one("some")).await)),
        ("role_delete", told(client.role_delete("reader").await)),
        ("auth_disable", told(client.auth_disable().await)),
    ]
}

async fn members(cluster: &mut Cluster, client: &Client, known: &Client) -> Told {
    let listed = async || known.member_list(Consistency::Linearizable).await.unwrap().value;
    let mut all = vec![
        ("member_list", told(client.member_list(Consistency::Linearizable).await)),
        ("member_add_learner", told(client.member_add_learner(&["http://127.0.0.1:1"]).await)),
    ];
    let absent = listed().await.into_iter().find(|member| member.peer_urls == ["http://127.0.0.1:1"]).unwrap().id;
    all.push(("member_update", told(client.member_update(absent, &["http://127.0.0.1:2"]).await)));
    all.push(("member_remove", told(client.member_remove(absent).await)));
    let joined = cluster.join(&[]).await;
    let promoted = until("it has caught up", async || match client.member_promote(joined).await {
        Err(Error::LearnerNotReady) => Err("not yet".to_owned()),
        answer => Ok(told(answer)),
    })
    .await;
    all.push(("member_promote", promoted));
    all.push(("move_leader", told(client.move_leader(joined).await)));
    // The newcomer's own connections have to be 5 s old before a voter more may come.
    let added = until("a voter is added", async || match client.member_add_voter(&["http://127.0.0.1:3"]).await {
        Err(Error::UnhealthyCluster) => Err("unhealthy cluster".to_owned()),
        answer => Ok(told(answer)),
    })
    .await;
    all.push(("member_add_voter", added));
    all
}

#[test]
fn no_call_is_left_out() {
    let asked = include_str!("every_call.rs");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut calls = BTreeSet::new();
    for file in ["auth", "kv", "lease", "maintenance", "membership", "snapshot", "watch"] {
        let source = fs::read_to_string(sources.join(file).with_extension("rs")).unwrap();
        let after = source.split("pub async fn ").skip(1);
        // What takes the client itself; a watcher is asked for the next changes of a stream that was checked.
        calls.extend(
            after.filter_map(|text| Some(text.split_once(['(', '<'])?.0.to_owned())).filter(|name| name != "next"),
        );
    }
    assert!(calls.len() > 35, "{calls:?}");
    for call in calls {
        assert!(asked.contains(&format!("(\"{call}\", ")), "{call} is not asked here");
    }
}

#[tokio::test]
async fn each_answer_says_which_cluster_and_member_it_comes_from() {
    on_every_minor(async |minor| {
        let mut cluster = prepare(minor).await;
        let client = as_root(&cluster);
        let me = client.status().await.unwrap().header;
        assert!(me.cluster_id.0 != 0 && me.member_id.0 != 0 && me.raft_term > 0, "{me:?}");
        for (call, answer) in ask_everything(&mut cluster, &client, &client, minor).await {
            let header = answer.unwrap_or_else(|error| panic!("{call}: {error:?}"));
            assert_eq!((header.cluster_id, header.member_id), (me.cluster_id, me.member_id), "{call}");
            assert!(header.raft_term >= me.raft_term, "{call}: {header:?}");
        }
        let other = cluster.members[1].client().status().await.unwrap();
        assert_eq!(other.value.leader, Some(other.header.member_id), "leadership was handed over");
    })
    .await;
}

#[tokio::test]
async fn an_answer_from_another_cluster_is_an_error() {
    on_every_minor(async |minor| {
        let mut cluster = prepare(minor).await;
        let known = as_root(&cluster);
        // Something that a defragmentation would give back.
        for n in 0..10 {
            known.put(Put::new("big", vec![n; 100_000])).await.unwrap();
        }
        known.delete(Delete::new(Keys::all())).await.unwrap();
        let before = known.status().await.unwrap();
        let (expected, got) = (ClusterId(1), before.header.cluster_id);
        let client = known.expect_cluster(expected);
        for (call, answer) in ask_everything(&mut cluster, &client, &known, minor).await {
            let error = answer.unwrap_err();
            assert_eq!((&error, error.effect()), (&Error::WrongCluster { expected, got }, Effect::Unknown), "{call}");
        }
        // These two bring no header back, so they ask first: nothing was done. (All others were done, there.)
        let after = known.status().await.unwrap();
        assert_eq!(after.value.leader, Some(before.header.member_id), "leadership stayed");
        assert!(after.value.db_size >= before.value.db_size, "nothing was defragmented");
        known.expect_cluster(got).range(Range::new(Keys::all())).await.unwrap();
    })
    .await;
}
