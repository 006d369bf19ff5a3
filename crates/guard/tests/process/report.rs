//! What a platform hears that cannot look at the disk itself, and the second seat that such a platform has.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use etcdop_guard::{
    DataState, DataView, Epoch, Generation, Marker, MarkerState, Progress, Report, Seat, WaitKind, write_durably,
};

use crate::slot::{Process, Slot, marker};

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn ask(address: SocketAddr) -> Option<Report> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: guard\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(read(&answer))
}

fn read(answer: &str) -> Report {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    Report::parse(body).unwrap()
}

/// Waits until the report is as wanted.
#[track_caller]
fn reports(address: SocketAddr, wanted: impl Fn(&Report) -> bool) -> Report {
    let begin = Instant::now();
    loop {
        match ask(address) {
            Some(report) if wanted(&report) => return report,
            last => assert!(begin.elapsed() < Duration::from_secs(30), "{last:?}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn stand(slot: &Slot, address: SocketAddr) -> Process {
    let mut command = slot.command();
    command.args(["--instance", "me", "--report", &address.to_string()]);
    slot.launch(command)
}

fn stands_at_gate(report: &Report) -> bool {
    let progress = report.status.as_ref().map(|status| &status.progress);
    matches!(progress, Some(Progress::Waiting { kind: WaitKind::NoPermit, .. }))
}

#[test]
fn a_guard_at_the_gate_is_heard() {
    let slot = Slot::fresh();
    let address = free_address();
    let _guard = stand(&slot, address);
    let waiting = reports(address, stands_at_gate);
    assert_eq!((waiting.data, waiting.marker), (DataView::Seen(DataState::Empty), MarkerState::Absent));
}

#[test]
fn a_disk_that_is_wiped_under_its_member_is_noticed() {
    let mut slot = Slot::settled();
    let address = free_address();
    // A script in etcd's place that stays.
    let script = slot.path("etcd.sh");
    fs::write(&script, "#!/bin/sh\nexec sleep 60\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    slot.etcd = script;
    let _etcd = stand(&slot, address);
    let started = |report: &Report| {
        matches!(report.status.as_ref().map(|status| &status.progress), Some(Progress::Started { epoch: Epoch(4) }))
    };
    let running = reports(address, started);
    assert_eq!((running.data, running.marker), (DataView::Seen(DataState::HasWal), MarkerState::Present(marker(4))));
    slot.wipe();
    let wiped = reports(address, |report| report.data == DataView::Seen(DataState::Empty));
    assert_eq!(wiped.marker, MarkerState::Absent);
}

#[test]
fn nobody_reports_for_a_process_that_is_gone() {
    let slot = Slot::fresh();
    let address = free_address();
    let guard = stand(&slot, address);
    reports(address, stands_at_gate);
    drop(guard);
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(30), "the reporter outlives its guard");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_refusal_leaves_its_report_behind() {
    let slot = Slot::settled();
    let other = Marker { incarnation: "other".parse().unwrap(), ..marker(3) };
    slot.mark(&other);
    let word = slot.path("termination");
    fs::write(&word, "").unwrap();
    let mut command = slot.command();
    command.args(["--instance", "me", "--termination"]).arg(&word);
    slot.launch(command).end().never_was_etcd();
    let report = Report::parse(&fs::read_to_string(&word).unwrap()).unwrap();
    assert!(matches!(report.status.unwrap().progress, Progress::Refused { .. }));
    assert_eq!(report.marker, MarkerState::Present(other));
}

/// A slot whose first seat is of generation 2 and epoch 3, and whose second is `second`.
fn with_second_seat(slot: &Slot, second: Option<&Seat>) -> Process {
    write_durably(&slot.path("fresher"), &second.map(Seat::render).unwrap_or_default()).unwrap();
    let mut command = slot.command();
    command.args(["--instance", "me", "--seat"]).arg(slot.path("fresher"));
    slot.launch(command)
}

fn seat(incarnation: &str, generation: u64) -> Seat {
    let Marker { member, epoch, .. } = marker(3);
    let (incarnation, generation) = (incarnation.parse().unwrap(), Generation(generation));
    Seat { incarnation, member, generation, max_learners: None, epoch }
}

#[test]
fn the_newer_of_two_seats_counts() {
    let starts = |second: Option<Seat>| with_second_seat(&Slot::settled(), second.as_ref()).end().exit.success();
    assert!(starts(None), "the second is not there yet");
    assert!(starts(Some(seat("life", 1))), "the second lags behind");
    assert!(!starts(Some(seat("life", 3))), "the slot got a newer disk");
    assert!(!starts(Some(seat("other", 1))), "the cluster began another life");
}

#[test]
fn a_second_seat_is_enough() {
    let slot = Slot::settled();
    fs::remove_file(slot.path("seat")).unwrap();
    assert!(with_second_seat(&slot, Some(&seat("life", 2))).end().exit.success());
}
