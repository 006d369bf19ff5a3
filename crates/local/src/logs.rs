//! What members write to their logs, line by line, and what they write from now on. A log that was put aside because it had grown
//! large is read to its end before the new one is begun.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use thiserror::Error;

use crate::{
    directory::{ClusterDir, SlotDir},
    member_name::{self, MemberError, MemberName},
    ports::member_name,
};

/// Read at once.
const BLOCK: usize = 64 * 1024;

/// How much of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// All that is there.
    All,
    /// So many of the newest lines.
    Last(usize),
}

/// Why there is no log to read.
#[derive(Debug, Error)]
pub enum LogError {
    /// Whose?
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The system does not let us read it.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The log of one member's guard and etcd, and how far it was read.
#[derive(Debug)]
pub struct MemberLog {
    name: String,
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
    /// Lines that were read and not handed out.
    ready: VecDeque<String>,
}

impl MemberLog {
    /// The log of this member.
    pub fn of(dir: &ClusterDir, member: &MemberName, tail: Tail) -> Result<Self, LogError> {
        Self::open(dir, &member_name::find(dir, member)?, tail)
    }

    /// The logs of all slots, in order.
    pub fn all(dir: &ClusterDir, tail: Tail) -> Result<Vec<Self>, LogError> {
        member_name::slots(dir)?.iter().map(|files| Self::open(dir, files, tail)).collect()
    }

    fn open(dir: &ClusterDir, files: &SlotDir, tail: Tail) -> Result<Self, LogError> {
        let name = member_name(dir.name(), files.slot);
        let mut log = Self { name, path: files.log(), file: None, begun: Vec::new(), ready: VecDeque::new() };
        log.file = log.opened()?;
        if let (Some(file), Tail::Last(lines)) = (&mut log.file, tail) {
            let start = start_of_last(file, lines).and_then(|start| file.seek(SeekFrom::Start(start)));
            start.map_err(|source| LogError::Unreadable { path: log.path.clone(), source })?;
        }
        Ok(log)
    }

    /// The member's etcd name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next whole line, without its end; `None` when no more is written yet.
    pub fn next_line(&mut self) -> Result<Option<String>, LogError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            let read = match &mut self.file {
                Some(file) => read_block(file, &mut self.begun),
                None => Ok(0),
            };
            match read.map_err(|source| LogError::Unreadable { path: self.path.clone(), source })? {
                0 if !self.goes_on_elsewhere()? => return Ok(None),
                0 => {}
                _ => self.split(),
            }
        }
    }

    /// A last line whose end was never written.
    pub fn rest(&mut self) -> Option<String> {
        let begun = std::mem::take(&mut self.begun);
        (!begun.is_empty()).then(|| String::from_utf8_lossy(&begun).into_owned())
    }

    fn split(&mut self) {
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.ready.push_back(String::from_utf8_lossy(&line[..end]).into_owned());
        }
    }

    /// At the end of a log: whether another one has taken its place.
    fn goes_on_elsewhere(&mut self) -> Result<bool, LogError> {
        let Some(next) = self.opened()? else { return Ok(false) };
        let id = |file: &File| file.metadata().map(|is| (is.dev(), is.ino())).ok();
        if self.file.as_ref().is_some_and(|now| id(now) == id(&next)) {
            return Ok(false);
        }
        let rest = self.rest();
        self.ready.extend(rest);
        self.file = Some(next);
        Ok(true)
    }

    fn opened(&self) -> Result<Option<File>, LogError> {
        match File::open(&self.path) {
            // Nothing was started there yet.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(|source| LogError::Unreadable { path: self.path.clone(), source }),
        }
    }
}

fn read_block(file: &mut File, into: &mut Vec<u8>) -> io::Result<usize> {
    file.take(BLOCK as u64).read_to_end(into)
}

