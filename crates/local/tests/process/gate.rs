//! From a declared slot to a member that answers.

use std::time::{Duration, Instant};

use etcdop_core::{
    observation::{Marker, Phase},
    permit::ClusterState,
    step::GroundStep,
};
use etcdop_engine::{
    outcome::{CommitError, Outcome},
    platform::Platform,
};

use crate::stand::{ByHand, DEADLINE, Stand, ZERO, instance, is_phase, revision};

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_waits_for_its_seat_then_for_its_permit_and_then_serves() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let platform = &manager.platform;
    platform.hold(&[(ZERO, stand.launch())]).await;
    let ground = platform
        .until(|ground| {
            instance(ground)
                .is_some_and(|(_, phase)| matches!(phase, Phase::Pending(ref why) if why.0.contains("record")))
        })
        .await;
    let first = instance(&ground).unwrap().0;
    assert_eq!(ground.slots[&ZERO].declared, Some(stand.launch()));
    assert_eq!(ground.slots[&ZERO].address.name, "stand-0");

    platform.seat(&stand.launch()).await;
    platform.until(|ground| is_phase(ground, &Phase::AtGate)).await;
    assert_eq!(platform.volume().await.1, Marker::Empty);

    platform.permit().await;
    assert_eq!(platform.slot_zero().await.permit.unwrap().state, ClusterState::New);
    assert_eq!(platform.until_serving().await, first, "guard and etcd are one instance");
    let Marker::Owned { epoch: 1, .. } = platform.volume().await.1 else { panic!("{:?}", platform.volume().await) };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starting_founder_never_looks_like_one_that_lost_its_disk() {
    let stand = Stand::new().await;
    let manager = stand.at_gate().await;
    manager.platform.permit().await;
    let began = Instant::now();
    loop {
        let slot = manager.platform.slot_zero().await;
        let marker = slot.volume.unwrap().unwrap().marker;
        assert!(!matches!(marker, Marker::Hollow { .. } | Marker::Foreign(_)), "{marker:?}");
        if std::fs::exists(stand.slot(ZERO).join("volume/etcd/member/wal")).unwrap()
            && matches!(marker, Marker::Owned { .. })
        {
            break;
        }
        assert!(began.elapsed() < DEADLINE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_guard_and_an_end_of_a_process_are_told_of_by_themselves() {
    let stand = Stand::new().await;
    let manager = stand.at_gate().await;
    let platform = manager.platform.clone();
    // Whatever happened before.
    while tokio::time::timeout(Duration::from_millis(100), platform.changed()).await.is_ok() {}
    let before = platform.instance().await;
    rustix::process::kill_process(crate::stand::pid(&before), rustix::process::Signal::KILL).unwrap();
    tokio::time::timeout(DEADLINE, platform.changed()).await.unwrap();
    platform.until(|ground| is_phase(ground, &Phase::AtGate) && instance(ground).unwrap().0 != before).await;
    while tokio::time::timeout(Duration::from_millis(100), platform.changed()).await.is_ok() {}
    platform.permit().await;
    tokio::time::timeout(DEADLINE, platform.changed()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_for_an_instance_that_is_gone_is_not_written() {
    let stand = Stand::new().await;
    let manager = stand.serving().await;
    let platform = &manager.platform;
    let mut permit = platform.slot_zero().await.permit.unwrap();
    permit.instance = etcdop_core::id::InstanceId("proc:boot:1:1".to_owned());
    let outcome = platform.apply(&GroundStep::Permit(vec![permit.clone()])).await;
    assert!(matches!(&outcome, Outcome::NotApplied(why) if why.contains("not in slot 0 any more")), "{outcome:?}");
    assert_ne!(platform.slot_zero().await.permit, Some(permit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_committed_only_on_the_revision_that_it_was_made_from() {
    let stand = Stand::new().await;
    let manager = stand.manager().await;
    let platform = &manager.platform;
    let unborn = platform.observe().await;
    let mut record = unborn.record.clone().unwrap().value;
    record.reserve(ZERO, stand.launch());
    platform.commit(&revision(&unborn), &record).await.unwrap();
    assert_eq!(platform.commit(&revision(&unborn), &record).await, Err(CommitError::Conflict));
    let now = platform.observe().await.record.unwrap();
    assert_eq!(now.value, record);
    assert_ne!(now.revision, revision(&unborn));
    // Another process sees the same.
    assert_eq!(stand.cluster.reader().observe().await, platform.observe().await);
}
