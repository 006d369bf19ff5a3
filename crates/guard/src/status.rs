//! The one line in which a guard tells its platform where it stands: `<instance> waiting|refused <slug> <sentence>` or
//! `<instance> joins|started epoch=<n>`.

use std::{fmt, str::FromStr};

use crate::{
    identity::{Epoch, InstanceId},
    reason::{Refusal, RefusalKind, WaitKind, WaitReason},
};

/// The status file's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who wrote it: a line of an earlier process says nothing about this one.
    pub instance: InstanceId,
    /// How far it got.
    pub progress: Progress,
}

/// How far a guard got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It stands at the gate.
    Waiting {
        /// What for.
        kind: WaitKind,
        /// The same for people.
        sentence: String,
    },
    /// It ended, or is about to.
    Refused {
        /// Why.
        kind: RefusalKind,
        /// The same for people.
        sentence: String,
    },
    /// etcd takes the cluster's data beside it, and starts for good when it has them.
    Joins {
        /// The start's number on this disk.
        epoch: Epoch,
    },
    /// It became etcd, or is about to.
    Started {
        /// The start's number on this disk.
        epoch: Epoch,
    },
}

/// A line that no guard writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStatus;

impl fmt::Display for BadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a status line of the guard")
    }
}

impl std::error::Error for BadStatus {}

impl From<&WaitReason> for Progress {
    fn from(reason: &WaitReason) -> Self {
        Self::Waiting { kind: reason.kind(), sentence: one_line(&reason.to_string()) }
    }
}

impl From<&Refusal> for Progress {
    fn from(refusal: &Refusal) -> Self {
        Self::Refused { kind: refusal.kind(), sentence: one_line(&refusal.to_string()) }
    }
}

impl Status {
    /// Reads the status file.
    ///
    /// # Errors
    /// Anything that [`Status::render`] would not write, an empty file included.
    pub fn parse(text: &str) -> Result<Self, BadStatus> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        if line.contains('\n') {
            return Err(BadStatus);
        }
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().ok_or(BadStatus);
        let instance = InstanceId::from_str(word()?).map_err(|_| BadStatus)?;
        let progress = match (word()?, word()?) {
            ("waiting", slug) => {
                let kind = WaitKind::ALL.into_iter().find(|kind| kind.slug() == slug).ok_or(BadStatus)?;
                Progress::Waiting { kind, sentence: word()?.to_owned() }
            }
            ("refused", slug) => {
                let kind = RefusalKind::ALL.into_iter().find(|kind| kind.slug() == slug).ok_or(BadStatus)?;
                Progress::Refused { kind, sentence: word()?.to_owned() }
            }
            (step @ ("joins" | "started"), epoch) if word().is_err() => {
                let epoch = epoch.strip_prefix("epoch=").ok_or(BadStatus)?;
                let epoch = epoch.parse().map_err(|_| BadStatus)?;
                if step == "joins" { Progress::Joins { epoch } } else { Progress::Started { epoch } }
            }
            _ => return Err(BadStatus),
        };
        Ok(Self { instance, progress })
    }

    /// The content of the status file.
    pub fn render(&self) -> String {
        let instance = &self.instance;
        match &self.progress {
            Progress::Waiting { kind, sentence } => {
                format!("{instance} waiting {} {}\n", kind.slug(), one_line(sentence))
            }
            Progress::Refused { kind, sentence } => {
                format!("{instance} refused {} {}\n", kind.slug(), one_line(sentence))
            }
            Progress::Joins { epoch } => format!("{instance} joins epoch={epoch}\n"),
            Progress::Started { epoch } => format!("{instance} started epoch={epoch}\n"),
        }
    }
}

/// Paths and texts of the system may hold line breaks.
fn one_line(sentence: &str) -> String {
    sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
