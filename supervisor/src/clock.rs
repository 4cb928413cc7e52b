//! Times as people and programs read them.

use chrono::{DateTime, SecondsFormat, Utc};

/// `at` in the form of RFC 3339, in UTC, to the millisecond.
pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time now, as [`rfc3339`] has it.
pub(crate) fn now() -> String {
    rfc3339(Utc::now())
}
