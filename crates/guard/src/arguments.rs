//! The command line, read without a library: the paths of the gate, who this is, whom to tell, and etcd's own command.
//!
//! etcd's command is looked at for one thing only: that it does not lead etcd to another disk, or past the flags of the
//! permit. A guard of the wrong directory would be worse than none, for it says that all is well.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    net::SocketAddr,
    os::unix::ffi::OsStrExt,
    path::{self, Path, PathBuf},
};

use etcdop_guard::InstanceId;

pub(crate) const HELP: &str = "\
etcdop-guard: decides whether etcd may start on this disk, then becomes etcd

Usage: etcdop-guard --marker PATH --data-dir PATH --seat PATH [--seat PATH] --permit PATH --ledger PATH --status PATH
                    [--instance ID] [--report ADDRESS] [--termination PATH] [--rehearse ADDRESS] [--hand-over ADDRESS]
                    -- ETCD [ARGS]...
       etcdop-guard report --marker PATH --data-dir PATH --status PATH --report ADDRESS [--hand-over ADDRESS --ledger PATH]

  --marker PATH    what the disk says it is; on the data volume, written here
  --data-dir PATH  etcd's data directory
  --seat PATH      what the record gives to this slot; written by the platform. A second one is for what may be newer or
                   missing: the newer of both counts, and the second where they speak of different lives of the cluster
  --permit PATH    one-time permit for an empty disk; written by the platform
  --ledger PATH    the permit that was used; not on the data volume, written here
  --status PATH    one line that says where this guard stands; written here
  --instance ID    this process's name in permit and status (default: proc:<boot id>:<pid>:<start time>)
  --report ADDRESS IP:PORT where a process beside this one answers every HTTP request with what the disk and the status
                   say, before etcd starts and while it runs; 'report' is what that process is started with
  --termination PATH  the report of a refusal; written in place, for a container's termination log
  --rehearse ADDRESS  IP:PORT of etcd's metrics, without TLS: a member that joins starts twice, first beside the guard until it
                   has the cluster's data, then for good. For containers only, which end with their first process
  --hand-over ADDRESS  loopback IP:PORT where the process beside this one takes a seat and a permit, for a platform whose files
                   come late; they are written beside the ledger, and count like the others. Whoever reaches it decides who
                   starts: the platform must see to it that nobody else does
  --help, --version

It waits until seat and permit are there; SIGTERM ends it at once, except as process 1 of a container, where the
kernel drops signals that nobody handles. Exit codes of its own; all others are etcd's:
   2  the command line is wrong
  70  marker-unreadable  the marker cannot be understood
  71  foreign            the disk belongs to another cluster or member
  72  retired            the slot got a newer disk
  73  older-copy         the record saw a later start than this disk
  74  data-lost          a marker and no log
  75  unmarked           data and no marker
  76  permit-used        the permit was used before and the disk is empty
  77  etcd-not-runnable  etcd is missing or cannot be executed
  78  state-unreadable   the data directory or the ledger cannot be read
  79  state-not-written  marker or ledger cannot be written
";

/// What the caller asks for.
pub(crate) enum Request {
    Help,
    Version,
    Guard(Box<Arguments>),
    Report(Subject, SocketAddr, Option<HandOver>),
}

/// A complete command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) files: Files,
    /// `None` when the process is to name itself.
    pub(crate) instance: Option<InstanceId>,
    /// Where to report while this process lives.
    pub(crate) report: Option<SocketAddr>,
    /// Where a joiner shows that it has the cluster's data.
    pub(crate) rehearse: Option<SocketAddr>,
    pub(crate) hand_over: Option<HandOver>,
    pub(crate) etcd: EtcdCommand,
}

/// Where everything lies.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) marker: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// One or two; the later one may be newer.
    pub(crate) seats: Vec<PathBuf>,
    pub(crate) permit: PathBuf,
    pub(crate) ledger: PathBuf,
    pub(crate) status: PathBuf,
    pub(crate) termination: Option<PathBuf>,
}

/// What a report is about.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) marker: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) status: PathBuf,
}

