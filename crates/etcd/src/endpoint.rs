//! Where a member is and how patient we are with it. Parsed once: later code cannot meet a bad URL.

use std::{fmt, str::FromStr, time::Duration};

use http::Uri;

use crate::tls::Tls;

/// The URL of one member's client, peer or metrics port: `http://` or `https://`, a host and a port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    uri: Uri,
    host: String,
    scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("{text:?} is not a URL")]
    NotAUrl {
        /// What was given.
        text: String,
    },
    /// etcd serves `http` and `https`; Unix sockets are not supported here.
    #[error("{text:?} begins with neither http:// nor https://")]
    Scheme {
        /// What was given.
        text: String,
    },
    /// There is no default port for etcd URLs.
    #[error("{text:?} has no port")]
    Port {
        /// What was given.
        text: String,
    },
    /// A member has no paths below its port.
    #[error("{text:?} has a path; only scheme, host and port are allowed")]
    Path {
        /// What was given.
        text: String,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let given = || text.to_owned();
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotAUrl { text: given() })?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(EndpointError::Scheme { text: given() }),
        };
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| EndpointError::NotAUrl { text: given() })?;
        if uri.port_u16().is_none() {
            return Err(EndpointError::Port { text: given() });
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(EndpointError::Path { text: given() });
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { uri, host, scheme })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

impl Endpoint {
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }
}

/// A user of etcd's own authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub name: String,
    /// The password; never printed.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How patient a client is, and as whom it comes.
#[derive(Clone, Debug)]
pub struct Options {
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For one call, connecting included, when [`crate::Client::deadline`] says nothing else.
    pub call_timeout: Duration,
    /// Silence on a connection with an open call before an HTTP/2 ping is sent.
    ///
    /// Not below 5 s unless the member runs with a smaller `--grpc-keepalive-min-time`: on a plain-text port etcd counts more
    /// frequent pings as an attack, and on the third without an answer in between it closes the connection and
    /// every stream on it. Calls and streams do not depend on the ping: they have `call_timeout` and `progress_timeout`.
    pub keep_alive_interval: Duration,
    /// For the answer to that ping; then the connection is dropped and the next call makes a new one.
    pub keep_alive_timeout: Duration,
    /// For the next message of a stream (snapshot, watch): a member that is frozen sends none.
    pub progress_timeout: Duration,
    /// Needed for `https` endpoints.
    pub tls: Option<Tls>,
    /// Logs in when the cluster wants it.
    pub credentials: Option<Credentials>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(500),
            call_timeout: Duration::from_secs(2),
            keep_alive_interval: Duration::from_secs(6),
            keep_alive_timeout: Duration::from_secs(1),
            progress_timeout: Duration::from_secs(5),
            tls: None,
            credentials: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("http://127.0.0.1:2379", "127.0.0.1")]
    #[case::tls_by_name("https://etcd-0.etcd-peer.ns.svc:2379", "etcd-0.etcd-peer.ns.svc")]
    #[case::ipv6("http://[::1]:2379", "::1")]
    #[case::slash_at_the_end("http://localhost:2379/", "localhost")]
    fn a_member_url_is_an_endpoint(#[case] text: &str, #[case] host: &str) {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.host(), host);
        assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
    }

    #[rstest]
    #[case::no_scheme("127.0.0.1:2379")]
    #[case::other_scheme("unix://x:1")]
    #[case::no_port("http://localhost")]
    #[case::a_path("http://localhost:2379/health")]
    #[case::nothing("")]
    fn anything_else_is_refused_with_its_text(#[case] text: &str) {
        let refusal = text.parse::<Endpoint>().unwrap_err();
        assert!(refusal.to_string().contains(text), "{refusal}");
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { name: "root".to_owned(), password: "s3cret".to_owned() };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
