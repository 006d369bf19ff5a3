//! What a member is started with. Flags are a function of the version (reliability.md, F34): a flag that the binary does not
//! know ends it at once, so nothing is rendered that its minor lacks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::version::{EtcdVersion, Minor};

/// How etcd compacts its history by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompactionMode {
    /// Keeps a time span; the retention is a duration such as `1h`.
    Periodic,
    /// Keeps a number of revisions; the retention is a count such as `10000`.
    Revision,
}

/// The options of etcd that a user may set, in the field's own words. What is not set keeps etcd's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EtcdOptions {
    /// Largest database size in bytes before the NOSPACE alarm; etcd's default is 2 GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_backend_bytes: Option<u64>,
    /// What `autoCompactionRetention` counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_compaction_mode: Option<CompactionMode>,
    /// How much history is kept; `0` keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_compaction_retention: Option<String>,
    /// Committed transactions between two raft snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_count: Option<u64>,
    /// Milliseconds between two heartbeats of the leader; etcd's default is 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_interval: Option<u64>,
    /// Milliseconds without a heartbeat until a follower stands for election; etcd's default is 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_timeout: Option<u64>,
    /// Any other flag of etcd, without the leading dashes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_args: BTreeMap<String, String>,
}

/// An option that cannot be used, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
pub enum OptionError {
    /// A flag that decides identity, membership or durability.
    #[error("extraArgs: `{0}` is managed and cannot be set{hint}", hint = managed_hint(.0))]
    Managed(String),
    /// Not the name of a flag.
    #[error("extraArgs: `{0}` is not a flag name: write it without dashes in front, letters, digits and dashes only")]
    BadName(String),
    /// etcd refuses to start with fewer.
    #[error(
        "electionTimeout {election} ms is too short: etcd wants at least five heartbeats of {heartbeat} ms, use {least} or more",
        least = .heartbeat * 5
    )]
    ElectionTooShort {
        /// Milliseconds.
        election: u64,
        /// Milliseconds.
        heartbeat: u64,
    },
    /// etcd refuses to start with more.
    #[error("electionTimeout {0} ms is too long: etcd allows at most 50000")]
    ElectionTooLong(u64),
    /// Gone from this minor on.
    #[error(
        "extraArgs: `{flag}` does not exist in etcd {minor}: experimental flags were removed, use the flag without `experimental-`"
    )]
    Removed {
        /// The flag.
        flag: String,
        /// As text.
        minor: String,
    },
}

/// Flags that this program renders itself, or that would break what it promises; with the option that sets one, where there
/// is one.
pub const MANAGED: [(&str, Option<&str>); 27] = [
    ("name", None),
    ("data-dir", None),
    ("wal-dir", None),
    ("initial-cluster", None),
    ("initial-cluster-state", None),
    ("initial-cluster-token", None),
    ("initial-advertise-peer-urls", None),
    ("listen-peer-urls", None),
    ("listen-client-urls", None),
    ("listen-client-http-urls", None),
    ("advertise-client-urls", None),
    ("listen-metrics-urls", None),
    ("force-new-cluster", None),
    ("strict-reconfig-check", None),
    ("max-learners", None),
    ("experimental-max-learners", None),
    ("unsafe-no-fsync", None),
    ("unsafe-initial-cluster", None),
    ("discovery", None),
    ("discovery-srv", None),
    ("config-file", None),
    ("quota-backend-bytes", Some("quotaBackendBytes")),
    ("auto-compaction-mode", Some("autoCompactionMode")),
    ("auto-compaction-retention", Some("autoCompactionRetention")),
    ("snapshot-count", Some("snapshotCount")),
    ("heartbeat-interval", Some("heartbeatInterval")),
    ("election-timeout", Some("electionTimeout")),
];

fn managed_hint(flag: &str) -> String {
    let option = MANAGED.iter().find_map(|(managed, option)| option.filter(|_| *managed == flag));
    option.map_or_else(|| ", remove it".to_owned(), |option| format!(": use {option}"))
}

impl EtcdOptions {
    /// The first option that `version` could not be started with, or that must not be set by hand.
    pub fn check(&self, version: &EtcdVersion) -> Result<(), OptionError> {
        for flag in self.extra_args.keys() {
            let named = !flag.is_empty() && flag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !named || flag.starts_with('-') {
                return Err(OptionError::BadName(flag.clone()));
            }
            if MANAGED.iter().any(|(managed, _)| managed == flag) {
                return Err(OptionError::Managed(flag.clone()));
            }
            if flag.starts_with("experimental-") && version.minor() >= Minor::new(3, 7) {
                return Err(OptionError::Removed { flag: flag.clone(), minor: version.minor().to_string() });
            }
        }
        let (heartbeat, election) = (self.heartbeat_interval.unwrap_or(100), self.election_timeout.unwrap_or(1000));
        if election > 50_000 {
            Err(OptionError::ElectionTooLong(election))
        } else if election < heartbeat.saturating_mul(5) {
            Err(OptionError::ElectionTooShort { election, heartbeat })
        } else {
            Ok(())
        }
    }

