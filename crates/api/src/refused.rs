//! Why a resource cannot be acted on.

use thiserror::Error;

/// A field that is wrong, and what to write instead. Nothing of the cluster is changed while one is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// Its path, as in `spec.storage.size`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}
