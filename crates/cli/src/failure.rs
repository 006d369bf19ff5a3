//! Why a command failed: what was wrong, what to try, and which exit code says so.

use std::{error::Error as _, io, path::PathBuf, time::Duration};

use etcdop_core::{launch::OptionError, version::PathError};
use etcdop_local::{
    binaries::BinariesError,
    down::DownError,
    faults::FaultError,
    home::{ClusterName, HomeError},
    lock::LockError,
    logs::LogError,
    manifest::ManifestError,
    member_name::MemberError,
    open::OpenError,
};
use etcdop_witness::StartError;
use thiserror::Error;

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    // --- which cluster
    /// NAME and `--name` differ.
    #[error("two clusters are named, `{0}` and `{1}`")]
    TwoNames(ClusterName, ClusterName),
    /// None is named, and there is a choice.
    #[error("there are several clusters, and none is called `default`: {0}")]
    Ambiguous(String),
    /// None is named, and there is none.
    #[error("there is no cluster in {0}")]
    NoCluster(PathBuf),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Lock(#[from] LockError),
    // --- what is asked of it
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    #[error(transparent)]
    VersionPath(#[from] PathError),
    #[error(transparent)]
    Options(#[from] OptionError),
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Down(#[from] DownError),
    /// `destroy` without `--yes`.
    #[error("destroying `{name}` removes {directory} with all data", directory = .directory.display())]
    NotConfirmed { name: ClusterName, directory: PathBuf },
    /// Nobody for `env` to name.
    #[error("no member of `{0}` serves clients now")]
    NobodyServes(ClusterName),
    /// `--wait` ran out.
    #[error("`{name}` is not as declared after {waited:.1?}: {why}")]
    NotConverged { name: ClusterName, waited: Duration, why: String },
    // --- the demo
    /// The cluster takes no writes.
    #[error(transparent)]
    Witness(#[from] StartError),
    /// A step took too long.
    #[error("`{step}` was not done after {waited:.1?}: {why}")]
    StepNotDone { step: String, waited: Duration, why: String },
    /// The one thing that must not happen.
    #[error("{lost} acknowledged writes were lost, and {breaches} other promises broken")]
    PromisesBroken { lost: usize, breaches: usize },
    /// Ctrl-C.
    #[error("interrupted; members were stopped")]
    Interrupted,
    // --- the machine
    /// A file that was asked for cannot be written.
    #[error("{path} cannot be written", path = .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    /// stdout is closed or full.
    #[error("the result cannot be printed")]
    Unprintable(#[source] io::Error),
    /// No runtime, no signals, no temporary directory.
    #[error("{what}")]
    System { what: &'static str, source: io::Error },
    /// A task ended that must not.
    #[error("the manager's loop ended by itself; members go on without it")]
    LoopEnded(#[source] tokio::task::JoinError),
}

impl Failure {
    /// What scripts are told.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::TwoNames(..) | Self::Ambiguous(_) | Self::NotConfirmed { .. } | Self::Home(HomeError::BadName(_)) => {
                Exit::Usage
            }
            Self::NoCluster(_)
            | Self::Open(OpenError::Missing { .. })
            | Self::Fault(FaultError::Member(MemberError::Unknown { .. }))
            | Self::Log(LogError::Member(MemberError::Unknown { .. })) => Exit::NotFound,
            Self::Lock(LockError::Held { .. })
            | Self::Open(OpenError::Lock(LockError::Held { .. }))
            | Self::Down(DownError::Lock(LockError::Held { .. })) => Exit::InUse,
            Self::NotConverged { .. } | Self::StepNotDone { .. } => Exit::NotConverged,
            Self::Interrupted => Exit::Aborted,
            Self::Home(_)
            | Self::Open(_)
            | Self::Manifest(_)
            | Self::Lock(_)
            | Self::Binaries(_)
            | Self::VersionPath(_)
            | Self::Options(_)
            | Self::Fault(_)
            | Self::Log(_)
            | Self::Down(_)
            | Self::NobodyServes(_)
            | Self::Witness(_)
            | Self::PromisesBroken { .. }
            | Self::Unwritable { .. }
            | Self::Unprintable(_)
            | Self::System { .. }
            | Self::LoopEnded(_) => Exit::Failed,
        }
    }

    /// What lies behind it, as far as the message does not tell it already.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut told = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !told.contains(&text) {
                told.clone_from(&text);
                causes.push(text);
            }
            source = cause.source();
        }
        causes
    }

    /// What to try, where the message does not say so itself.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TwoNames(..) => "say it once, as NAME or as --name NAME".to_owned(),
            Self::Ambiguous(_) => "name one with --name NAME".to_owned(),
            Self::NoCluster(_) => "create one with `etcdop local up`, or name another directory with --dir".to_owned(),
            Self::NotConfirmed { name, .. } => format!("`etcdop local destroy {name} --yes` if that is what you want"),
            Self::NobodyServes(name) => format!("`etcdop local status {name}` says what is missing"),
            Self::NotConverged { name, .. } => {
                format!("it is still being worked on: `etcdop local status {name}`, or wait longer")
            }
            Self::Fault(FaultError::NotRunning(_)) => "`etcdop local status` shows what runs".to_owned(),
            _ => return None,
        })
    }
}
