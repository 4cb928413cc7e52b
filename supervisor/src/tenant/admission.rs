//! One tenant as requests see it: its limits, its queue, and their way to the worker that serves.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use enforcer_protocol::{Diagnostic, Query, RateLimiter, SandboxMode, TenantId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{Level, info, warn};
use uuid::Uuid;

use super::orders::Orders;
use super::poison::PoisonInputs;
use super::quota::Quotas;
use super::request::{Answer, AskError, Request, RequestBody};
use super::state::TenantState;
use super::status::{Failure, StatusBoard};
use crate::bundles::Bundle;
use crate::config::TenantLimits;
use crate::deadline::ANSWER_MARGIN;
use crate::isolation::users::{UserLease, Users};
use crate::stream::{Change, Changed, TenantStream};
use crate::telemetry::logging::{DECISION_TARGET, printable};
use crate::telemetry::metrics::{TenantLimit, TenantMetrics};

/// Request bodies that one tenant may have in memory, in largest bodies: the memory is bounded for
/// any number of requests.
const BODY_MEMORY_IN_BODIES: usize = 32;

/// Failures of one tenant that are logged in a second. All tenants share the log, and a tenant that
/// always fails must not crowd out the others' lines.
const FAILURE_LINES_PER_SECOND: u32 = 50;

/// Announcements a second that evaluations only fail, or no longer do, and at once.
const ANNOUNCEMENTS_PER_SECOND: u32 = 1;

/// Inspections of a tenant's bundle at once, in those of a second.
const INSPECTIONS_AT_ONCE: u32 = 4;

/// See [`ANNOUNCEMENTS_PER_SECOND`].
const ANNOUNCEMENTS_AT_ONCE: u32 = 4;

/// How a tenant's latest evaluations ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evaluations {
    Decide,
    Fail,
}

/// What the log and the stream were told last.
#[derive(Debug)]
struct Announced {
    evaluations: Evaluations,
    limiter: RateLimiter,
}

/// A tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) limits: TenantLimits,
    pub(crate) status: Arc<StatusBoard>,
    pub(crate) metrics: Arc<TenantMetrics>,
    pub(crate) poison: Arc<PoisonInputs>,
    pub(crate) stream: Arc<TenantStream>,
    pub(crate) quotas: Quotas,
    pub(crate) orders: Orders,
    /// Gives out users for workers, if the supervisor may switch users.
    users: Option<Users>,
    /// The user that its workers run as, once one was needed and free.
    user: Mutex<Option<UserLease>>,
    /// The channel in which requests wait for a worker. Replaced only when a controller failed.
    requests: RwLock<mpsc::Sender<Request>>,
    failure_lines: Mutex<RateLimiter>,
    inspections: Mutex<RateLimiter>,
    /// The bundle that serves, or that served last.
    bundle: ArcSwapOption<Bundle>,
    announced: Mutex<Announced>,
    queue: Arc<Semaphore>,
    body_memory: Arc<Semaphore>,
}

impl Tenant {
    /// A tenant, and the requests to it.
    pub(crate) fn new(
        id: TenantId,
        limits: TenantLimits,
        sandbox_mode: SandboxMode,
        users: Option<Users>,
        stream: TenantStream,
    ) -> (Self, mpsc::Receiver<Request>) {
        let (requests, waiting) = Self::channel(&limits);
        let queue = Arc::new(Semaphore::new(limits.queue_length.get()));
        let body_memory = Arc::new(Semaphore::new(limits.max_body * BODY_MEMORY_IN_BODIES));
        let metrics = Arc::new(TenantMetrics::new());
        let status =
            StatusBoard::new(id.clone(), limits.activation, sandbox_mode, Arc::clone(&metrics));
        let inspections = limits.inspections.saturating_mul(INSPECTIONS_AT_ONCE);
        let inspections = RateLimiter::new(limits.inspections, inspections);
        let failure_lines = RateLimiter::new(FAILURE_LINES_PER_SECOND, FAILURE_LINES_PER_SECOND);
        let stream = Arc::new(stream);
        let quotas = Quotas::new(
            id.clone(),
            limits.quotas,
            limits.max_body,
            Arc::clone(&stream),
            std::time::Instant::now(),
        );
        let tenant = Self {
            id,
            limits,
            status: Arc::new(status),
            metrics,
            poison: Arc::default(),
            stream,
            quotas,
            orders: Orders::default(),
            users,
            user: Mutex::new(None),
            requests: RwLock::new(requests),
            failure_lines: Mutex::new(failure_lines),
            inspections: Mutex::new(inspections),
            bundle: ArcSwapOption::empty(),
            announced: Mutex::new(Announced {
                evaluations: Evaluations::Decide,
                limiter: RateLimiter::new(ANNOUNCEMENTS_PER_SECOND, ANNOUNCEMENTS_AT_ONCE),
            }),
            queue,
            body_memory,
        };
        (tenant, waiting)
    }

