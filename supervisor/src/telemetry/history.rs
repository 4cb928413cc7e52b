//! The last minutes in samples, so that a dashboard that is opened now shows the recent past.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use enforcer_protocol::TenantId;
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::metrics::{BUCKETS, TenantMetrics};
use crate::clock::utc_now;
use crate::tenant::registry::{Registry, Tenants};

/// See [`INTERVAL`].
const INTERVAL_SECONDS: i64 = 5;

/// Between two samples, which are taken at whole multiples of it by the clock.
pub(crate) const INTERVAL: Duration = Duration::from_secs(INTERVAL_SECONDS.unsigned_abs());

/// Samples that are kept: fifteen minutes.
pub(crate) const SAMPLES: usize = 180;

/// The counts of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    allowed: u64,
    denied: u64,
    errors: u64,
}

/// The counts of one interval on the whole host.
#[derive(Clone, Debug, Default)]
struct HostSample {
    counts: Counts,
    evaluations: [u64; BUCKETS],
}

/// One tenant's counters at the last sample, and its samples.
#[derive(Debug, Default)]
struct TenantSamples {
    totals: Counts,
    evaluations: [u64; BUCKETS],
    /// Its latest samples, the newest last. Empty for a tenant without requests in all that time.
    samples: VecDeque<Counts>,
    /// The number of latest samples without a request.
    quiet: usize,
}

/// The last minutes of the host and of every tenant with a request in them.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    until: Option<DateTime<Utc>>,
    host: VecDeque<HostSample>,
    tenants: BTreeMap<TenantId, TenantSamples>,
}

/// The last minutes, as the dashboard reads them. All lists have the same length, the oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) interval_seconds: u64,
    #[serde(skip)]
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) samples: usize,
    pub(crate) host: HostSeries,
    pub(crate) tenants: BTreeMap<TenantId, Series>,
}

/// The samples of one tenant.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Series {
    allowed: Vec<u64>,
    denied: Vec<u64>,
    errors: Vec<u64>,
}

/// The samples of the host.
#[derive(Debug, Default, Serialize)]
pub(crate) struct HostSeries {
    #[serde(flatten)]
    counts: Series,
    /// The number of evaluations in each bucket of times; empty without an evaluation.
    evaluations: Vec<Option<[u64; BUCKETS]>>,
}

impl Counts {
    fn of(metrics: &TenantMetrics) -> Self {
        Self {
            allowed: metrics.allowed.load(Ordering::Relaxed),
            denied: metrics.denied.load(Ordering::Relaxed),
            errors: metrics
                .errors()
                .filter(|(code, _)| code.is_evaluation_failure())
                .map(|(_, count)| count)
                .sum(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            allowed: self.allowed.saturating_sub(before.allowed),
            denied: self.denied.saturating_sub(before.denied),
            errors: self.errors.saturating_sub(before.errors),
        }
    }

    fn add(&mut self, other: Self) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.errors += other.errors;
    }
}

impl Series {
    fn push(&mut self, Counts { allowed, denied, errors }: Counts) {
        self.allowed.push(allowed);
        self.denied.push(denied);
        self.errors.push(errors);
    }
}

