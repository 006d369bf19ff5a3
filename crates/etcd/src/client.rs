//! The handle: which member, how long to wait, what to hold the answers against, and as whom to come.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use crate::{
    answer::{Answer, Header},
    channel::Channel,
    endpoint::{Credentials, Endpoint, Options},
    error::Error,
    generated::etcdserverpb::{AuthenticateRequest, ResponseHeader, auth_client::AuthClient},
    id::ClusterId,
};

type Token = MetadataValue<Ascii>;

/// A client of one member, over one connection. Clones share the connection and the login.
///
/// # Guarantees
/// Every call ends within its deadline, connecting included. Nothing is ever sent to another member, and nothing that may have been
/// received is ever sent twice.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    deadline: Duration,
    progress_timeout: Duration,
    expected: Option<ClusterId>,
    leader: Leader,
    login: Option<Arc<Login>>,
}

/// Whether the member shall answer while it knows of no leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    AsTheCallNeeds,
    Required,
}

#[derive(Debug)]
struct Login {
    credentials: Credentials,
    token: Mutex<TokenState>,
}

#[derive(Clone, Debug)]
enum TokenState {
    Unknown,
    /// The cluster asks nobody who they are.
    NotNeeded,
    Known(Token),
}

impl Client {
    /// Does no I/O; the first call connects.
    pub fn new(endpoint: Endpoint, options: &Options) -> Self {
        Self {
            channel: Channel::new(endpoint, options),
            deadline: options.call_timeout,
            progress_timeout: options.progress_timeout,
            expected: None,
            leader: Leader::AsTheCallNeeds,
            login: options
                .credentials
                .clone()
                .map(|credentials| Arc::new(Login { credentials, token: Mutex::new(TokenState::Unknown) })),
        }
    }

    /// The member that this client speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        self.channel.endpoint()
    }

    /// The same client with another deadline for each call.
    #[must_use]
    pub fn deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same client, that takes an answer from another cluster as [`Error::WrongCluster`].
    ///
    /// etcd cannot be told beforehand whom we mean: a *change* that meets a stranger is made there. Read first.
    #[must_use]
    pub fn expect_cluster(&self, cluster: ClusterId) -> Self {
        Self { expected: Some(cluster), ..self.clone() }
    }

    /// The same client, whose calls fail with [`Error::NoLeader`] at once when the member knows of no leader, instead of waiting for one.
    #[must_use]
    pub fn require_leader(&self) -> Self {
        Self { leader: Leader::Required, ..self.clone() }
    }

    /// One call and its answer, within the deadline. Logs in first where that is needed.
    ///
    /// The deadline is kept here and not sent along: a call that is given up is reset, which ends it at the member as well, and so a
    /// deadline that the member reports is always its own.
    pub(crate) async fn call<Q, A, F>(&self, question: Q, rpc: impl Fn(Channel, Request<Q>) -> F) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let both = async {
            let first = self.open(question.clone(), &rpc).await;
            if self.must_log_in_again(&first) { self.open(question, &rpc).await } else { first }
        };
        self.in_time(both).await
    }

    /// Does something that fails with [`Error::DeadlineExceeded`] when it takes longer than a call may.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.deadline, work).await.unwrap_or(Err(Error::DeadlineExceeded { after: self.deadline }))
    }

    /// Whether the login was what was wrong; if so, it is forgotten, and the same thing can be done once more under a new one. (It was
    /// refused before anything was done.)
    pub(crate) fn must_log_in_again<T>(&self, outcome: &Result<T, Error>) -> bool {
        match (&self.login, outcome) {
            (Some(login), Err(Error::AuthTokenInvalid | Error::AuthTokenOutdated | Error::AuthRequired)) => {
                login.forget();
                true
            }
            _ => false,
        }
    }

    /// One attempt at a call, or at opening a stream, with no deadline of its own.
    pub(crate) async fn open<Q, A, F>(
        &self,
        question: Q,
        rpc: impl FnOnce(Channel, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let answer = rpc(self.channel.clone(), self.request(question).await?).await;
        answer.map(Response::into_inner).map_err(|status| Error::from_status(&status))
    }

    /// Puts the header of an answer and its value together, and holds it against the expected cluster.
    pub(crate) fn answer<T>(&self, header: Option<ResponseHeader>, value: T) -> Result<Answer<T>, Error> {
        Ok(Answer { header: Header::checked(header, self.expected)?, value })
    }

    pub(crate) fn expected(&self) -> Option<ClusterId> {
        self.expected
    }

    pub(crate) fn progress_timeout(&self) -> Duration {
        self.progress_timeout
    }

    /// With what this client adds to every call.
    async fn request<Q>(&self, question: Q) -> Result<Request<Q>, Error> {
        let mut request = Request::new(question);
        self.mark(request.metadata_mut());
        if let Some(token) = self.token().await? {
            request.metadata_mut().insert("token", token);
        }
        Ok(request)
    }

    fn mark(&self, metadata: &mut MetadataMap) {
        if self.leader == Leader::Required {
            metadata.insert("hasleader", MetadataValue::from_static("true"));
        }
    }

    async fn token(&self) -> Result<Option<Token>, Error> {
        let Some(login) = &self.login else { return Ok(None) };
        match login.state() {
            TokenState::Known(token) => return Ok(Some(token)),
            TokenState::NotNeeded => return Ok(None),
            TokenState::Unknown => {}
        }
        let Credentials { name, password } = login.credentials.clone();
        let mut auth = AuthClient::new(self.channel.clone());
        let state = match auth.authenticate(AuthenticateRequest { name, password }).await {
            Ok(answer) => {
                let token = answer.into_inner().token.parse();
                TokenState::Known(
                    token.map_err(|_| Error::InvalidAnswer { reason: "the token is no text".to_owned() })?,
                )
            }
            Err(status) => match Error::from_status(&status) {
                Error::AuthNotEnabled => TokenState::NotNeeded,
                error => return Err(error),
            },
        };
        *login.token.lock().unwrap_or_else(PoisonError::into_inner) = state.clone();
        match state {
            TokenState::Known(token) => Ok(Some(token)),
            TokenState::NotNeeded | TokenState::Unknown => Ok(None),
        }
    }
}

impl Login {
    fn state(&self) -> TokenState {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = TokenState::Unknown;
    }
}
