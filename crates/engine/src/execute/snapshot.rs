//! The safeguard before a roll to another minor: a snapshot of what a quorum has acknowledged, verified and on the disk before anything
//! is restarted (DESIGN §6).

use std::{path::Path, time::Duration};

use etcdop_core::{id::MemberId, version::Minor};
use etcdop_etcd::{Client, Consistency, Error};
use tokio::{
    fs::{self, File},
    io::{AsyncWriteExt, BufWriter},
};

use super::Attempt;
use crate::{contact::Routes, platform::Platform};

/// Saves a snapshot of `from` and makes it a safeguard.
pub(super) async fn save<P: Platform>(
    routes: &Routes,
    from: MemberId,
    before: Minor,
    deadline: Duration,
    platform: &P,
) -> Attempt {
    let Some(client) = routes.to(from) else { return Attempt::not_applied(&format!("member {from} does not answer")) };
    let path = platform.snapshot_path(before);
    if let Err(error) = write(&client.deadline(deadline), &path).await {
        // What is there is no safeguard; the next try begins anew.
        let _ = fs::remove_file(&path).await;
        return Attempt::not_applied(&error);
    }
    platform.keep_snapshot(before).await.into()
}

async fn write(client: &Client, path: &Path) -> Result<(), Error> {
    // A member may be behind; after a linearizable answer it has everything that was acknowledged before (F23).
    client.member_list(Consistency::Linearizable).await?;
    let sink = |error: std::io::Error| Error::SnapshotSink { reason: format!("{}: {error}", path.display()) };
    // Another file: an earlier try that was given up may have a write under way still, which would land in this one.
    let _ = fs::remove_file(path).await;
    let mut file = BufWriter::new(File::create(path).await.map_err(sink)?);
    let answer = client.snapshot(&mut file).await?;
    file.flush().await.map_err(sink)?;
    file.get_ref().sync_all().await.map_err(sink)?;
    let summary = answer.value;
    tracing::info!(path = %path.display(), bytes = summary.bytes, version = %summary.version, "snapshot saved and verified");
    Ok(())
}
