//! The witness from start to bill.

use std::{
    num::{NonZeroU16, NonZeroU32},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcdop_etcd::{Client, ClusterId, Compare, Endpoint, Error, Is, Keys, Op, OpResult, Put, Range, Target, Txn};
use thiserror::Error as ThisError;
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bill::Bill,
    history::{History, Mark, Outcome, Watched, Write},
    key::{Key, Run, WriterId, value},
    reading::ReadBack,
    watching::Watching,
    writing::Writer,
};

/// For the cluster to take the first write, and the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts at them.
const PAUSE: Duration = Duration::from_millis(50);
/// For the watcher to be told of the last write.
const WATCH_PATIENCE: Duration = Duration::from_secs(10);
/// Silence after which the watcher takes its member for frozen.
const WATCH_SILENCE: Duration = Duration::from_secs(2);

/// How the witness writes.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many writers, each with one call under way at a time and a connection of its own.
    pub writers: NonZeroU16,
    /// Of all writers together, as long as the cluster keeps up.
    pub writes_per_second: NonZeroU32,
    /// For one write.
    pub deadline: Duration,
    /// The name of the step that begins with the start of the witness.
    pub first_phase: String,
    /// How to connect; its call and progress timeouts are replaced.
    pub client: etcdop_etcd::Options,
}

impl Default for Options {
    /// Enough to see a gap of 10 ms, and little enough to leave two cores to the cluster.
    fn default() -> Self {
        Self {
            writers: NonZeroU16::MIN.saturating_add(3),
            writes_per_second: NonZeroU32::MIN.saturating_add(199),
            deadline: Duration::from_secs(1),
            first_phase: "start".to_owned(),
            client: etcdop_etcd::Options::default(),
        }
    }
}

/// Why there is no witness.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum StartError {
    /// Nobody to write to.
    #[error("no member to write to")]
    NoEndpoints,
    /// No member took the first write within ten seconds.
    #[error("the cluster takes no writes")]
    NoWrites {
        /// What the member that was asked last said.
        #[source]
        last: Error,
    },
}

/// Where the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes that were acknowledged.
    pub acked: usize,
    /// Writes that definitely had no effect.
    pub failed: usize,
    /// Writes whose outcome is unknown.
    pub unknown: usize,
    /// Time since the last acknowledged write, or since the start.
    pub quiet: Duration,
}

/// Writers and a watcher at work. Dropping it stops them and forgets what they saw.
#[derive(Debug)]
pub struct Witness {
    notes: Arc<Notes>,
    stop: CancellationToken,
    writers: JoinSet<()>,
    watcher: JoinHandle<Watched>,
    give_up: Option<oneshot::Sender<()>>,
    read_back: ReadBack,
}

/// What the writers note while they run.
#[derive(Debug)]
pub(crate) struct Notes {
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    writes: Vec<Write>,
    marks: Vec<Mark>,
}

