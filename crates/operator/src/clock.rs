//! The wall clock, for what people read: times in statuses, events and leases. Nothing is decided by it.

use k8s_openapi::jiff::Timestamp;

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "it is shown, and never compared with another clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
