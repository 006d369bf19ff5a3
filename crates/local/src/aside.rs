//! Work on a cluster's directory, on a thread where waiting for a disk delays nobody else, and with a deadline: a disk that hangs must
//! not hang whoever waits for it, nor fill the machine with threads that wait for it as well.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

/// Does one piece of work at a time, in the order in which it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    turn: Arc<Mutex<()>>,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Hung {
    /// Nothing was done: what was asked for before is not through.
    #[error("an earlier access to the cluster's directory has not come back: check its disk")]
    Before,
    /// It was begun, and may be done yet; nothing else is begun before.
    #[error("the cluster's directory did not answer within {0:?}: check its disk")]
    Late(Duration),
    /// It ended in the middle, by a mistake in this program.
    #[error("{0}")]
    Panicked(String),
}

impl Aside {
    /// The result of `work`, if there is one within `limit`. Dropping this does not end what was begun.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Hung> {
        let deadline = Instant::now() + limit;
        let turn = timeout_at(deadline, Arc::clone(&self.turn).lock_owned()).await.map_err(|_| Hung::Before)?;
        let done = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        let done = timeout_at(deadline, done).await.map_err(|_| Hung::Late(limit))?;
        done.map_err(|error| Hung::Panicked(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);
    const FOREVER: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn what_hangs_is_left_at_its_deadline_and_nothing_overtakes_it() {
        let aside = Aside::default();
        let (free, hangs) = mpsc::channel::<()>();
        let (note, notes) = mpsc::channel();
        let (first, second, third) = (note.clone(), note.clone(), note);
        let hung = aside.run(LIMIT, move || {
            let _ = hangs.recv();
            first.send(1).unwrap();
        });
        assert_eq!(hung.await, Err(Hung::Late(LIMIT)));
        assert_eq!(aside.run(LIMIT, move || second.send(2).unwrap()).await, Err(Hung::Before));
        free.send(()).unwrap();
        assert_eq!(aside.run(FOREVER, move || third.send(3).unwrap()).await, Ok(()));
        assert_eq!(notes.iter().collect::<Vec<_>>(), [1, 3], "what was refused is not done later");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_blocks_nobody() {
        let aside = Aside::default();
        let ended = aside.run(FOREVER, || panic!("a test's panic")).await;
        assert!(matches!(ended, Err::<(), _>(Hung::Panicked(_))), "{ended:?}");
        assert_eq!(aside.run(FOREVER, || 7).await, Ok(7));
    }
}
