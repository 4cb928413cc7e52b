//! A tenant's state, published once for all its readers: requests, operators, metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use enforcer_protocol::{Diagnostic, Evaluator, Revision, SandboxLayer, SandboxMode, TenantId};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::error;
use uuid::Uuid;

use super::lifecycle::STABLE;
use super::request::AskError;
use super::state::{Admission, Cause, TenantState};
use crate::bundles::remote::status::BundleSourceStatus;
use crate::clock::{rfc3339, utc_now};
use crate::config::Activation;
use crate::error_code::ErrorCode;
use crate::telemetry::metrics::TenantMetrics;
use crate::worker::handshake::WorkerInfo;

/// This many evaluations in a row that ended in errors make a tenant `failing`.
const FAILING_AFTER: u32 = 5;

/// How to end a quarantine, for operators.
pub(crate) const RELEASE: &str = "change the bundle, touch one of its files, or send SIGHUP to the \
                                  supervisor, which retries all tenants";

/// A tenant's published state. One writer, its controller, publishes; requests only report their
/// results.
#[derive(Debug)]
pub(crate) struct StatusBoard {
    /// The [`Admission`] of the state below, which every request reads first.
    admission: AtomicU8,
    /// Evaluations that failed since the last decision, so that a decision need not lock.
    consecutive_failures: AtomicU32,
    status: Mutex<Status>,
    metrics: Arc<TenantMetrics>,
}

/// The controller's publication after an event.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) state: TenantState,
    pub(crate) admission: Admission,
    /// Why, in words.
    pub(crate) reason: String,
    /// When the next worker is tried, where a pause has begun.
    pub(crate) retry_at: Option<DateTime<Utc>>,
    /// Why an older revision serves than the directory has, if so.
    pub(crate) stale: Option<String>,
    /// Whether the worker in the status still serves.
    pub(crate) worker: WorkerPresence,
}

/// Whether a worker serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerPresence {
    Serving,
    Gone,
}

/// The next try to start a worker of a tenant that has a long pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) state: TenantState,
    pub(crate) after: Duration,
}

/// A change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) from: TenantState,
    pub(crate) to: TenantState,
}

/// The status of a tenant for operators.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) tenant_id: TenantId,
    pub(crate) state: TenantState,
    /// When the state began.
    #[serde(serialize_with = "time")]
    pub(crate) since: DateTime<Utc>,
    pub(crate) activation: Activation,
    pub(crate) pid: Option<u32>,
    /// When the worker began to serve.
    #[serde(skip)]
    pub(crate) serving_since: Option<Instant>,
    /// The revision that was loaded last.
    pub(crate) revision: Option<Revision>,
    /// When that revision began to serve.
    #[serde(serialize_with = "optional_time")]
    revision_since: Option<DateTime<Utc>>,
    pub(crate) version: Option<String>,
    /// `revision` of the bundle's manifest, which its author chose.
    pub(crate) bundle_revision: Option<String>,
    /// Whether the sandbox is on.
    sandbox_mode: &'static str,
    /// The layers of the sandbox that the worker is in.
    pub(crate) sandbox: Vec<SandboxLayer>,
    /// The evaluator of the policy in the worker.
    pub(crate) evaluator: Option<&'static str>,
    /// Why that is the interpreter and not the bytecode.
    #[serde(skip_serializing_if = "Option::is_none")]
    interpreted_because: Option<String>,
    /// Warnings about the bundle that serves.
    warnings: Vec<Diagnostic>,
    /// Files of the bundle that serves that have no meaning in a bundle, the first ones.
    ignored_files: Vec<String>,
    /// The last request about which this worker's evaluators disagreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_difference: Option<Difference>,
    /// Workers that ended unexpectedly, or did not start: what the tenant's metrics have counted.
    pub(crate) restarts: u64,
    /// The same, by cause.
    restarts_by_cause: BTreeMap<&'static str, u64>,
    /// The last of them.
    last_restart: Option<Restart>,
    /// Bundles that replaced another.
    reloads: u64,
    /// The current error of the bundle or the worker.
    last_error: Option<LastError>,
    /// Requests that got no decision, since the tenant was registered: what its metrics have counted.
    evaluation_errors: EvaluationErrors,
    /// The last evaluation that ended in an error with the revision that serves.
    last_evaluation_error: Option<EvaluationError>,
    /// The quarantine, or the long pause of a bundle that no worker could load.
    pub(crate) quarantine: Option<Quarantine>,
    /// Since when and why an older revision serves than the directory has.
    pub(crate) stale: Option<Stale>,
    /// Where the bundle is downloaded from, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle_source: Option<BundleSourceStatus>,
}

