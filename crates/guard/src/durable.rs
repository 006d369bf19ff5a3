//! Files that are there whole or not at all, also after a power cut.
//!
//! A new content is written beside the file, flushed, and renamed over it. The name beside is fixed, not random: each
//! file has one writer, and a crash then leaves at most one stray file, which the next write takes over.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The content of a file, or nothing when there is no such file.
///
/// # Errors
/// Every other reason why it cannot be read, text that is not UTF-8 included.
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file; the new content survives a power cut once this returns.
///
/// # Errors
/// The directory is missing, full or read-only. The file then has its old content, or the new one if only the last
/// flush failed.
pub fn write_durably(path: &Path, content: &str) -> io::Result<()> {
    let mut file = File::create(beside(path))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside(path), path)?;
    File::open(directory(path))?.sync_all()
}

/// Replaces a file that readers watch and nobody needs after a crash: whole at every moment, but not flushed.
///
/// # Errors
/// The directory is missing, full or read-only; the file then has its old content.
pub fn replace(path: &Path, content: &str) -> io::Result<()> {
    fs::write(beside(path), content)?;
    fs::rename(beside(path), path)
}

/// Where the next content of `path` is written before it takes its place.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".tmp");
    path.with_file_name(name)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
