//! The one rate limiter: a token bucket without a lock, a clock or a task of its own.

use std::time::{Duration, Instant};

/// Allows `per_second` tokens a second, and up to `burst` of them at once.
///
/// It stores one instant, the time at which the bucket is full again (the "theoretical arrival
/// time" of the generic cell rate algorithm). The caller passes the time, so tests need not wait.
#[derive(Clone, Copy, Debug)]
pub struct RateLimiter {
    per_token: Duration,
    burst: u32,
    full_at: Option<Instant>,
}

impl RateLimiter {
    /// A full bucket. A `per_second` of 0 counts as 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let per_token = Duration::from_secs(1) / per_second.max(1);
        Self { per_token, burst, full_at: None }
    }

    /// Takes `tokens` if the bucket has that many.
    pub fn try_take(&mut self, tokens: u32, now: Instant) -> bool {
        let is_there = self.wait(tokens, now).is_zero();
        if is_there {
            self.take(tokens, now);
        }
        is_there
    }

    /// Takes `tokens` in any case; returns how long the caller has to wait before it uses them.
    pub fn take(&mut self, tokens: u32, now: Instant) -> Duration {
        let wait = self.wait(tokens, now);
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = Some(full_at + self.per_token * tokens);
        wait
    }

    /// How long until the bucket has `tokens`; zero when it has them now.
    #[must_use]
    pub fn wait(&self, tokens: u32, now: Instant) -> Duration {
        let missing = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        (missing + self.per_token * tokens).saturating_sub(self.per_token * self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(500, 64);
        for _ in 0..64 {
            assert_eq!(limiter.take(1, start), Duration::ZERO);
        }
        let mut now = start;
        for _ in 0..500 {
            now += limiter.take(1, now);
        }
        assert_eq!(now.duration_since(start), Duration::from_secs(1));
        assert_eq!(limiter.take(1, now + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn a_token_that_is_not_there_is_not_taken() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(10, 3);
        assert_eq!((0..5).filter(|_| limiter.try_take(1, now)).count(), 3);
        assert_eq!(limiter.wait(1, now), Duration::from_millis(100));
        assert!(!limiter.try_take(1, now + Duration::from_millis(99)));
        assert!(limiter.try_take(1, now + Duration::from_millis(100)));
        assert!(!limiter.try_take(2, now + Duration::from_millis(299)));
        assert!(limiter.try_take(2, now + Duration::from_millis(300)));
    }
}
