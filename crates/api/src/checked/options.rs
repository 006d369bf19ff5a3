//! etcd's options, in the core's words.

use etcdop_core::{
    launch::{self, EtcdOptions},
    version::EtcdVersion,
};

use crate::{CompactionMode, EtcdSpec, Invalid, rules};

pub(super) fn options(spec: &EtcdSpec, version: &EtcdVersion) -> Result<EtcdOptions, Invalid> {
    let positive = |field: &str, value: Option<i64>| {
        let field = format!("spec.etcd.{field}");
        let wrong = |value: i64| {
            Invalid::new(&field, format!("{value} is too small: use a number above 0, or remove the field"))
        };
        value.map(|value| u64::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| wrong(value))).transpose()
    };
    let options = EtcdOptions {
        quota_backend_bytes: positive("quotaBackendBytes", spec.quota_backend_bytes)?,
        auto_compaction_mode: spec.auto_compaction_mode.map(|mode| match mode {
            CompactionMode::Periodic => launch::CompactionMode::Periodic,
            CompactionMode::Revision => launch::CompactionMode::Revision,
        }),
        auto_compaction_retention: spec.auto_compaction_retention.clone(),
        snapshot_count: positive("snapshotCount", spec.snapshot_count)?,
        heartbeat_interval: positive("heartbeatInterval", spec.heartbeat_interval)?,
        election_timeout: positive("electionTimeout", spec.election_timeout)?,
        extra_args: spec.extra_args.clone(),
    };
    if let Some(retention) = &spec.auto_compaction_retention
        && !fits(retention, spec.auto_compaction_mode)
    {
        let why = format!("`{retention}` does not fit: {}", rules::RETENTION.1);
        return Err(Invalid::new("spec.etcd.autoCompactionRetention", why));
    }
    options.check(version).map_err(|error| Invalid::new("spec.etcd", error.to_string()))?;
    Ok(options)
}

/// Whether etcd takes it: a count, or for the periodic mode a time span as well.
fn fits(retention: &str, mode: Option<CompactionMode>) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match mode {
        Some(CompactionMode::Revision) => digits(retention),
        Some(CompactionMode::Periodic) | None => digits(retention) || is_time_span(retention, digits),
    }
}

fn is_time_span(text: &str, digits: fn(&str) -> bool) -> bool {
    let mut parts = text.split_inclusive(['h', 'm', 's']).peekable();
    let number = |part: &str| match part.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(part),
    };
    parts.peek().is_some() && parts.all(|part| part.strip_suffix(['h', 'm', 's']).is_some_and(number))
}
