//! The watcher: one watch on everything that the run writes. When it ends, another member is asked for what comes after the last
//! revision that is known, as any client of a watch must do.

use std::time::Duration;

use etcdop_etcd::{Client, ClusterId, Endpoint, Error, Event, Keys, Options, Previous, Watch};
use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};

use crate::{
    history::{Seen, Skipped, Watched},
    key::{Key, Run, number},
    witness::nth,
};

/// Between two attempts to find a member that lets us watch.
const PAUSE: Duration = Duration::from_millis(20);

/// What the watcher needs to know.
pub(crate) struct Watching {
    pub(crate) run: Run,
    pub(crate) cluster: ClusterId,
    pub(crate) options: Options,
    pub(crate) endpoints: watch::Receiver<Vec<Endpoint>>,
    /// The first revision of the run.
    pub(crate) from: i64,
}

/// Why a watch at one member ended.
enum Ended {
    /// The last write of the run was seen.
    AtTheEnd,
    /// What comes next is compacted away up to here, this revision excluded.
    Compacted(i64),
    /// The member did not let us watch, went away, or gave no sign of life.
    Broken,
}

impl Watching {
    /// Watches until it was told of the last write, or until told to give up, and says what it was told.
    pub(crate) async fn run(self, mut give_up: oneshot::Receiver<()>) -> Watched {
        let mut watched = Watched::default();
        let mut next = self.from;
        for at in 0.. {
            let endpoint = nth(&self.endpoints.borrow(), at);
            let follow = async {
                match endpoint {
                    Some(endpoint) => self.follow(endpoint, &mut next, &mut watched).await,
                    None => Ended::Broken,
                }
            };
            let ended = tokio::select! {
                biased;
                ended = follow => ended,
                _ = &mut give_up => break,
            };
            match ended {
                Ended::AtTheEnd => break,
                Ended::Compacted(oldest) => {
                    watched.skipped.push(Skipped { first: next, last: oldest - 1 });
                    next = oldest;
                }
                Ended::Broken => sleep(PAUSE).await,
            }
        }
        watched.resumed = watched.resumed.saturating_sub(1);
        watched
    }

    /// Watches at one member from `next` on; `next` and `watched` are right whenever this is given up.
    async fn follow(&self, endpoint: Endpoint, next: &mut i64, watched: &mut Watched) -> Ended {
        let client = Client::new(endpoint, &self.options).expect_cluster(self.cluster).require_leader();
        let keys = Keys::prefix(self.run.prefix().to_owned());
        let watch = Watch { keys, from: Some(*next), previous: Previous::LeftOut };
        let mut changes = match client.watch(watch).await {
            Ok(opened) => opened.value,
            Err(error) => return Ended::by(&error, *next),
        };
        watched.resumed += 1;
        loop {
            let batch = match changes.next().await {
                Ok(batch) => batch,
                Err(error) => return Ended::by(&error, *next),
            };
            for event in batch.value {
                let revision = self.note(event, watched);
                *next = (*next).max(revision + 1);
            }
            if watched.seen.last().is_some_and(|seen| seen.key == Key::End) {
                return Ended::AtTheEnd;
            }
        }
    }

    /// Notes one event and gives its revision.
    fn note(&self, event: Event, watched: &mut Watched) -> i64 {
        match event {
            Event::Put { now, .. } => {
                let revision = now.mod_revision;
                match (self.run.key(&now.key), number(&now.value)) {
                    (Some(key), Some(value)) => watched.seen.push(Seen { key, value, revision }),
                    _ => watched.strange.push(format!("{} at {revision}", String::from_utf8_lossy(&now.key))),
                }
                revision
            }
            Event::Delete { now, .. } => {
                let path = String::from_utf8_lossy(&now.key);
                watched.strange.push(format!("the deletion of {path} at {}", now.mod_revision));
                now.mod_revision
            }
        }
    }
}

impl Ended {
    fn by(error: &Error, next: i64) -> Self {
        match error {
            Error::Compacted { oldest: Some(oldest) } if *oldest > next => Self::Compacted(*oldest),
            _ => Self::Broken,
        }
    }
}
