//! The counters of one tenant: atomics, because every request counts something.

use std::sync::atomic::{AtomicU64, Ordering};

use super::evaluations::EvaluationTimes;
use crate::bundles::remote::status::DownloadCounts;
use crate::error_code::ErrorCode;
use crate::tenant::state::Cause;

/// Metrics of one tenant. They are gone with the tenant.
#[derive(Debug)]
pub(crate) struct TenantMetrics {
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    /// Answers of the Data API that are no decisions.
    pub(crate) documents: AtomicU64,
    /// Evaluations only: decisions, and evaluations that failed or timed out.
    pub(crate) evaluations: EvaluationTimes,
    /// How often the tenant was quarantined.
    pub(crate) quarantines: AtomicU64,
    /// Requests about which the bytecode and the interpreter disagreed.
    pub(crate) evaluator_differences: AtomicU64,
    /// Decisions whose mask failed.
    pub(crate) mask_failures: AtomicU64,
    /// Of a remote bundle.
    pub(crate) downloads: DownloadCounts,
    errors: [AtomicU64; ErrorCode::ALL.len()],
    limits: [AtomicU64; TenantLimit::ALL.len()],
    restarts: [AtomicU64; Cause::ALL.len()],
    loads: [AtomicU64; BundleLoad::ALL.len()],
}

/// The result of loading a bundle, the first one or a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BundleLoad {
    /// It serves.
    Loaded,
    /// It is invalid.
    Rejected,
    /// It could not be read or loaded because of a temporary error.
    Failed,
}

impl BundleLoad {
    const ALL: [Self; 3] = [Self::Loaded, Self::Rejected, Self::Failed];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// A limit of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TenantLimit {
    /// Requests that wait for their answer.
    QueueLength,
    /// Bytes of request bodies held at once.
    BodyMemory,
    /// Bytes of one request body.
    BodyLength,
    /// Time for a request body to arrive.
    BodyTime,
    /// Lines of a worker's standard error in a second.
    StderrLines,
    /// Lines of the log about the tenant's failures in a second.
    FailureLines,
    /// Time for a worker to finish its requests after another replaced it.
    DrainTime,
    /// Explanations and ad-hoc queries in a second.
    Inspections,
    /// Time for one of them.
    InspectionTime,
}

impl TenantLimit {
    const ALL: [Self; 9] = [
        Self::QueueLength,
        Self::BodyMemory,
        Self::BodyLength,
        Self::BodyTime,
        Self::StderrLines,
        Self::FailureLines,
        Self::DrainTime,
        Self::Inspections,
        Self::InspectionTime,
    ];

    /// Its name for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QueueLength => "queue_length",
            Self::BodyMemory => "body_memory",
            Self::BodyLength => "body_length",
            Self::BodyTime => "body_time",
            Self::StderrLines => "stderr_lines",
            Self::FailureLines => "failure_lines",
            Self::DrainTime => "drain_time",
            Self::Inspections => "inspections",
            Self::InspectionTime => "inspection_time",
        }
    }
}

impl TenantMetrics {
    /// All of them, at zero.
    pub(crate) const fn new() -> Self {
        Self {
            allowed: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            documents: AtomicU64::new(0),
            evaluations: EvaluationTimes::new(),
            quarantines: AtomicU64::new(0),
            evaluator_differences: AtomicU64::new(0),
            mask_failures: AtomicU64::new(0),
            downloads: DownloadCounts::new(),
            errors: [const { AtomicU64::new(0) }; ErrorCode::ALL.len()],
            limits: [const { AtomicU64::new(0) }; TenantLimit::ALL.len()],
            restarts: [const { AtomicU64::new(0) }; Cause::ALL.len()],
            loads: [const { AtomicU64::new(0) }; BundleLoad::ALL.len()],
        }
    }

    /// Counts a decision.
    pub(crate) fn decided(&self, allow: bool) {
        let counter = if allow { &self.allowed } else { &self.denied };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that got no decision.
    pub(crate) fn error(&self, code: ErrorCode) {
        increment(&self.errors, code.index());
    }

    /// Counts that a limit of this tenant was reached.
    pub(crate) fn limit_reached(&self, limit: TenantLimit) {
        increment(&self.limits, limit as usize);
    }

    /// Counts a worker that ended unexpectedly, or did not start.
    pub(crate) fn restarted(&self, cause: Cause) {
        increment(&self.restarts, cause.index());
    }

    /// Counts the result of loading a bundle.
    pub(crate) fn bundle_load(&self, load: BundleLoad) {
        increment(&self.loads, load as usize);
    }

    /// The errors that were counted, with their numbers.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        counted(ErrorCode::ALL.iter().copied(), &self.errors)
    }

    /// The limits that were reached, with their numbers.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (TenantLimit, u64)> {
        counted(TenantLimit::ALL.into_iter(), &self.limits)
    }

    /// The causes of workers' unexpected ends, with their numbers.
    pub(crate) fn restarts(&self) -> impl Iterator<Item = (Cause, u64)> {
        counted(Cause::ALL.into_iter(), &self.restarts)
    }

    /// The results of loading bundles, with their numbers.
    pub(crate) fn loads(&self) -> impl Iterator<Item = (BundleLoad, u64)> {
        counted(BundleLoad::ALL.into_iter(), &self.loads)
    }
}

fn increment(counters: &[AtomicU64], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Only those above zero, which bounds the cost of a tenant without trouble.
fn counted<T>(
    names: impl Iterator<Item = T>,
    counters: &[AtomicU64],
) -> impl Iterator<Item = (T, u64)> {
    names
        .zip(counters.iter().map(|counter| counter.load(Ordering::Relaxed)))
        .filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_under_its_own_name() {
        let metrics = TenantMetrics::new();
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(code.index(), index);
        }
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), index);
        }
        metrics.error(ErrorCode::EvaluationTimeout);
        metrics.limit_reached(TenantLimit::DrainTime);
        metrics.restarted(Cause::Host);
        metrics.bundle_load(BundleLoad::Failed);
        assert_eq!(metrics.errors().collect::<Vec<_>>(), [(ErrorCode::EvaluationTimeout, 1)]);
        assert_eq!(metrics.limits().collect::<Vec<_>>(), [(TenantLimit::DrainTime, 1)]);
        assert_eq!(metrics.restarts().collect::<Vec<_>>(), [(Cause::Host, 1)]);
        assert_eq!(metrics.loads().collect::<Vec<_>>(), [(BundleLoad::Failed, 1)]);
    }
}