    /// As long as the queue, so a request that has a permit of the queue finds room here.
    fn channel(limits: &TenantLimits) -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
        mpsc::channel(limits.queue_length.get())
    }

    /// The requests from now on, for a controller that replaces one that failed.
    pub(crate) fn replace_channel(&self) -> mpsc::Receiver<Request> {
        let (requests, waiting) = Self::channel(&self.limits);
        *self.requests.write().unwrap_or_else(PoisonError::into_inner) = requests;
        waiting
    }

    /// The user that its workers run as: always the same, once one was assigned. `None` where the
    /// supervisor gives out no users, or all are taken.
    pub(crate) fn user(&self) -> Option<u32> {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        if user.is_none() {
            *user = self.users.as_ref().and_then(Users::lease);
        }
        user.as_ref().map(UserLease::id)
    }

    /// Whether the tenant waits for a request.
    pub(crate) fn is_asleep(&self) -> bool {
        self.status.state() == TenantState::Asleep
    }

    /// The bytes that this tenant's request bodies may take from now on.
    pub(crate) const fn body_memory(&self) -> &Arc<Semaphore> {
        &self.body_memory
    }

    /// Gives a request to the tenant's worker and waits for the answer, no longer than the tenant's
    /// evaluation timeout and [`ANSWER_MARGIN`].
    pub(crate) async fn ask(&self, query: Query, body: RequestBody) -> Result<Answer, AskError> {
        let deadline = Instant::now() + self.limits.evaluation_timeout;
        if let Some(refusal) = self.status.refusal() {
            return Err(refusal);
        }
        let permit = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            self.metrics.limit_reached(TenantLimit::QueueLength);
            AskError::Overloaded
        })?;
        let (reply, answer) = oneshot::channel();
        let RequestBody { bytes, memory } = body;
        let wants_mask = self.stream.wants_mask(std::time::Instant::now())
            || tracing::enabled!(target: DECISION_TARGET, Level::INFO);
        let request = Request {
            query,
            body: bytes,
            deadline,
            wants_mask,
            reply,
            _permits: [permit, memory],
            is_suspect: false,
        };
        self.put(request)?;
        match timeout_at(deadline + ANSWER_MARGIN, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(self.status.refusal().unwrap_or(AskError::WorkerUnavailable)),
            // With a worker that serves, the evaluation timed out; without one, it never began.
            Err(_) if self.status.pid().is_some() => Err(AskError::TimedOut),
            Err(_) => Err(AskError::WorkerUnavailable),
        }
    }

    /// Puts a request into the channel from which workers take it.
    pub(crate) fn put(&self, request: Request) -> Result<(), AskError> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        // Never full, because the queue has no more permits than the channel has room.
        requests.try_send(request).map_err(|_| AskError::WorkerUnavailable)
    }

    /// Counts and logs that the policy's mask failed about a decision, which is answered all the same.
    pub(crate) fn mask_failed(&self, decision_id: Uuid, reason: &str) {
        self.metrics.mask_failures.fetch_add(1, Ordering::Relaxed);
        if self.may_log_failure() {
            let (tenant_id, reason) = (&self.id, printable(reason));
            warn!(%tenant_id, %decision_id, "the policy's mask failed, so the decision's input is not shown: {reason}");
        }
    }

    /// Counts a decision.
    pub(crate) fn decided(&self, allow: bool) {
        self.metrics.decided(allow);
        if self.status.decided().is_some() {
            self.announce_evaluations(Evaluations::Decide, "a request was decided again");
        }
    }

    /// Counts an answer of the Data API that is no decision.
    pub(crate) fn answered(&self) {
        self.metrics.documents.fetch_add(1, Ordering::Relaxed);
        if self.status.decided().is_some() {
            self.announce_evaluations(Evaluations::Decide, "a request was answered again");
        }
    }

    /// Counts a request that got no decision.
    pub(crate) fn failed(&self, failure: &Failure<'_>) {
        self.metrics.error(failure.code);
        if self.status.failed(failure) == Some(TenantState::Failing) {
            self.announce_evaluations(Evaluations::Fail, failure.message);
        }
    }

    /// Tells the log and the stream that evaluations only fail, or no longer do. A client can make a
    /// tenant change from one to the other with every few requests, so the rate is limited; what was
    /// told last is true again as soon as the rate allows it.
    fn announce_evaluations(&self, evaluations: Evaluations, reason: &str) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if announced.evaluations == evaluations {
            return;
        }
        if !announced.limiter.try_take(1, std::time::Instant::now()) {
            drop(announced);
            return self.metrics.limit_reached(TenantLimit::FailureLines);
        }
        announced.evaluations = evaluations;
        drop(announced);
        let tenant_id = &self.id;
        let change = match evaluations {
            Evaluations::Fail => {
                warn!(%tenant_id, "tenant is failing: the latest evaluations all ended in errors, the last one: {}", printable(reason));
                Change::Failing
            }
            Evaluations::Decide => {
                info!(%tenant_id, "tenant is ready: {}", printable(reason));
                Change::Recovered
            }
        };
        self.tell(change, reason.to_owned(), Vec::new());
    }

    /// A worker begins to serve, which is told as ready: whether its evaluations fail is told again.
    pub(crate) fn begin_announcements(&self) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.evaluations = Evaluations::Decide;
    }

    /// Publishes a change on the decision stream.
    pub(crate) fn tell(&self, change: Change, message: String, errors: Vec<Diagnostic>) {
        let status = self.status.status();
        let quarantine_until = status.quarantine.map(|quarantine| quarantine.until);
        let (state, revision) = (status.state, status.revision);
        self.stream.changed(Changed { change, state, revision, message, errors, quarantine_until });
    }

    /// The bundle that serves, or that served last.
    pub(crate) fn bundle(&self) -> Option<Arc<Bundle>> {
        self.bundle.load_full()
    }

    /// A worker begins to serve this bundle.
    pub(crate) fn set_bundle(&self, bundle: &Arc<Bundle>) {
        self.bundle.store(Some(Arc::clone(bundle)));
    }

    /// Whether its bundle may be inspected now; counts it where it may not.
    pub(crate) fn may_inspect(&self) -> bool {
        let may = take_from(&self.inspections);
        if !may {
            self.metrics.limit_reached(TenantLimit::Inspections);
        }
        may
    }

    /// Whether a failure may be logged; counts it where it may not.
    pub(crate) fn may_log_failure(&self) -> bool {
        let may = take_from(&self.failure_lines);
        if !may {
            self.metrics.limit_reached(TenantLimit::FailureLines);
        }
        may
    }
}

