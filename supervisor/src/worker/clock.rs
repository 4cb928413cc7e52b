//! The clock of the wire.

use std::sync::OnceLock;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// `instant` as microseconds of `CLOCK_MONOTONIC`, which is the clock of the wire, and,
/// undocumented, of `Instant` on Linux too.
pub(super) fn monotonic_micros(instant: Instant) -> u64 {
    static BASE: OnceLock<Option<(Instant, Duration)>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
        Some((Instant::now(), Duration::from(now)))
    });
    let Some((base_instant, base_micros)) = base else {
        // Without a clock, no time is left.
        return 0;
    };
    let since = instant.saturating_duration_since(*base_instant);
    u64::try_from((*base_micros + since).as_micros()).unwrap_or(u64::MAX)
}
