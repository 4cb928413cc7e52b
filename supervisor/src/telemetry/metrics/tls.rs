//! The metrics of TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;

/// Why a handshake did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// It took too long.
    Timeout,
    /// The client disconnected.
    Closed,
    /// The client spoke HTTP without TLS.
    PlainHttp,
    /// The client did not speak TLS.
    Malformed,
    /// The client has no version or cipher suite in common with us.
    Incompatible,
    /// The client's certificate is not accepted.
    ClientCertificate,
    /// The client refused, for example because it does not know our certificate's authority.
    ClientAlert,
    /// Anything else.
    Other,
}

impl HandshakeFailure {
    /// Every reason.
    pub(crate) const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Closed,
        Self::PlainHttp,
        Self::Malformed,
        Self::Incompatible,
        Self::ClientCertificate,
        Self::ClientAlert,
        Self::Other,
    ];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::PlainHttp => "plain_http",
            Self::Malformed => "malformed",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "client_certificate",
            Self::ClientAlert => "client_alert",
            Self::Other => "other",
        }
    }
}

/// The metrics of TLS.
#[derive(Debug, Default)]
pub(crate) struct TlsMetrics {
    failures: [AtomicU64; HandshakeFailure::ALL.len()],
    /// Times that changed files could not be read or used.
    pub(crate) reload_failures: Counter,
    ends: ArcSwap<Vec<(String, i64)>>,
}

impl TlsMetrics {
    /// Counts a handshake that did not succeed.
    pub(crate) fn failed(&self, failure: HandshakeFailure) {
        if let Some(count) = self.failures.get(failure as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many handshakes did not succeed for each reason.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (HandshakeFailure, u64)> {
        let counts = self.failures.iter().map(|count| count.load(Ordering::Relaxed));
        HandshakeFailure::ALL.into_iter().zip(counts)
    }

    /// Sets when each certificate ends, in seconds since 1970.
    pub(crate) fn set_ends(&self, ends: Vec<(String, i64)>) {
        self.ends.store(Arc::new(ends));
    }

    /// When each certificate ends, in seconds since 1970.
    pub(crate) fn ends(&self) -> Arc<Vec<(String, i64)>> {
        self.ends.load_full()
    }
}
