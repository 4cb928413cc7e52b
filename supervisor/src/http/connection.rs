//! A client's connection, as the server and the stream share it.

use std::time::Duration;

use crate::permits::{ConnectionPermit, InFlight};
use crate::telemetry::metrics::OpenGauge;

/// How long data for a client may stay unread beyond its socket buffers. Then the kernel ends the
/// connection (`TCP_USER_TIMEOUT`, `tcp(7)`).
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client's connection, which counts as open until this is dropped. A connection that is upgraded
/// to another protocol keeps it.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    permit: ConnectionPermit,
    _open: OpenGauge,
}

impl ConnectionGuard {
    pub(super) const fn new(permit: ConnectionPermit, open: OpenGauge) -> Self {
        Self { permit, _open: open }
    }

    /// Counts a request as in flight until the result is dropped.
    pub(super) fn in_flight(&self) -> InFlight {
        self.permit.in_flight()
    }
}

/// Marks an answer without an end: a stream of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct IsStream;
