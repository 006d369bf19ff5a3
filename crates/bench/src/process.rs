//! What a process costs, as the kernel counts it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::failure::Failure;

/// The clock that the kernel counts processor time with, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process under observation.
#[derive(Clone, Debug)]
pub struct Process {
    folder: PathBuf,
}

/// Processor time since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    ticks: f64,
    since: Instant,
}

impl Process {
    /// The process of this ID.
    pub fn new(id: u32) -> Self {
        Self { folder: Path::new("/proc").join(id.to_string()) }
    }

    /// Megabytes that it holds in memory.
    pub fn resident(&self) -> Result<f64, Failure> {
        let text = fs::read_to_string(self.folder.join("status")).map_err(Failure::io("read /proc/PID/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kilobytes.map(|kilobytes| kilobytes / 1024.0).ok_or(Failure::Unreadable { what: "/proc/PID/status" })
    }

    /// Begins to count.
    pub fn watch(&self) -> Result<Busy, Failure> {
        Ok(Busy { ticks: self.ticks()?, since: Instant::now() })
    }

    /// Percent of one core since then.
    pub fn percent_since(&self, then: Busy) -> Result<f64, Failure> {
        let seconds = (self.ticks()? - then.ticks) / TICKS_PER_SECOND;
        Ok(seconds / then.since.elapsed().as_secs_f64() * 100.0)
    }

    /// Processor time, user and system together.
    fn ticks(&self) -> Result<f64, Failure> {
        let text = fs::read_to_string(self.folder.join("stat")).map_err(Failure::io("read /proc/PID/stat"))?;
        // The name in parentheses may hold anything; the fields after it are numbers. utime and stime are the 14th and 15th of all.
        let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
        let ticks: Option<Vec<f64>> = fields.map(|fields| fields.filter_map(|field| field.parse().ok()).collect());
        ticks
            .filter(|ticks| ticks.len() == 2)
            .map(|ticks| ticks.iter().sum())
            .ok_or(Failure::Unreadable { what: "/proc/PID/stat" })
    }
}
