//! The effects around the decision, in the one order that keeps data: check everything, note the permit as used, write
//! the marker, say so, become etcd.
//!
//! A crash after any step is safe: before the ledger nothing happened; after it the permit is dead and the disk empty
//! or marked without a log, which the next start refuses. So a start may be lost, never repeated.

use std::{
    fmt, fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use etcdop_guard::{
    ClusterState, DataState, Disk, InstanceId, Ledger, LedgerEntry, Marker, Permit, Progress, Refusal, Report, Seat,
    Status, Verdict, WaitReason, decide, examine_data, examine_marker, read_text, replace, write_durably,
};

use crate::{
    arguments::{Arguments, EtcdCommand, Files, HandOver},
    program,
    rehearsal::{Rehearsal, rehearse},
    resolve,
};

/// What etcd is told at every start on a disk that is its own.
const EXISTING: &str = "--initial-cluster-state=existing";

/// How long somebody is expected to be about to open the gate.
const FRESH: Duration = Duration::from_secs(10);
/// Between two looks while fresh: a start should not be later for having waited.
const POLL_FRESH: Duration = Duration::from_millis(2);
/// Between two looks afterwards.
const POLL_SETTLED: Duration = Duration::from_millis(50);
/// Between two questions to the name service.
const POLL_NAMES: Duration = Duration::from_millis(100);

/// Waits until etcd may start and becomes it; returns only when this process never will, with the exit code that says why.
pub(crate) fn pass(arguments: Arguments, instance: InstanceId) -> u8 {
    let Arguments { files, rehearse, hand_over, etcd, .. } = arguments;
    let mut gate = Gate { files, instance, rehearse, hand_over, told: None };
    match gate.wait_and_start(&etcd) {
        End::Refused(refusal) => {
            gate.tell(Progress::from(&refusal));
            gate.leave_word();
            refusal.kind().exit_code()
        }
        // etcd's own words are in its log.
        End::Rehearsed(code) => code,
    }
}

/// Why this process never becomes etcd.
enum End {
    Refused(Refusal),
    /// etcd ended in its rehearsal, with this code.
    Rehearsed(u8),
}

struct Gate {
    files: Files,
    instance: InstanceId,
    /// Where a joiner shows that it has the cluster's data.
    rehearse: Option<SocketAddr>,
    /// Where a second seat and permit may come.
    hand_over: Option<HandOver>,
    /// What was said last, and whether it reached the status file.
    told: Option<(Progress, Delivery)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Written,
    Failed,
}

impl Gate {
    fn wait_and_start(&mut self, etcd: &EtcdCommand) -> End {
        // Before anybody counts on this process: a member is added for whoever stands at the gate.
        if let Err(refusal) = program::find(&etcd.program) {
            return End::Refused(refusal);
        }
        let arrival = Instant::now();
        let mut resolved: Option<Permit> = None;
        loop {
            match self.look() {
                Err(refusal) | Ok(Verdict::Refuse(refusal)) => return End::Refused(refusal),
                Ok(Verdict::Wait(reason)) => {
                    self.tell(Progress::from(&reason));
                    thread::sleep(if arrival.elapsed() < FRESH { POLL_FRESH } else { POLL_SETTLED });
                }
                // Names take their time. What was decided before the question is decided again after it.
                Ok(Verdict::Start { first: Some(permit), .. }) if resolved.as_ref() != Some(&permit) => {
                    match resolve::unresolved(&permit) {
                        None => resolved = Some(permit),
                        Some(reason) => {
                            self.tell(Progress::from(&reason));
                            thread::sleep(POLL_NAMES);
                        }
                    }
                }
                // After a rehearsal everything is looked at again, as after any other start.
                Ok(Verdict::Start { marker, first }) => {
                    if let Some(end) = self.start(&marker, first.as_ref(), etcd) {
                        return end;
                    }
                }
            }
        }
    }

    /// Reads all files anew and decides.
    fn look(&self) -> Result<Verdict, Refusal> {
        let files = &self.files;
        let unreadable = |path: &Path, why: String| Refusal::StateUnreadable { path: path.to_owned(), why };
        let data = examine_data(&files.data_dir, &files.marker)
            .map_err(|error| unreadable(&files.data_dir, error.to_string()))?;
        let disk = Disk { marker: examine_marker(&files.marker), data };
        let seat = self.seat();
        let permit = match (self.handed_over(), read_rendered(&files.permit, Permit::parse)) {
            (Some(handed_over), Ok(Some(permit))) if permit.generation >= handed_over.generation => Ok(Some(permit)),
            (Some(handed_over), _) => Ok(Some(handed_over)),
            (None, permit) => permit,
        };
        let entry = read(&files.ledger, LedgerEntry::parse);
        let ledger = match (&entry, &permit) {
            (Ok(Some(entry)), Ok(Some(permit))) => entry.about(permit),
            (Ok(_), _) => Ledger::Unused,
            // What cannot be read may say "used".
            (Err(_), _) => Ledger::Used,
        };
        let verdict = decide(
            &disk,
            seat.as_ref().ok().and_then(Option::as_ref),
            permit.as_ref().ok().and_then(Option::as_ref),
            ledger,
            &self.instance,
        );
        // A file that cannot be understood counts as missing; only where that decides, it is named as the reason.
        let not_understood =
            |path: &Path, why| Verdict::Wait(WaitReason::FileUnreadable { path: path.to_owned(), why });
        Ok(match (verdict, seat, permit, entry) {
            (Verdict::Wait(WaitReason::NoRecord), Err((path, why)), ..) => not_understood(&path, why),
            (Verdict::Wait(WaitReason::NoPermit), _, Err(why), _) => not_understood(&files.permit, why),
            (Verdict::Refuse(Refusal::PermitUsed { .. }), _, _, Err(why)) => {
                return Err(unreadable(&files.ledger, why));
            }
            (verdict, ..) => verdict,
        })
    }

    /// The permit that was brought; one that cannot be read was not.
    fn handed_over(&self) -> Option<Permit> {
        read_rendered(&self.hand_over.as_ref()?.permit, Permit::parse).ok().flatten()
    }

    /// The newest of the seats that can be read; where none can, what is wrong with the last. One that was brought is the first of
    /// them: where they speak of different lives of the cluster, those of the platform's files count.
    fn seat(&self) -> Result<Option<Seat>, (PathBuf, String)> {
        let mut newest: Option<Seat> = None;
        let mut wrong = None;
        for path in self.hand_over.iter().map(|hand_over| &hand_over.seat).chain(&self.files.seats) {
            match read_rendered(path, Seat::parse) {
                Ok(seat) => newest = Seat::newer(newest, seat),
                Err(why) => wrong = Some((path.clone(), why)),
            }
        }
        match (newest, wrong) {
            (None, Some(wrong)) => Err(wrong),
            (newest, _) => Ok(newest),
        }
    }

    /// What is known of the disk of a guard that ends: nobody can ask it any more.
    fn leave_word(&self) {
        let Some(path) = &self.files.termination else { return };
        let report = Report::look(&self.files.data_dir, &self.files.marker, &self.files.status);
        // In place: a container's termination log is a mount, which cannot be renamed over.
        if let Err(error) = fs::write(path, report.render()) {
            say(&format!("{} cannot be written: {error}", path.display()));
        }
    }

    /// Becomes etcd; nothing when that was rehearsed, and can be done.
    fn start(&mut self, marker: &Marker, first: Option<&Permit>, etcd: &EtcdCommand) -> Option<End> {
        let program = match program::find(&etcd.program) {
            Ok(program) => program,
            Err(refusal) => return Some(End::Refused(refusal)),
        };
        if let Some(permit) = first
            && let Err(refusal) = write(&self.files.ledger, &LedgerEntry::of(permit).render())
        {
            return Some(End::Refused(refusal));
        }
        if let Err(refusal) = write(&self.files.marker, &marker.render()) {
            return Some(End::Refused(refusal));
        }
        // etcd ignores the state where it finds its log. Should the disk vanish between the look and the start, `existing` makes
        // it end, where its default `new` would form an empty cluster at this member's address (LAB 13).
        let flags = first.map_or_else(|| vec![EXISTING.to_owned()], |permit| permit.first_start_flags().to_vec());
        let mut command = Command::new(&program);
        command.args(&etcd.arguments).args(flags);
        let joins = first.is_some_and(|permit| permit.state == ClusterState::Existing);
        let error = if let Some(metrics) = self.rehearse.filter(|_| joins) {
            self.tell(Progress::Joins { epoch: marker.epoch });
            let files = &self.files;
            let has_log = || examine_data(&files.data_dir, &files.marker).is_ok_and(|data| data == DataState::HasWal);
            match rehearse(&mut command, metrics, has_log) {
                Ok(Rehearsal::HasData) => return None,
                Ok(Rehearsal::Ended(code)) => return Some(End::Rehearsed(code)),
                Err(error) => error,
            }
        } else {
            self.tell(Progress::Started { epoch: marker.epoch });
            command.exec()
        };
        Some(End::Refused(Refusal::EtcdNotRunnable { program, why: error.to_string() }))
    }

    /// Tells the platform, and people, where this guard stands. A status that cannot be written stops nobody.
    fn tell(&mut self, progress: Progress) {
        let repeated = match &self.told {
            Some((told, Delivery::Written)) if *told == progress => return,
            Some((told, Delivery::Failed)) => *told == progress,
            Some((_, Delivery::Written)) | None => false,
        };
        let line = Status { instance: self.instance.clone(), progress: progress.clone() }.render();
        if !repeated {
            say(line.trim_end());
        }
        let delivery = match replace(&self.files.status, &line) {
            Ok(()) => Delivery::Written,
            Err(error) => {
                if !repeated {
                    say(&format!("{} cannot be written: {error}", self.files.status.display()));
                }
                Delivery::Failed
            }
        };
        self.told = Some((progress, delivery));
    }
}

/// To the log of whoever listens. The manager at the other end may be dead, and the guard outlives it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "etcdop-guard: {text}");
}

fn write(path: &Path, content: &str) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::StateNotWritten { path: path.to_owned(), why };
    write_durably(path, content).map_err(|error| refuse(error.to_string()))
}

fn read<T, E: fmt::Display>(path: &Path, parse: fn(&str) -> Result<T, E>) -> Result<Option<T>, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    text.map(|text| parse(&text)).transpose().map_err(|error| error.to_string())
}

/// As [`read`], for what a platform renders: where it projects an annotation, one that is not there is an empty file.
fn read_rendered<T, E: fmt::Display>(path: &Path, parse: fn(&str) -> Result<T, E>) -> Result<Option<T>, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| parse(&text)).transpose().map_err(|error| error.to_string())
}
