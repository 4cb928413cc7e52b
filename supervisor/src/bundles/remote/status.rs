//! The status of a tenant's remote bundle, for operators.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::clock::rfc3339;

/// The code of every error of a bundle, as in OPA's status.
const CODE: &str = "bundle_error";

/// Where a tenant's bundle comes from, and how that went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BundleSourceStatus {
    pub(crate) service: String,
    pub(crate) resource: String,
    /// That of the last good copy.
    pub(crate) etag: Option<String>,
    /// Whether the server is asked to wait until it has another bundle.
    pub(crate) long_polling: bool,
    #[serde(serialize_with = "optional_time")]
    pub(crate) last_attempt: Option<DateTime<Utc>>,
    /// The last answer that was a good bundle, or that there is no newer one.
    #[serde(serialize_with = "optional_time")]
    pub(crate) last_successful_attempt: Option<DateTime<Utc>>,
    /// When the last good copy was downloaded.
    #[serde(serialize_with = "optional_time")]
    pub(crate) last_successful_download: Option<DateTime<Utc>>,
    /// When the server went back to a revision that it had replaced before, the last time.
    #[serde(serialize_with = "optional_time")]
    pub(crate) last_rollback: Option<DateTime<Utc>>,
    /// The error of the last attempt, until one succeeds.
    pub(crate) last_error: Option<SourceError>,
}

/// An error of a remote bundle.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceError {
    code: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_code: Option<u16>,
    /// When it happened last.
    #[serde(serialize_with = "time")]
    pub(crate) at: DateTime<Utc>,
    /// Since when every attempt failed.
    #[serde(serialize_with = "time")]
    pub(crate) since: DateTime<Utc>,
}

impl SourceError {
    pub(crate) const fn new(
        kind: &'static str,
        message: String,
        http_code: Option<u16>,
        at: DateTime<Utc>,
        since: DateTime<Utc>,
    ) -> Self {
        Self { code: CODE, kind, message, http_code, at, since }
    }
}

/// How an attempt to download a bundle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DownloadResult {
    /// With a bundle that was read and verified.
    Downloaded,
    /// The server has no newer one.
    NotModified,
    /// There was no whole answer.
    Failed,
    /// The answer is not a bundle that the tenant may have.
    Refused,
}

impl DownloadResult {
    const ALL: [Self; 4] = [Self::Downloaded, Self::NotModified, Self::Failed, Self::Refused];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Downloaded => "downloaded",
            Self::NotModified => "not_modified",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// The counters of a tenant's downloads.
#[derive(Debug)]
pub(crate) struct DownloadCounts {
    results: [AtomicU64; DownloadResult::ALL.len()],
    /// Bytes of answers, also of those that were refused.
    bytes: AtomicU64,
    rollbacks: AtomicU64,
}

impl DownloadCounts {
    /// All of them, at zero.
    pub(crate) const fn new() -> Self {
        Self {
            results: [const { AtomicU64::new(0) }; DownloadResult::ALL.len()],
            bytes: AtomicU64::new(0),
            rollbacks: AtomicU64::new(0),
        }
    }

    pub(crate) fn ended(&self, result: DownloadResult) {
        if let Some(count) = self.results.get(result as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn rolled_back(&self) {
        self.rollbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often attempts ended in each way.
    pub(crate) fn results(&self) -> impl Iterator<Item = (DownloadResult, u64)> {
        let counts = self.results.iter().map(|count| count.load(Ordering::Relaxed));
        DownloadResult::ALL.into_iter().zip(counts)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn rollbacks(&self) -> u64 {
        self.rollbacks.load(Ordering::Relaxed)
    }
}

fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

fn optional_time<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
