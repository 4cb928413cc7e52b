//! The state that every request can reach.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use enforcer_protocol::SandboxMode;

use super::handshake::Handshakes;
use crate::access::Access;
use crate::bundles::health::BundlesHealth;
use crate::config::Hosts;
use crate::inspection::Inspector;
use crate::permits::ConnectionPermits;
use crate::readiness::Readiness;
use crate::stream::Stream;
use crate::telemetry::exposition::Exposition;
use crate::telemetry::history::History;
use crate::telemetry::logging::LostLines;
use crate::telemetry::metrics::HostMetrics;
use crate::tenant::registry::Registry;

/// The state that every request can reach.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) access: Arc<Access>,
    /// The hosts that requests may be for.
    pub(crate) hosts: Hosts,
    pub(crate) registry: Arc<Registry>,
    pub(crate) inspector: Inspector,
    pub(crate) metrics: Arc<HostMetrics>,
    pub(crate) exposition: Exposition,
    pub(crate) history: Arc<History>,
    pub(crate) lost_lines: LostLines,
    pub(crate) connections: Arc<ConnectionPermits>,
    pub(crate) handshakes: Handshakes,
    pub(crate) bundles: Arc<BundlesHealth>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) sandbox_mode: SandboxMode,
    pub(crate) stream: Arc<Stream>,
    /// Origins of pages that may open the stream, besides those that always may.
    pub(crate) stream_origins: Vec<String>,
    /// When the supervisor was started.
    pub(crate) started: DateTime<Utc>,
}
