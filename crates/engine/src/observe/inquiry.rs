//! Questions that never hold up a pass for long: each goes out in a task of its own, at most one at a time for each key, and a
//! pass waits only for those that have not kept it waiting before. A frozen member costs one pass its budget, and later passes
//! nothing (reliability.md, H1). A newcomer costs one pass a moment: etcd accepts connections long before it answers on them.

use std::{collections::BTreeMap, future::Future, time::Duration};

use etcdop_core::{
    id::Mono,
    observation::{Blocker, Probe},
};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout_at},
};

/// Running and answered questions, by whom they were put to.
#[derive(Debug)]
pub(crate) struct Inquiries<K, T> {
    by_key: BTreeMap<K, Inquiry<T>>,
    tasks: JoinSet<Answered<K, T>>,
    asked: u64,
}

#[derive(Debug)]
struct Answered<K, T> {
    key: K,
    number: u64,
    result: Result<T, Blocker>,
}

#[derive(Debug)]
struct Inquiry<T> {
    /// Tells the answer to this question from a late one to a question that was forgotten.
    number: u64,
    running: Option<AbortHandle>,
    asked: Mono,
    put: Instant,
    /// When the first question after the last answer was put.
    unanswered_since: Option<Mono>,
    standing: Standing,
    /// How long the newest answer took, until somebody wants to know.
    took: Option<Duration>,
    last: Option<Result<(Mono, T), Blocker>>,
}

/// How long a pass waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Has not answered yet, nor kept anybody waiting.
    Newcomer,
    /// Answered the last time.
    Prompt,
    /// Kept a pass waiting in vain, and has not answered quickly since: not waited for.
    Slow,
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Worth another look.
    News,
    /// Another failure of somebody who had failed before.
    Nothing,
}

/// Until when a pass waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For those that answered the last time.
    pub(crate) prompt: Instant,
    /// For those that never did.
    pub(crate) newcomer: Instant,
}

/// How quickly somebody answers who is worth waiting for again.
const QUICK: Duration = Duration::from_millis(100);

impl Standing {
    fn after_answer_in(self, took: Duration) -> Self {
        if self == Self::Slow && took > QUICK { Self::Slow } else { Self::Prompt }
    }

    fn deadline(self, patience: Patience) -> Option<Instant> {
        match self {
            Self::Newcomer => Some(patience.newcomer),
            Self::Prompt => Some(patience.prompt),
            Self::Slow => None,
        }
    }
}

impl<T> Drop for Inquiry<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.running {
            task.abort();
        }
    }
}

