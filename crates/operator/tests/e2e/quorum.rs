//! Item 11: without a majority of disks nothing is decided, and nothing is destroyed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use etcdop_api::Phase;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    facts::{condition, says},
    ground::Ground,
    stage::Stage,
};

/// What was on a disk, somewhere else.
pub(crate) struct Away {
    folder: PathBuf,
    place: TempDir,
}

impl Away {
    /// Slots 0 and 1 of three lose their disks and their processes at once. No operator watches: it would replace the first one
    /// before the second one is gone.
    pub(crate) async fn take_two(stage: &mut Stage) -> [Self; 2] {
        stage.operator.kill().await;
        let lost = [Self::take(stage.folder(0).await), Self::take(stage.folder(1).await)];
        for slot in [0, 1] {
            stage.ground.script("pod", &["kill", &stage.path(&stage.pod(slot)), "etcd"]).await;
        }
        stage.start_operator();
        lost
    }

    /// Takes everything off the disk. Renamed, not copied: whoever writes goes on writing to it.
    fn take(folder: PathBuf) -> Self {
        // Two levels up is beside all volumes, on the same file system.
        let place = TempDir::new_in(folder.parent().and_then(Path::parent).unwrap()).unwrap();
        relocate(&folder, place.path());
        Self { folder, place }
    }

    /// Puts it back. Nothing may have been written meanwhile.
    fn put_back(self) {
        let written: Vec<_> = fs::read_dir(&self.folder).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(written.is_empty(), "something was written to the lost disk: {written:?}");
        relocate(self.place.path(), &self.folder);
    }
}

fn relocate(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_lost_disks_destroy_nothing_and_one_that_returns_heals_the_cluster() {
    let Some(ground) = Ground::to_break().await else { return };
    // However soon members are given up: without a quorum none is.
    let spec = json!({ "size": 3, "recovery": { "replaceAfter": "10s" } });
    let mut stage = Stage::on(ground, "quorum", spec, &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let (before, claims) = (stage.members().await, stage.claim_uids().await);
    let [lost, returns] = Away::take_two(&mut stage).await;
    let told = stage.shows("told", |status| status.phase == Some(Phase::QuorumLost)).await;
    assert!(says(&told, "quorum lost: 1 of 3 voters are up and 2 are needed"), "{told:#?}");
    assert!(says(&told, "Bring a member with its disk back (missing: slots 0, 1)"), "{told:#?}");
    assert!(condition(&told, "QuorumLost", "True").contains("nothing is removed or wiped"), "{told:#?}");
    assert!(!condition(&told, "Available", "False").is_empty(), "{told:#?}");
    let pods = stage.pod_uids().await;
    stage.stays(Duration::from_secs(20), &pods, &claims).await;
    returns.put_back();
    stage.is_replaced(0, &before).await;
    stage.converged().await;
    drop(lost);
    stage.settle(witness).await;
    stage.end().await;
}
