//! Helpers around the stream for unit tests of several modules.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::hub::Stream;
use crate::telemetry::metrics::StreamMetrics;

/// A stream on the runtime of the test.
pub(crate) fn stream() -> Arc<Stream> {
    Arc::new(Stream::new(10, Handle::current(), StreamMetrics::default()))
}