impl Status {
    /// When the revision began to serve.
    pub(crate) const fn revision_since(&self) -> Option<DateTime<Utc>> {
        self.revision_since
    }

    /// Since when and why the revision that serves may be older than the server's.
    fn stale_by_download(&self) -> Option<Stale> {
        self.revision?;
        let error = self.bundle_source.as_ref()?.last_error.as_ref()?;
        let reason = format!("the bundle cannot be downloaded: {}", error.message);
        Some(Stale { since: error.since, reason })
    }

    /// What is wrong with the bundle now.
    pub(crate) fn bundle_error(&self) -> Option<&str> {
        let error = self.last_error.as_ref()?;
        match error.source {
            ErrorSource::Reading | ErrorSource::Bundle => Some(&error.message),
            ErrorSource::Worker => None,
        }
    }
}

/// A request about which the bytecode and the interpreter disagreed.
#[derive(Clone, Debug, Serialize)]
struct Difference {
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    /// SHA-256 of the request's body.
    request_sha256: Option<String>,
}

/// A worker that ended unexpectedly, or did not start.
#[derive(Clone, Debug, Serialize)]
struct Restart {
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    cause: &'static str,
    message: String,
}

/// The subject of an error, which decides what clears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorSource {
    /// The bundle could not be read. Reading it clears the error.
    Reading,
    /// The bundle was refused. Loading another, or the return of the good one, clears the error.
    Bundle,
    /// A worker ended or did not start. A worker that serves for [`STABLE`] clears the error.
    Worker,
}

/// An error of the bundle or the worker.
#[derive(Clone, Debug, Serialize)]
struct LastError {
    #[serde(skip)]
    source: ErrorSource,
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    message: String,
    /// The faults in the bundle, with their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Diagnostic>,
}

/// Requests that got no decision.
#[derive(Clone, Debug, Default, Serialize)]
struct EvaluationErrors {
    total: u64,
    by_code: BTreeMap<&'static str, u64>,
}

/// The last evaluation that ended in an error.
#[derive(Clone, Debug, Serialize)]
struct EvaluationError {
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    code: ErrorCode,
    status: u16,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Diagnostic>,
    decision_id: Uuid,
    /// Such errors since the revision serves.
    count: u64,
    /// Such errors since the last decision.
    consecutive: u32,
}

/// How a request failed.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) code: ErrorCode,
    pub(crate) status: u16,
    pub(crate) message: &'a str,
    pub(crate) error: Option<&'a Diagnostic>,
    pub(crate) decision_id: Uuid,
}

/// A long pause before the next worker is tried.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Quarantine {
    pub(crate) reason: String,
    #[serde(serialize_with = "time")]
    pub(crate) until: DateTime<Utc>,
    release: &'static str,
}

/// An older revision serves than the directory has.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stale {
    #[serde(serialize_with = "time")]
    pub(crate) since: DateTime<Utc>,
    reason: String,
}

impl Status {
    fn forget_worker(&mut self) {
        self.pid = None;
        self.serving_since = None;
        self.sandbox.clear();
        self.evaluator = None;
        self.interpreted_because = None;
        self.warnings.clear();
        self.ignored_files.clear();
        self.last_difference = None;
    }

    fn evaluates(&mut self, evaluator: &Evaluator) {
        self.evaluator = Some(evaluator.name());
        self.interpreted_because = evaluator.interpreted_because().map(str::to_owned);
    }

