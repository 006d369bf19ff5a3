//! What the gate refuses, as a supervisor sees it: the exit code, and a status line that agrees with it.

use std::fs;

use etcdop_guard::{Epoch, Generation, Marker, Progress, RefusalKind, Status};

use crate::slot::{Slot, marker, status};

/// The guard ends with the code of `kind`, says the same in its status, never was etcd and left the marker alone.
#[track_caller]
fn refuses(slot: &Slot, kind: RefusalKind) -> String {
    let before = slot.found_marker();
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(i32::from(kind.exit_code())));
    end.never_was_etcd();
    assert_eq!(slot.found_marker(), before);
    let Some(Status { instance, progress: Progress::Refused { kind: said, sentence } }) = status(&slot.path("status"))
    else {
        panic!("no refusal in the status file")
    };
    assert_eq!((instance.as_str(), said), ("me", kind));
    sentence
}

#[test]
fn a_disk_of_another_cluster() {
    let slot = Slot::settled();
    slot.mark(&Marker { incarnation: "other".parse().unwrap(), ..marker(3) });
    let sentence = refuses(&slot, RefusalKind::Foreign);
    assert!(sentence.contains("belongs to incarnation other"), "{sentence}");
}

#[test]
fn a_disk_that_was_replaced() {
    let slot = Slot::settled();
    slot.mark(&Marker { generation: Generation(1), ..marker(3) });
    let sentence = refuses(&slot, RefusalKind::Retired);
    assert!(sentence.contains("generation 1") && sentence.contains("generation 2"), "{sentence}");
}

#[test]
fn an_older_copy_of_the_disk() {
    let slot = Slot::settled();
    slot.mark(&Marker { epoch: Epoch(2), ..marker(3) });
    let sentence = refuses(&slot, RefusalKind::OlderCopy);
    assert!(sentence.contains("older copy"), "{sentence}");
}

#[test]
fn a_marker_that_is_torn() {
    let slot = Slot::settled();
    fs::write(slot.marker_file(), "incarnation=life\nmember=-\n").unwrap();
    let sentence = refuses(&slot, RefusalKind::MarkerUnreadable);
    assert!(sentence.contains("line 2: the file ends without key 'generation'"), "{sentence}");
}

#[test]
fn a_log_without_a_marker_also_with_a_permit() {
    let slot = Slot::fresh();
    slot.put_log();
    slot.give_permit("me");
    refuses(&slot, RefusalKind::Unmarked);
    assert!(!slot.exists("ledger"));
}

#[test]
fn a_ledger_that_cannot_be_understood_may_say_used() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    fs::write(slot.path("ledger"), "").unwrap();
    let sentence = refuses(&slot, RefusalKind::StateUnreadable);
    assert!(sentence.contains("ledger cannot be read"), "{sentence}");
}

#[test]
fn a_data_directory_that_cannot_be_listed_is_not_called_empty() {
    let slot = Slot::fresh();
    slot.give_permit("me");
    fs::remove_dir(slot.data()).unwrap();
    fs::write(slot.data(), "").unwrap();
    let end = slot.run("me");
    assert_eq!(end.exit.code(), Some(i32::from(RefusalKind::StateUnreadable.exit_code())));
    end.never_was_etcd();
}
