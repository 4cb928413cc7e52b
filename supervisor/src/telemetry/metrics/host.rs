//! The metrics of the host as a whole.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::tls::TlsMetrics;
use crate::access::Refusal;

/// Buckets of the time that a worker takes to start, in seconds: from a few milliseconds to the
/// default deadline.
const START_BUCKETS: [f64; 9] = [2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 200e-3, 1.0, 5.0, 10.0];

/// Metrics of the host. Clones count the same things.
#[derive(Debug)]
pub(crate) struct HostMetrics {
    /// Client connections open now.
    pub(crate) connections: Gauge,
    /// Client connections that may be open at once.
    pub(crate) max_connections: Gauge,
    /// Directories in `BUNDLES_DIR` whose name is not a tenant id.
    pub(crate) ignored_directories: Counter,
    /// 1 while `BUNDLES_DIR` can be read.
    pub(crate) bundles_dir_readable: Gauge,
    /// Requests for remote bundles that are made now.
    pub(crate) bundle_downloads_active: Gauge,
    /// 1 while workers run without a sandbox.
    pub(crate) sandbox_off: Gauge,
    /// From starting a worker to its bundle being loaded, in seconds, of all tenants together.
    pub(crate) start_seconds: Histogram,
    pub(crate) stream: StreamMetrics,
    /// Requests whose credential lacked a role, or was for other tenants.
    pub(crate) forbidden: Counter,
    /// Requests for hosts that are not served here.
    pub(crate) misdirected: Counter,
    /// Connections of proxies that did not begin with a valid PROXY protocol header.
    pub(crate) proxy_errors: Counter,
    pub(crate) tls: TlsMetrics,
    refused_credentials: [AtomicU64; Refusal::ALL.len()],
    limits: [AtomicU64; HostLimit::ALL.len()],
}

/// The metrics of the decision stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamMetrics {
    /// Consumers connected now.
    pub(crate) consumers: Gauge,
    /// Events that were built.
    pub(crate) events: Counter,
    /// Events that consumers missed, and were told of.
    pub(crate) missed: Counter,
    /// Inputs that were left out of their events because memory was exhausted.
    pub(crate) inputs_omitted: Counter,
}

/// A limit of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostLimit {
    /// Client connections at once.
    Connections,
    /// Time that requests in flight get at shutdown.
    ShutdownTime,
    /// Starts of workers in a second.
    WorkerStarts,
    /// Consumers of the decision stream at once.
    StreamConsumers,
    /// Time for a consumer of the stream to accept the data that waits for it.
    StreamWriteTime,
    /// Time for a consumer of the stream to answer a ping.
    StreamPongTime,
    /// Bytes that a consumer of the stream may send.
    StreamClientBytes,
    /// Explanations and ad-hoc queries at once.
    Inspections,
    /// Connections of one client address.
    AddressConnections,
    /// TLS handshakes at once.
    TlsHandshakes,
    /// Requests of a connection of HTTP/2 that were reset before their answer.
    Http2Resets,
    /// Bytes of a connection of HTTP/2 that led to nothing.
    Http2Overhead,
    /// Bounds of the library of HTTP/2: frames of one kind, or errors.
    Http2Flood,
    /// Time that answers on a connection of HTTP/2 may stay unread.
    Http2UnreadTime,
    /// Bytes that they may have.
    Http2UnreadBytes,
}

impl HostLimit {
    /// Every limit.
    pub(crate) const ALL: [Self; 15] = [
        Self::Connections,
        Self::ShutdownTime,
        Self::WorkerStarts,
        Self::StreamConsumers,
        Self::StreamWriteTime,
        Self::StreamPongTime,
        Self::StreamClientBytes,
        Self::Inspections,
        Self::AddressConnections,
        Self::TlsHandshakes,
        Self::Http2Resets,
        Self::Http2Overhead,
        Self::Http2Flood,
        Self::Http2UnreadTime,
        Self::Http2UnreadBytes,
    ];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ShutdownTime => "shutdown_time",
            Self::WorkerStarts => "worker_starts",
            Self::StreamConsumers => "stream_consumers",
            Self::StreamWriteTime => "stream_write_time",
            Self::StreamPongTime => "stream_pong_time",
            Self::StreamClientBytes => "stream_client_bytes",
            Self::Inspections => "inspections",
            Self::AddressConnections => "address_connections",
            Self::TlsHandshakes => "tls_handshakes",
            Self::Http2Resets => "http2_resets",
            Self::Http2Overhead => "http2_overhead",
            Self::Http2Flood => "http2_flood",
            Self::Http2UnreadTime => "http2_unread_time",
            Self::Http2UnreadBytes => "http2_unread_bytes",
        }
    }
}

impl HostMetrics {
    /// All of them, at zero.
    pub(crate) fn new() -> Self {
        let bundles_dir_readable = Gauge::default();
        bundles_dir_readable.set(1);
        Self {
            connections: Gauge::default(),
            max_connections: Gauge::default(),
            ignored_directories: Counter::default(),
            bundles_dir_readable,
            bundle_downloads_active: Gauge::default(),
            sandbox_off: Gauge::default(),
            start_seconds: Histogram::new(START_BUCKETS),
            stream: StreamMetrics::default(),
            forbidden: Counter::default(),
            misdirected: Counter::default(),
            proxy_errors: Counter::default(),
            tls: TlsMetrics::default(),
            refused_credentials: [const { AtomicU64::new(0) }; Refusal::ALL.len()],
            limits: [const { AtomicU64::new(0) }; HostLimit::ALL.len()],
        }
    }

    /// Counts a request whose credential was refused.
    pub(crate) fn refused_credential(&self, refusal: Refusal) {
        if let Some(count) = self.refused_credentials.get(refusal as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were refused for each reason.
    pub(crate) fn refused_credentials(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.refused_credentials.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.into_iter().zip(counts)
    }

    /// Counts that a limit was reached.
    pub(crate) fn limit_reached(&self, limit: HostLimit) {
        if let Some(count) = self.limits.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each limit was reached.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (HostLimit, u64)> {
        HostLimit::ALL
            .into_iter()
            .zip(self.limits.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Counts something as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenGauge(Gauge);

impl OpenGauge {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}