    fn flags(&self) -> BTreeMap<String, String> {
        let mode = self.auto_compaction_mode.map(|mode| match mode {
            CompactionMode::Periodic => "periodic".to_owned(),
            CompactionMode::Revision => "revision".to_owned(),
        });
        let own = [
            ("quota-backend-bytes", self.quota_backend_bytes.map(|n| n.to_string())),
            ("auto-compaction-mode", mode),
            ("auto-compaction-retention", self.auto_compaction_retention.clone()),
            ("snapshot-count", self.snapshot_count.map(|n| n.to_string())),
            ("heartbeat-interval", self.heartbeat_interval.map(|n| n.to_string())),
            ("election-timeout", self.election_timeout.map(|n| n.to_string())),
        ];
        let own = own.into_iter().filter_map(|(flag, value)| Some((flag.to_owned(), value?)));
        self.extra_args.clone().into_iter().chain(own).collect()
    }
}

/// What the user wants every member to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Template {
    /// The release.
    pub version: EtcdVersion,
    /// Its options.
    #[serde(default)]
    pub options: EtcdOptions,
    /// What else its platform starts a member with (a Pod's resources, say), as a digest of what the platform made of it: a
    /// difference is a roll like any other. Empty where a platform has nothing else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rendering: String,
}

impl Template {
    /// A release and its options, on a platform that has nothing to add.
    pub const fn new(version: EtcdVersion, options: EtcdOptions) -> Self {
        Self { version, options, rendering: String::new() }
    }
}

/// What one instance runs, or is to run at its next start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// Version and options.
    #[serde(flatten)]
    pub template: Template,
    /// The incarnation's learner limit; rendered as a flag only where the minor knows it.
    pub max_learners: u8,
}

impl LaunchSpec {
    /// The release.
    pub const fn version(&self) -> &EtcdVersion {
        &self.template.version
    }

    /// The learner limit that this instance really applies: 1 before 3.6, which has no flag for it (F5).
    pub fn learner_limit(&self) -> u8 {
        if self.version().minor() < Minor::V3_6 { 1 } else { self.max_learners }
    }

    /// Flags besides identity, addresses and first-start flags; without dashes in front, in a fixed order.
    pub fn flags(&self) -> BTreeMap<String, String> {
        let mut flags = self.template.options.flags();
        if self.version().minor() >= Minor::V3_6 {
            flags.insert("max-learners".to_owned(), self.max_learners.to_string());
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn options(flag: &str) -> EtcdOptions {
        EtcdOptions { extra_args: BTreeMap::from([(flag.to_owned(), "x".to_owned())]), ..EtcdOptions::default() }
    }

    #[rstest]
    #[case::identity("initial-cluster-token", "is managed and cannot be set, remove it")]
    #[case::typed("election-timeout", "use electionTimeout")]
    #[case::durability("unsafe-no-fsync", "is managed")]
    #[case::learners("max-learners", "is managed")]
    #[case::dashes("--debug", "without dashes")]
    #[case::experimental("experimental-peer-skip-client-san-verification", "does not exist in etcd 3.7")]
    fn flags_that_break_promises_are_refused(#[case] flag: &str, #[case] message: &str) {
        let error = options(flag).check(&EtcdVersion::new(3, 7, 3)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn a_quick_election_needs_a_quick_heartbeat() {
        let quick = EtcdOptions { election_timeout: Some(300), ..EtcdOptions::default() };
        let error = quick.check(&EtcdVersion::new(3, 6, 16)).unwrap_err();
        assert!(error.to_string().ends_with("use 500 or more"), "{error}");
        let both = EtcdOptions { heartbeat_interval: Some(50), ..quick };
        assert_eq!(both.check(&EtcdVersion::new(3, 6, 16)), Ok(()));
    }

    #[rstest]
    #[case("3.5.35", None, 1)]
    #[case("3.6.16", Some("8"), 8)]
    #[case("3.7.3", Some("8"), 8)]
    fn the_learner_limit_is_a_flag_from_3_6_on(#[case] version: &str, #[case] flag: Option<&str>, #[case] limit: u8) {
        let template = Template::new(version.parse().unwrap(), EtcdOptions::default());
        let launch = LaunchSpec { template, max_learners: 8 };
        assert_eq!(launch.flags().get("max-learners").map(String::as_str), flag);
        assert_eq!(launch.learner_limit(), limit);
    }
}