impl History {
    /// Takes samples until `stop`.
    pub(crate) async fn run(&self, registry: &Registry, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = sleep(until_next(utc_now())) => self.sample(&registry.all()),
                () = stop.cancelled() => return,
            }
        }
    }

    fn sample(&self, tenants: &Tenants) {
        let mut samples = self.locked();
        samples.tenants.retain(|id, _| tenants.contains_key(id));
        let mut host = HostSample::default();
        for (id, tenant) in tenants {
            let totals = Counts::of(&tenant.metrics);
            if totals == Counts::default() && !samples.tenants.contains_key(id) {
                continue;
            }
            let known = samples.tenants.entry(id.clone()).or_default();
            let counts = totals.since(known.totals);
            known.totals = totals;
            host.counts.add(counts);
            let evaluations = tenant.metrics.evaluations.totals().buckets;
            for ((sum, now), before) in
                host.evaluations.iter_mut().zip(evaluations).zip(known.evaluations)
            {
                *sum += now.saturating_sub(before);
            }
            known.evaluations = evaluations;
            known.push(counts);
        }
        samples.host.push_back(host);
        if samples.host.len() > SAMPLES {
            samples.host.pop_front();
        }
        samples.until = utc_now().duration_round(TimeDelta::seconds(INTERVAL_SECONDS)).ok();
    }

    /// The samples so far.
    pub(crate) fn report(&self) -> Report {
        let samples = self.locked();
        let mut host = HostSeries::default();
        for sample in &samples.host {
            host.counts.push(sample.counts);
            let is_any = sample.evaluations.iter().any(|count| *count > 0);
            host.evaluations.push(is_any.then_some(sample.evaluations));
        }
        let length = samples.host.len();
        let tenants = samples.tenants.iter().filter(|(_, tenant)| !tenant.samples.is_empty());
        let series = |tenant: &TenantSamples| {
            let mut series = Series::default();
            let missing = length.saturating_sub(tenant.samples.len());
            (0..missing).for_each(|_| series.push(Counts::default()));
            let skipped = tenant.samples.len().saturating_sub(length);
            tenant.samples.iter().skip(skipped).for_each(|counts| series.push(*counts));
            series
        };
        Report {
            interval_seconds: INTERVAL.as_secs(),
            until: samples.until,
            samples: length,
            host,
            tenants: tenants.map(|(id, tenant)| (id.clone(), series(tenant))).collect(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long until the next whole multiple of the interval.
fn until_next(now: DateTime<Utc>) -> Duration {
    let since = now.timestamp_millis().rem_euclid(1000 * INTERVAL_SECONDS);
    INTERVAL.saturating_sub(Duration::from_millis(since.unsigned_abs()))
}

impl TenantSamples {
    fn push(&mut self, counts: Counts) {
        self.quiet = if counts == Counts::default() { self.quiet + 1 } else { 0 };
        if self.quiet >= SAMPLES {
            // No sample is left of its requests.
            self.samples = VecDeque::new();
            return;
        }
        if self.samples.is_empty() && self.quiet > 0 {
            return;
        }
        self.samples.push_back(counts);
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use crate::error_code::ErrorCode;
    use crate::tenant::testing::tenant;

    #[tokio::test]
    async fn samples_count_the_requests_between_them() {
        let history = History::default();
        let (one, _requests) = tenant();
        let tenants: Tenants = [(one.id.clone(), Arc::clone(&one))].into();
        history.sample(&tenants);
        one.metrics.decided(true);
        one.metrics.decided(false);
        one.metrics.evaluations.observe(15);
        history.sample(&tenants);
        one.metrics.decided(true);
        one.metrics.error(ErrorCode::EvaluationTimeout);
        one.metrics.error(ErrorCode::InvalidParameter);
        history.sample(&tenants);
        let report = history.report();
        assert_eq!(report.samples, 3);
        let series = &report.tenants[&one.id];
        assert_eq!(series.allowed, [0, 1, 1]);
        assert_eq!(series.denied, [0, 1, 0]);
        assert_eq!(series.errors, [0, 0, 1], "a client's mistake is not the tenant's error");
        assert_eq!(report.host.counts.allowed, series.allowed);
        assert_eq!(report.host.evaluations[0], None);
        assert_eq!(report.host.evaluations[1].unwrap()[1], 1);
        assert_eq!(report.host.evaluations[2], None);
    }

    #[tokio::test]
    async fn no_more_is_kept_than_that_and_nothing_of_a_tenant_that_is_quiet_or_gone() {
        let history = History::default();
        let (one, _requests) = tenant();
        let tenants: Tenants = [(one.id.clone(), Arc::clone(&one))].into();
        one.metrics.decided(true);
        for _ in 0..SAMPLES {
            history.sample(&tenants);
        }
        let report = history.report();
        assert_eq!((report.samples, report.tenants[&one.id].allowed.len()), (SAMPLES, SAMPLES));
        history.sample(&tenants);
        let report = history.report();
        assert_eq!(report.samples, SAMPLES);
        assert!(report.tenants.is_empty());
        history.sample(&Tenants::new());
        assert!(history.locked().tenants.is_empty());
    }
}
