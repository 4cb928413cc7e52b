//! A client's connection, as the server and the stream share it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::addresses::AddressPermit;
use crate::permits::{ConnectionPermit, InFlight};
use crate::telemetry::metrics::OpenGauge;

/// How long data for a client may stay unread beyond its socket buffers. Then the kernel ends the
/// connection (`TCP_USER_TIMEOUT`, `tcp(7)`).
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request's head may take to arrive, counted from when the connection could take it:
/// so it is also how long a connection may be idle.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a request's head, which a connection of HTTP/1 reads into a buffer of this size.
pub(super) const READ_BUFFER: usize = 64 * 1024;

/// Header fields of one request.
pub(super) const MAX_HEADERS: usize = 64;

/// A client's connection, which counts as open until this is dropped. A connection that is upgraded
/// to another protocol keeps it.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    permit: ConnectionPermit,
    _open: OpenGauge,
    /// Of the addresses that it came from: the proxy's, which is not counted, and the client's.
    _addresses: [Option<AddressPermit>; 2],
}

impl ConnectionGuard {
    pub(super) const fn new(
        permit: ConnectionPermit,
        open: OpenGauge,
        addresses: [Option<AddressPermit>; 2],
    ) -> Self {
        Self { permit, _open: open, _addresses: addresses }
    }

    /// Is cancelled when the connection is to make room for another.
    pub(super) fn eviction(&self) -> CancellationToken {
        self.permit.eviction()
    }

    /// How long no request has been in flight; `None` while one is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        self.permit.idle_for()
    }

    /// Counts a request as in flight until the result is dropped.
    pub(super) fn in_flight(&self) -> InFlight {
        self.permit.in_flight()
    }
}

/// Marks an answer without an end: a stream of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct IsStream;
