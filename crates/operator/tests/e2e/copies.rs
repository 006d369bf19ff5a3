//! Item 5: a disk is put back as it once was. Its number of starts tells, unless the copy was taken after the last one.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{ground::Ground, stage::Stage};

/// A copy of a disk.
struct Copied {
    place: TempDir,
}

impl Copied {
    fn take(folder: &Path) -> Self {
        let place = TempDir::new_in(folder.parent().and_then(Path::parent).unwrap()).unwrap();
        copy(folder, place.path());
        Self { place }
    }

    /// Puts it in place of what is there.
    fn put_back(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            gone.unwrap();
        }
        copy(self.place.path(), folder);
    }
}

/// With owners and modes.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--archive").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A copy as a snapshot of the volume would be: of one instant.
async fn snapshot(stage: &Stage, slot: usize) -> Copied {
    let pod = stage.path(&stage.pod(slot));
    let frozen = stage.ground.harm("pod", &["freeze", &pod, "etcd"], &["thaw", &pod, "etcd"]).await;
    let copied = Copied::take(&stage.folder(slot).await);
    frozen.mend().await;
    copied
}

/// The member's process dies, and its disk is the copy when the next one comes. Nobody sees it change underneath.
async fn dies_and_finds(stage: &Stage, slot: usize, copied: &Copied) {
    let pod = stage.path(&stage.pod(slot));
    let frozen = stage.ground.harm("pod", &["freeze", &pod, "etcd"], &["thaw", &pod, "etcd"]).await;
    copied.put_back(&stage.folder(slot).await);
    stage.ground.script("pod", &["kill", &pod, "etcd"]).await;
    frozen.forget();
}

async fn restarts(stage: &Stage, slot: usize) {
    let before = stage.restarts().await;
    stage.ground.script("pod", &["kill", &stage.path(&stage.pod(slot)), "etcd"]).await;
    stage.until("restarted", || async { stage.restarts().await > before }).await;
    stage.converged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_before_the_last_start_is_refused_and_its_member_replaced() {
    let Some(ground) = Ground::to_break().await else { return };
    let stage = Stage::on(ground, "copy-old", serde_json::json!({ "size": 3 }), &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    let copied = snapshot(&stage, slot).await;
    restarts(&stage, slot).await;
    assert_eq!(stage.members().await, before);
    dies_and_finds(&stage, slot, &copied).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}

/// Not promised to be noticed (docs/guarantees.md): etcd ends over it, again and again, because its leader knows that it had more.
/// What the majority has acknowledged is not lost by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_after_the_last_start_ends_its_member_which_is_replaced_when_it_is_silent_for_long() {
    let Some(ground) = Ground::to_break().await else { return };
    let spec = serde_json::json!({ "size": 3, "recovery": { "replaceAfter": "30s" } });
    let stage = Stage::on(ground, "copy-new", spec, &[]).await;
    stage.converged().await;
    let witness = stage.witness().await;
    let before = stage.members().await;
    let slot = stage.follower().await;
    let copied = snapshot(&stage, slot).await;
    let acked = witness.tally().acked;
    stage.until("more writes", || async { witness.tally().acked > acked + 200 }).await;
    dies_and_finds(&stage, slot, &copied).await;
    stage.is_replaced(slot, &before).await;
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