/// Where the last so many lines begin; one without an end counts.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut at = size;
    let mut ends = 0;
    let mut block = Vec::with_capacity(BLOCK);
    while at > 0 {
        let from = at.saturating_sub(BLOCK as u64);
        file.seek(SeekFrom::Start(from))?;
        block.clear();
        file.take(at - from).read_to_end(&mut block)?;
        for (offset, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let position = from + offset as u64;
            // The end of the last line begins no other.
            if position + 1 == size {
                continue;
            }
            ends += 1;
            if ends == lines {
                return Ok(position + 1);
            }
        }
        at = from;
    }
    Ok(if lines == 0 { size } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use etcdop_core::id::Slot;
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;
    use crate::home::Home;

    struct Scene {
        home: TempDir,
        dir: ClusterDir,
        log: PathBuf,
    }

    impl Scene {
        fn new(text: &str) -> Self {
            let home = tempfile::tempdir().unwrap();
            let dir = Home::at(home.path()).unwrap().cluster(&"a".parse().unwrap());
            let log = dir.slot(Slot(0)).log();
            fs::create_dir_all(log.parent().unwrap()).unwrap();
            fs::write(&log, text).unwrap();
            Self { home, dir, log }
        }

        fn open(&self, tail: Tail) -> MemberLog {
            MemberLog::of(&self.dir, &"a-0".parse().unwrap(), tail).unwrap()
        }

        fn append(&self, text: &str) {
            File::options().append(true).open(&self.log).unwrap().write_all(text.as_bytes()).unwrap();
        }
    }

    fn lines(log: &mut MemberLog) -> Vec<String> {
        std::iter::from_fn(|| log.next_line().unwrap()).collect()
    }

    #[rstest]
    #[case::all(Tail::All, "one\ntwo\nthree\n", &["one", "two", "three"])]
    #[case::the_last(Tail::Last(2), "one\ntwo\nthree\n", &["two", "three"])]
    #[case::more_than_there_are(Tail::Last(9), "one\ntwo\n", &["one", "two"])]
    #[case::none(Tail::Last(0), "one\ntwo\n", &[])]
    #[case::of_nothing(Tail::Last(3), "", &[])]
    #[case::empty_lines_are_lines(Tail::Last(2), "one\n\n\n", &["", ""])]
    fn so_many_lines_are_read_as_are_wanted(#[case] tail: Tail, #[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(lines(&mut Scene::new(text).open(tail)), expected);
    }

    #[test]
    fn long_logs_are_read_in_blocks() {
        let text: String = (0..20_000).map(|number| number.to_string() + "\n").collect();
        let scene = Scene::new(&text);
        assert_eq!(lines(&mut scene.open(Tail::All)).len(), 20_000);
        let last = lines(&mut scene.open(Tail::Last(15_000)));
        assert_eq!((last.len(), last[0].as_str(), last[14_999].as_str()), (15_000, "5000", "19999"));
    }

    #[test]
    fn a_line_is_there_when_its_end_is_and_at_the_end_of_all() {
        let scene = Scene::new("one\ntw");
        let mut log = scene.open(Tail::Last(1));
        assert_eq!(lines(&mut log), [""; 0]);
        scene.append("o\nthr");
        assert_eq!(lines(&mut log), ["two"]);
        assert_eq!(log.rest().as_deref(), Some("thr"));
        assert_eq!(log.rest(), None);
    }

    #[test]
    fn a_log_that_was_put_aside_is_read_to_its_end_and_then_the_new_one() {
        let scene = Scene::new("one\n");
        let mut log = scene.open(Tail::All);
        assert_eq!(lines(&mut log), ["one"]);
        scene.append("two\n");
        fs::rename(&scene.log, scene.log.with_extension("log.1")).unwrap();
        fs::write(&scene.log, "three\n").unwrap();
        assert_eq!(lines(&mut log), ["two", "three"]);
    }

    #[test]
    fn a_member_that_never_started_has_an_empty_log_until_it_does() {
        let scene = Scene::new("");
        fs::remove_file(&scene.log).unwrap();
        let mut log = scene.open(Tail::All);
        assert_eq!(lines(&mut log), [""; 0]);
        fs::write(&scene.log, "one\n").unwrap();
        assert_eq!(lines(&mut log), ["one"]);
    }

    #[test]
    fn what_is_no_log_is_an_error() {
        let scene = Scene::new("");
        let nobody = MemberLog::of(&scene.dir, &"7".parse().unwrap(), Tail::All).unwrap_err().to_string();
        assert!(nobody.contains("no member is called `7`") && nobody.contains("slot (0)"), "{nobody}");
        fs::remove_file(&scene.log).unwrap();
        fs::create_dir(&scene.log).unwrap();
        let mut log = scene.open(Tail::All);
        let unreadable = log.next_line().unwrap_err().to_string();
        assert!(unreadable.contains("etcd.log cannot be read"), "{unreadable}");
        assert!(scene.home.path().exists());
    }
}
