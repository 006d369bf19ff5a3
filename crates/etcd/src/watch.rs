//! Changes of keys as they happen.
//!
//! A watch on quiet keys and a watch on a frozen member look alike: both are silent. So a watcher asks the member for a sign of life
//! (etcd's progress request) while it waits, and takes silence for the progress timeout as [`Error::NoProgress`]. Signs of life
//! are local: a member that is cut off from the others gives them too, unless the client requires a leader.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tonic::Streaming;

use crate::{
    answer::{Answer, Header},
    client::Client,
    error::Error,
    generated::{
        etcdserverpb::{
            ResponseHeader, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
            watch_client::WatchClient, watch_request::RequestUnion,
        },
        mvccpb::{self, event::EventType},
    },
    id::ClusterId,
    kv::{KeyValue, Keys},
};

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Which keys.
    pub keys: Keys,
    /// The first revision that matters; nothing: what comes from now on.
    pub from: Option<i64>,
    /// Whether events carry the value that was there before.
    pub previous: Previous,
}

/// Whether events carry the value that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// They do, as far as it is not compacted away.
    Included,
    /// They do not.
    LeftOut,
}

impl Watch {
    /// Watches these keys from now on.
    pub fn new(keys: Keys) -> Self {
        Self { keys, from: None, previous: Previous::LeftOut }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was written.
    Put {
        /// As it is now.
        now: KeyValue,
        /// As it was before, where it was asked for and was there.
        before: Option<KeyValue>,
    },
    /// It was deleted.
    Delete {
        /// Only its key and the revision of the deletion.
        now: KeyValue,
        /// As it was before, where it was asked for and was there.
        before: Option<KeyValue>,
    },
}

/// Changes that came together. All changes of one revision are in one batch.
pub type WatchBatch = Answer<Vec<Event>>;

/// A watch that runs.
#[derive(Debug)]
pub struct Watcher {
    answers: Streaming<WatchResponse>,
    questions: mpsc::Sender<WatchRequest>,
    expected: Option<ClusterId>,
    patience: Duration,
}

impl Client {
    /// Watches keys. Answers when the member has set the watch up: no later change is missed.
    pub async fn watch(&self, watch: Watch) -> Result<Answer<Watcher>, Error> {
        let (key, range_end) = watch.keys.into_wire();
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: watch.from.unwrap_or(0),
            progress_notify: false,
            prev_kv: watch.previous == Previous::Included,
        };
        // etcd looks at the user only when the stream is open, so that is part of what is done again under a new login.
        let both = async {
            let first = self.set_up(create.clone()).await;
            if self.must_log_in_again(&first) { self.set_up(create).await } else { first }
        };
        let (header, watcher) = self.in_time(both).await?;
        self.answer(header, watcher)
    }

    async fn set_up(&self, create: WatchCreateRequest) -> Result<(Option<ResponseHeader>, Watcher), Error> {
        let (questions, receiver) = mpsc::channel(4);
        send(&questions, RequestUnion::CreateRequest(create));
        let receiver = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let answers = self
            .open(receiver, |channel, request| async move {
                WatchClient::new(channel).max_decoding_message_size(usize::MAX).watch(request).await
            })
            .await?;
        let mut watcher = Watcher { answers, questions, expected: self.expected(), patience: self.progress_timeout() };
        let created = watcher.message().await?;
        if created.created {
            Ok((created.header, watcher))
        } else {
            Err(Error::InvalidAnswer { reason: "the watch was not set up".to_owned() })
        }
    }
}

