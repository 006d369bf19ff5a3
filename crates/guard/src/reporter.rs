//! The process beside etcd that tells a platform what stands on the disk: where nobody else can look at it, this is how a disk
//! that was wiped or exchanged under a running member is noticed.
//!
//! It is started by the guard, reads, answers, and changes nothing; what it takes for the guard (`hand_over.rs`) it only writes down.
//! It ends with the process that the guard has become.

use std::{
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::parent_id,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use etcdop_guard::{DataState, DataView, Report};

use crate::{
    arguments::{Files, HandOver, Subject},
    gate::say,
    hand_over,
};

/// Between two looks whether the parent lives.
const PARENT: Duration = Duration::from_millis(100);
/// For one request: nobody may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries to listen: the reporter of the container before may not be gone yet.
const LISTEN: Duration = Duration::from_millis(50);
/// More than the head of any request that is meant for us.
const LONGEST_HEAD: usize = 8192;

/// Starts the reporter of this guard. Without one etcd runs as well, so a failure stops nobody.
pub(crate) fn accompany(files: &Files, address: SocketAddr, hand_over: Option<&HandOver>) {
    let started = env::current_exe().and_then(|program| {
        Command::new(program)
            .arg("report")
            .args([files_argument("--marker", &files.marker), files_argument("--data-dir", &files.data_dir)].concat())
            .args(files_argument("--status", &files.status))
            .args(["--report", &address.to_string()])
            .args(
                hand_over
                    .map(|hand_over| ["--hand-over".to_owned(), hand_over.address.to_string()])
                    .into_iter()
                    .flatten(),
            )
            .args(files_argument("--ledger", &files.ledger))
            .stdin(Stdio::null())
            // A pipe that outlives etcd would keep its reader waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    if let Err(error) = started {
        say(&format!("nobody reports at {address}: {error}"));
    }
}

fn files_argument(name: &str, path: &std::path::Path) -> [std::ffi::OsString; 2] {
    [name.into(), path.into()]
}

/// Answers until the process that started this one is gone.
pub(crate) fn answer_while_parent_lives(subject: Subject, address: SocketAddr, hand_over: Option<HandOver>) {
    let parent = parent_id();
    if let Some(hand_over) = hand_over {
        thread::spawn(move || hand_over::take(&hand_over, &listen(hand_over.address)));
    }
    thread::spawn(move || answer(&subject, address));
    while parent_id() == parent {
        thread::sleep(PARENT);
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(_) => thread::sleep(LISTEN),
        }
    }
}

fn answer(subject: &Subject, address: SocketAddr) {
    let listener = listen(address);
    let mut log_seen = false;
    for stream in listener.incoming() {
        let report = Report::look(&subject.data_dir, &subject.marker, &subject.status);
        log_seen |= report.data == DataView::Seen(DataState::HasWal);
        let report = if log_seen { report } else { report.before_any_log() };
        // Whoever hung up does not matter, and the next one is served.
        let _ = stream.and_then(|stream| respond(stream, &report.render()));
    }
}

fn respond(mut stream: TcpStream, body: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    // Whatever is asked for, the answer is the same; it is read so that closing the connection does not reset it.
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        match stream.read(&mut part)? {
            0 => break,
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