    fn enter(&mut self, to: TenantState) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, to);
        if from == to {
            return None;
        }
        self.since = utc_now();
        Some(Transition { from, to })
    }

    /// Clears an error about a worker once another has served for [`STABLE`].
    fn clear_outdated_error(&mut self) {
        let is_stable = self.serving_since.is_some_and(|since| since.elapsed() >= STABLE);
        self.last_error.take_if(|error| error.source == ErrorSource::Worker && is_stable);
    }
}

impl StatusBoard {
    const OPEN: u8 = 0;
    const RESTARTING: u8 = 1;
    const CLOSED: u8 = 2;
    const REMOVED: u8 = 3;

    /// The status of a tenant that was registered just now.
    pub(crate) fn new(
        tenant_id: TenantId,
        activation: Activation,
        sandbox_mode: SandboxMode,
        metrics: Arc<TenantMetrics>,
    ) -> Self {
        let status = Status {
            tenant_id,
            state: match activation {
                Activation::Eager => TenantState::Starting,
                Activation::Lazy => TenantState::Asleep,
            },
            since: utc_now(),
            activation,
            pid: None,
            serving_since: None,
            revision: None,
            revision_since: None,
            version: None,
            bundle_revision: None,
            sandbox_mode: sandbox_mode.name(),
            sandbox: Vec::new(),
            evaluator: None,
            interpreted_because: None,
            warnings: Vec::new(),
            ignored_files: Vec::new(),
            last_difference: None,
            restarts: 0,
            restarts_by_cause: BTreeMap::new(),
            last_restart: None,
            reloads: 0,
            last_error: None,
            evaluation_errors: EvaluationErrors::default(),
            last_evaluation_error: None,
            quarantine: None,
            stale: None,
            bundle_source: None,
        };
        Self {
            admission: AtomicU8::new(Self::OPEN),
            consecutive_failures: AtomicU32::new(0),
            status: Mutex::new(status),
            metrics,
        }
    }

    /// A copy of the current status for operators.
    pub(crate) fn status(&self) -> Status {
        let mut status = self.locked();
        status.clear_outdated_error();
        let mut status = status.clone();
        status.stale = status.stale.take().or_else(|| status.stale_by_download());
        for (code, count) in self.metrics.errors() {
            status.evaluation_errors.total += count;
            status.evaluation_errors.by_code.insert(code.name(), count);
        }
        for (cause, count) in self.metrics.restarts() {
            status.restarts += count;
            status.restarts_by_cause.insert(cause.name(), count);
        }
        status
    }

    /// The downloads of the bundle are as this says now.
    pub(crate) fn set_bundle_source(&self, source: BundleSourceStatus) {
        self.locked().bundle_source = Some(source);
    }

    /// How downloading the bundle goes, if it is remote.
    pub(crate) fn bundle_source(&self) -> Option<BundleSourceStatus> {
        self.locked().bundle_source.clone()
    }

    /// Whether the bundle is remote, and no attempt to download it has ended yet.
    pub(crate) fn is_download_pending(&self) -> bool {
        let status = self.locked();
        status.bundle_source.as_ref().is_some_and(|source| source.last_attempt.is_none())
    }

    /// The state now.
    pub(crate) fn state(&self) -> TenantState {
        self.locked().state
    }

    /// Whether the tenant has a loaded revision, or is asleep and got no request yet. A worker that
    /// crashed changes nothing about it: one tenant's crash must not make the whole host look
    /// unhealthy.
    pub(crate) fn is_activated(&self) -> bool {
        let status = self.locked();
        status.revision.is_some() || status.state == TenantState::Asleep
    }

    /// Whether the tenant's bundle has been tried once since it was registered, with any result.
    pub(crate) fn was_tried(&self) -> bool {
        let status = self.locked();
        status.state != TenantState::Starting
            || status.revision.is_some()
            || self.metrics.restarts().next().is_some()
    }

