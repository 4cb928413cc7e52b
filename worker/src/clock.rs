//! The clocks of deadlines and of policies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// The time until a deadline, if it has not passed.
pub(crate) fn time_left(deadline_micros: u64) -> Option<Duration> {
    let left = deadline_micros.saturating_sub(monotonic_micros());
    (left > 0).then(|| Duration::from_micros(left))
}

/// Nanoseconds as answers have them.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The time for `time.now_ns`. A clock outside the range of `i64` is clamped to it.
pub(crate) fn now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}
