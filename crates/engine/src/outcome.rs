//! What became of a step. Only two of the three let the engine go on as if it knew; the third makes it look again (rule 8).

use serde::Serialize;
use thiserror::Error;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Carried out, or found to be so already.
    Done,
    /// Certainly not carried out: refused, or a fence did not hold.
    NotApplied(String),
    /// As [`Self::NotApplied`], and what is in the way passes by itself within seconds: worth trying again at once.
    NotYet(String),
    /// Nobody knows: the call was given up, or its answer was lost.
    Unknown(String),
}

/// Why a record was not committed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Somebody else committed in between: look again.
    #[error("the record was changed by somebody else in the meantime")]
    Conflict,
    /// Not written.
    #[error("the record could not be written: {0}")]
    Failed(String),
    /// Perhaps written.
    #[error("whether the record was written is not known: {0}")]
    Unknown(String),
}
