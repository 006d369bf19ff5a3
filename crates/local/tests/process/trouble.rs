//! What the machine may be like: each trouble has words of its own and leaves everything as it was.

use std::{fs, net::TcpListener};

use etcdop_core::{
    id::Slot,
    observation::Phase,
    step::{GroundStep, Layout},
};
use etcdop_engine::{
    outcome::{CommitError, Outcome},
    platform::Platform,
};

use crate::stand::{ByHand, Stand, ZERO, instance, revision};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_stranger_took_is_named_and_waited_for() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let dial = manager.platform.slot_zero().await.dial;
    manager.platform.hold(&[]).await;
    manager.platform.until(|ground| matches!(instance(ground).unwrap().1, Phase::Exited(_))).await;
    let stranger = TcpListener::bind(dial.client.trim_start_matches("http://")).unwrap();
    let port = stranger.local_addr().unwrap().port();
    manager.platform.hold(&[(ZERO, stand.launch())]).await;
    let words = format!("client port {port} of slot 0 is used by another process");
    manager
        .platform
        .until(|ground| matches!(instance(ground).unwrap().1, Phase::Exited(ref why) if why.0.contains(&words)))
        .await;
    drop(stranger);
    manager.platform.until_serving().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_taken_before_the_first_start_is_named_too() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    // Ports are chosen with the layout; the process cannot start before this one lets go.
    let missing = etcdop_core::launch::LaunchSpec { max_learners: 1, ..stand.launch() };
    manager.platform.hold(&[(Slot(1), missing)]).await;
    let dial = manager.platform.observe().await.slots[&Slot(1)].dial.clone();
    manager.platform.hold(&[]).await;
    manager
        .platform
        .until(|ground| matches!(&ground.slots[&Slot(1)].instance, Ok(Some(i)) if matches!(i.phase, Phase::Exited(_))))
        .await;
    let _stranger = TcpListener::bind(dial.peer.trim_start_matches("http://")).unwrap();
    fs::remove_file(stand.slot(Slot(1)).join("run/instance.json")).unwrap();
    drop(manager);
    let manager = stand.manager().await;
    manager.platform.hold(&[(Slot(1), stand.launch())]).await;
    let words = "peer port";
    manager
        .platform
        .until(|ground| {
            matches!(&ground.slots[&Slot(1)].instance, Ok(Some(i)) if matches!(&i.phase, Phase::Pending(why) if why.0.contains(words)))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_there_is_said_with_those_that_are() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let mut launch = stand.launch();
    launch.template.version = "3.6.0".parse().unwrap();
    manager.platform.hold(&[(ZERO, launch)]).await;
    let found = stand.version.to_string();
    manager
        .platform
        .until(|ground| {
            instance(ground).is_some_and(|(_, phase)| {
                matches!(phase, Phase::Pending(ref why) if why.0.contains("no etcd 3.6.0") && why.0.contains(&found))
            })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_understood_is_never_overwritten() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let record = manager.platform.seat(&stand.launch()).await;
    let before = manager.platform.observe().await;
    let path = stand.path().join("record.json");
    for (text, words) in [("{", "not what this program writes"), (r#"{"schema": 2, "sequence": 1}"#, "schema 2")] {
        fs::write(&path, text).unwrap();
        let blocker = manager.platform.observe().await.record.unwrap_err().to_string();
        assert!(blocker.contains(words), "{blocker}");
        let refused = manager.platform.commit(&revision(&before), &record).await.unwrap_err();
        assert!(matches!(&refused, CommitError::Failed(why) if why.contains(words)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    drop(manager);
    let refused = stand.cluster.manager(stand.binaries.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("record.json"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_cannot_be_prepared_changes_nothing() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    // A file where the slots' directories belong.
    fs::write(stand.path().join("members"), "").unwrap();
    let layout = Layout { slots: [(ZERO, stand.launch())].into() };
    let outcome = manager.platform.apply(&GroundStep::Ensure(layout)).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("members")), "{outcome:?}");
    assert!(!stand.path().join("layout.json").exists());
    assert!(stand.processes().is_empty());
}
