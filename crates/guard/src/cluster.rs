//! The first-start flags of etcd that a permit carries: `--initial-cluster` and `--initial-cluster-state`.
//!
//! etcd reads `--initial-cluster` as a URL query and takes only `host:port` URLs. Names and URLs that it would read
//! differently from us are rejected here, before a permit is used up on them.

use std::{fmt, str::FromStr};

/// What etcd is told about the cluster that it starts into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// A founder: the cluster is being formed.
    New,
    /// A member added to a cluster that runs.
    Existing,
}

/// A member's `--name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(String);

/// A member's peer URL: `http` or `https`, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerUrl {
    text: String,
    host: String,
    port: u16,
}

/// Why an entry of the initial cluster cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPeer {
    /// The state is neither `new` nor `existing`.
    State,
    /// A name is empty or holds a character that etcd reads as part of the list.
    Name,
    /// A URL is not `http://host:port` or `https://host:port`.
    Url,
    /// An entry is not `name=url`, or there is none.
    Entry,
}

impl fmt::Display for BadPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "it is neither 'new' nor 'existing'",
            Self::Name => "a name is empty or holds a character other than letters, digits, '.', '_' and '-'",
            Self::Url => "a URL is not of the form http://host:port or https://host:port",
            Self::Entry => "it is not a list name=url,name=url",
        })
    }
}

impl std::error::Error for BadPeer {}

impl ClusterState {
    /// The value of `--initial-cluster-state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }
}

impl PeerUrl {
    /// A host name or an IP literal, the latter without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The peer port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL as etcd gets it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PeerName {
    /// The name as etcd gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterState {
    type Err = BadPeer;

    fn from_str(text: &str) -> Result<Self, BadPeer> {
        match text {
            "new" => Ok(Self::New),
            "existing" => Ok(Self::Existing),
            _ => Err(BadPeer::State),
        }
    }
}

impl FromStr for PeerName {
    type Err = BadPeer;

    fn from_str(text: &str) -> Result<Self, BadPeer> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if text.is_empty() || !plain { Err(BadPeer::Name) } else { Ok(Self(text.to_owned())) }
    }
}

impl FromStr for PeerUrl {
    type Err = BadPeer;

    fn from_str(text: &str) -> Result<Self, BadPeer> {
        let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(BadPeer::Url)?;
        let (host, port) = authority.rsplit_once(':').ok_or(BadPeer::Url)?;
        // `u16::from_str` takes a sign as well.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port: &u16| digits && *port != 0).ok_or(BadPeer::Url)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(literal) if literal.parse::<std::net::Ipv6Addr>().is_ok() => literal,
            None if is_host(host) => host,
            Some(_) | None => return Err(BadPeer::Url),
        };
        Ok(Self { text: text.to_owned(), host: host.to_owned(), port })
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads the list as `--initial-cluster` takes it.
pub(crate) fn parse_initial_cluster(text: &str) -> Result<Vec<(PeerName, PeerUrl)>, BadPeer> {
    let entry = |entry: &str| {
        let (name, url) = entry.split_once('=').ok_or(BadPeer::Entry)?;
        Ok((name.parse()?, url.parse()?))
    };
    text.split(',').map(entry).collect()
}

/// The list as `--initial-cluster` takes it.
pub(crate) fn render_initial_cluster(peers: &[(PeerName, PeerUrl)]) -> String {
    peers.iter().map(|(name, url)| format!("{name}={url}")).collect::<Vec<_>>().join(",")
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
