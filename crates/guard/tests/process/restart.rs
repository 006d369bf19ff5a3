//! Starts on a disk that has its log: nothing but the marker and the seat count.

use std::fs;

use etcdop_guard::{Epoch, MarkerState, Progress};

use crate::slot::{Slot, marker, status};

#[test]
fn a_restart_counts_its_epoch_and_needs_no_permit() {
    let slot = Slot::settled();
    for epoch in [4, 5, 6] {
        slot.run("me").was_etcd_with(&["--initial-cluster-state=existing"]);
        assert_eq!(slot.found_marker(), MarkerState::Present(marker(epoch)));
        assert_eq!(status(&slot.path("status")).unwrap().progress, Progress::Started { epoch: Epoch(epoch) });
    }
    assert!(!slot.exists("ledger"));
}

#[test]
fn what_a_first_start_left_behind_does_not_matter_to_a_restart() {
    let slot = Slot::settled();
    slot.give_permit("me");
    slot.run("me").was_etcd_with(&["--initial-cluster-state=existing"]);
    for file in ["permit", "ledger"] {
        fs::write(slot.path(file), "torn").unwrap();
        slot.run("me").was_etcd_with(&["--initial-cluster-state=existing"]);
    }
}

#[test]
fn a_status_that_cannot_be_written_stops_no_restart() {
    let slot = Slot::settled();
    fs::create_dir(slot.path("status")).unwrap();
    slot.run("me").was_etcd_with(&["--initial-cluster-state=existing"]);
}

#[test]
fn a_marker_that_cannot_be_counted_up_stops_the_restart() {
    let slot = Slot::settled();
    fs::create_dir(slot.data().join("marker.tmp")).unwrap();
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(79));
    end.never_was_etcd();
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(3)));
}

#[test]
fn etcd_gone_missing_leaves_the_epoch_as_it_was() {
    let mut slot = Slot::settled();
    slot.etcd = slot.path("no-such-etcd");
    assert_eq!(slot.run("me").exit.code(), Some(77));
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(3)));
}
