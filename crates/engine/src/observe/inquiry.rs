//! Questions that never hold up a pass for long: each goes out in a task of its own, at most one at a time for each key, and a
//! pass waits only for those that have not kept it waiting before. A frozen member costs one pass its budget, and later passes
//! nothing (reliability.md, H1).

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
    /// When the first question after the last answer was put.
    unanswered_since: Option<Mono>,
    /// Whether a pass waits for it: not after it kept one waiting in vain, until it answers again.
    awaited: Awaited,
    last: Option<Result<(Mono, T), Blocker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Yes,
    No,
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
            unanswered_since: None,
            awaited: Awaited::Yes,
            last: None,
        });
        if inquiry.running.is_some() {
            return;
        }
        self.asked += 1;
        let (key, number) = (key.clone(), self.asked);
        inquiry.number = number;
        inquiry.asked = now;
        inquiry.unanswered_since.get_or_insert(now);
        inquiry.running = Some(self.tasks.spawn(async move { Answered { key, number, result: question.await } }));
    }

    /// When the newest question was put.
    pub(crate) fn last_asked(&self, key: &K) -> Option<Mono> {
        self.by_key.get(key).map(|inquiry| inquiry.asked)
    }

    /// Drops what is known of all others, and what is still on its way to them.
    pub(crate) fn forget_others(&mut self, keep: impl Fn(&K) -> bool) {
        self.by_key.retain(|key, _| keep(key));
    }

    /// Waits until everybody who is waited for has answered, at most until `deadline`.
    pub(crate) async fn settle(&mut self, deadline: Instant) {
        while let Some(done) = self.tasks.try_join_next() {
            self.take(done.ok());
        }
        while self.by_key.values().any(|inquiry| inquiry.running.is_some() && inquiry.awaited == Awaited::Yes) {
            match timeout_at(deadline, self.tasks.join_next()).await {
                Ok(Some(done)) => self.take(done.ok()),
                Ok(None) => return,
                Err(_) => break,
            }
        }
        for inquiry in self.by_key.values_mut().filter(|inquiry| inquiry.running.is_some()) {
            inquiry.awaited = Awaited::No;
        }
    }

    /// Waits for the next answer that no pass waited for; for ever when there is none to come.
    pub(crate) async fn late(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(answered)) => return self.take(Some(answered)),
                // A question that was forgotten.
                Some(Err(_)) => {}
                None => return std::future::pending().await,
            }
        }
    }

    fn take(&mut self, answered: Option<Answered<K, T>>) {
        let Some(Answered { key, number, result }) = answered else { return };
        let Some(inquiry) = self.by_key.get_mut(&key).filter(|inquiry| inquiry.number == number) else { return };
        inquiry.running = None;
        match result {
            Ok(value) => {
                inquiry.unanswered_since = None;
                inquiry.awaited = Awaited::Yes;
                inquiry.last = Some(Ok((inquiry.asked, value)));
            }
            Err(why) => inquiry.last = Some(Err(why)),
        }
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
