//! The clock of the deadlines.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Microseconds of `CLOCK_MONOTONIC`, the clock of
/// [`ToWorker::Evaluate`](enforcer_protocol::ToWorker::Evaluate)'s deadline.
///
/// On a host where it cannot be read, every deadline has passed.
pub(crate) fn monotonic_micros() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .and_then(|now| u64::try_from(Duration::from(now).as_micros()).ok())
        .unwrap_or(u64::MAX)
}
