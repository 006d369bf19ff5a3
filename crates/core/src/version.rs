//! etcd versions: the one parser, what we support, and which way leads from one version to another.
//!
//! Members of one cluster may differ by one minor; the *cluster version* is the lowest of them and only ever rises by itself
//! (reliability.md, F31). So a target at or above it is a roll, one below it is etcd's own downgrade flow (F35).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// An etcd release, as `etcd --version` names it. A leading `v` is accepted and not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtcdVersion(semver::Version);

/// Major and minor of a release: what compatibility is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor {
    /// 3, so far.
    pub major: u64,
    /// 5, 6 or 7.
    pub minor: u64,
}

/// A version that cannot be used, and what to use instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VersionError {
    /// Not MAJOR.MINOR.PATCH.
    #[error("`{0}` is not an etcd version: expected MAJOR.MINOR.PATCH as in 3.6.16")]
    Malformed(String),
    /// Not MAJOR.MINOR.
    #[error("`{0}` is not an etcd minor version: expected MAJOR.MINOR as in 3.6")]
    MalformedMinor(String),
    /// Before the first or after the last minor we know the rules of.
    #[error("etcd {0} is not supported: use 3.5 (3.5.16 or later), 3.6 or 3.7")]
    Unsupported(EtcdVersion),
}

impl Minor {
    /// The first minor with `--max-learners`, storage versions and online downgrade.
    pub const V3_6: Self = Self::new(3, 6);

    /// Shorthand for tables.
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// The minor that can be rolled to from this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.major, self.minor + 1)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Minor {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError::MalformedMinor(text.to_owned());
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let (major, minor) = text.strip_prefix('v').unwrap_or(text).split_once('.').ok_or_else(wrong)?;
        match (plain(major), plain(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(wrong()),
        }
    }
}

impl EtcdVersion {
    /// Shorthand for tables.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// Its major and minor.
    pub const fn minor(&self) -> Minor {
        Minor::new(self.0.major, self.0.minor)
    }

    /// Refuses what we do not know the rules of. 3.5.16 is the first 3.5 with the probes that we use (DESIGN §4, §6).
    pub fn supported(self) -> Result<Self, VersionError> {
        let fine = match (self.0.major, self.0.minor) {
            (3, 5) => self >= Self::new(3, 5, 16),
            (3, 6 | 7) => true,
            _ => false,
        };
        if fine { Ok(self) } else { Err(VersionError::Unsupported(self)) }
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EtcdVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(bare).map(Self).map_err(|_| VersionError::Malformed(text.to_owned()))
    }
}

impl Serialize for EtcdVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EtcdVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The way from a running cluster to a target version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Restart the members one by one with the target; it is at most one minor above the cluster version.
    Roll,
    /// Below the cluster version by one minor: etcd's downgrade flow first, then a roll.
    Downgrade,
    /// Not from here, and which version to name first.
    Refused(PathError),
}

/// Why a target version cannot be reached in one go.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
pub enum PathError {
    /// More than one minor up.
    #[error("etcd {from} cannot go to {to} in one step: set a version of {via} first, one minor at a time")]
    TooFarUp {
        /// Lowest version that runs.
        from: EtcdVersion,
        /// What was asked for.
        to: EtcdVersion,
        /// The minor to name first.
        #[serde(serialize_with = "as_text")]
        via: Minor,
    },
    /// More than one minor down.
    #[error("etcd {from} cannot go down to {to} in one step: set a version of {via} first, one minor at a time")]
    TooFarDown {
        /// Lowest version that runs.
        from: EtcdVersion,
        /// What was asked for.
        to: EtcdVersion,
        /// The minor to name first.
        #[serde(serialize_with = "as_text")]
        via: Minor,
    },
    /// 3.5 before the zombie-member fixes (F33).
    #[error(
        "etcd {from} cannot go to {to}: set 3.5.32 or a later 3.5 first, older ones bring removed members back (zombie members)"
    )]
    ZombieMembers {
        /// Lowest version that runs.
        from: EtcdVersion,
        /// What was asked for.
        to: EtcdVersion,
    },
    /// 3.5 has no downgrade flow that we trust.
    #[error("etcd {from} cannot go down to {to}: downgrades are supported to 3.5 and later")]
    NoWayDown {
        /// Lowest version that runs.
        from: EtcdVersion,
        /// What was asked for.
        to: EtcdVersion,
    },
}

fn as_text<S: Serializer>(minor: &Minor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(minor)
}

