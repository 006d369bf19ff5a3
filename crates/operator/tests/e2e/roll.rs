//! Item 10: versions and settings roll, one member at a time, and what does not work never reaches a member.

use etcdop_api::{EtcdClusterStatus, Phase};
use serde_json::{Value, json};

use crate::stage::{Stage, selector};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_minor_is_rolled_member_by_member() {
    let Some(stage) = Stage::declare_with("roll", json!({ "size": 3, "version": "3.5.35" })).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    for version in ["3.6.16", "3.7.3"] {
        stage.edit(json!({ "version": version })).await;
        stage
            .shows("rolled", |status| {
                status.version.as_deref() == Some(version) && status.phase == Some(Phase::Running)
            })
            .await;
        stage.converged().await;
    }
    assert_eq!(stage.members().await, before, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

/// UIDs of the members' Pods.
async fn uids(stage: &Stage) -> Vec<String> {
    let pods = stage.pods().list(&selector(&stage.name)).await.unwrap();
    let mut uids: Vec<_> = pods.items.into_iter().filter_map(|pod| pod.metadata.uid).collect();
    uids.sort();
    uids
}

/// An edit of which nothing good comes: it is told with these words, no member is touched, a Pod that is lost meanwhile comes back, and
/// setting it back heals everything.
async fn touches_no_member(stage: &Stage, edit: Value, words: &[&str], back: Value) {
    let witness = stage.witness().await;
    let before = uids(stage).await;
    let members = stage.members().await;
    stage.edit(edit).await;
    let told = |status: &EtcdClusterStatus| {
        let behind = status.conditions.iter().find(|condition| condition.type_ == "MembersUpToDate");
        behind.is_some_and(|behind| behind.status == "False" && words.iter().all(|word| behind.message.contains(word)))
    };
    stage.shows("told", told).await;
    assert_eq!(uids(stage).await, before);
    // A Pod that is lost meanwhile comes back on what is proven.
    let uid = stage.delete_pod(2).await;
    stage.is_another_pod(2, &uid).await;
    stage.shows("whole again", |status| status.ready_members == 3).await;
    let kept = uids(stage).await.iter().filter(|uid| before.contains(uid)).count();
    assert_eq!(kept, 2, "the others are as they were");
    stage.shows("still told", told).await;
    stage.edit(back).await;
    stage.converged().await;
    let up_to_date = |status: &EtcdClusterStatus| {
        let known = status.conditions.iter().find(|condition| condition.type_ == "MembersUpToDate");
        known.is_some_and(|known| known.status == "True")
    };
    stage.shows("up to date", up_to_date).await;
    let cleared = || async { stage.pods().get_opt("demo-preflight").await.unwrap().is_none() };
    stage.until("without the Pod of the trial", cleared).await;
    let kept = uids(stage).await.iter().filter(|uid| before.contains(uid)).count();
    assert_eq!(kept, 2, "nobody was restarted to heal it");
    assert_eq!(stage.members().await, members, "the same members on the same disks");
    stage.settle(witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_touches_no_member() {
    let Some(stage) = Stage::declare("no-image", 3).await else { return };
    stage.converged().await;
    let (edit, back) = (json!({ "version": "3.6.99" }), json!({ "version": "3.6.16" }));
    touches_no_member(&stage, edit, &["3.6.99", "mage"], back).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_crashes_touches_no_member() {
    let Some(stage) = Stage::declare("crash-image", 3).await else { return };
    stage.converged().await;
    let files = tempfile::tempdir().unwrap();
    let program = files.path().join("etcd");
    std::fs::copy("/bin/false", &program).unwrap();
    let image = format!("{}/{}:v3.6.98", stage.ground.registry, stage.ground.repository);
    let made = stage.ground.script("image", &[&image, &program.display().to_string()]).await;
    let Some(made) = made else { return stage.end().await };
    stage.ground.script("load", &[&made]).await;
    let (edit, back) = (json!({ "version": "3.6.98" }), json!({ "version": "3.6.16" }));
    touches_no_member(&stage, edit, &["3.6.98", "exit code 1"], back).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_etcd_refuses_touch_no_member() {
    let Some(stage) = Stage::declare("flags", 3).await else { return };
    stage.converged().await;
    let edit = json!({ "etcd": { "extraArgs": { "no-such-flag": "1" } } });
    let back = json!({ "etcd": { "extraArgs": null } });
    // etcd's own words are in it.
    touches_no_member(&stage, edit, &["exit code", "no-such-flag"], back).await;
    stage.end().await;
}

/// What the container of etcd in each Pod asks of the CPU.
async fn cpus(stage: &Stage) -> Vec<String> {
    let pods = stage.pods().list(&selector(&stage.name)).await.unwrap();
    let cpus = pods.items.iter().map(|pod| {
        let etcd = pod.spec.as_ref().unwrap().containers.iter().find(|container| container.name == "etcd").unwrap();
        etcd.resources.as_ref().unwrap().requests.as_ref().unwrap()["cpu"].0.clone()
    });
    cpus.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_a_roll_is_honoured_and_so_is_a_pod_that_dies_meanwhile() {
    let Some(stage) = Stage::declare("change-of-mind", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    let members = stage.members().await;
    let asks = |cpu: &str| json!({ "resources": { "requests": { "cpu": cpu, "memory": "32Mi" } } });
    stage.edit(asks("11m")).await;
    let begun = || async { cpus(&stage).await.contains(&"11m".to_owned()) };
    stage.until("rolling", begun).await;
    stage.edit(asks("12m")).await;
    let first = stage.pods().list(&selector(&stage.name)).await.unwrap();
    // Somebody who was not restarted yet.
    let old = first.items.iter().find_map(|pod| {
        let name = pod.metadata.name.as_ref()?;
        let spec = pod.spec.as_ref()?.containers.iter().find(|container| container.name == "etcd")?;
        let cpu = spec.resources.as_ref()?.requests.as_ref()?.get("cpu")?.0.clone();
        (cpu == "10m").then(|| name.rsplit_once('-').and_then(|(_, slot)| slot.parse().ok()))?
    });
    let slot: usize = old.unwrap();
    let uid = stage.delete_pod(slot).await;
    stage.is_another_pod(slot, &uid).await;
    let rolled = || async { cpus(&stage).await == ["12m", "12m", "12m"] };
    stage.until("rolled to the newest edit", rolled).await;
    stage.converged().await;
    assert_eq!(stage.members().await, members, "the same members on the same disks");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_roll_like_versions() {
    let Some(stage) = Stage::declare("resources", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    stage.edit(json!({ "resources": { "requests": { "cpu": "11m", "memory": "33Mi" } } })).await;
    let rolled = || async { cpus(&stage).await == ["11m", "11m", "11m"] };
    stage.until("rolled", rolled).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
