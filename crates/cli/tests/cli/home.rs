//! A place for clusters that cleans up after itself, also when a test fails in the middle.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// For everything that has to happen sooner or later; a loaded machine takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Home {
    directory: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let guard = binary().with_file_name("etcdop-guard");
        assert!(guard.is_file(), "{} is missing: run `cargo build -p etcdop-guard`", guard.display());
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn manifest(&self, name: &str) -> PathBuf {
        self.path().join(name).join("cluster.yaml")
    }

    /// `etcdop local ARGUMENTS` on this home, in an environment without anybody's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = etcdop();
        command.arg("local").arg("--dir").arg(self.path()).args(arguments).env("HOME", self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.stdout
    }

    /// Asks again and again until what a command says is as wished: one look may find a member too busy to answer in time.
    pub(crate) fn await_said(&self, arguments: &[&str], wished: impl Fn(&str) -> bool) -> String {
        eventually(&format!("{arguments:?} says so"), || {
            let said = self.run(arguments);
            if said.code == Some(0) && wished(&said.stdout) { Ok(said.stdout) } else { Err(format!("{said:?}")) }
        })
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        serde_json::from_str(&self.ok(&["status", name, "-o", "json"])).unwrap()
    }

    /// Waits until the status is as wished, and gives it back.
    pub(crate) fn await_status(&self, name: &str, what: &str, wished: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let said = self.run(&["status", name, "-o", "json"]);
            // Before the manager has created it there is none.
            let status = serde_json::from_str(&said.stdout).map_err(|_| said.stderr)?;
            if wished(&status) { Ok(status) } else { Err(format!("{status:#}")) }
        })
    }

    pub(crate) fn await_running(&self, name: &str) -> Value {
        self.await_status(name, "the cluster runs as declared", |status| status["converged"] == true)
    }

    /// Every process of this home by its PID: guards, members, managers.
    pub(crate) fn processes(&self) -> BTreeMap<i32, String> {
        let path = self.path().to_str().unwrap();
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let found = pids.filter_map(|pid: i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            words.contains(path).then_some((pid, words))
        });
        found.collect()
    }

    /// The members among them.
    pub(crate) fn members(&self) -> Vec<i32> {
        let is_member = |words: &String| words.contains("--data-dir");
        self.processes().into_iter().filter(|(_, words)| is_member(words)).map(|(pid, _)| pid).collect()
    }

    /// Every file below, with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn add(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    add(&entry.path(), files);
                } else {
                    files.insert(entry.path(), fs::read(entry.path()).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        add(self.path(), &mut files);
        files
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A manager that is about to die may just have started a member.
        while Instant::now() < deadline {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes.keys().filter_map(|pid| Pid::from_raw(*pid)) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Refused with this code, in words that hold all of these.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing in {self:?}");
        }
    }
}

pub(crate) fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("etcdop").to_owned()
}

/// The binary, in an environment without anybody's settings.
pub(crate) fn etcdop() -> Command {
    let mut command = Command::new(binary());
    for variable in ["ETCDOP_ETCD_DIR", "ETCDOP_GUARD", "ETCDOP_LOG", "XDG_DATA_HOME", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; last seen: {last}"),
        }
        std::thread::sleep(POLL);
    }
}