fn take_from(limiter: &Mutex<RateLimiter>) -> bool {
    let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
    limiter.try_take(1, std::time::Instant::now())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::error_code::ErrorCode;
    use crate::tenant::state::Admission;
    use crate::tenant::status::{Publication, WorkerPresence};
    use crate::tenant::testing::tenant;

    fn publish(tenant: &Tenant, state: TenantState, admission: Admission) {
        let reason = String::new();
        let worker = WorkerPresence::Gone;
        let publication =
            Publication { state, admission, reason, retry_at: None, stale: None, worker };
        tenant.status.publish(publication);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_no_worker_takes_is_answered_at_its_deadline() {
        let (tenant, requests) = tenant();
        let memory = || Arc::clone(tenant.body_memory()).try_acquire_many_owned(0).unwrap();
        let body = || RequestBody { bytes: Bytes::new(), memory: memory() };
        let start = Instant::now();
        assert_eq!(
            tenant.ask(Query::Decision, body()).await.unwrap_err(),
            AskError::WorkerUnavailable
        );
        let timeout = tenant.limits.evaluation_timeout;
        assert!(start.elapsed() >= timeout && start.elapsed() < timeout * 2);
        for (admission, error) in [
            (Admission::Restarting, AskError::WorkerUnavailable),
            (Admission::Closed, AskError::Unavailable),
        ] {
            publish(&tenant, TenantState::Backoff, admission);
            assert_eq!(tenant.ask(Query::Decision, body()).await.unwrap_err(), error);
        }
        publish(&tenant, TenantState::Ready, Admission::Open);
        drop(requests);
        assert_eq!(
            tenant.ask(Query::Decision, body()).await.unwrap_err(),
            AskError::WorkerUnavailable
        );
        tenant.status.remove();
        publish(&tenant, TenantState::Ready, Admission::Open);
        assert_eq!(tenant.ask(Query::Decision, body()).await.unwrap_err(), AskError::Removed);
    }

    #[tokio::test]
    async fn a_client_that_makes_a_tenant_fail_and_recover_does_not_flood_the_stream() {
        let (tenant, _requests) = tenant();
        publish(&tenant, TenantState::Ready, Admission::Open);
        let fail = || {
            let (code, decision_id) = (ErrorCode::InternalError, Uuid::nil());
            tenant.failed(&Failure { code, status: 500, message: "m", error: None, decision_id });
        };
        for _ in 0..1000 {
            (0..5).for_each(|_| fail());
            assert_eq!(tenant.status.state(), TenantState::Failing);
            tenant.decided(true);
            assert_eq!(tenant.status.state(), TenantState::Ready);
        }
        let limited = tenant.metrics.limits().next();
        let (limit, count) = limited.unwrap();
        assert_eq!(limit, TenantLimit::FailureLines);
        // A recovery from what was not announced is not announced either.
        assert!(count >= 990, "{count} of 1000 failures were left out");
    }
}
