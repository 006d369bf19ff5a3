//! Finds the program that the guard becomes, before anything is used up on it.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use etcdop_guard::Refusal;

/// The file that `program` names, looked up in `PATH` when it has no directory.
///
/// # Errors
/// There is no such file, or nobody may execute it. That the rest of `exec` succeeds is not promised.
pub(crate) fn find(program: &Path) -> Result<PathBuf, Refusal> {
    let refuse = |why: String| Refusal::EtcdNotRunnable { program: program.to_owned(), why };
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return executable(program).map(|()| program.to_owned()).map_err(|error| refuse(error.to_string()));
    }
    let path = env::var_os("PATH").ok_or_else(|| refuse("PATH is not set".to_owned()))?;
    env::split_paths(&path)
        // An empty entry means the working directory, which nobody who guards a disk means.
        .filter(|directory| !directory.as_os_str().is_empty())
        .map(|directory| directory.join(program))
        .find(|candidate| executable(candidate).is_ok())
        .ok_or_else(|| refuse("not found in PATH".to_owned()))
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::other("not executable"));
    }
    Ok(())
}
