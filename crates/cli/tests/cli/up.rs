//! `etcdop local up` as a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, eventually};

/// A manager that runs; killed when dropped.
pub(crate) struct Up {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Up {
    /// `etcdop local up ARGUMENTS`.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(&["up"]);
        Self::spawn(command.args(arguments))
    }

    /// The command as it is.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        Self { child, lines, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a line with these words.
    pub(crate) fn await_line(&self, words: &str) -> String {
        eventually(&format!("a line with `{words}`"), || {
            let lines = self.lines.lock().unwrap();
            lines.iter().find(|line| line.contains(words)).cloned().ok_or_else(|| lines.join("\n"))
        })
    }

    /// How it ended, if it did.
    #[cfg(feature = "failpoints")]
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; says how it ended and what it printed.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let status = eventually("the manager ends", || self.child.try_wait().unwrap().ok_or_else(String::new));
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status, self.lines.lock().unwrap().clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Both fail when it ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
