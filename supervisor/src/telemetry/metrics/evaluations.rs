//! How long evaluations take: a histogram that every decision writes to, so without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Upper bounds of the buckets in microseconds: from the tens of microseconds of an ordinary policy
/// to beyond the default deadline.
pub(crate) const BUCKET_BOUNDS_MICROS: [u64; 13] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000];

/// Buckets, the one above all bounds included.
pub(crate) const BUCKETS: usize = BUCKET_BOUNDS_MICROS.len() + 1;

/// A histogram of evaluation times.
#[derive(Debug)]
pub(crate) struct EvaluationTimes {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

/// A histogram's content at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct EvaluationTotals {
    pub(crate) count: u64,
    pub(crate) sum_micros: u64,
    /// The number of evaluations in each bucket; the last is above all bounds.
    pub(crate) buckets: [u64; BUCKETS],
}

impl EvaluationTimes {
    pub(super) const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_micros: AtomicU64::new(0) }
    }

    /// Counts an evaluation that took this long.
    pub(crate) fn observe(&self, micros: u64) {
        let bucket = BUCKET_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counts so far.
    pub(crate) fn totals(&self) -> EvaluationTotals {
        let buckets = self.buckets.each_ref().map(|count| count.load(Ordering::Relaxed));
        let sum_micros = self.sum_micros.load(Ordering::Relaxed);
        EvaluationTotals { count: buckets.iter().sum(), sum_micros, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_is_counted_in_the_first_bucket_that_holds_it() {
        let times = EvaluationTimes::new();
        for micros in [0, 10, 11, 500_000, 500_001, u64::from(u32::MAX)] {
            times.observe(micros);
        }
        let totals = times.totals();
        assert_eq!(totals.count, 6);
        assert_eq!((totals.buckets[0], totals.buckets[1]), (2, 1));
        assert_eq!((totals.buckets[12], totals.buckets[13]), (1, 2));
        assert_eq!(totals.sum_micros, 21 + 1_000_001 + u64::from(u32::MAX));
    }
}
