//! The last words of a process, from the end of the log that its slot keeps.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use etcdop_engine::complaint;

/// How much of the end of a log is looked at.
const TAIL: u64 = 64 * 1024;

/// The last complaint in the part of `log` that starts at byte `from`; `None` when it complains of nothing or is not there.
pub(crate) fn last_words(log: &Path, from: u64) -> Option<String> {
    let text = tail(log, from).ok()?;
    complaint::last(&text)
}

fn tail(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = from.max(file.metadata()?.len().saturating_sub(TAIL));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