impl Notes {
    /// Since the start.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn add(&self, write: Write) {
        self.with(|noted| noted.writes.push(write));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Noted) -> T) -> T {
        // Every change is one push: a panic elsewhere leaves nothing half done.
        act(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Witness {
    /// Begins to write and to watch. `endpoints` are the client URLs to write to. They may change at any time,
    /// later also to none.
    pub async fn start(endpoints: watch::Receiver<Vec<Endpoint>>, options: Options) -> Result<Self, StartError> {
        let client =
            etcdop_etcd::Options { call_timeout: options.deadline, progress_timeout: WATCH_SILENCE, ..options.client };
        let ids = || (0..options.writers.get()).map(WriterId);
        let Beginning { run, cluster, revision } = begin(&endpoints, &client, ids().collect()).await?;
        let notes = Arc::new(Notes { began: Instant::now(), noted: Mutex::default() });
        notes.with(|noted| noted.marks.push(Mark { name: options.first_phase, at: Duration::ZERO }));
        let (give_up, told_to_give_up) = oneshot::channel();
        let watching = Watching {
            run: run.clone(),
            cluster,
            options: client.clone(),
            endpoints: endpoints.clone(),
            from: revision,
        };
        let stop = CancellationToken::new();
        let pace = Duration::from_secs(1) / options.writes_per_second.get();
        let mut writers = JoinSet::new();
        for id in ids() {
            let writer = Writer {
                id,
                run: run.clone(),
                cluster,
                options: client.clone(),
                endpoints: endpoints.clone(),
                notes: Arc::clone(&notes),
                every: pace * u32::from(options.writers.get()),
                offset: pace * u32::from(id.0),
            };
            writers.spawn(writer.run(stop.clone()));
        }
        Ok(Self {
            notes,
            stop,
            writers,
            watcher: tokio::spawn(watching.run(told_to_give_up)),
            give_up: Some(give_up),
            read_back: ReadBack { run, cluster, options: client, last: None },
        })
    }

    /// A step begins here: the bill has one line for each.
    pub fn phase(&self, name: impl Into<String>) {
        let mark = Mark { name: name.into(), at: self.notes.now() };
        self.notes.with(|noted| noted.marks.push(mark));
    }

    /// Where the run is, for whoever shows it.
    pub fn tally(&self) -> Tally {
        let now = self.notes.now();
        self.notes.with(|noted| {
            let mut tally = Tally { quiet: now, ..Tally::default() };
            for write in &noted.writes {
                match write.outcome {
                    Outcome::Acked { .. } => {
                        tally.acked += 1;
                        tally.quiet = tally.quiet.min(now.saturating_sub(write.ended));
                    }
                    Outcome::Failed { .. } | Outcome::CounterRefused => tally.failed += 1,
                    Outcome::Unknown { .. } => tally.unknown += 1,
                }
            }
            tally
        })
    }

    /// Stops writing, lets the watcher catch up, reads everything back from each of `endpoints` and draws up the bill. Every wait in it
    /// ends, whatever the members do.
    pub async fn finish(mut self, endpoints: &[Endpoint]) -> Bill {
        self.stop.cancel();
        let ended = self.notes.now();
        while self.writers.join_next().await.is_some() {}
        let Noted { writes, marks } = self.notes.with(std::mem::take);
        let last = self.last_write(endpoints).await;
        self.read_back.last = last;
        let mut history = History { writes, marks, ended, last, ..History::default() };
        history.watched = self.watched(last).await;
        self.read_back.of(endpoints, &mut history).await;
        Bill::of(&history)
    }

    /// The revision of the write that marks the end for the watcher and for the reading.
    async fn last_write(&self, endpoints: &[Endpoint]) -> Option<i64> {
        let ReadBack { run, cluster, options, .. } = &self.read_back;
        let deadline = Instant::now() + PATIENCE;
        for at in 0.. {
            if let Some(endpoint) = nth(endpoints, at)
                && let Ok(revision) = end_at(&Client::new(endpoint, options).expect_cluster(*cluster), run).await
            {
                return Some(revision);
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(PAUSE).await;
        }
        None
    }

    async fn watched(&mut self, last: Option<i64>) -> Watched {
        if last.is_some()
            && let Ok(watched) = timeout(WATCH_PATIENCE, &mut self.watcher).await
        {
            return watched.unwrap_or_default();
        }
        if let Some(give_up) = self.give_up.take() {
            // It ended by itself just now if it does not listen.
            let _ = give_up.send(());
        }
        (&mut self.watcher).await.unwrap_or_default()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// The first write of a run.
struct Beginning {
    run: Run,
    cluster: ClusterId,
    revision: i64,
}

/// Sets all counters to zero, under a prefix that nobody used before.
async fn begin(
    endpoints: &watch::Receiver<Vec<Endpoint>>,
    options: &etcdop_etcd::Options,
    writers: Vec<WriterId>,
) -> Result<Beginning, StartError> {
    let deadline = Instant::now() + PATIENCE;
    let mut outcome = Err(StartError::NoEndpoints);
    if endpoints.borrow().is_empty() {
        return outcome;
    }
    for at in 0.. {
        let endpoint = nth(&endpoints.borrow(), at);
        if let Some(endpoint) = endpoint {
            match begin_at(&Client::new(endpoint, options), &writers).await {
                Ok(Some(beginning)) => return Ok(beginning),
                // Somebody began at the same revision; by now it is higher.
                Ok(None) => continue,
                Err(last) => outcome = Err(StartError::NoWrites { last }),
            }
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    outcome
}

async fn begin_at(client: &Client, writers: &[WriterId]) -> Result<Option<Beginning>, Error> {
    let now = client.range(Range::new(Keys::one("/witness"))).await?.header;
    let run = Run::beginning_at(now.revision);
    let counters = || writers.iter().map(|writer| run.path(Key::Counter(*writer)));
    let begun = client
        .expect_cluster(now.cluster_id)
        .txn(Txn {
            when: counters().map(absent).collect(),
            then: counters().map(|counter| Op::Put(Put::new(counter, value(0)))).collect(),
            otherwise: Vec::new(),
        })
        .await?;
    let revision = begun.header.revision;
    Ok(begun.value.succeeded.then_some(Beginning { run, cluster: now.cluster_id, revision }))
}

/// Writes the end, or finds it written by an attempt before whose answer got lost: in any case only one revision has it.
async fn end_at(client: &Client, run: &Run) -> Result<i64, Error> {
    let end = run.path(Key::End);
    let txn = Txn {
        when: vec![absent(end.clone())],
        then: vec![Op::Put(Put::new(end.clone(), value(0)))],
        otherwise: vec![Op::Range(Range::new(Keys::one(end)))],
    };
    let done = client.txn(txn).await?;
    let found = done.value.results.first().and_then(|result| match result {
        OpResult::Range(found) => found.kvs.first().map(|kv| kv.mod_revision),
        OpResult::Put | OpResult::Delete(_) | OpResult::Txn(_) => None,
    });
    Ok(found.unwrap_or(done.header.revision))
}

fn absent(key: String) -> Compare {
    Compare { keys: Keys::one(key), is: Is::Equal, target: Target::CreateRevision(0) }
}

/// One of the members, counted round and round.
pub(crate) fn nth(endpoints: &[Endpoint], at: usize) -> Option<Endpoint> {
    endpoints.get(at.checked_rem(endpoints.len())?).cloned()
}
