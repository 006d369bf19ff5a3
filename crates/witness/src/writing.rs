//! The writers. Each has one call under way at a time and prefers one member; when that fails it goes to the next, and back when the
//! list of members changes. No call is repeated: a write that failed or stayed unknown is evidence, the next one has the next number.

use std::{collections::HashMap, sync::Arc, time::Duration};

use etcdop_etcd::{Client, ClusterId, Compare, Effect, Endpoint, Is, Keys, Op, Options, Put, Target, Txn};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    history::{Outcome, Write},
    key::{Key, Run, WriterId, value},
    witness::{Notes, nth},
};

/// What one writer needs to know.
pub(crate) struct Writer {
    pub(crate) id: WriterId,
    pub(crate) run: Run,
    pub(crate) cluster: ClusterId,
    pub(crate) options: Options,
    pub(crate) endpoints: watch::Receiver<Vec<Endpoint>>,
    pub(crate) notes: Arc<Notes>,
    /// From one write to the next.
    pub(crate) every: Duration,
    /// From the start to the first one, so that the writers do not march in step.
    pub(crate) offset: Duration,
}

impl Writer {
    /// Writes until told to stop; a call that is under way then is waited for.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval_at(Instant::now() + self.offset, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut clients: HashMap<Endpoint, Client> = HashMap::new();
        let mut at = usize::from(self.id.0);
        let mut n = 0;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.endpoints.has_changed().unwrap_or(false) {
                at = usize::from(self.id.0);
                let now = self.endpoints.borrow_and_update();
                clients.retain(|endpoint, _| now.contains(endpoint));
            }
            let Some(endpoint) = nth(&self.endpoints.borrow(), at) else { continue };
            let client = clients.entry(endpoint).or_insert_with_key(|endpoint| {
                Client::new(endpoint.clone(), &self.options).expect_cluster(self.cluster)
            });
            n += 1;
            if !self.write(client, n).await {
                at += 1;
            }
        }
    }

    /// One write and its note; whether it was acknowledged.
    async fn write(&self, client: &Client, n: u64) -> bool {
        let sent = self.notes.now();
        let answer = client.txn(self.transaction(n)).await;
        let ended = self.notes.now();
        let outcome = match answer {
            Ok(done) if done.value.succeeded => Outcome::Acked { revision: done.header.revision },
            Ok(_) => Outcome::CounterRefused,
            Err(why) => match why.effect() {
                Effect::NotApplied => Outcome::Failed { why },
                Effect::Unknown => Outcome::Unknown { why },
            },
        };
        let acked = matches!(outcome, Outcome::Acked { .. });
        self.notes.add(Write { writer: self.id, n, sent, ended, outcome });
        acked
    }

    /// The write and the counter in one revision. The condition keeps an old write, whose outcome is unknown and which is applied
    /// late, from setting the counter back.
    fn transaction(&self, n: u64) -> Txn {
        let counter = self.run.path(Key::Counter(self.id));
        let write = self.run.path(Key::Write { writer: self.id, n });
        Txn {
            when: vec![Compare {
                keys: Keys::one(counter.clone()),
                is: Is::Less,
                target: Target::Value(value(n).into()),
            }],
            then: vec![Op::Put(Put::new(write, value(n))), Op::Put(Put::new(counter, value(n)))],
            otherwise: Vec::new(),
        }
    }
}
