//! Notices edits of the manifest. A broken one is published as an error and changes nothing else: the last good one stands.

use std::{path::PathBuf, sync::Arc, time::Duration};

use etcdop_core::desired::Desired;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    binaries::Binaries,
    inotify::Inotify,
    manifest::{Manifest, ManifestError},
};

/// A file that was not touched for so long is what its author meant.
const SETTLED: Duration = Duration::from_millis(50);

/// The declared cluster, as it changes.
#[derive(Debug)]
pub struct DesiredWatch {
    /// The last manifest that could be used.
    pub desired: watch::Receiver<Desired>,
    /// What is wrong with the manifest now.
    pub error: watch::Receiver<Option<Arc<ManifestError>>>,
    task: JoinHandle<()>,
}

impl Drop for DesiredWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Publishes what `path` declares from `first` on. `edits` watches its directory, and did so before `first` was read.
pub(crate) fn follow(path: PathBuf, first: Desired, binaries: Binaries, edits: Inotify) -> DesiredWatch {
    let (desired_tx, desired) = watch::channel(first);
    let (error_tx, error) = watch::channel(None);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let read = move || Manifest::read(&path).and_then(|manifest| manifest.desired(&binaries));
    let task = tokio::spawn(async move {
        loop {
            if let Err(error) = edits.touched(&name).await {
                tracing::error!(%error, "edits of the manifest are not noticed any more");
                return;
            }
            let mut declared = read();
            // Some editors empty the file before they fill it: only what stays broken is broken.
            while declared.is_err() && matches!(tokio::time::timeout(SETTLED, edits.touched(&name)).await, Ok(Ok(()))) {
                declared = read();
            }
            match declared {
                Ok(next) => {
                    error_tx.send_if_modified(|error| error.take().is_some());
                    desired_tx.send_if_modified(|desired| {
                        let differs = *desired != next;
                        *desired = next;
                        differs
                    });
                }
                Err(error) => {
                    error_tx.send_replace(Some(Arc::new(error)));
                }
            }
        }
    });
    DesiredWatch { desired, error, task }
}
