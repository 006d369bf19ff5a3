//! What happens to a member's disk.

use std::{fs, sync::mpsc};

use etcdop_core::{
    observation::{Marker, Phase},
    step::GroundStep,
};
use etcdop_engine::{outcome::Outcome, platform::Platform};
use etcdop_local::{
    faults::{self, Fault},
    home::Home,
};

use crate::stand::{ByHand, Stand, ZERO, ask, instance, is_phase, name, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_disk_is_empty_and_nothing_starts_on_it() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let (volume, _) = manager.platform.volume().await;
    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Wipe).await.unwrap();
    manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    assert_eq!(manager.platform.volume().await, (volume, Marker::Empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_its_log_is_hollow_and_refused() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    fs::remove_dir_all(stand.slot(ZERO).join("volume/etcd")).unwrap();
    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Kill).await.unwrap();
    let refused = |ground: &etcdop_engine::platform::Ground| matches!(instance(ground).unwrap().1, Phase::Refused(_));
    manager.platform.until(refused).await;
    assert!(matches!(manager.platform.volume().await.1, Marker::Hollow { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_disk_comes_back_empty_under_another_id_and_its_slot_starts_at_once() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let platform = &manager.platform;
    let (volume, _) = platform.volume().await;
    let discard = GroundStep::Discard(ZERO, volume.clone());
    let outcome = platform.apply(&discard).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("runs on the disk")), "{outcome:?}");

    fs::remove_dir_all(stand.slot(ZERO).join("volume/etcd")).unwrap();
    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Kill).await.unwrap();
    let refused = |ground: &etcdop_engine::platform::Ground| matches!(instance(ground).unwrap().1, Phase::Refused(_));
    platform.until(refused).await;
    assert_eq!(platform.apply(&discard).await, Outcome::Done);
    platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    let (fresh, marker) = platform.volume().await;
    assert_ne!(fresh, volume);
    assert_eq!(marker, Marker::Empty);
    // The same step once more is about a disk that is gone.
    assert_eq!(platform.apply(&discard).await, Outcome::Done);
    assert_eq!(platform.volume().await.0, fresh);
}

/// With one thread for all work that may block: it shows in which order things are done.
#[test]
fn a_discarded_disk_is_deleted_after_the_step_and_not_in_it() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let stand = Stand::new().await;
        let manager = stand.at_gate().await;
        let platform = &manager.platform;
        let (volume, _) = platform.volume().await;
        fs::write(stand.slot(ZERO).join("volume/large"), "a lot").unwrap();
        let aside = stand.slot(ZERO).join(format!(".discarded-{volume}"));

        let (before, is_before) = mpsc::channel::<()>();
        let (after, is_after) = mpsc::channel::<()>();
        let busy = |gate: mpsc::Receiver<()>| tokio::task::spawn_blocking(move || gate.recv());
        let first = busy(is_before);
        let discard = GroundStep::Discard(ZERO, volume);
        // The step is asked for first, and the thread is free for it and busy again before it can do anything else.
        let mut second = None;
        let (outcome, ()) = tokio::join!(biased; platform.apply(&discard), async {
            second = Some(busy(is_after));
            drop(before);
        });
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(fs::read_to_string(aside.join("large")).unwrap(), "a lot");
        drop(after);
        wait_for("the end of the disk", async || (!aside.exists()).then_some(())).await;
        let _ = (first.await, second.unwrap().await);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_of_disks_and_clusters_is_deleted_and_taken_for_neither() {
    let stand = Stand::new().await;
    drop(stand.serving().await);
    let home = Home::at(stand.home.path()).unwrap();
    // As they were in the instant after they were moved aside, with all that they held.
    let disk = stand.slot(ZERO).join(".discarded-4f1c");
    fs::rename(stand.slot(ZERO).join("volume"), &disk).unwrap();
    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Kill).await.unwrap();
    let destroyed = home.root().join(".destroyed-other-1");
    fs::create_dir(&destroyed).unwrap();
    fs::copy(stand.path().join("cluster.yaml"), destroyed.join("cluster.yaml")).unwrap();
    assert_eq!(home.clusters().unwrap(), [name()]);

    let manager = stand.manager().await;
    manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    assert_eq!(manager.platform.volume().await.1, Marker::Empty);
    wait_for("an end of the leftovers", async || (!disk.exists() && !destroyed.exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_nobody_marked_is_foreign_and_left_alone() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let data = stand.slot(ZERO).join("volume/etcd");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("notes"), "mine").unwrap();
    manager.platform.seat(&stand.launch()).await;
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    let refused = |ground: &etcdop_engine::platform::Ground| {
        instance(ground)
            .is_some_and(|(_, phase)| matches!(phase, Phase::Refused(ref why) if why.0.contains("no marker")))
    };
    manager.platform.until(refused).await;
    let marker = manager.platform.volume().await.1;
    assert!(matches!(&marker, Marker::Foreign(what) if what.contains("without a marker")), "{marker:?}");
    assert_eq!(fs::read_to_string(data.join("notes")).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_a_newer_etcd_is_refused_by_etcd_in_its_own_words() {
    let stand = Stand::new().await;
    let newest = stand.binaries.versions().last().unwrap().clone();
    let oldest = stand.binaries.versions().next().unwrap().clone();
    assert_ne!(newest.minor(), oldest.minor(), "run `make etcd`");
    let mut launch = stand.launch();
    launch.template.version = newest;
    let manager = stand.manager().await;
    manager.platform.seat(&launch).await;
    manager.platform.hold(&[(ZERO, launch.clone())]).await;
    manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    manager.platform.permit().await;
    manager.platform.until_serving().await;

    // Only a member that knows the cluster version has written it down.
    let peer = manager.platform.slot_zero().await.dial.peer;
    let cluster_version = format!("\"etcdcluster\":\"{}", launch.version().minor());
    wait_for("a cluster version", async || ask(&peer, "/version").contains(&cluster_version).then_some(())).await;

    launch.template.version = oldest;
    launch.max_learners = 1;
    manager.platform.hold(&[(ZERO, launch)]).await;
    let now = manager.platform.instance().await;
    assert_eq!(manager.platform.apply(&GroundStep::Retire(ZERO, now.clone())).await, Outcome::Done);
    let ended = |ground: &etcdop_engine::platform::Ground| {
        let (id, phase) = instance(ground).unwrap();
        id != now && matches!(phase, Phase::Exited(ref why) if why.0.contains("its last words"))
    };
    let ground = manager.platform.until(ended).await;
    let (_, phase) = instance(&ground).unwrap();
    let Phase::Exited(why) = phase else { panic!("{phase:?}") };
    assert!(why.0.contains("downgrade") || why.0.contains("version"), "{why}");
}