/// How `target` is reached by a cluster of cluster version `cluster` whose lowest member version is `lowest`.
pub fn path(cluster: Minor, lowest: &EtcdVersion, target: &EtcdVersion) -> Path {
    let to = target.minor();
    let name = || (lowest.clone(), target.clone());
    if to.major != cluster.major || to > cluster.next() {
        let ((from, to), via) = (name(), cluster.next());
        return Path::Refused(PathError::TooFarUp { from, to, via });
    }
    if to > cluster && cluster < Minor::V3_6 && *lowest < EtcdVersion::new(3, 5, 32) {
        let (from, to) = name();
        return Path::Refused(PathError::ZombieMembers { from, to });
    }
    if to >= cluster {
        return Path::Roll;
    }
    let (from, down) = name();
    if to < Minor::new(3, 5) {
        Path::Refused(PathError::NoWayDown { from, to: down })
    } else if to.next() == cluster {
        Path::Downgrade
    } else {
        let via = Minor::new(cluster.major, cluster.minor - 1);
        Path::Refused(PathError::TooFarDown { from, to: down, via })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn v(text: &str) -> EtcdVersion {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::next_minor("3.5.35", "3.6.16", "roll")]
    #[case::patch_up("3.6.1", "3.6.16", "roll")]
    #[case::patch_down("3.6.16", "3.6.1", "roll")]
    #[case::one_down("3.6.16", "3.5.35", "downgrade")]
    #[case::seven_to_six("3.7.3", "3.6.16", "downgrade")]
    #[case::jump_up("3.5.35", "3.7.3", "set a version of 3.6 first")]
    #[case::jump_down("3.7.3", "3.5.35", "set a version of 3.6 first")]
    #[case::zombies("3.5.21", "3.6.16", "set 3.5.32 or a later 3.5 first")]
    #[case::last_zombie("3.5.31", "3.6.16", "set 3.5.32 or a later 3.5 first")]
    #[case::first_clean("3.5.32", "3.6.16", "roll")]
    #[case::patch_before_minor("3.5.21", "3.5.35", "roll")]
    #[case::before_our_time("3.5.35", "3.4.40", "downgrades are supported to 3.5 and later")]
    #[case::next_major("3.7.3", "4.0.0", "one minor at a time")]
    fn one_minor_at_a_time(#[case] from: &str, #[case] to: &str, #[case] way: &str) {
        match path(v(from).minor(), &v(from), &v(to)) {
            Path::Roll => assert_eq!(way, "roll"),
            Path::Downgrade => assert_eq!(way, "downgrade"),
            Path::Refused(why) => assert!(why.to_string().contains(way), "{why}"),
        }
    }

    #[test]
    fn a_roll_in_the_middle_can_be_set_back_while_the_cluster_version_is_old() {
        // Two members on 3.6, one on 3.5: the cluster version is 3.5, so 3.5 is still a roll.
        assert_eq!(path(Minor::new(3, 5), &v("3.5.35"), &v("3.5.35")), Path::Roll);
    }

    #[rstest]
    #[case("3.5.15", false)]
    #[case("3.5.16", true)]
    #[case("3.6.0", true)]
    #[case("3.7.3", true)]
    #[case("3.8.0", false)]
    #[case("3.4.40", false)]
    fn supported_versions(#[case] text: &str, #[case] fine: bool) {
        assert_eq!(v(text).supported().is_ok(), fine);
    }

    proptest! {
        #[test]
        fn versions_round_trip_with_and_without_v(a in 0_u64..100, b in 0_u64..100, c in 0_u64..1000, pre in "(-[a-z]{1,3}\\.[0-9])?") {
            let text = format!("{a}.{b}.{c}{pre}");
            let parsed = text.parse::<EtcdVersion>().unwrap();
            prop_assert_eq!(&parsed.to_string(), &text);
            prop_assert_eq!(format!("v{text}").parse::<EtcdVersion>().unwrap(), parsed.clone());
            prop_assert_eq!(parsed.minor().to_string().parse::<Minor>().unwrap(), parsed.minor());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,20}") {
            let _ = text.parse::<EtcdVersion>();
            let _ = text.parse::<Minor>();
        }

        #[test]
        fn a_way_never_skips_a_minor(from in 5_u64..9, to in 3_u64..10) {
            let (from, to) = (EtcdVersion::new(3, from, 40), EtcdVersion::new(3, to, 40));
            if path(from.minor(), &from, &to) != Path::Roll { return Ok(()); }
            prop_assert!(to.minor() <= from.minor().next() && to.minor() >= from.minor());
        }
    }
}
