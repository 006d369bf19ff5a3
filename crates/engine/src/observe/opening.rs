//! Ports that are about to open. Whoever has just been started is asked again and again for a moment, so that it is heard when its port
//! opens and not a pass later.

use std::{future::Future, time::Duration};

use etcdop_core::observation::Blocker;
use tokio::time::{Instant, sleep};

/// For how long somebody silent is expected to open its port any moment: a joiner takes 40 ms, and 500 ms on a busy machine.
pub(super) const EXPECTED: Duration = Duration::from_millis(500);
/// For how long one question goes on; less than what counts as quick.
pub(super) const INSIST: Duration = Duration::from_millis(60);
/// Between two tries: a refused connection costs some 50 microseconds.
const PAUSE: Duration = Duration::from_millis(3);

/// Puts a question again, for so long, until it is answered; the last failure where it is not.
pub(super) async fn insist<T, F>(patience: Duration, question: impl Fn() -> F) -> Result<T, Blocker>
where
    F: Future<Output = Result<T, Blocker>>,
{
    let end = Instant::now() + patience;
    loop {
        let answer = question().await;
        if answer.is_ok() || Instant::now() + PAUSE > end {
            return answer;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn asked(patience: Duration, opens_after: Duration) -> (Result<u8, Blocker>, Duration) {
        let begun = Instant::now();
        let tries = Cell::new(0_u8);
        let answer = insist(patience, || async {
            tries.set(tries.get() + 1);
            if begun.elapsed() >= opens_after { Ok(7) } else { Err(Blocker(format!("refused {} times", tries.get()))) }
        });
        (answer.await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_heard_when_it_opens() {
        assert_eq!(asked(INSIST, Duration::ZERO).await, (Ok(7), Duration::ZERO));
        assert_eq!(asked(INSIST, Duration::from_millis(31)).await, (Ok(7), Duration::from_millis(33)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_shut_is_given_up_with_its_last_words() {
        let (answer, took) = asked(INSIST, Duration::from_secs(1)).await;
        assert_eq!((answer, took), (Err(Blocker("refused 21 times".to_owned())), INSIST));
        let (answer, took) = asked(Duration::ZERO, Duration::from_secs(1)).await;
        assert_eq!((answer, took), (Err(Blocker("refused 1 times".to_owned())), Duration::ZERO));
    }
}
