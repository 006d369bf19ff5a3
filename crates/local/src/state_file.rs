//! Small JSON files that this program writes for itself. One that is there and cannot be understood is an error with its
//! path, never taken for missing: what it says may matter.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// A file of ours that cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The system does not let us read it.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what we write.
    #[error(
        "{path} is not what this program writes ({why}): restore it, or move it away if you know what it stood for"
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system does not let us write it: no space, no permission, a read-only file system.
    #[error("{path} cannot be written: {source}; nothing was changed, free space or repair the directory")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateError {
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Unreadable { path: path.to_owned(), source }
    }

    pub(crate) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Unwritable { path: path.to_owned(), source }
    }
}

/// The file's content; `None` when there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(text) = etcdop_guard::read_text(path).map_err(StateError::unreadable(path))? else { return Ok(None) };
    let parsed = serde_json::from_str(&text);
    parsed.map(Some).map_err(|error| StateError::NotOurs { path: path.to_owned(), why: error.to_string() })
}

/// Replaces the file; survives a power cut once this returns.
pub(crate) fn write_durably<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    etcdop_guard::write_durably(path, &render(path, value)?).map_err(StateError::unwritable(path))
}

/// Replaces the file as a whole, for what means nothing after a power cut.
pub(crate) fn replace<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    etcdop_guard::replace(path, &render(path, value)?).map_err(StateError::unwritable(path))
}

fn render<T: Serialize>(path: &Path, value: &T) -> Result<String, StateError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| StateError::Unwritable { path: path.to_owned(), source: error.into() })
}
