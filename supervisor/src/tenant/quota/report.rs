//! What clients and operators are told of quotas.

use std::time::Duration;

use serde::Serialize;

/// A quota, by its name in the configuration file, in metrics and in header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuotaName {
    DecisionsPerSecond,
    ConcurrentRequests,
    BodyBytesPerSecond,
    StreamConsumers,
}

impl QuotaName {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DecisionsPerSecond => "decisions_per_second",
            Self::ConcurrentRequests => "concurrent_requests",
            Self::BodyBytesPerSecond => "body_bytes_per_second",
            Self::StreamConsumers => "stream_consumers",
        }
    }
}

/// A request was refused because of a quota. Its text is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct QuotaExceeded {
    pub(crate) quota: QuotaName,
    pub(super) message: String,
    /// When the request may be tried again.
    pub(crate) wait: Duration,
}

impl QuotaExceeded {
    /// The wait in whole seconds, at least one.
    pub(crate) fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.wait)
    }
}

/// The use of a quota.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct QuotaUse {
    #[serde(skip)]
    pub(crate) name: QuotaName,
    /// As it is configured.
    pub(super) limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst: Option<u64>,
    /// The window of the next two numbers; absent where they are of what is there at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window_seconds: Option<u64>,
    /// How much the quota gives in the window.
    pub(crate) window_limit: u64,
    pub(crate) used: u64,
    /// How often the use was warned of.
    pub(crate) warnings: u64,
    /// Requests that were refused.
    pub(crate) exceeded: u64,
}

/// A wait in whole seconds, at least one: the header has no smaller unit.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
