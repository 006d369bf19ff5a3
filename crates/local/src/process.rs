//! Processes that are known by more than a PID, and held by a descriptor.
//!
//! A PID is used again; PID, start time and boot together are not. A pidfd names one process for as long as it is open:
//! it is opened first and the identity compared afterwards, so a signal can never reach a stranger. Children and adopted
//! processes are treated alike, only an exit code is known for children alone.

use std::{
    fmt, fs, io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command},
    str::FromStr,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use thiserror::Error;
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// How often and how long apart a process is looked at that is becoming another program; takes microseconds.
const EXEC_LOOKS: usize = 200;
const EXEC_PAUSE: Duration = Duration::from_millis(1);

/// A process for all time: boot, PID and start time, in the text form of the guard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    text: String,
    pid: u32,
}

/// A text that names no process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` does not name a process: expected proc:BOOT:PID:START")]
pub struct BadIdentity(String);

/// Whether a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It ended, or never was; another process may have its PID.
    Gone,
    /// Stopped by SIGSTOP or a debugger: handles no signal but SIGKILL.
    Frozen,
    /// It can run.
    Alive,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Code(i32),
    Signal(i32),
    /// It was not our child: nobody tells us.
    Unknown,
}

impl Identity {
    /// The process that has this PID now.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self { text: etcdop_guard::process_instance(pid)?.as_str().to_owned(), pid })
    }

    /// Its PID, as long as it lives.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// As guard, record and permit name it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is there now.
    pub(crate) fn life(&self) -> Life {
        if Self::of(self.pid).ok().as_ref() != Some(self) {
            return Life::Gone;
        }
        match state(self.pid) {
            None | Some('Z' | 'X' | 'x') => Life::Gone,
            Some('T' | 't') => Life::Frozen,
            Some(_) => Life::Alive,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let parts: Vec<&str> = text.split(':').collect();
        let pid = match parts[..] {
            ["proc", boot, pid, start] if !boot.is_empty() && start.parse::<u64>().is_ok() => pid.parse().ok(),
            _ => None,
        };
        let pid = pid.filter(|pid| *pid != 0);
        pid.map(|pid| Self { text: text.to_owned(), pid }).ok_or_else(|| BadIdentity(text.to_owned()))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(9) => f.write_str("was killed (SIGKILL)"),
            Self::Signal(15) => f.write_str("was stopped (SIGTERM)"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// A process held by its descriptor; it lives on when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    identity: Identity,
    fd: AsyncFd<OwnedFd>,
    child: Option<Child>,
}

impl Process {
    /// Starts a command and holds it. Needs a tokio runtime.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        // Until it is waited for, its PID cannot be given to anybody else.
        let identity = Identity::of(child.id())?;
        Ok(Self { fd: hold(&identity)?, identity, child: Some(child) })
    }

    /// Holds a process that somebody else started; `None` when it is gone.
    pub(crate) fn adopt(identity: &Identity) -> io::Result<Option<Self>> {
        let fd = match hold(identity) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return Ok(None),
            fd => fd?,
        };
        // After the descriptor, so that both are about the same process.
        let same = identity.life() != Life::Gone;
        Ok(same.then(|| Self { identity: identity.clone(), fd, child: None }))
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends a signal; one to a process that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.fd.get_ref().as_fd(), signal) {
            Err(Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks it to end; a frozen one cannot hear, so it is killed.
    pub(crate) fn ask_to_end(&self) -> io::Result<()> {
        self.signal(if self.identity.life() == Life::Frozen { Signal::KILL } else { Signal::TERM })
    }

    /// Resolves when it has ended, and reaps it. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> io::Result<Ending> {
        let _ready = self.fd.readable().await?;
        let Some(child) = &mut self.child else { return Ok(Ending::Unknown) };
        let status = child.wait()?;
        Ok(match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
            (Some(code), _) => Ending::Code(code),
            (None, Some(signal)) => Ending::Signal(signal),
            (None, None) => Ending::Unknown,
        })
    }
}

fn hold(identity: &Identity) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(identity.pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    readable(pidfd_open(pid, PidfdFlags::empty())?)
}

/// The letter that Linux gives to what a process is doing.
fn state(pid: u32) -> Option<char> {
    let fields = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    fields.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The arguments of every process that we may see, by PID.
pub(crate) fn command_lines() -> io::Result<Vec<(u32, Vec<Vec<u8>>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Gone meanwhile, or somebody else's.
        let Some(arguments) = arguments(pid) else { continue };
        all.push((pid, arguments));
    }
    Ok(all)
}

/// What a process was started with. One that is just becoming another program shows nothing for an instant: guards become
/// etcd, and one that is overlooked would be started twice, so that instant is waited for.
pub(crate) fn arguments(pid: u32) -> Option<Vec<Vec<u8>>> {
    for _ in 0..EXEC_LOOKS {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        if !bytes.is_empty() {
            return Some(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect());
        }
        // Threads of the kernel and dead processes show nothing either, and have no program.
        fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        std::thread::sleep(EXEC_PAUSE);
    }
    None
}
