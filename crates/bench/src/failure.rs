//! Why a repetition gave no figure.

use std::{error::Error, io, path::PathBuf, time::Duration};

use thiserror::Error;

/// Why a repetition gave no figure.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Failure {
    #[error("{path} is not there: run `make etcd`", path = .path.display())]
    NoEtcd { path: PathBuf },
    #[error("{what}")]
    Io { what: &'static str, source: io::Error },
    #[error("{program} is not there: run `make bench` or `make bench-kubernetes`", program = .program.display())]
    NoProgram { program: PathBuf },
    #[error("{what}")]
    Missing { what: String },
    #[error("{what} does not read as expected")]
    Unreadable { what: &'static str },
    #[error("no free port between {from} and {to}")]
    NoPort { from: u16, to: u16 },
    #[error("{what}: not within {after:?}")]
    NotInTime { what: String, after: Duration },
    #[error("{what}")]
    Etcd { what: &'static str, source: etcdop_etcd::Error },
    #[error("{what}")]
    Ours { what: &'static str, source: Box<dyn Error + Send + Sync> },
    #[error(transparent)]
    Witness(#[from] etcdop_witness::StartError),
    #[error("the voter in slot {slot} was restarted")]
    VoterRestarted { slot: String },
    #[error("promises were broken:\n{bill}")]
    Broken { bill: String },
}

impl Failure {
    /// For `map_err`, with what was attempted.
    pub fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For `map_err`, with what was attempted.
    pub fn etcd(what: &'static str) -> impl Fn(etcdop_etcd::Error) -> Self {
        move |source| Self::Etcd { what, source }
    }

    /// For `map_err` on errors of our own crates, with what was attempted.
    pub fn ours<E: Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Ours { what, source: Box::new(source) }
    }
}
