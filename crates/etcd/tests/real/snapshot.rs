//! Snapshots: whole, damaged on the way, and cut off in the middle.

use std::{
    fs, io,
    pin::Pin,
    process::Command,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use etcdop_etcd::{Client, Endpoint, Error, Options, Put};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Sleep,
};

use crate::support::{Cluster, Member, Minor, on_every_minor};

/// More than fits into the windows and buffers between two processes.
const MEGABYTES: u8 = 40;

async fn filled(minor: Minor) -> Cluster {
    let cluster = Cluster::single(minor, &[]).await;
    for n in 0..MEGABYTES {
        cluster.client().put(Put::new(vec![n], vec![n; 1 << 20])).await.unwrap();
    }
    cluster
}

#[tokio::test]
async fn a_snapshot_is_verified_and_can_be_restored() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        let client = cluster.client();
        let revision = client.put(Put::new("k", "v")).await.unwrap().header.revision;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("snapshot.db");

        let mut file = tokio::fs::File::create(&path).await.unwrap();
        let taken = client.snapshot(&mut file).await.unwrap();

        let written = fs::read(&path).unwrap();
        assert_eq!(taken.header.revision, revision);
        assert_eq!(taken.value.bytes, written.len() as u64);
        assert_eq!(taken.value.sha256, written[written.len() - 32..]);
        assert!(taken.value.version.starts_with(minor.text()));
        assert_eq!(taken.value.storage_version, (minor >= Minor::V3_6).then(|| format!("{}.0", minor.text())));
        let restored = Command::new(minor.binary("etcdutl"))
            .args(["snapshot", "restore", "--data-dir"])
            .arg(place.path().join("restored"))
            .arg(&path)
            .output()
            .unwrap();
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_damaged_on_the_way_is_refused() {
    on_every_minor(async |minor| {
        let cluster = Cluster::single(minor, &[]).await;
        cluster.client().put(Put::new("k", vec![b'Z'; 100_000])).await.unwrap();
        let proxy = damaging_proxy(cluster.members[0].endpoint()).await;

        let damaged = Client::new(proxy, &Options::default()).snapshot(&mut Vec::new()).await.unwrap_err();

        assert!(matches!(damaged, Error::SnapshotDamaged { .. }), "{damaged:?}");
    })
    .await;
}

/// Passes bytes to and from a member and changes one in the first long row of `Z` that the member sends.
async fn damaging_proxy(member: Endpoint) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let address = member.to_string().replace("http://", "");
        let (mut from_member, mut to_member) = TcpStream::connect(address).await.unwrap().into_split();
        let (mut from_client, mut to_client) = client.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_member).await });
        let (mut buffer, mut damaged) = (vec![0; 1 << 16], false);
        while let Ok(count @ 1..) = from_member.read(&mut buffer).await {
            let part = &mut buffer[..count];
            if let Some(at) = part.windows(64).position(|row| row == [b'Z'; 64]).filter(|_| !damaged) {
                part[at + 32] = b'Y';
                damaged = true;
            }
            to_client.write_all(part).await.unwrap();
        }
    });
    endpoint
}

#[tokio::test]
async fn a_member_frozen_in_the_middle_is_noticed_within_the_progress_timeout() {
    on_every_minor(async |minor| {
        let cluster = filled(minor).await;
        let patience = Duration::from_secs(3);
        let options = Options { progress_timeout: patience, ..Options::default() };
        let client = Client::new(cluster.members[0].endpoint(), &options);
        let mut sink = FreezesAtFirstByte { member: &cluster.members[0], frozen_at: None, bytes: 0 };

        let end = client.snapshot(&mut sink).await;

        assert_eq!(end.map(drop), Err(Error::NoProgress { after: patience }));
        let noticed = sink.frozen_at.expect("it began").elapsed();
        // Once, not once more for each part that was on its way.
        assert!(noticed >= patience && noticed < 2 * patience, "noticed after {noticed:?}");
        assert!(sink.bytes < usize::from(MEGABYTES) << 20, "it was in the middle");
    })
    .await;
}

struct FreezesAtFirstByte<'member> {
    member: &'member Member,
    frozen_at: Option<Instant>,
    bytes: usize,
}

impl AsyncWrite for FreezesAtFirstByte<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, part: &[u8]) -> Poll<io::Result<usize>> {
        if self.frozen_at.is_none() {
            self.member.freeze();
            self.frozen_at = Some(Instant::now());
        }
        self.bytes += part.len();
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_slow_writer_is_not_taken_for_a_frozen_member() {
    let cluster = filled(Minor::V3_6).await;
    let patience = Duration::from_secs(1);
    let options = Options { progress_timeout: patience, ..Options::default() };
    let client = Client::new(cluster.members[0].endpoint(), &options);
    let mut sink = SlowAtFirst { ready: Box::pin(tokio::time::sleep(4 * patience)), bytes: 0 };

    let taken = client.snapshot(&mut sink).await.unwrap();

    assert_eq!(taken.value.bytes, sink.bytes);
}

struct SlowAtFirst {
    ready: Pin<Box<Sleep>>,
    bytes: u64,
}

impl AsyncWrite for SlowAtFirst {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, part: &[u8]) -> Poll<io::Result<usize>> {
        if !self.ready.is_elapsed() {
            ready!(self.ready.as_mut().poll(cx));
        }
        self.bytes += part.len() as u64;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_writer_that_fails_is_named_as_the_reason() {
    let cluster = Cluster::single(Minor::V3_6, &[]).await;
    let mut full = io::Cursor::new(vec![0; 100].into_boxed_slice());
    let failed = cluster.client().snapshot(&mut full).await.unwrap_err();
    assert!(matches!(failed, Error::SnapshotSink { .. }), "{failed:?}");
}
