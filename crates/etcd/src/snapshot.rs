//! A member's database as a stream, checked while it passes.
//!
//! etcd sends its database file and behind it, as the last 32 bytes, the SHA-256 of it. What is written is exactly that: the file that
//! `etcdutl snapshot restore` takes. A member frozen in the middle sends nothing and closes nothing, so each message has a deadline
//! (the progress timeout); time that the writer takes does not count against it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    answer::Answer,
    client::Client,
    error::Error,
    generated::etcdserverpb::{SnapshotRequest, maintenance_client::MaintenanceClient},
};

/// Bytes of the checksum at the end of a snapshot.
const TRAILER: usize = 32;

/// What a snapshot is, once it is complete and its checksum was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// Bytes written: the database and the 32 bytes of its checksum.
    pub bytes: u64,
    /// SHA-256 of the database (the file without its last 32 bytes).
    pub sha256: [u8; TRAILER],
    /// The version of the server that sent it; restore with an etcdutl of the same minor version.
    pub version: String,
    /// The version of the data's layout; from 3.6 on.
    pub storage_version: Option<String>,
}

impl Client {
    /// Writes the member's database to `sink` and verifies its checksum. `sink` is flushed, not closed.
    ///
    /// The header is the member's of just before the stream (the stream has none): the database holds at least its revision. It is
    /// the member's own state, which may be behind: read linearizably *from the same member* first when that matters.
    ///
    /// # Errors
    /// [`Error::NoProgress`] when nothing comes for the progress timeout, [`Error::SnapshotDamaged`] when the checksum does not fit,
    /// [`Error::SnapshotSink`] when `sink` fails. What was written until then is worth nothing.
    pub async fn snapshot(&self, sink: &mut (impl AsyncWrite + Unpin)) -> Result<Answer<SnapshotSummary>, Error> {
        let status = self.status().await?;
        // Logged in since the status was asked.
        let opening = self.open(SnapshotRequest {}, |channel, request| async move {
            let mut client = MaintenanceClient::new(channel).max_decoding_message_size(usize::MAX);
            client.snapshot(request).await
        });
        let mut stream = self.in_time(opening).await?;
        let patience = self.progress_timeout();
        let mut check = Checksum::default();
        let mut storage_version = status.value.storage_version.clone();
        loop {
            let message = timeout(patience, stream.message())
                .await
                .map_err(|_| Error::NoProgress { after: patience })?
                .map_err(|status| Error::from_status(&status))?;
            let Some(part) = message else { break };
            check.update(&part.blob);
            if !part.version.is_empty() {
                storage_version = Some(part.version);
            }
            sink.write_all(&part.blob).await.map_err(|error| unwritable(&error))?;
        }
        sink.flush().await.map_err(|error| unwritable(&error))?;
        let (bytes, sha256) = check.finish()?;
        Ok(status.map(|status| SnapshotSummary { bytes, sha256, version: status.version, storage_version }))
    }
}

fn unwritable(error: &std::io::Error) -> Error {
    Error::SnapshotSink { reason: error.to_string() }
}

/// Hashes all but the last 32 bytes of what passes, wherever the parts are cut.
#[derive(Default)]
struct Checksum {
    hasher: Sha256,
    /// The last bytes so far, at most 32: the checksum, if nothing more comes.
    tail: Vec<u8>,
    bytes: u64,
}

impl Checksum {
    fn update(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        if part.len() >= TRAILER {
            let (body, tail) = part.split_at(part.len() - TRAILER);
            self.hasher.update(&self.tail);
            self.hasher.update(body);
            self.tail.clear();
            self.tail.extend_from_slice(tail);
        } else {
            self.tail.extend_from_slice(part);
            let surplus = self.tail.len().saturating_sub(TRAILER);
            self.hasher.update(&self.tail[..surplus]);
            self.tail.drain(..surplus);
        }
    }

    /// The number of bytes and the checksum, if it fits.
    fn finish(self) -> Result<(u64, [u8; TRAILER]), Error> {
        let found: [u8; TRAILER] = self.hasher.finalize().into();
        if self.tail == found {
            Ok((self.bytes, found))
        } else {
            Err(Error::SnapshotDamaged { expected: hex(&self.tail), found: hex(&found) })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DATABASE: [u8; 100] = [7; 100];

    fn with_trailer(database: &[u8]) -> Vec<u8> {
        let mut file = database.to_vec();
        file.extend_from_slice(&Sha256::digest(database));
        file
    }

    fn verify(file: &[u8], part: usize) -> Result<(u64, [u8; TRAILER]), Error> {
        let mut check = Checksum::default();
        file.chunks(part).for_each(|part| check.update(part));
        check.finish()
    }

    #[rstest]
    fn a_whole_snapshot_passes_wherever_it_is_cut(#[values(1, 5, 31, 32, 33, 99, 100, 101, 131, 132)] part: usize) {
        let expected: [u8; TRAILER] = Sha256::digest(DATABASE).into();
        assert_eq!(verify(&with_trailer(&DATABASE), part), Ok((132, expected)));
    }

    #[rstest]
    fn a_changed_bit_anywhere_is_noticed(#[values(0, 50, 99, 100, 131)] at: usize, #[values(7, 32, 200)] part: usize) {
        let mut file = with_trailer(&DATABASE);
        file[at] ^= 1;
        assert!(matches!(verify(&file, part), Err(Error::SnapshotDamaged { .. })));
    }

    #[rstest]
    fn a_snapshot_cut_short_is_noticed(#[values(0, 1, 31, 32, 100, 131)] length: usize) {
        assert!(matches!(verify(&with_trailer(&DATABASE)[..length], 16), Err(Error::SnapshotDamaged { .. })));
    }
}