/// What stands behind `--`.
#[derive(Debug)]
pub(crate) struct EtcdCommand {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// Where a seat and a permit are taken from whoever brings them.
#[derive(Clone, Debug)]
pub(crate) struct HandOver {
    pub(crate) address: SocketAddr,
    pub(crate) seat: PathBuf,
    pub(crate) permit: PathBuf,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Unknown(OsString),
    Missing(&'static str),
    Twice(&'static str),
    NoValue(&'static str),
    BadInstance(String),
    BadAddress(&'static str, OsString),
    NotLoopback(SocketAddr),
    NoCommand,
    LedgerOnData,
    NoDataDir(PathBuf),
    OtherDataDir(OsString),
    Forbidden(&'static str),
    ForbiddenVariable { name: &'static str, instead: &'static str },
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => write!(f, "unknown argument '{}'", argument.display()),
            Self::Missing(option) => write!(f, "{option} is missing"),
            Self::Twice(option) => write!(f, "{option} is there twice"),
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::BadInstance(why) => write!(f, "--instance cannot be used: {why}"),
            Self::BadAddress(option, text) => {
                write!(f, "{option} wants IP:PORT, as in 0.0.0.0:2378, not '{}'", text.display())
            }
            Self::NotLoopback(address) => {
                write!(f, "--hand-over wants a loopback address, as in 127.0.0.1:2377, not '{address}'")
            }
            Self::NoCommand => f.write_str("etcd's own command is missing: -- ETCD [ARGS]..."),
            Self::LedgerOnData => {
                f.write_str("--ledger lies inside --data-dir: a wiped disk would bring its used permit back to life")
            }
            Self::NoDataDir(path) => write!(
                f,
                "etcd's own command lacks --data-dir, so etcd would take another directory than the guarded one: \
                 write --data-dir={} behind --",
                path.display()
            ),
            Self::OtherDataDir(path) => {
                write!(f, "etcd is given data directory '{}', which is not the guarded one", path.display())
            }
            Self::Forbidden(flag) => {
                write!(f, "etcd's {flag} is not possible here: it goes past what is checked, leave it out")
            }
            Self::ForbiddenVariable { name, instead } => {
                write!(f, "environment variable {name} is not possible here: unset it{instead}")
            }
        }
    }
}

const OPTIONS: [&str; 12] = [
    "--marker",
    "--data-dir",
    "--seat",
    "--permit",
    "--ledger",
    "--status",
    "--instance",
    "--report",
    "--termination",
    "--rehearse",
    "--hand-over",
    // The second seat, which has no name of its own.
    "--seat",
];
const SEAT: usize = 2;
const SECOND_SEAT: usize = 11;

/// Reads the command line; `environment` is what etcd will inherit.
pub(crate) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Request, Usage> {
    let mut arguments = arguments.peekable();
    let reports = arguments.next_if(|first| first == "report").is_some();
    let mut values: [Option<OsString>; OPTIONS.len()] = Default::default();
    let mut etcd = None;
    while let Some(argument) = arguments.next() {
        match argument.as_bytes() {
            b"--help" | b"-h" => return Ok(Request::Help),
            b"--version" => return Ok(Request::Version),
            b"--" => {
                let program = arguments.next().ok_or(Usage::NoCommand)?;
                etcd = Some(EtcdCommand { program: program.into(), arguments: arguments.collect() });
                break;
            }
            _ => {}
        }
        let (name, attached) = split(&argument);
        let Some(at) = OPTIONS.iter().position(|option| name == *option) else {
            return Err(Usage::Unknown(argument));
        };
        let at = if at == SEAT && values[SEAT].is_some() { SECOND_SEAT } else { at };
        let value = attached.map(ToOwned::to_owned).or_else(|| arguments.next());
        let value = value.filter(|value| !value.is_empty() && value != "--").ok_or(Usage::NoValue(OPTIONS[at]))?;
        if values[at].replace(value).is_some() {
            return Err(Usage::Twice(OPTIONS[at]));
        }
    }
    let [
        marker,
        data_dir,
        seat,
        permit,
        ledger,
        status,
        instance,
        report,
        termination,
        rehearse,
        hand_over,
        newer_seat,
    ] = values;
    let path = |value: Option<OsString>, at: usize| value.map(PathBuf::from).ok_or(Usage::Missing(OPTIONS[at]));
    let address = |text: OsString, at: usize| address(OPTIONS[at], text);
    let report = report.map(|text| address(text, 7)).transpose()?;
    let hand_over = match hand_over {
        Some(text) => {
            Some(HandOver::at(address(text, 10)?, Path::new(ledger.as_ref().ok_or(Usage::Missing("--ledger"))?))?)
        }
        None => None,
    };
    if reports {
        let subject = Subject { marker: path(marker, 0)?, data_dir: path(data_dir, 1)?, status: path(status, 5)? };
        return Ok(Request::Report(subject, report.ok_or(Usage::Missing("--report"))?, hand_over));
    }
    let files = Files {
        marker: path(marker, 0)?,
        data_dir: path(data_dir, 1)?,
        seats: [Some(path(seat, SEAT)?), newer_seat.map(PathBuf::from)].into_iter().flatten().collect(),
        permit: path(permit, 3)?,
        ledger: path(ledger, 4)?,
        status: path(status, 5)?,
        termination: termination.map(PathBuf::from),
    };
    let etcd = etcd.ok_or(Usage::NoCommand)?;
    check(&files, &etcd, environment)?;
    let instance = instance.map(|text| text.to_string_lossy().parse()).transpose();
    let instance = instance.map_err(|why: etcdop_guard::BadId| Usage::BadInstance(why.to_string()))?;
    let rehearse = rehearse.map(|text| address(text, 9)).transpose()?;
    Ok(Request::Guard(Box::new(Arguments { files, instance, report, rehearse, hand_over, etcd })))
}

impl HandOver {
    fn at(address: SocketAddr, ledger: &Path) -> Result<Self, Usage> {
        if !address.ip().is_loopback() {
            return Err(Usage::NotLoopback(address));
        }
        let beside = |name| ledger.with_file_name(name);
        Ok(Self { address, seat: beside("seat-handed-over"), permit: beside("permit-handed-over") })
    }
}

fn address(option: &'static str, text: OsString) -> Result<SocketAddr, Usage> {
    text.to_str().and_then(|text| text.parse().ok()).ok_or(Usage::BadAddress(option, text))
}

/// What etcd takes from its environment and must not, and what to do in its place.
const FORBIDDEN: [(&str, &str); 4] = [
    ("ETCD_CONFIG_FILE", ", and write flags behind --"),
    ("ETCD_DATA_DIR", ", and write --data-dir behind --"),
    ("ETCD_WAL_DIR", ""),
    ("ETCD_FORCE_NEW_CLUSTER", ""),
];

fn check(
    files: &Files,
    etcd: &EtcdCommand,
    mut environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), Usage> {
    if absolute(&files.ledger).starts_with(absolute(&files.data_dir)) {
        return Err(Usage::LedgerOnData);
    }
    let mut arguments = etcd.arguments.iter();
    let mut has_data_dir = false;
    while let Some(argument) = arguments.next() {
        let (flag, attached) = split(argument);
        // Go's flags take one dash or two.
        let flag = flag.as_bytes();
        match flag.strip_prefix(b"--").or_else(|| flag.strip_prefix(b"-")) {
            Some(b"data-dir") => {
                let value = attached.or_else(|| arguments.next().map(OsString::as_os_str)).unwrap_or_default();
                if absolute(Path::new(value)) != absolute(&files.data_dir) {
                    return Err(Usage::OtherDataDir(value.to_owned()));
                }
                has_data_dir = true;
            }
            // etcd ignores every flag beside a configuration file, so those of the permit too.
            Some(b"config-file") => return Err(Usage::Forbidden("--config-file")),
            Some(b"wal-dir") => return Err(Usage::Forbidden("--wal-dir")),
            // It makes a cluster of one out of any member's disk.
            Some(b"force-new-cluster") => return Err(Usage::Forbidden("--force-new-cluster")),
            Some(_) | None => {}
        }
    }
    if !has_data_dir {
        return Err(Usage::NoDataDir(files.data_dir.clone()));
    }
    match environment.find_map(|(name, _)| FORBIDDEN.into_iter().find(|(forbidden, _)| name == *forbidden)) {
        Some((name, instead)) => Err(Usage::ForbiddenVariable { name, instead }),
        None => Ok(()),
    }
}

/// `--name=value` as name and value; any other text as it is.
fn split(argument: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let bytes = argument.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..]))),
        None => (argument, None),
    }
}

/// Two spellings of one path are equal in this form, symbolic links followed where the path exists.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
