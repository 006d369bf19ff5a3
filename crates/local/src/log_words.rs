//! Why a process ended, in its own last words: what etcd, the guard or Go's runtime wrote to the log before it did.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use serde::Deserialize;

/// How much of the end of a log is looked at.
const TAIL: u64 = 64 * 1024;
/// A sentence for people is not longer.
const LONGEST: usize = 300;

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
    error: Option<String>,
}

/// The last complaint in the part of `log` that starts at byte `from`; `None` when it complains of nothing or is not there.
pub(crate) fn last_words(log: &Path, from: u64) -> Option<String> {
    let text = tail(log, from).ok()?;
    let complaint = text.lines().rev().find_map(complaint)?;
    Some(complaint.chars().take(LONGEST).collect())
}

fn tail(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = from.max(file.metadata()?.len().saturating_sub(TAIL));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn complaint(line: &str) -> Option<String> {
    if let Ok(Line { level, msg, error }) = serde_json::from_str::<Line>(line) {
        let serious = matches!(level.as_str(), "error" | "fatal" | "panic" | "dpanic");
        return serious.then(|| error.map_or_else(|| msg.clone(), |error| format!("{msg}: {error}")));
    }
    let plain = ["panic: ", "fatal error: ", "etcdop-guard: ", "setsid: "].iter().any(|start| line.starts_with(start));
    // etcd prints a bad flag without its usual form.
    let flag = line.starts_with("flag provided but not defined") || line.contains("error verifying flags");
    (plain || flag).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_last_complaint_of_this_run_counts() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("etcd.log");
        let before = "{\"level\":\"fatal\",\"msg\":\"of an earlier run\"}\n";
        let run = "{\"level\":\"info\",\"msg\":\"starting\"}\n\
                   {\"level\":\"fatal\",\"msg\":\"discovery failed\",\"error\":\"address already in use\"}\n\
                   {\"level\":\"info\",\"msg\":\"bye\"}\nunfinished";
        fs::write(&log, format!("{before}{run}")).unwrap();
        let from = u64::try_from(before.len()).unwrap();
        assert_eq!(last_words(&log, from).unwrap(), "discovery failed: address already in use");
        assert_eq!(last_words(&log, from + u64::try_from(run.len()).unwrap()), None);
        assert_eq!(last_words(&directory.path().join("none"), 0), None);
    }
}
