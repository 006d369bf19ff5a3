//! The guard travels in the operator's image, beside the operator; the Pods' init container copies it to where etcd's container
//! finds it.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

/// The guard's file name.
const GUARD: &str = "etcdop-guard";

/// Copies the guard that lies beside this program to `to`, whole or not at all.
pub(crate) fn copy(to: &Path) -> Result<(), String> {
    let own = env::current_exe().map_err(|error| format!("this program's own path is not known: {error}"))?;
    let guard = own.with_file_name(GUARD);
    let unfinished = to.with_extension("part");
    let copied = fs::copy(&guard, &unfinished)
        .and_then(|_| fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&unfinished, to));
    copied.map_err(|error| format!("{} cannot be copied to {}: {error}", guard.display(), to.display()))
}
