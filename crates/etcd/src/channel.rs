//! The one HTTP/2 connection to a member, made when it is needed and made anew when it broke.
//!
//! Why not tonic's own channel: there a request that met a dying connection and a request that was never sent look the same, a
//! failed attempt is handed to whichever call comes next, however late, and callers queue up behind one
//! attempt after the other. Here all callers share one attempt and its outcome, a request that provably
//! was not sent is sent again on a new connection, and one that was not sent at all says so ([`Error::Unreachable`]). There is no
//! back-off: an attempt to a port nobody listens on costs microseconds, and a member that came back is wanted at once. Who polls
//! chooses the pace.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;
use tower::Service;

use crate::{
    connect::{Connector, Refusal},
    endpoint::{Endpoint, Options},
    error::{Error, chain},
    tls::Protocol,
};

type Attempt = Shared<Pin<Box<dyn Future<Output = Result<Line, Error>> + Send>>>;

/// One connection.
#[derive(Clone)]
struct Line {
    sender: http2::SendRequest<Body>,
    refusal: Refusal,
}

/// The state of the connection.
enum Link {
    Down,
    Connecting(Attempt),
    Up(Line),
}

/// A connection to one member; clones share it.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shape>);

struct Shape {
    connector: Connector,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    link: Mutex<Link>,
}

impl Channel {
    /// Does no I/O.
    pub(crate) fn new(endpoint: Endpoint, options: &Options) -> Self {
        Self(Arc::new(Shape {
            connector: Connector::new(endpoint, options, Protocol::Grpc),
            keep_alive_interval: options.keep_alive_interval,
            keep_alive_timeout: options.keep_alive_timeout,
            link: Mutex::new(Link::Down),
        }))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.0.connector.endpoint()
    }

    /// The connection as it is, or the attempt that everybody waits for.
    fn link(&self) -> Attempt {
        // A panic while the lock was held cannot leave a half-changed state: every change is one assignment.
        let mut link = self.0.link.lock().unwrap_or_else(PoisonError::into_inner);
        match &*link {
            Link::Up(up) if !up.sender.is_closed() => return futures::future::ok(up.clone()).boxed().shared(),
            Link::Connecting(attempt) if attempt.peek().is_none() => return attempt.clone(),
            Link::Up(_) | Link::Connecting(_) | Link::Down => {}
        }
        // A task of its own, so that it goes on (and ends in time) whoever of the callers gives up.
        let task = tokio::spawn(self.clone().connect());
        let attempt: Attempt = async move {
            task.await.unwrap_or_else(|error| Err(Error::Unavailable { message: format!("connecting: {error}") }))
        }
        .boxed()
        .shared();
        *link = Link::Connecting(attempt.clone());
        attempt
    }

    async fn connect(self) -> Result<Line, Error> {
        let outcome = self.handshake().await;
        let next = match &outcome {
            Ok(line) => Link::Up(line.clone()),
            Err(_) => Link::Down,
        };
        *self.0.link.lock().unwrap_or_else(PoisonError::into_inner) = next;
        outcome
    }

    async fn handshake(&self) -> Result<Line, Error> {
        let io = self.0.connector.connect().await?;
        let refusal = io.refusal();
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(self.0.keep_alive_interval)
            .keep_alive_timeout(self.0.keep_alive_timeout)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| lost(&refusal, &error))?;
        // Its error reaches the calls that were under way; the next one finds the sender closed.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Line { sender, refusal })
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        *request.uri_mut() = self.absolute(request.uri());
        let mut line = self.link().await?;
        let mut failed = match line.sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        // The connection was found dead before the request went out: nobody has seen it, so it may go out again.
        let Some(unsent) = failed.take_message() else { return Err(lost(&line.refusal, failed.error())) };
        line = self.link().await?;
        let mut failed = match line.sender.try_send_request(unsent).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        match failed.take_message() {
            Some(_) => Err(line.refusal.get().unwrap_or_else(|| Error::Unreachable {
                endpoint: self.endpoint().to_string(),
                reason: chain(failed.error()),
            })),
            None => Err(lost(&line.refusal, failed.error())),
        }
    }

    /// tonic gives only the path; HTTP/2 wants to know the host as well.
    fn absolute(&self, path: &Uri) -> Uri {
        let mut parts = self.endpoint().uri().clone().into_parts();
        parts.path_and_query = path.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_else(|_| path.clone())
    }
}

fn lost(refusal: &Refusal, error: &hyper::Error) -> Error {
    refusal.get().unwrap_or_else(|| Error::Unavailable { message: chain(error) })
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Channel").field(&self.endpoint().to_string()).finish()
    }
}
