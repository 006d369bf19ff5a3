//! One connection to one member: TCP or TLS, within the connect timeout.
//!
//! In TLS 1.3 the client is done with the handshake before the server has looked at the client's certificate. So a refusal by the
//! member shows up later, as an alert in the place of the first answer, and HTTP turns it into "connection closed".
//! [`TlsIo`] catches the alert where it passes and leaves it in [`Refusal`] for whoever has to explain the failure.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;

use crate::{
    endpoint::{Endpoint, Options, Scheme},
    error::{Error, chain},
    tls::{self, Protocol, Tls},
};

/// Why the member hung up on a connection before it took anything from it, if it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<Error>>>);

impl Refusal {
    pub(crate) fn get(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, refused: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }
}

/// Makes connections to one member.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    protocol: Protocol,
    within: Duration,
    tls: Option<Tls>,
    tcp: HttpConnector,
    newest: Arc<Mutex<Refusal>>,
}

impl Connector {
    pub(crate) fn new(endpoint: Endpoint, options: &Options, protocol: Protocol) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A host that is gone answers no packet: notice it below HTTP, where no server counts pings.
        let silence = options.keep_alive_interval.min(Duration::from_secs(2));
        tcp.set_keepalive(Some(silence.max(Duration::from_secs(1))));
        tcp.set_keepalive_interval(Some(Duration::from_secs(1)));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(silence + options.keep_alive_timeout));
        let (within, tls) = (options.connect_timeout, options.tls.clone());
        Self { endpoint, protocol, within, tls, tcp, newest: Arc::default() }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Why the member hung up on the newest connection: for whoever cannot tell which one its call went over.
    pub(crate) fn refused(&self) -> Option<Error> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).get()
    }

    /// Connects within the connect timeout: name, TCP and TLS together.
    pub(crate) async fn connect(&self) -> Result<MemberIo, Error> {
        timeout(self.within, self.clone().dial())
            .await
            .unwrap_or_else(|_| Err(self.unreachable(format!("not connected within {:?}", self.within))))
    }

    async fn dial(mut self) -> Result<MemberIo, Error> {
        let refusal = Refusal::default();
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = refusal.clone();
        // Read before connecting, so that a bad file is reported also when the member is away.
        let tls = match (self.endpoint.scheme(), &self.tls) {
            (Scheme::Http, _) => None,
            (Scheme::Https, Some(tls)) => {
                Some((tls.client_config(self.protocol).await?, tls.server_name(self.endpoint.host())?))
            }
            (Scheme::Https, None) => {
                return Err(Error::TlsSetup { reason: format!("no TLS options were given for {}", self.endpoint) });
            }
        };
        let tcp = self.tcp.call(self.endpoint.uri().clone()).await.map_err(|error| self.unreachable(chain(&error)))?;
        let tcp = tcp.into_inner();
        let Some((config, name)) = tls else { return Ok(MemberIo::Plain(tcp)) };
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(MemberIo::Tls(Box::new(TlsIo { stream, refusal, heard: false, broken: None }))),
            Err(error) => Err(tls::refusal(&error).unwrap_or_else(|| self.unreachable(format!("TLS: {error}")))),
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable { endpoint: self.endpoint.to_string(), reason }
    }
}

/// What HTTP/1 pools. The URL that it passes is the one of our own requests, so there is nothing to learn from it.
impl Service<Uri> for Connector {
    type Response = TokioIo<MemberIo>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<TokioIo<MemberIo>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

/// The bytes to and from a member.
#[derive(Debug)]
pub(crate) enum MemberIo {
    Plain(TcpStream),
    Tls(Box<TlsIo>),
}

/// TLS that listens for a refusal.
#[derive(Debug)]
pub(crate) struct TlsIo {
    stream: TlsStream<TcpStream>,
    refusal: Refusal,
    /// Whether the member has said anything yet. A refusal is the first thing it says, or it does not come at all.
    heard: bool,
    /// Kept back until the member's first words are read.
    broken: Option<io::Error>,
}

impl TlsIo {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let first_words = !self.heard;
        self.heard = true;
        // An alert that comes later ends a connection that was trusted: what went over it may have been done.
        if let Some(refused) = result.as_ref().err().and_then(tls::refusal).filter(|_| first_words) {
            self.refusal.note(refused);
        }
        Poll::Ready(result)
    }

    /// A write fails when the member has hung up. If it has said nothing before, its reason still waits to be read (and will be
    /// there, since the connection is at its end); whoever gets the error drops the connection and the reason with it.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let error = match self.broken.take() {
            Some(error) => error,
            None => match ready!(write(Pin::new(&mut self.stream), cx)) {
                Ok(written) => return Poll::Ready(Ok(written)),
                Err(error) => error,
            },
        };
        if !self.heard && self.poll_read(cx, &mut ReadBuf::new(&mut [0; 512])).is_pending() {
            self.broken = Some(error);
            return Poll::Pending;
        }
        Poll::Ready(Err(error))
    }
}

impl MemberIo {
    /// Where a refusal of this connection is left.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Plain(_) => Refusal::default(),
            Self::Tls(tls) => tls.refusal.clone(),
        }
    }
}

impl Connection for MemberIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for MemberIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for MemberIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => tls.poll_write_with(cx, |stream, cx| stream.poll_write(cx, buf)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => tls.poll_write_with(cx, |stream, cx| stream.poll_flush(cx).map_ok(|()| 0)).map_ok(|_| ()),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
