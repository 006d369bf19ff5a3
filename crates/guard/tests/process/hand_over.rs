//! A seat and a permit that are brought count like those in the platform's files.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use etcdop_guard::{Epoch, Generation, Marker, MarkerState, Permit, Progress, Seat, WaitKind};

use crate::slot::{Process, Slot, marker, permit, status};

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn stand(slot: &Slot, hand_over: SocketAddr) -> Process {
    let mut command = slot.command();
    command.args(["--instance", "me", "--report", &free().to_string(), "--hand-over", &hand_over.to_string()]);
    slot.launch(command)
}

fn seat() -> Seat {
    let Marker { incarnation, member, generation, max_learners, .. } = marker(0);
    Seat { incarnation, member, generation, max_learners, epoch: Epoch(0) }
}

/// Brings it as soon as somebody listens; the answer.
fn bring(to: SocketAddr, text: &str) -> String {
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(to) {
            break stream;
        }
    };
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn whole(permit: &Permit) -> String {
    format!("{}\n{}end\n", seat().render(), permit.render())
}

#[test]
fn what_is_brought_starts_etcd_once() {
    let slot = Slot::fresh();
    fs::remove_file(slot.path("seat")).unwrap();
    let to = free();
    let guard = stand(&slot, to);
    guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::NoRecord, .. }));
    assert_eq!(bring(to, &whole(&permit("me", "http://localhost:2380"))), "ok\n");
    assert!(guard.end().exit.success());
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(1)));
    assert_eq!(status(&slot.path("status")).unwrap().progress, Progress::Started { epoch: Epoch(1) });
    slot.wipe();
    let guard = stand(&slot, free());
    assert!(!guard.end().exit.success(), "the permit is used");
}

#[test]
fn what_is_no_permit_or_one_for_another_starts_nothing() {
    let slot = Slot::fresh();
    let to = free();
    let guard = stand(&slot, to);
    let good = whole(&permit("me", "http://localhost:2380"));
    for bad in ["end\n", "\nend\n", &good.replace("generation", "generations"), &good.replace("\n\n", "\n")] {
        if bad.ends_with("\nend\n") {
            assert_ne!(bring(to, bad), "ok\n", "{bad}");
        }
    }
    assert_eq!(bring(to, &whole(&permit("somebody-else", "http://localhost:2380"))), "ok\n");
    guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::PermitForOther, .. }));
    let retired = Permit { generation: Generation(1), ..permit("me", "http://localhost:2380") };
    assert_eq!(bring(to, &whole(&retired)), "ok\n");
    guard.says(|progress| matches!(progress, Progress::Waiting { kind: WaitKind::PermitStale, .. }));
    assert_eq!(slot.found_marker(), MarkerState::Absent);
}
