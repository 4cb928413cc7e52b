//! What unit tests of several modules need of the stream.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::hub::Stream;
use crate::telemetry::metrics::StreamMetrics;

/// A stream that works where the test does.
pub(crate) fn stream() -> Arc<Stream> {
    Arc::new(Stream::new(10, Handle::current(), StreamMetrics::default()))
}
