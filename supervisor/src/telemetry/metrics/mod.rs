//! The metrics. [`super::exposition`] writes it for Prometheus.

mod evaluations;
mod host;
mod tenant;
mod tls;

pub(crate) use evaluations::{BUCKET_BOUNDS_MICROS, BUCKETS, EvaluationTotals};
pub(crate) use host::{HostLimit, HostMetrics, OpenGauge, StreamMetrics};
pub(crate) use tenant::{BundleLoad, TenantLimit, TenantMetrics};
pub(crate) use tls::HandshakeFailure;