    /// The id of the worker's process, where one serves.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.locked().pid
    }

    /// The error for a request that cannot be answered now.
    pub(crate) fn refusal(&self) -> Option<AskError> {
        match self.admission.load(Ordering::Relaxed) {
            Self::OPEN => None,
            Self::RESTARTING => Some(AskError::WorkerUnavailable),
            Self::REMOVED => Some(AskError::Removed),
            _ => Some(AskError::Unavailable),
        }
    }

    /// How long until the next worker is tried, for a tenant that waits for that.
    pub(crate) fn retry(&self) -> Option<Retry> {
        let status = self.locked();
        let until = status.quarantine.as_ref()?.until;
        Some(Retry { state: status.state, after: (until - utc_now()).to_std().ok()? })
    }

    /// Publishes the tenant's current state. No reader sees one part of it without the other.
    pub(crate) fn publish(&self, publication: Publication) -> Option<Transition> {
        let Publication { state, admission, reason, retry_at, stale, worker } = publication;
        let mut status = self.locked();
        // A worker that is failing stays so until it makes a decision.
        let is_failing = status.state == TenantState::Failing && state == TenantState::Ready;
        let transition = status.enter(if is_failing { TenantState::Failing } else { state });
        if worker == WorkerPresence::Gone {
            status.forget_worker();
        }
        let is_held = matches!(state, TenantState::Quarantined | TenantState::Rejected);
        match retry_at.filter(|_| is_held) {
            Some(until) => {
                status.quarantine = Some(Quarantine { reason, until, release: RELEASE });
            }
            None if !is_held || transition.is_some() => status.quarantine = None,
            None => {}
        }
        status.stale = stale.map(|reason| {
            let since = status.stale.as_ref().map_or_else(utc_now, |stale| stale.since);
            Stale { since, reason }
        });
        let number = match admission {
            Admission::Open => Self::OPEN,
            Admission::Restarting => Self::RESTARTING,
            Admission::Closed => Self::CLOSED,
        };
        // A tenant that was removed stays removed.
        let stays = |before| (before != Self::REMOVED).then_some(number);
        let _ = self.admission.fetch_update(Ordering::Relaxed, Ordering::Relaxed, stays);
        transition
    }

    /// The tenant was removed: no request gets an answer any more.
    pub(crate) fn remove(&self) {
        self.admission.store(Self::REMOVED, Ordering::Relaxed);
    }

    /// A worker begins to serve. Returns the revision that was loaded before.
    pub(crate) fn begin_serving(
        &self,
        pid: u32,
        revision: Revision,
        info: WorkerInfo,
        ignored_files: &[String],
    ) -> Option<Revision> {
        let mut status = self.locked();
        status.pid = Some(pid);
        status.serving_since = Some(Instant::now());
        status.version = info.version;
        status.bundle_revision = info.bundle_revision;
        status.sandbox = info.layers;
        status.evaluates(&info.evaluator);
        status.warnings = info.warnings;
        status.ignored_files = ignored_files.to_vec();
        status.last_difference = None;
        let before = status.revision.replace(revision);
        if before != Some(revision) {
            status.revision_since = Some(utc_now());
            status.reloads += u64::from(before.is_some());
            // It has not failed yet.
            status.last_evaluation_error = None;
            self.consecutive_failures.store(0, Ordering::Relaxed);
            if status.state == TenantState::Failing {
                status.enter(TenantState::Ready);
            }
        }
        before
    }

    /// Counts an evaluation that ended in a decision.
    pub(crate) fn decided(&self) -> Option<Transition> {
        if self.consecutive_failures.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut status = self.locked();
        self.consecutive_failures.store(0, Ordering::Relaxed);
        if let Some(error) = &mut status.last_evaluation_error {
            error.consecutive = 0;
        }
        match status.state {
            TenantState::Failing => status.enter(TenantState::Ready),
            _ => None,
        }
    }

    /// Counts a request that ended in an error.
    pub(crate) fn failed(&self, failure: &Failure<'_>) -> Option<TenantState> {
        // A flood of requests that are refused takes no lock.
        if !failure.code.is_evaluation_failure() {
            return None;
        }
        let mut status = self.locked();
        let before = self.consecutive_failures.load(Ordering::Relaxed);
        let consecutive = before.saturating_add(1);
        self.consecutive_failures.store(consecutive, Ordering::Relaxed);
        let count = status.last_evaluation_error.as_ref().map_or(0, |error| error.count);
        status.last_evaluation_error = Some(EvaluationError {
            at: utc_now(),
            code: failure.code,
            status: failure.status,
            message: failure.message.to_owned(),
            errors: failure.error.cloned().into_iter().collect(),
            decision_id: failure.decision_id,
            count: count + 1,
            consecutive,
        });
        if status.state == TenantState::Ready && consecutive >= FAILING_AFTER {
            status.enter(TenantState::Failing);
        }
        Some(status.state)
    }

    /// The bytecode and the interpreter had different answers to a request, so it got an error. Its
    /// body is kept as a digest, by which the input can be found in the gateway's records; the body
    /// is absent if no client waits for the answer any more.
    pub(crate) fn evaluators_differed(&self, body: Option<&Bytes>) {
        self.metrics.evaluator_differences.fetch_add(1, Ordering::Relaxed);
        let digest = body.map(|body| {
            Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        let mut status = self.locked();
        // A worker can report this at any rate.
        let was_told = status.last_difference.is_some();
        let difference = Difference { at: utc_now(), request_sha256: digest.clone() };
        status.last_difference = Some(difference);
        let tenant_id = status.tenant_id.clone();
        drop(status);
        if !was_told {
            error!(
                %tenant_id,
                request_sha256 = digest,
                "the bytecode and the interpreter disagree about a request, which was answered with an error: please report this policy and the input whose body has this digest"
            );
        }
    }

    /// The name of the revision that was loaded last: the one that its manifest has, else its digest.
    pub(crate) fn shown_revision(&self) -> Option<String> {
        let status = self.locked();
        let digest = || status.revision.map(|revision| revision.to_string());
        status.bundle_revision.clone().or_else(digest)
    }

    /// The worker no longer serves, because the supervisor ends or the tenant was removed.
    pub(crate) fn end_serving(&self) {
        self.locked().forget_worker();
    }

    /// Records an error of the bundle or the worker.
    pub(crate) fn record_error(&self, source: ErrorSource, message: &str, errors: &[Diagnostic]) {
        let (message, errors) = (message.to_owned(), errors.to_vec());
        let error = LastError { source, at: utc_now(), message, errors };
        self.locked().last_error = Some(error);
    }

    /// Clears an error that no longer holds.
    pub(crate) fn clear_error(&self, source: ErrorSource) {
        self.locked().last_error.take_if(|error| error.source == source);
    }

    /// Counts a worker that ended unexpectedly, or did not start.
    pub(crate) fn record_restart(&self, cause: Cause, message: &str) {
        let mut status = self.locked();
        self.metrics.restarted(cause);
        let message = message.to_owned();
        status.last_restart = Some(Restart { at: utc_now(), cause: cause.name(), message });
    }

    fn locked(&self) -> MutexGuard<'_, Status> {
        // Every change leaves the status whole, so a panic elsewhere broke nothing here.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn optional_time<S: Serializer>(
    at: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> StatusBoard {
        let metrics = Arc::new(TenantMetrics::new());
        let id = "a".parse().unwrap();
        StatusBoard::new(id, Activation::Eager, SandboxMode::Strict, metrics)
    }

    fn publication(state: TenantState, worker: WorkerPresence) -> Publication {
        let reason = "so".to_owned();
        let admission = Admission::Open;
        Publication { state, admission, reason, retry_at: None, stale: None, worker }
    }

    fn fail(board: &StatusBoard, code: ErrorCode) -> Option<TenantState> {
        board.metrics.error(code);
        let decision_id = Uuid::nil();
        board.failed(&Failure { code, status: 500, message: "m", error: None, decision_id })
    }

    fn serving() -> StatusBoard {
        let board = board();
        begin(&board, 1);
        board.publish(publication(TenantState::Ready, WorkerPresence::Serving));
        board
    }

    fn begin(board: &StatusBoard, revision: u8) {
        let info = WorkerInfo {
            has_mask: false,
            layers: Vec::new(),
            version: None,
            bundle_revision: None,
            evaluator: Evaluator::Bytecode,
            warnings: Vec::new(),
        };
        board.begin_serving(7, Revision::from_digest([revision; 32]), info, &[]);
    }

    #[tokio::test]
    async fn a_tenant_that_only_fails_is_not_ready_until_it_decides() {
        let board = serving();
        for _ in 1..FAILING_AFTER {
            assert_eq!(fail(&board, ErrorCode::EvaluationTimeout), Some(TenantState::Ready));
            // A client's mistake says nothing about the policy.
            assert_eq!(fail(&board, ErrorCode::InvalidParameter), None);
        }
        assert_eq!(fail(&board, ErrorCode::InternalError), Some(TenantState::Failing));
        // The controller only knows that a worker serves.
        board.publish(publication(TenantState::Ready, WorkerPresence::Serving));
        assert_eq!(board.state(), TenantState::Failing);
        let status = board.status();
        assert_eq!(status.evaluation_errors.total, u64::from(2 * FAILING_AFTER - 1));
        let last = status.last_evaluation_error.unwrap();
        assert_eq!((last.count, last.consecutive), (u64::from(FAILING_AFTER), FAILING_AFTER));
        assert_eq!(board.decided().unwrap().to, TenantState::Ready);
        assert_eq!(board.decided(), None);
        assert_eq!(board.status().last_evaluation_error.unwrap().consecutive, 0);
    }

    #[tokio::test]
    async fn another_revision_begins_without_the_failures_of_the_one_before() {
        let board = serving();
        for _ in 0..FAILING_AFTER {
            fail(&board, ErrorCode::EvaluationTimeout);
        }
        begin(&board, 1);
        assert_eq!(board.state(), TenantState::Failing, "it is the same revision");
        begin(&board, 2);
        assert_eq!(board.state(), TenantState::Ready);
        assert!(board.status().last_evaluation_error.is_none());
        assert_eq!(fail(&board, ErrorCode::EvaluationTimeout), Some(TenantState::Ready));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_shown_for_as_long_as_it_holds() {
        let board = serving();
        board.record_error(ErrorSource::Worker, "it ended", &[]);
        board.record_restart(Cause::Crash, "it ended");
        assert!(board.status().last_error.is_some());
        tokio::time::advance(STABLE).await;
        let status = board.status();
        assert!(status.last_error.is_none());
        assert!(status.last_restart.is_some(), "it did happen");
        board.record_error(ErrorSource::Bundle, "it is broken", &[]);
        assert!(board.status().last_error.is_some(), "no time of serving clears it");
        board.clear_error(ErrorSource::Bundle);
        assert!(board.status().last_error.is_none());
    }

    #[tokio::test]
    async fn staleness_keeps_its_beginning_and_a_quarantine_its_end() {
        let board = serving();
        let stale = |why: &str| {
            let stale = Some(why.to_owned());
            Publication { stale, ..publication(TenantState::Ready, WorkerPresence::Serving) }
        };
        board.publish(stale("rejected"));
        let since = board.status().stale.unwrap().since;
        board.publish(stale("rejected again"));
        assert_eq!(board.status().stale.unwrap().since, since);
        board.publish(publication(TenantState::Ready, WorkerPresence::Serving));
        assert!(board.status().stale.is_none());

        let until = utc_now() + chrono::TimeDelta::seconds(30);
        let gone = |state| publication(state, WorkerPresence::Gone);
        board.publish(Publication { retry_at: Some(until), ..gone(TenantState::Quarantined) });
        board.publish(gone(TenantState::Quarantined));
        assert_eq!(board.status().quarantine.unwrap().until, until);
        assert!(board.retry().unwrap().after > Duration::from_secs(25));
        board.publish(gone(TenantState::Starting));
        assert!(board.status().quarantine.is_none() && board.retry().is_none());
    }
}
