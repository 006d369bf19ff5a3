//! A cluster seen from beside, by a process that does not keep it: the same look, and no step.

use std::{path::PathBuf, sync::Arc, time::Duration};

use etcdop_core::{id::RecordRevision, observation::SlotPolicy, record::Record, step::GroundStep, version::Minor};
use etcdop_engine::{
    outcome::{CommitError, Outcome},
    platform::{Ground, Platform},
};

use crate::{
    aside::Aside,
    directory::ClusterDir,
    look::{self, facts_on_disk},
    platform::{LOOK, PACE, unseen},
    record_file::RecordFile,
};

const READ_ONLY: &str = "this process only looks: the cluster's manager acts";

/// The platform of a process that does not hold the cluster's lock.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: ClusterDir,
    record: Arc<RecordFile>,
    looks: Aside,
}

impl Reader {
    pub(crate) fn new(dir: ClusterDir) -> Self {
        Self { record: Arc::new(RecordFile::new(dir.clone())), dir, looks: Aside::default() }
    }
}

impl Platform for Reader {
    fn slot_policy(&self) -> SlotPolicy {
        SlotPolicy::Any
    }

    fn pace(&self) -> Duration {
        PACE
    }

    async fn observe(&self) -> Ground {
        let Self { dir, record, looks } = self.clone();
        let look = move || match facts_on_disk(&dir) {
            Ok(facts) => look::look(&dir, &record, facts),
            Err(error) => unseen(&error),
        };
        looks.run(LOOK, look).await.unwrap_or_else(|hung| unseen(&hung))
    }

    async fn commit(&self, _base: &RecordRevision, _next: &Record) -> Result<RecordRevision, CommitError> {
        Err(CommitError::Failed(READ_ONLY.to_owned()))
    }

    async fn apply(&self, _step: &GroundStep) -> Outcome {
        Outcome::NotApplied(READ_ONLY.to_owned())
    }

    fn snapshot_path(&self, before: Minor) -> PathBuf {
        self.dir.safeguards().unfinished(before)
    }

    async fn keep_snapshot(&self, _before: Minor) -> Outcome {
        Outcome::NotApplied(READ_ONLY.to_owned())
    }

    async fn changed(&self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