impl<K, T> Inquiries<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self { by_key: BTreeMap::new(), tasks: JoinSet::new(), asked: 0 }
    }

    /// Puts the question, unless the one before is still open.
    pub(crate) fn ask(
        &mut self,
        key: &K,
        now: Mono,
        question: impl Future<Output = Result<T, Blocker>> + Send + 'static,
    ) {
        let inquiry = self.by_key.entry(key.clone()).or_insert(Inquiry {
            number: 0,
            running: None,
            asked: now,
            put: Instant::now(),
            unanswered_since: None,
            standing: Standing::Newcomer,
            took: None,
            last: None,
        });
        if inquiry.running.is_some() {
            return;
        }
        self.asked += 1;
        let (key, number) = (key.clone(), self.asked);
        inquiry.number = number;
        inquiry.asked = now;
        inquiry.put = Instant::now();
        inquiry.unanswered_since.get_or_insert(now);
        inquiry.running = Some(self.tasks.spawn(async move { Answered { key, number, result: question.await } }));
    }

    /// When the newest question was put.
    pub(crate) fn last_asked(&self, key: &K) -> Option<Mono> {
        self.by_key.get(key).map(|inquiry| inquiry.asked)
    }

    /// How long the newest answers took that came since this was called last.
    pub(crate) fn answered_in(&mut self) -> Vec<Duration> {
        self.by_key.values_mut().filter_map(|inquiry| inquiry.took.take()).collect()
    }

    /// Drops what is known of all others, and what is still on its way to them.
    pub(crate) fn forget_others(&mut self, keep: impl Fn(&K) -> bool) {
        self.by_key.retain(|key, _| keep(key));
    }

    /// Waits until everybody who is waited for has answered, or patience ends.
    pub(crate) async fn settle(&mut self, patience: Patience) {
        while let Some(done) = self.tasks.try_join_next() {
            self.take(done.ok());
        }
        while let Some(deadline) = self.open().filter_map(|open| open.standing.deadline(patience)).max() {
            match timeout_at(deadline, self.tasks.join_next()).await {
                Ok(Some(done)) => {
                    self.take(done.ok());
                }
                Ok(None) => break,
                Err(_) => self.open().for_each(|open| {
                    if open.standing.deadline(patience).is_some_and(|waited_until| waited_until <= deadline) {
                        open.standing = Standing::Slow;
                    }
                }),
            }
        }
    }

    fn open(&mut self) -> impl Iterator<Item = &mut Inquiry<T>> {
        self.by_key.values_mut().filter(|inquiry| inquiry.running.is_some())
    }

    /// Waits for the next answer that no pass waited for and that is news; for ever when there is none to come.
    pub(crate) async fn late(&mut self) {
        loop {
            let Some(done) = self.tasks.join_next().await else { return std::future::pending().await };
            // Else one more failure, or the answer to a question that was forgotten.
            if self.take(done.ok()) == Heard::News {
                return;
            }
        }
    }

    fn take(&mut self, answered: Option<Answered<K, T>>) -> Heard {
        let Some(Answered { key, number, result }) = answered else { return Heard::Nothing };
        let inquiry = self.by_key.get_mut(&key).filter(|inquiry| inquiry.number == number);
        let Some(inquiry) = inquiry else { return Heard::Nothing };
        let again = result.is_err() && matches!(inquiry.last, Some(Err(_)));
        inquiry.running = None;
        match result {
            Ok(value) => {
                inquiry.unanswered_since = None;
                let took = inquiry.put.elapsed();
                inquiry.took = Some(took);
                inquiry.standing = inquiry.standing.after_answer_in(took);
                inquiry.last = Some(Ok((inquiry.asked, value)));
            }
            Err(why) => inquiry.last = Some(Err(why)),
        }
        if again { Heard::Nothing } else { Heard::News }
    }

    /// The newest answer, if its question was put less than `fresh` ago and none failed since.
    pub(crate) fn probe(&self, key: &K, now: Mono, fresh: Duration) -> Probe<T>
    where
        T: Clone,
    {
        let Some(inquiry) = self.by_key.get(key) else {
            return Probe::Unknown { why: Blocker("not asked yet".to_owned()), since: now };
        };
        let since = inquiry.unanswered_since.unwrap_or(inquiry.asked);
        match &inquiry.last {
            Some(Ok((at, value))) if now.since(*at) < fresh => Probe::Known { value: value.clone(), at: *at },
            Some(Err(why)) => Probe::Unknown { why: why.clone(), since },
            Some(Ok(_)) | None => Probe::Unknown { why: Blocker("it does not answer".to_owned()), since },
        }
    }

    /// The same, but an answer is given out once: what rests on it must be of this pass.
    pub(crate) fn take_probe(&mut self, key: &K, now: Mono, fresh: Duration) -> Probe<T>
    where
        T: Clone,
    {
        let probe = self.probe(key, now, fresh);
        if let Some(inquiry) = self.by_key.get_mut(key).filter(|inquiry| matches!(inquiry.last, Some(Ok(_)))) {
            inquiry.last = None;
        }
        probe
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        sync::oneshot,
        time::{advance, sleep},
    };

    use super::*;

    const FRESH: Duration = Duration::from_secs(1);
    const BUDGET: Duration = Duration::from_millis(300);
    const MOMENT: Duration = Duration::from_millis(30);

    type Questions = Inquiries<&'static str, u8>;

    fn patience() -> Patience {
        Patience { prompt: Instant::now() + BUDGET, newcomer: Instant::now() + MOMENT }
    }

    fn mono(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    async fn answers(value: u8) -> Result<u8, Blocker> {
        sleep(Duration::from_millis(1)).await;
        Ok(value)
    }

    async fn freezes() -> Result<u8, Blocker> {
        sleep(Duration::from_secs(1)).await;
        Err(Blocker("no answer within 1s".to_owned()))
    }

    /// How long a pass took that asked whoever is not being asked still.
    async fn pass(questions: &mut Questions, at: u64) -> Duration {
        let begun = Instant::now();
        questions.ask(&"quick", mono(at), answers(1));
        questions.ask(&"frozen", mono(at), freezes());
        questions.settle(patience()).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_member_costs_one_pass_its_budget_and_later_ones_nothing() {
        let mut questions = Questions::new();
        questions.ask(&"quick", mono(0), answers(1));
        questions.ask(&"frozen", mono(0), answers(1));
        questions.settle(patience()).await;
        assert_eq!(pass(&mut questions, 10).await, BUDGET);
        // Also after its question failed, and was put again.
        for at in (400..3000).step_by(100) {
            let took = pass(&mut questions, at).await;
            assert!(took <= Duration::from_millis(1), "{took:?} in the pass at {at} ms");
            assert!(questions.probe(&"quick", mono(at), FRESH).known().is_some());
            advance(Duration::from_millis(100)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_never_answered_costs_one_pass_a_moment() {
        let mut questions = Questions::new();
        assert_eq!(pass(&mut questions, 0).await, MOMENT);
        assert_eq!(pass(&mut questions, 50).await, Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_always_answers_late_is_heard_and_not_waited_for() {
        let late = || async {
            sleep(Duration::from_millis(400)).await;
            Ok(7)
        };
        let mut questions = Questions::new();
        questions.ask(&"a", mono(0), answers(7));
        questions.settle(patience()).await;
        questions.ask(&"a", mono(1000), late());
        questions.settle(patience()).await;
        for at in [2000, 3000, 4000] {
            questions.late().await;
            questions.ask(&"a", mono(at), late());
            let begun = Instant::now();
            questions.settle(patience()).await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert_eq!(questions.by_key["a"].last, Some(Ok((mono(at - 1000), 7))));
        }
        questions.late().await;
        questions.ask(&"a", mono(5000), answers(8));
        questions.late().await;
        questions.ask(&"a", mono(6000), answers(9));
        questions.settle(patience()).await;
        assert_eq!(questions.probe(&"a", mono(6001), FRESH).known(), Some(&9), "quick again, waited for again");
        assert_eq!(questions.answered_in(), [Duration::from_millis(1)]);
        assert_eq!(questions.answered_in(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_first_question_that_was_not_answered() {
        let mut questions = Questions::new();
        questions.ask(&"frozen", mono(0), answers(7));
        questions.settle(patience()).await;
        for at in [100, 1500, 3000] {
            questions.ask(&"frozen", mono(at), freezes());
            sleep(Duration::from_millis(1100)).await;
            questions.settle(patience()).await;
            let since = questions.probe(&"frozen", mono(at + 1100), FRESH).unknown_since();
            assert_eq!(since, Some(mono(100)));
        }
        questions.ask(&"frozen", mono(5000), answers(8));
        questions.late().await;
        let probe = questions.probe(&"frozen", mono(5001), FRESH);
        assert_eq!(probe, Probe::Known { value: 8, at: mono(5000) });
    }

    async fn refused() -> Result<u8, Blocker> {
        sleep(Duration::from_millis(50)).await;
        Err(Blocker("connection refused".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_failing_wakes_nobody() {
        let mut questions = Questions::new();
        questions.ask(&"a", mono(0), answers(7));
        questions.settle(patience()).await;
        questions.ask(&"a", mono(10), refused());
        questions.late().await;
        questions.ask(&"a", mono(70), refused());
        let again = timeout_at(Instant::now() + Duration::from_secs(1), questions.late());
        assert!(again.await.is_err(), "the first failure was news, the second one is not");
        questions.ask(&"a", mono(2000), answers(8));
        questions.late().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_second_while_the_next_is_on_its_way_and_a_failure_ends_it() {
        let mut questions = Questions::new();
        questions.ask(&"a", mono(0), answers(7));
        questions.settle(patience()).await;
        questions.ask(&"a", mono(500), freezes());
        questions.settle(patience()).await;
        assert_eq!(questions.probe(&"a", mono(999), FRESH).known(), Some(&7));
        assert_eq!(questions.probe(&"a", mono(1000), FRESH).unknown_since(), Some(mono(500)));

        let mut questions = Questions::new();
        questions.ask(&"a", mono(0), answers(7));
        questions.settle(patience()).await;
        questions.ask(&"a", mono(10), async { Err(Blocker("connection refused".to_owned())) });
        questions.settle(patience()).await;
        let why = Blocker("connection refused".to_owned());
        assert_eq!(questions.probe(&"a", mono(11), FRESH), Probe::Unknown { why, since: mono(10) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_of_somebody_forgotten_is_not_taken_for_the_next_ones() {
        let mut questions = Questions::new();
        let (answer, late) = oneshot::channel();
        questions.ask(&"a", mono(0), async { late.await.map_err(|_| Blocker("dropped".to_owned())) });
        questions.settle(patience()).await;
        questions.forget_others(|_| false);
        assert!(answer.send(1).is_err() || questions.by_key.is_empty());
        questions.ask(&"a", mono(10), answers(2));
        questions.settle(patience()).await;
        assert_eq!(questions.probe(&"a", mono(11), FRESH).known(), Some(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_must_be_of_this_pass_is_given_out_once() {
        let mut questions = Questions::new();
        questions.ask(&"list", mono(0), answers(7));
        questions.settle(patience()).await;
        assert_eq!(questions.take_probe(&"list", mono(1), FRESH).known(), Some(&7));
        assert_eq!(questions.take_probe(&"list", mono(2), FRESH).known(), None);
    }
}
