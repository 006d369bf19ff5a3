//! The first start on an empty disk: what a permit allows, once.

use std::{fs, os::unix::fs::PermissionsExt};

use etcdop_guard::{Epoch, LedgerEntry, MarkerState, Progress, RefusalKind, WaitKind};

use crate::slot::{Slot, marker, permit, status};

const FLAGS: [&str; 3] = [
    "--initial-cluster-token=life",
    "--initial-cluster=m0=http://127.0.0.1:2380,m1=http://localhost:2380",
    "--initial-cluster-state=existing",
];

#[test]
fn a_permit_starts_etcd_in_the_same_process_and_is_used_up() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    slot.run("me").was_etcd_with(&FLAGS);
    let used = LedgerEntry::of(&permit("me", "http://localhost:2380"));
    assert_eq!(fs::read_to_string(slot.path("ledger")).unwrap(), used.render());
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(1)));
    assert_eq!(status(&slot.path("status")).unwrap().progress, Progress::Started { epoch: Epoch(1) });
}

#[test]
fn a_wiped_disk_does_not_start_again_on_the_same_permit() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    assert!(slot.run("me").exit.success());
    slot.wipe();
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(i32::from(RefusalKind::PermitUsed.exit_code())));
    end.never_was_etcd();
    assert!(!slot.has_log());
    assert_eq!(slot.found_marker(), MarkerState::Absent);
}

#[test]
fn a_disk_that_lost_only_its_log_does_not_start_again() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    assert!(slot.run("me").exit.success());
    fs::remove_dir_all(slot.data().join("member")).unwrap();
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(i32::from(RefusalKind::DataLost.exit_code())));
    end.never_was_etcd();
}

#[test]
fn killed_between_ledger_and_marker_the_permit_stays_used() {
    let slot = Slot::fresh();
    slot.give_used_permit("me");
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(i32::from(RefusalKind::PermitUsed.exit_code())));
    end.never_was_etcd();
}

#[test]
fn killed_in_the_middle_of_the_marker_the_permit_stays_used() {
    let slot = Slot::fresh();
    slot.give_used_permit("me");
    fs::write(slot.data().join("marker.tmp"), "incarnation=li").unwrap();
    assert_eq!(slot.run("me").exit.code(), Some(i32::from(RefusalKind::PermitUsed.exit_code())));
}

#[test]
fn killed_between_marker_and_etcd_the_disk_stays_without_a_log() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    slot.mark(&marker(1));
    assert_eq!(slot.run("me").exit.code(), Some(i32::from(RefusalKind::DataLost.exit_code())));
}

#[test]
fn a_replaced_disk_starts_on_the_permit_of_the_next_process() {
    let slot = Slot::fresh();
    slot.give_permit("first");
    assert!(slot.run("first").exit.success());
    slot.wipe();
    slot.give_permit("second");
    slot.run("second").was_etcd_with(&FLAGS);
}

#[test]
fn a_missing_or_unexecutable_etcd_does_not_use_up_the_permit() {
    let mut slot = Slot::fresh();
    slot.give_permit("me");
    let plain = slot.path("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    for etcd in [slot.path("no-such-etcd"), plain, slot.data(), "no-such-etcd-in-path".into()] {
        slot.etcd = etcd;
        let end = slot.run("me");
        assert_eq!(
            end.exit.code(),
            Some(i32::from(RefusalKind::EtcdNotRunnable.exit_code())),
            "{}",
            slot.etcd.display()
        );
        assert!(!slot.exists("ledger"));
        assert_eq!(slot.found_marker(), MarkerState::Absent);
    }
}

#[test]
fn etcd_is_found_in_path() {
    let mut slot = Slot::fresh();
    slot.give_permit("me");
    let directory = slot.etcd.parent().unwrap().to_owned();
    let mut command = slot.command();
    // The script's own commands are needed behind it.
    command.env("PATH", format!(":{}:/usr/bin:/bin", directory.display())).args(["--instance", "me"]);
    slot.etcd = "etcd_double.sh".into();
    slot.launch(command).end().was_etcd_with(&FLAGS);
}

/// One label longer than a name may have: the resolver refuses it without asking anybody.
fn unresolvable() -> String {
    format!("http://{}:2380", "x".repeat(64))
}

#[test]
fn a_peer_without_an_address_holds_the_start_and_the_permit_stays_unused() {
    let slot = Slot::fresh();
    slot.give(&permit("me", &unresolvable()));
    let guard = slot.stand("me");
    let said = guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::NameUnresolved, .. }));
    let Progress::Waiting { sentence, .. } = said.progress else { panic!("not waiting") };
    assert!(sentence.contains(&"x".repeat(64)), "{sentence}");
    assert!(!slot.exists("ledger"));
    assert_eq!(slot.found_marker(), MarkerState::Absent);
    slot.give_permit("me");
    guard.end().was_etcd_with(&FLAGS);
}

#[test]
fn a_permit_that_is_taken_back_while_names_are_asked_for_starts_nothing() {
    let slot = Slot::fresh();
    slot.give(&permit("me", &unresolvable()));
    let guard = slot.stand("me");
    guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::NameUnresolved, .. }));
    fs::remove_file(slot.path("permit")).unwrap();
    guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::NoPermit, .. }));
    assert!(!slot.exists("ledger"));
}

#[test]
fn without_a_ledger_or_a_marker_written_etcd_does_not_start() {
    for stuck in ["ledger.tmp", "data/marker.tmp"] {
        let slot = Slot::fresh();
        slot.give_permit("me");
        // Nobody, root included, writes to a directory as if it were a file.
        fs::create_dir(slot.path(stuck)).unwrap();
        let end = slot.run("me");
        assert_eq!(end.exit.code(), Some(i32::from(RefusalKind::StateNotWritten.exit_code())), "{stuck}");
        end.never_was_etcd();
        assert_eq!(slot.found_marker(), MarkerState::Absent);
    }
}
