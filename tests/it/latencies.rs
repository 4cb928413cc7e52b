//! Latencies of requests, as the measuring tests print them.

use std::time::Duration;

/// The latencies of one run, the shortest first.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// This quantile, in thousandths.
    pub(crate) fn at(&self, permille: usize) -> Duration {
        self.0[(self.0.len() * permille / 1000).min(self.0.len() - 1)]
    }

    /// The same, in microseconds.
    pub(crate) fn micros(&self, permille: usize) -> u128 {
        self.at(permille).as_micros()
    }
}
