//! A joiner starts twice: beside the guard until it has the cluster's data, then for good, in the guard's own process.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use etcdop_guard::{ClusterState, Epoch, MarkerState, Permit, Progress};

use crate::slot::{Process, Slot, marker, permit, status};

const STAYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/etcd_stays.sh");
const AGAIN: [&str; 1] = ["--initial-cluster-state=existing"];

/// etcd's metrics page, on which it has joined when the switch is set.
fn metrics(joined: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, joined) = (listener.local_addr().unwrap(), Arc::clone(joined));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let learner = u8::from(joined.load(Ordering::SeqCst));
            let page = format!("etcd_server_is_learner {learner}\netcd_server_proposals_applied_total 5\n");
            let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{page}");
        }
    });
    address
}

fn stand(slot: &Slot, metrics: SocketAddr) -> Process {
    let mut command = slot.command();
    command.args(["--instance", "me", "--rehearse", &metrics.to_string()]);
    slot.launch(command)
}

#[test]
fn a_joiner_starts_for_good_when_it_has_the_clusters_data() {
    let mut slot = Slot::fresh();
    slot.etcd = STAYS.into();
    slot.give_permit("me");
    let joined = Arc::new(AtomicBool::new(false));
    let guard = stand(&slot, metrics(&joined));
    guard.says(|progress| *progress == Progress::Joins { epoch: Epoch(1) });
    joined.store(true, Ordering::SeqCst);
    guard.end().was_etcd_with(&AGAIN);
    assert_eq!(slot.found_marker(), MarkerState::Present(marker(2)));
    assert_eq!(status(&slot.path("status")).unwrap().progress, Progress::Started { epoch: Epoch(2) });
}

#[test]
fn a_founder_and_whoever_has_data_start_once() {
    let joined = Arc::new(AtomicBool::new(true));
    let founder = Slot::fresh();
    founder.give(&Permit { state: ClusterState::New, ..permit("me", "http://localhost:2380") });
    assert!(stand(&founder, metrics(&joined)).end().exit.success());
    assert_eq!(founder.found_marker(), MarkerState::Present(marker(1)));
    let settled = Slot::settled();
    stand(&settled, metrics(&joined)).end().was_etcd_with(&AGAIN);
    assert_eq!(settled.found_marker(), MarkerState::Present(marker(4)));
}

#[test]
fn an_etcd_that_ends_in_its_rehearsal_ends_the_guard_in_the_same_way() {
    let mut slot = Slot::fresh();
    slot.etcd = "/bin/false".into();
    slot.give_permit("me");
    let end = stand(&slot, metrics(&Arc::new(AtomicBool::new(false)))).end();
    assert_eq!(end.exit.code(), Some(1));
    assert_eq!(status(&slot.path("status")).unwrap().progress, Progress::Joins { epoch: Epoch(1) });
}
