//! The one rate limiter: a token bucket without a lock, a clock or a task of its own. One form is
//! for a single owner, one for many threads.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The largest rate and burst of a [`SharedRateLimiter`], in tokens: with more, the time that the
/// bucket takes to fill would not fit its arithmetic.
pub const MAX_SHARED_RATE: u64 = 10_000_000_000;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The same token bucket for many threads: its one instant is an atomic, so nobody waits for a
/// thread that was interrupted while it took a token.
///
/// The time of a token is a whole number of nanoseconds, rounded down: so up to a million tokens a
/// second, the rate is exact to a thousandth.
#[derive(Debug)]
pub struct SharedRateLimiter {
    per_second: u64,
    /// How long an empty bucket takes to fill, in nanoseconds.
    capacity: u64,
    epoch: Instant,
    /// When the bucket is full again, in nanoseconds after the epoch.
    full_at: AtomicU64,
}

impl SharedRateLimiter {
    /// A full bucket, which exists since `now`. Numbers above [`MAX_SHARED_RATE`] count as that.
    #[must_use]
    pub fn new(per_second: NonZeroU64, burst: NonZeroU64, now: Instant) -> Self {
        let per_second = per_second.get().min(MAX_SHARED_RATE);
        let capacity = nanos(burst.get().min(MAX_SHARED_RATE), per_second);
        Self { per_second, capacity, epoch: now, full_at: AtomicU64::new(0) }
    }

    /// Takes `tokens` if the bucket has that many.
    ///
    /// # Errors
    /// Says how long it takes until it has. More tokens than the burst are never there.
    pub fn try_take(&self, tokens: u64, now: Instant) -> Result<(), Duration> {
        let (now, cost) = (self.since_epoch(now), nanos(tokens, self.per_second));
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let after = full_at.max(now).saturating_add(cost);
            (after.saturating_sub(now) <= self.capacity).then_some(after)
        });
        taken.map(|_| ()).map_err(|full_at| {
            let missing = full_at.saturating_sub(now).saturating_add(cost);
            Duration::from_nanos(missing.saturating_sub(self.capacity))
        })
    }

    /// Takes `tokens` that were used already. Where the bucket has fewer, the next ones to take
    /// some wait until the difference came back.
    pub fn take(&self, tokens: u64, now: Instant) {
        let (now, cost) = (self.since_epoch(now), nanos(tokens, self.per_second));
        // It always has a next value, so it cannot fail.
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.max(now).saturating_add(cost))
        });
    }

    /// Puts back `tokens` that were taken and not used.
    pub fn put_back(&self, tokens: u64) {
        let cost = nanos(tokens, self.per_second);
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.saturating_sub(cost))
        });
    }

    /// How many tokens the bucket has.
    #[must_use]
    pub fn available(&self, now: Instant) -> u64 {
        let full_at = self.full_at.load(Ordering::Relaxed);
        let missing = full_at.saturating_sub(self.since_epoch(now));
        let filled = self.capacity.saturating_sub(missing);
        u64::try_from(u128::from(filled) * u128::from(self.per_second) / u128::from(SECOND))
            .unwrap_or(u64::MAX)
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long `tokens` take to come at a rate.
const fn nanos(tokens: u64, per_second: u64) -> u64 {
    match tokens.saturating_mul(SECOND).checked_div(per_second) {
        Some(nanos) => nanos,
        None => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn shared(per_second: u64, burst: u64, now: Instant) -> SharedRateLimiter {
        let number = |number| NonZeroU64::new(number).unwrap();
        SharedRateLimiter::new(number(per_second), number(burst), now)
    }

    #[test]
    fn a_shared_bucket_gives_a_burst_and_then_its_rate() {
        let start = Instant::now();
        let limiter = shared(10, 3, start);
        for left in [2, 1, 0] {
            assert_eq!(limiter.try_take(1, start), Ok(()));
            assert_eq!(limiter.available(start), left);
        }
        assert_eq!(limiter.try_take(1, start), Err(Duration::from_millis(100)));
        assert_eq!(limiter.try_take(2, start), Err(Duration::from_millis(200)));
        assert!(limiter.try_take(1, start + Duration::from_millis(99)).is_err());
        assert_eq!(limiter.try_take(1, start + Duration::from_millis(100)), Ok(()));
        // It never has more than its burst.
        let later = start + Duration::from_secs(60);
        assert_eq!(limiter.available(later), 3);
        assert_eq!(limiter.try_take(4, later), Err(Duration::from_millis(100)));
        assert_eq!(limiter.try_take(3, later), Ok(()));
    }

    #[test]
    fn tokens_that_were_used_already_are_owed_and_unused_ones_come_back() {
        let start = Instant::now();
        let limiter = shared(10, 3, start);
        limiter.take(8, start);
        assert_eq!(limiter.available(start), 0);
        assert_eq!(limiter.try_take(1, start), Err(Duration::from_millis(600)));
        limiter.put_back(8);
        assert_eq!(limiter.available(start), 3);
        limiter.put_back(8);
        assert_eq!(limiter.available(start), 3, "it never has more than its burst");
    }

    #[test]
    fn threads_get_no_more_from_a_shared_bucket_than_it_has() {
        let start = Instant::now();
        let limiter = shared(1, 1000, start);
        let took: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let take = || (0..500).filter(|_| limiter.try_take(1, start).is_ok()).count();
                    scope.spawn(take)
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(took, 1000);
    }

    proptest! {
        #[test]
        fn available_tokens_can_be_taken_and_no_more(
            per_second in 1..1_000_000_u64,
            burst in 1..1_000_000_u64,
            steps in proptest::collection::vec((0..1_000_000_u64, 0..2_000_000_000_u64), 1..20),
        ) {
            let start = Instant::now();
            let (limiter, mut now) = (shared(per_second, burst, start), start);
            for (tokens, pause) in steps {
                let before = limiter.available(now);
                prop_assert!(before <= burst);
                let is_taken = limiter.try_take(tokens, now).is_ok();
                // Rounded down: a token more may be there by a nanosecond.
                prop_assert!(is_taken || tokens > before);
                if tokens <= before {
                    prop_assert!(limiter.available(now) >= before - tokens);
                } else if !is_taken {
                    prop_assert_eq!(limiter.available(now), before);
                }
                now += Duration::from_nanos(pause);
            }
        }
    }

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
