//! At the gate: what a guard waits for, that it says so, and how the wait ends.

use std::{fs, os::unix::process::ExitStatusExt, process::Command};

use etcdop_guard::{Generation, MarkerState, Permit, Progress, WaitKind, process_instance};

use crate::slot::{Process, Slot, marker, permit};

const SIGTERM: i32 = 15;

#[track_caller]
fn waits(guard: &Process, wanted: WaitKind) -> String {
    let status = guard.says(|progress| matches!(progress, Progress::Waiting { kind, .. } if *kind == wanted));
    let Progress::Waiting { sentence, .. } = status.progress else { panic!("not waiting") };
    sentence
}

#[test]
fn it_starts_when_seat_and_permit_appear() {
    let slot = Slot::fresh();
    fs::remove_file(slot.path("seat")).unwrap();
    let guard = slot.stand("me");
    waits(&guard, WaitKind::NoRecord);
    slot.give_seat(0);
    waits(&guard, WaitKind::NoPermit);
    slot.give_permit("somebody-else");
    assert!(waits(&guard, WaitKind::PermitForOther).contains("somebody-else"));
    slot.give(&Permit { generation: Generation(1), ..permit("me", "http://localhost:2380") });
    waits(&guard, WaitKind::PermitStale);
    assert!(!slot.exists("ledger"));
    slot.give_permit("me");
    let end = guard.end();
    assert!(end.exit.success(), "{end:?}");
    assert!(slot.has_log());
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(1)));
}

#[test]
fn an_empty_permit_is_none_and_a_garbled_one_is_named() {
    let slot = Slot::fresh();
    fs::write(slot.path("permit"), "").unwrap();
    let guard = slot.stand("me");
    waits(&guard, WaitKind::NoPermit);
    fs::write(slot.path("permit"), "instance=me\nhello\n").unwrap();
    let sentence = waits(&guard, WaitKind::FileUnreadable);
    assert!(sentence.contains("permit") && sentence.contains("line 2: not of the form key=value"), "{sentence}");
    slot.give_permit("me");
    assert!(guard.end().exit.success());
}

#[test]
fn a_garbled_seat_is_named_and_waited_out() {
    let slot = Slot::settled();
    fs::write(slot.path("seat"), "incarnation=\n").unwrap();
    let guard = slot.stand("me");
    assert!(waits(&guard, WaitKind::FileUnreadable).contains("seat"));
    slot.give_seat(3);
    guard.end().was_etcd_with(&["--initial-cluster-state=existing"]);
}

#[test]
fn it_names_itself_as_the_platform_would() {
    let slot = Slot::fresh();
    let guard = slot.launch(slot.command());
    let status = guard.says(|progress| matches!(progress, Progress::Waiting { .. }));
    let instance = process_instance(guard.pid()).unwrap();
    assert_eq!(status.instance, instance);
    slot.give_permit(instance.as_str());
    assert!(guard.end().exit.success());
}

#[test]
fn sigterm_ends_the_wait() {
    let slot = Slot::fresh();
    let guard = slot.stand("me");
    waits(&guard, WaitKind::NoPermit);
    let kill = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &guard.pid().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(guard.end().exit.signal(), Some(SIGTERM));
    assert_eq!(slot.found_marker(), MarkerState::Absent);
}

#[test]
fn it_outlives_the_reader_of_its_log() {
    let slot = Slot::fresh();
    fs::remove_file(slot.path("seat")).unwrap();
    let mut guard = slot.stand("me");
    waits(&guard, WaitKind::NoRecord);
    guard.hang_up();
    slot.give_seat(0);
    waits(&guard, WaitKind::NoPermit);
    slot.give_permit("me");
    assert!(guard.end().exit.success());
}