impl Watcher {
    /// The next changes. Of no use after an error: what a slow member still sends then may have a gap before it.
    ///
    /// # Errors
    /// [`Error::NoProgress`] when the member gives no sign of life for the progress timeout, [`Error::Compacted`] when history that
    /// was asked for is gone. After any error, watch anew from the revision after the last batch.
    pub async fn next(&mut self) -> Result<WatchBatch, Error> {
        let mut deadline = Instant::now() + self.patience;
        let mut ask_at = Instant::now() + self.patience / 4;
        loop {
            let message = tokio::select! {
                biased;
                message = self.message() => message?,
                () = sleep_until(ask_at.min(deadline)) => {
                    if Instant::now() >= deadline {
                        return Err(Error::NoProgress { after: self.patience });
                    }
                    send(&self.questions, RequestUnion::ProgressRequest(WatchProgressRequest {}));
                    ask_at += self.patience / 4;
                    continue;
                }
            };
            let header = Header::checked(message.header, self.expected)?;
            if !message.events.is_empty() {
                let events = message.events.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
                return Ok(Answer { header, value: events });
            }
            // A sign of life.
            deadline = Instant::now() + self.patience;
            ask_at = Instant::now() + self.patience / 4;
        }
    }

    /// The next message that does not end the watch.
    async fn message(&mut self) -> Result<WatchResponse, Error> {
        let message = self.answers.message().await.map_err(|status| Error::from_status(&status))?;
        let message = message.ok_or_else(|| Error::Unavailable { message: "the watch ended".to_owned() })?;
        if message.compact_revision > 0 {
            return Err(Error::Compacted { oldest: Some(message.compact_revision) });
        }
        if message.canceled {
            return Err(Error::from_text(&message.cancel_reason));
        }
        Ok(message)
    }
}

/// A queue that is full holds a request for a sign of life already; one that is closed belongs to a stream that ended and says so.
fn send(questions: &mpsc::Sender<WatchRequest>, request: RequestUnion) {
    let _ = questions.try_send(WatchRequest { request_union: Some(request) });
}

impl TryFrom<mvccpb::Event> for Event {
    type Error = Error;

    fn try_from(event: mvccpb::Event) -> Result<Self, Error> {
        let kind = event.r#type();
        let now = event.kv.ok_or_else(|| Error::InvalidAnswer { reason: "an event has no key".to_owned() })?.into();
        let before = event.prev_kv.map(KeyValue::from);
        Ok(match kind {
            EventType::Put => Self::Put { now, before },
            EventType::Delete => Self::Delete { now, before },
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes};
    use http_body_util::Full;
    use prost::Message;
    use tonic::codec::Codec;
    use tonic_prost::ProstCodec;

    use super::*;

    /// A watcher that is about to hear `messages` from cluster 7.
    fn hears(messages: &[WatchResponse], expected: Option<ClusterId>) -> Watcher {
        let mut frames = Vec::new();
        for message in messages {
            let header = Some(ResponseHeader { cluster_id: 7, member_id: 1, revision: 2, raft_term: 3 });
            let bytes = WatchResponse { header, ..message.clone() }.encode_to_vec();
            // gRPC's prefix: not compressed, and so many bytes.
            frames.put_u8(0);
            frames.put_u32(bytes.len().try_into().unwrap());
            frames.extend(bytes);
        }
        let decoder = ProstCodec::<WatchRequest, WatchResponse>::default().decoder();
        let answers = Streaming::new_request(decoder, Full::new(Bytes::from(frames)), None, None);
        Watcher { answers, questions: mpsc::channel(1).0, expected, patience: Duration::from_secs(1) }
    }

    #[tokio::test]
    async fn changes_of_another_cluster_end_a_watch_that_runs() {
        let event = mvccpb::Event { kv: Some(mvccpb::KeyValue::default()), ..mvccpb::Event::default() };
        let message = WatchResponse { events: vec![event], ..WatchResponse::default() };
        let ours = hears(std::slice::from_ref(&message), Some(ClusterId(7))).next().await;
        assert_eq!(ours.unwrap().value.len(), 1);
        let stranger = Err(Error::WrongCluster { expected: ClusterId(1), got: ClusterId(7) });
        assert_eq!(hears(&[message], Some(ClusterId(1))).next().await, stranger);
        // A sign of life of a stranger is none.
        assert_eq!(hears(&[WatchResponse::default()], Some(ClusterId(1))).next().await, stranger);
    }
}
