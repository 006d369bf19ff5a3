//! A joiner's first start, which ends as soon as it has the cluster's data. etcd publishes itself when it has joined; where it joins by
//! a raft snapshot that holds this very entry, it never learns that it did, serves no client and tries again after 7 s. That is so on
//! every cluster with some history, and a start on the data cures it (kubernetes-timings.md). Nobody counts on a joiner yet: it has
//! no vote, serves nobody, and is not promoted before it has started for good.
//!
//! It is killed, as a crash would do it, and not asked to end: while it waits for its publish it may not listen. Whoever ends the guard
//! meanwhile leaves it to the container's runtime, which ends it with the container.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

/// Between two looks: making the page that is looked at costs etcd some milliseconds of its start.
const LOOK: Duration = Duration::from_millis(30);
/// For one look.
const PATIENCE: Duration = Duration::from_millis(500);
/// What the page says of a member that has joined. That it is a learner it learns from the cluster's data.
const JOINED: [&str; 2] = ["etcd_server_is_learner", "etcd_server_proposals_applied_total"];
/// How a shell counts ends by a signal.
const BY_SIGNAL: i32 = 128;

/// How it went.
pub(crate) enum Rehearsal {
    /// It has the cluster's data on its disk, and is gone.
    HasData,
    /// It ended by itself, with this exit code.
    Ended(u8),
}

/// Starts etcd beside this process until its metrics show that it has joined, and its log is on the disk.
pub(crate) fn rehearse(etcd: &mut Command, metrics: SocketAddr, has_log: impl Fn() -> bool) -> io::Result<Rehearsal> {
    let mut etcd = etcd.spawn()?;
    loop {
        if let Some(ended) = etcd.try_wait()? {
            return Ok(Rehearsal::Ended(code(ended)));
        }
        if page(metrics).is_ok_and(|page| has_joined(&page)) && has_log() {
            etcd.kill()?;
            etcd.wait()?;
            return Ok(Rehearsal::HasData);
        }
        thread::sleep(LOOK);
    }
}

fn code(ended: ExitStatus) -> u8 {
    let code = ended.code().or_else(|| ended.signal().map(|signal| BY_SIGNAL + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn page(metrics: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&metrics, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer comes in one piece and ends with the connection.
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

fn has_joined(page: &str) -> bool {
    let value =
        |name: &str| page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    JOINED.into_iter().all(|name| value(name).is_some_and(|value: f64| value >= 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(learner: &str, applied: &str) -> String {
        format!(
            "HTTP/1.0 200 OK\r\n\r\n# HELP etcd_server_is_learner Whether\netcd_server_is_learner {learner}\n\
             etcd_server_proposals_applied_total {applied}\n"
        )
    }

    #[test]
    fn a_joiner_has_joined_when_it_applied_something_and_knows_that_it_is_a_learner() {
        assert!(has_joined(&page("1", "1.018e+03")));
        assert!(!has_joined(&page("0", "1018")), "not before the snapshot is applied");
        assert!(!has_joined(&page("1", "0")));
        assert!(!has_joined("HTTP/1.0 404 Not Found\r\n\r\n"));
    }

    #[test]
    fn an_end_is_told_as_a_shell_would() {
        assert_eq!(code(ExitStatus::from_raw(2 << 8)), 2);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
