//! How processes end, and what comes after.

use std::{fs, time::Duration};

use etcdop_core::{
    id::InstanceId,
    observation::{Blocker, Phase},
    step::GroundStep,
};
use etcdop_engine::{
    outcome::Outcome,
    platform::{Ground, Platform},
};
use etcdop_etcd::{Client, Keys, Options, Watch};
use etcdop_local::{
    down::{self, IfKept},
    faults::{self, Fault},
    open::Patience,
};

use crate::stand::{ByHand, Stand, ZERO, instance, is_phase};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_member_is_started_again_and_its_marker_counts_on() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let before = manager.platform.instance().await;
    faults::inflict(stand.cluster.directory(), &"stand-0".parse().unwrap(), Fault::Kill).await.unwrap();
    let ground = manager
        .platform
        .until(|ground| is_phase(ground, &Phase::Running) && instance(ground).unwrap().0 != before)
        .await;
    assert_ne!(instance(&ground).unwrap().0, before);
    manager.platform.until_serving().await;
    let marker = manager.platform.volume().await.1;
    assert!(matches!(marker, etcdop_core::observation::Marker::Owned { epoch: 2, .. }), "{marker:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_etcd_does_not_know_is_told_in_its_words_also_when_the_guard_refuses_what_it_left() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let mut launch = stand.launch();
    launch.template.options.extra_args.insert("no-such-flag".to_owned(), "x".to_owned());
    manager.platform.seat(&launch).await;
    manager.platform.hold(&[(ZERO, launch)]).await;
    manager.platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    manager.platform.permit().await;
    let said = |ground: &Ground| {
        let Some((_, Phase::Refused(why))) = instance(ground) else { return false };
        assert!(why.0.contains("flag provided but not defined: -no-such-flag"), "{why}");
        true
    };
    let first = manager.platform.until(said).await;
    // However often the guard looks at it.
    let before = instance(&first).unwrap().0;
    manager.platform.until(|ground| said(ground) && instance(ground).unwrap().0 != before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_stops_exactly_the_named_instance_and_does_not_wait() {
    let stand = Stand::new().await;
    // Whoever waited for the end of a process that hears nothing would wait for ever.
    let manager = stand.serving_with(Patience { stop: Duration::from_hours(1) }).await;
    let platform = &manager.platform;
    let first = platform.instance().await;
    let stranger = GroundStep::Retire(ZERO, InstanceId("proc:boot:1:1".to_owned()));
    assert_eq!(platform.apply(&stranger).await, Outcome::Done);
    assert_eq!(instance(&platform.observe().await).unwrap(), (first.clone(), Phase::Running));

    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Freeze).await.unwrap();
    let retire = GroundStep::Retire(ZERO, first.clone());
    assert_eq!(platform.apply(&retire).await, Outcome::Done);
    // A frozen process hears nothing but SIGKILL, so it gets that at once.
    platform.until(|ground| instance(ground).unwrap().0 != first).await;
    let second = platform.until_serving().await;
    assert_eq!(platform.apply(&retire).await, Outcome::Done, "again is no harm");
    assert_eq!(platform.instance().await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_an_open_watch_ends_in_order_within_the_usual_patience() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let client = Client::new(manager.platform.slot_zero().await.dial.client.parse().unwrap(), &Options::default());
    let _watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;
    manager.platform.hold(&[]).await;
    manager.platform.until(|ground| instance(ground).is_none()).await;
    let how = stand.how_it_ended(ZERO).await;
    assert!(how.contains("was stopped (SIGTERM)") || how.contains("exit code 0"), "{how}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_end_in_time_is_killed() {
    let stand = Stand::new().await;
    let manager = stand.serving_with(Patience { stop: Duration::ZERO }).await;
    let client = Client::new(manager.platform.slot_zero().await.dial.client.parse().unwrap(), &Options::default());
    let _watcher = client.watch(Watch::new(Keys::one("quiet"))).await.unwrap().value;
    manager.platform.hold(&[]).await;
    manager.platform.until(|ground| instance(ground).is_none()).await;
    let how = stand.how_it_ended(ZERO).await;
    assert!(how.contains("SIGKILL"), "{how}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_not_declared_any_more_is_stopped_and_keeps_its_disk() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let volume = manager.platform.volume().await;
    manager.platform.hold(&[]).await;
    manager.platform.until(|ground| instance(ground).is_none()).await;
    assert!(stand.processes().is_empty());
    let slot = manager.platform.slot_zero().await;
    assert_eq!(slot.declared, None);
    assert_eq!(manager.platform.volume().await, volume);
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    manager.platform.until_serving().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_refuses_to_start_says_why_and_is_tried_less_and_less_often() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let mut launch = stand.launch();
    launch.template.options.extra_args.insert("no-such-flag".to_owned(), "1".to_owned());
    manager.platform.hold(&[(ZERO, launch)]).await;
    faults::inflict(stand.cluster.directory(), &"0".parse().unwrap(), Fault::Kill).await.unwrap();
    let ground = manager
        .platform
        .until(|ground| matches!(instance(ground).unwrap().1, Phase::Exited(Blocker(ref why)) if why.contains("no-such-flag")))
        .await;
    assert!(ground.slots[&ZERO].volume.is_ok());
    // Its launch spec is what it was started with.
    assert!(ground.slots[&ZERO].instance.clone().unwrap().unwrap().launch.flags().contains_key("no-such-flag"));
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    manager.platform.until_serving().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_stops_what_a_dead_manager_left_and_up_brings_it_back() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    drop(manager);
    assert_eq!(stand.processes().len(), 1);
    assert_eq!(down::down(stand.cluster.directory(), IfKept::Refuse).await.unwrap(), 1);
    assert!(stand.processes().is_empty());
    assert_eq!(down::down(stand.cluster.directory(), IfKept::Refuse).await.unwrap(), 0);
    let manager = stand.manager().await;
    manager.platform.until_serving().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_up_stops_all_members_and_starts_none() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    manager.platform.stop_members().await;
    assert!(stand.processes().is_empty());
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    assert!(stand.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_refuses_while_somebody_keeps_the_cluster_and_leaves_nothing_behind() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let refused = down::destroy(stand.cluster.directory(), IfKept::Refuse).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("PID {}", std::process::id())), "{refused}");
    assert!(stand.path().exists());
    drop(manager);
    down::destroy(stand.cluster.directory(), IfKept::Refuse).await.unwrap();
    assert!(stand.processes().is_empty());
    let left: Vec<_> = fs::read_dir(stand.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".ports.lock"]);
}
