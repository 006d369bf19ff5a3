//! What is on the data volume: the marker, and whether etcd's log is there.

use std::{fs, io, path::Path};

use crate::{
    decide::{DataState, MarkerState},
    durable::{beside, read_text},
    marker::Marker,
};

/// Reads the disk's marker. Whatever is wrong with it is part of the answer.
pub fn examine_marker(path: &Path) -> MarkerState {
    match read_text(path) {
        Ok(None) => MarkerState::Absent,
        Ok(Some(text)) => match Marker::parse(&text) {
            Ok(marker) => MarkerState::Present(marker),
            Err(error) => MarkerState::Unreadable(error.to_string()),
        },
        Err(error) => MarkerState::Unreadable(error.to_string()),
    }
}

/// Looks for etcd's log in `data`. The marker may lie inside and is not data.
///
/// # Errors
/// A directory that is there and cannot be listed: nobody may call it empty.
pub fn examine_data(data: &Path, marker: &Path) -> io::Result<DataState> {
    if holds_log(&data.join("member").join("wal"))? {
        return Ok(DataState::HasWal);
    }
    let Some(entries) = list(data)? else { return Ok(DataState::Empty) };
    let unfinished = beside(marker);
    // The second is what a crash in the middle of writing the marker leaves.
    let marker_names = if lies_in(marker, data) { [marker.file_name(), unfinished.file_name()] } else { [None, None] };
    for entry in entries {
        let name = entry?.file_name();
        let data_free = name == "lost+found" || marker_names.contains(&Some(&name));
        if !data_free {
            return Ok(DataState::Remnants);
        }
    }
    Ok(DataState::Empty)
}

/// However the two paths are spelled.
fn lies_in(file: &Path, directory: &Path) -> bool {
    let parent = file.parent().map(fs::canonicalize);
    matches!((parent, fs::canonicalize(directory)), (Some(Ok(parent)), Ok(directory)) if parent == directory)
}

fn holds_log(wal: &Path) -> io::Result<bool> {
    let entries = match list(wal) {
        Ok(Some(entries)) => entries,
        Ok(None) => return Ok(false),
        // A file in place of a directory is no log; what it is instead, the caller finds.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        if entry?.path().extension().is_some_and(|extension| extension == "wal") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The entries of a directory, or nothing when there is no such directory.
fn list(directory: &Path) -> io::Result<Option<fs::ReadDir>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
