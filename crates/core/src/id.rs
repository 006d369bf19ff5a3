//! Names for the things a cluster is made of. A *slot* is a place (ordinal, host, directory); a *member* is an identity in
//! etcd, bound for life to one disk (DESIGN, rule 1); a *generation* tells the members apart that held one slot.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// A text that was to be an identifier and is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not a 64-bit number in hexadecimal.
    #[error("`{0}` is not an etcd ID: expected up to 16 hexadecimal digits, as in 8e9e05c52164694d")]
    Hex(String),
    /// Not a URL that an etcd member can be reached at by its peers.
    #[error("`{0}` is not a peer URL: expected http://HOST:PORT or https://HOST:PORT")]
    PeerUrl(String),
    /// Not `UID/NUMBER`.
    #[error("`{0}` is not an incarnation: expected UID/NUMBER, as in 4f1c/1")]
    Incarnation(String),
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let is_hex = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
                let parsed = if is_hex { u64::from_str_radix(text, 16).ok() } else { None };
                parsed.map(Self).ok_or_else(|| IdError::Hex(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

hex_id! {
    /// etcd's 64-bit cluster ID, printed in hexadecimal as etcdctl does. Never changes after the bootstrap (reliability.md, F11).
    ClusterId
}
hex_id! {
    /// etcd's 64-bit member ID, printed in hexadecimal as etcdctl does. Never used again once removed (F12).
    MemberId
}

/// A place for a member: StatefulSet ordinal, host, or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u8);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the members that this incarnation ever had a seat for; one per seat, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a cluster: its UID and how often it was bootstrapped or restored. Also etcd's initial-cluster-token, because
/// equal tokens and URLs give equal cluster and member IDs (LAB 17).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Unique per declared cluster.
    pub uid: String,
    /// From 1, raised by every new bootstrap or restore.
    pub number: u32,
}

impl Incarnation {
    /// The first life of the cluster `uid`.
    pub fn first(uid: impl Into<String>) -> Self {
        Self { uid: uid.into(), number: 1 }
    }

    /// The next life of the same cluster.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { uid: self.uid.clone(), number: self.number + 1 }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.uid, self.number)
    }
}

impl FromStr for Incarnation {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parsed = text.rsplit_once('/').and_then(|(uid, number)| {
            let plain = !uid.is_empty() && !uid.contains(char::is_whitespace);
            let number: u32 = number.parse().ok()?;
            plain.then(|| Self { uid: uid.to_owned(), number })
        });
        parsed.ok_or_else(|| IdError::Incarnation(text.to_owned()))
    }
}

impl Serialize for Incarnation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Where the peers of a member reach it: scheme, host and port, no path. Part of the member's identity (F11).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PeerUrl(String);

impl PeerUrl {
    /// The URL as etcd wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PeerUrl {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::PeerUrl(text.to_owned());
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port_ok = port.parse::<u16>().is_ok_and(|port| port > 0);
        let host_ok = !host.is_empty() && !host.contains(['/', ',', '=', '@', '?', '#', ' ']);
        if port_ok && host_ok { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(wrong()) }
    }
}

impl<'de> Deserialize<'de> for PeerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// One run of a member's gate and etcd: Pod UID and restart, `InvocationID`, or boot, PID and start time.
    InstanceId
}
text_id! {
    /// One data volume: PVC UID, or the identity of a directory.
    VolumeId
}
text_id! {
    /// What the platform compares when the record is committed: resourceVersion, or a sequence number.
    RecordRevision
}

/// The manager's monotonic clock: time since it started. Never compared across managers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Mono(pub Duration);

impl Mono {
    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `wait` from now.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::http("http://127.0.0.1:2380", true)]
    #[case::https_name("https://a-0.a-peer.ns.svc:2380", true)]
    #[case::ipv6("http://[::1]:2380", true)]
    #[case::no_port("http://127.0.0.1", false)]
    #[case::port_zero("http://h:0", false)]
    #[case::path("http://h:2380/x", false)]
    #[case::other_scheme("unix://h:1", false)]
    #[case::list("http://a:1,http://b:2", false)]
    fn peer_urls_have_scheme_host_and_port_only(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<PeerUrl>().is_ok(), good, "{text}");
    }

    #[test]
    fn ids_are_hexadecimal_both_ways() {
        assert_eq!("8e9e05c52164694d".parse::<MemberId>().unwrap().to_string(), "8e9e05c52164694d");
        for wrong in ["", "xyz", "+1", "11112222333344445"] {
            assert!(wrong.parse::<ClusterId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn incarnations_round_trip_and_count_on() {
        let first = Incarnation::first("4f1c");
        assert_eq!(first.next().to_string().parse::<Incarnation>().unwrap(), first.next());
        assert_eq!(first.next().number, 2);
        for wrong in ["", "/1", "a", "a b/1", "a/x"] {
            assert!(wrong.parse::<Incarnation>().is_err(), "{wrong}");
        }
    }
}
