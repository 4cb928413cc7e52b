//! A tenant as requests and operators see it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use enforcer_protocol::{Diagnostic, Evaluator, Outcome, Revision, SandboxLayer, TenantId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::error;

use crate::body::Body;
use crate::clock::now;
use crate::config::{Activation, TenantLimits};
use crate::connection::Introduction;
use crate::lifecycle::{Cause, Stance};
use crate::metrics::{TenantLimit, TenantMetrics};
use crate::ration::Ration;
use crate::sandbox::Sandboxing;
use crate::stream::{Change, Changed, TenantStream};
use crate::users::{UserLease, Users};

/// Request bodies that one tenant may have in memory, in largest bodies: what it holds is bounded
/// whatever the number of its requests.
const BODY_MEMORY_IN_BODIES: usize = 32;

/// Failures of one tenant that are logged in a second. The log is everybody's, and a tenant that
/// fails all the time must not push the others' lines out of it.
const FAILURE_LINES_PER_SECOND: u32 = 50;

/// How long after its deadline a request is answered as timed out without the worker's word. The
/// engine watches the same deadline, and its own answer is the better one.
const ANSWER_MARGIN: Duration = Duration::from_millis(10);

/// Inputs of one tenant that are remembered for having ended a worker. The oldest makes room.
const REMEMBERED_INPUTS: usize = 64;

/// How long an input is remembered. Whatever it was may have passed: a host without processor time
/// makes a worker look stuck.
const INPUT_MEMORY: Duration = Duration::from_secs(300);

/// An input that has ended so many workers of a revision is not put to another.
const DEATHS_OF_AN_INPUT: u32 = 2;

/// A tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) limits: TenantLimits,
    /// Who gives out users for workers, where they are.
    users: Option<Users>,
    /// The user that its workers run as, once one was needed and left.
    user: Mutex<Option<UserLease>>,
    pub(crate) metrics: TenantMetrics,
    pub(crate) lethal: LethalInputs,
    pub(crate) stream: Arc<TenantStream>,
    stance: AtomicStance,
    /// Where requests wait for a worker, whichever comes. Replaced only when a driver failed.
    requests: RwLock<mpsc::Sender<Request>>,
    status: Mutex<Status>,
    failure_lines: Mutex<Ration>,
    queue: Arc<Semaphore>,
    body_memory: Arc<Semaphore>,
}

/// A request on its way to a worker.
#[derive(Debug)]
pub(crate) struct Request {
    /// The body as it came from the client.
    pub(crate) body: Bytes,
    /// When its answer is worthless.
    pub(crate) deadline: Instant,
    /// Where its answer goes. Dropping it says that there will be none.
    pub(crate) reply: oneshot::Sender<Result<Answer, AskError>>,
    /// Its place in the tenant's queue, and its body's share of the tenant's memory.
    pub(crate) _permits: [OwnedSemaphorePermit; 2],
    /// It was at a worker that ended, among others, and may be why.
    pub(crate) is_suspect: bool,
}

/// Why a request got no answer of the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// Too many requests wait already.
    #[error("too many requests wait already")]
    Overloaded,
    /// The worker ended before it answered, or has not come up again.
    #[error("the worker is restarting")]
    WorkerUnavailable,
    /// The tenant has no policy that could be asked.
    #[error("the tenant has no usable policy")]
    Unavailable,
    /// The tenant was removed.
    #[error("the tenant was removed")]
    Removed,
    /// The deadline passed.
    #[error("the deadline passed")]
    TimedOut,
    /// The worker came over its memory limit on this request.
    #[error("the memory limit was reached")]
    MemoryLimit,
    /// This input has ended workers before, and is not put to another.
    #[error("the input has ended workers before")]
    LethalInput,
}

/// What a worker answered to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// What the worker that answered had loaded.
    pub(crate) revision: Revision,
    /// What the worker says that it took, in microseconds.
    pub(crate) micros: u64,
}

/// What a request may hope for, where every request looks first.
#[derive(Debug)]
struct AtomicStance(AtomicU8);

impl AtomicStance {
    const OPEN: u8 = 0;
    const RESTARTING: u8 = 1;
    const CLOSED: u8 = 2;
    const REMOVED: u8 = 3;

    fn set(&self, stance: Stance) {
        let number = match stance {
            Stance::Open => Self::OPEN,
            Stance::Restarting => Self::RESTARTING,
            Stance::Closed => Self::CLOSED,
        };
        // Who was removed stays so.
        let stays = |before| (before != Self::REMOVED).then_some(number);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, stays);
    }

    /// The error for a request that has nothing to hope for.
    fn refusal(&self) -> Option<AskError> {
        match self.0.load(Ordering::Relaxed) {
            Self::OPEN => None,
            Self::RESTARTING => Some(AskError::WorkerUnavailable),
            Self::REMOVED => Some(AskError::Removed),
            _ => Some(AskError::Unavailable),
        }
    }
}

/// The inputs that have ended workers of the revision that serves.
#[derive(Debug, Default)]
pub(crate) struct LethalInputs {
    /// Whether there is any that must not be put to a worker: nearly never.
    is_any: AtomicBool,
    deaths: Mutex<VecDeque<Death>>,
}

/// That workers ended on an input.
#[derive(Debug)]
struct Death {
    input: [u8; 32],
    count: u32,
    latest: Instant,
}

impl Death {
    fn is_remembered(&self) -> bool {
        self.latest.elapsed() < INPUT_MEMORY
    }
}

impl LethalInputs {
    /// Remembers that a worker ended on this request. A suspect was at the worker before, too.
    pub(crate) fn remember(&self, request: &Request) {
        let input: [u8; 32] = Sha256::digest(&request.body).into();
        let mut deaths = self.locked();
        let known = deaths.iter().position(|death| death.input == input);
        let before = known.and_then(|at| deaths.remove(at));
        let before = before.filter(Death::is_remembered).map_or(0, |death| death.count);
        if deaths.len() == REMEMBERED_INPUTS {
            deaths.pop_front();
        }
        let count = before.saturating_add(if request.is_suspect { 2 } else { 1 });
        deaths.push_back(Death { input, count, latest: Instant::now() });
        if count >= DEATHS_OF_AN_INPUT {
            self.is_any.store(true, Ordering::Relaxed);
        }
    }

    /// Whether this input must not be put to a worker.
    pub(crate) fn contains(&self, body: &[u8]) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let input: [u8; 32] = Sha256::digest(body).into();
        let is_lethal = |death: &Death| {
            death.input == input && death.count >= DEATHS_OF_AN_INPUT && death.is_remembered()
        };
        self.locked().iter().any(is_lethal)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.locked().clear();
        self.is_any.store(false, Ordering::Relaxed);
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Death>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What operators are told of a tenant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) tenant_id: TenantId,
    pub(crate) state: &'static str,
    /// When the state began, RFC 3339 in UTC.
    pub(crate) since: String,
    pub(crate) activation: Activation,
    pub(crate) pid: Option<u32>,
    /// When the worker came to serve.
    #[serde(skip)]
    pub(crate) serving_since: Option<Instant>,
    pub(crate) revision: Option<Revision>,
    pub(crate) version: Option<String>,
    /// Whether the sandbox is on.
    pub(crate) sandbox_mode: &'static str,
    /// The layers of the sandbox that the worker is in.
    pub(crate) sandbox: Vec<SandboxLayer>,
    /// What evaluates the policy in the worker.
    pub(crate) evaluator: Option<&'static str>,
    /// Why that is the interpreter, and not the bytecode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interpreted_because: Option<String>,
    /// What is suspicious in the bundle that serves, and no error.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Files of the bundle that serves that mean nothing to us, the first ones.
    pub(crate) ignored_files: Vec<String>,
    /// The last request about which this worker's evaluators disagreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_difference: Option<Difference>,
    /// Workers that ended unasked, or did not come up.
    pub(crate) restarts: u64,
    /// The same, by what ended them.
    pub(crate) restarts_by_cause: BTreeMap<&'static str, u64>,
    /// Bundles that took the place of another.
    pub(crate) reloads: u64,
    pub(crate) last_error: Option<LastError>,
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
}

/// A request about which the bytecode and the interpreter disagreed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    /// When, RFC 3339 in UTC.
    at: String,
    /// SHA-256 of the request's body.
    request_sha256: Option<String>,
}

/// What an error is about, and so what takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The bundle could not be read; it was, since.
    Reading,
    /// The bundle was refused; another was loaded since, or the one from before is back.
    Bundle,
    /// A worker ended or did not come up. It is remembered.
    Worker,
}

/// The last thing that went wrong with a tenant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LastError {
    #[serde(skip)]
    about: About,
    /// When, RFC 3339 in UTC.
    at: String,
    message: String,
    /// What is wrong in the bundle, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Diagnostic>,
}

impl Tenant {
    /// A tenant, and the requests to it.
    pub(crate) fn new(
        id: TenantId,
        limits: TenantLimits,
        sandboxing: &Sandboxing,
        metrics: TenantMetrics,
        stream: TenantStream,
    ) -> (Self, mpsc::Receiver<Request>) {
        let status = Status {
            tenant_id: id.clone(),
            state: match limits.activation {
                Activation::Eager => "starting",
                Activation::Lazy => "asleep",
            },
            since: now(),
            activation: limits.activation,
            pid: None,
            serving_since: None,
            revision: None,
            version: None,
            sandbox_mode: sandboxing.mode.name(),
            sandbox: Vec::new(),
            evaluator: None,
            interpreted_because: None,
            warnings: Vec::new(),
            ignored_files: Vec::new(),
            last_difference: None,
            restarts: 0,
            restarts_by_cause: BTreeMap::new(),
            reloads: 0,
            last_error: None,
        };
        let (requests, waiting) = Self::channel(&limits);
        let tenant = Self {
            id,
            limits,
            users: sandboxing.users.clone(),
            user: Mutex::new(None),
            metrics,
            lethal: LethalInputs::default(),
            stream: Arc::new(stream),
            stance: AtomicStance(AtomicU8::new(AtomicStance::OPEN)),
            requests: RwLock::new(requests),
            status: Mutex::new(status),
            failure_lines: Mutex::new(Ration::new(FAILURE_LINES_PER_SECOND)),
            queue: Arc::new(Semaphore::new(limits.queue_length.get())),
            body_memory: Arc::new(Semaphore::new(limits.max_body * BODY_MEMORY_IN_BODIES)),
        };
        (tenant, waiting)
    }

    /// As long as the queue, so whoever has a place in that has one here.
    fn channel(limits: &TenantLimits) -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
        mpsc::channel(limits.queue_length.get())
    }

    /// The requests from now on, for a driver in place of one that failed.
    pub(crate) fn requests_anew(&self) -> mpsc::Receiver<Request> {
        let (requests, waiting) = Self::channel(&self.limits);
        *self.requests.write().unwrap_or_else(PoisonError::into_inner) = requests;
        waiting
    }

    /// A copy of what operators are told now.
    pub(crate) fn status(&self) -> Status {
        self.locked().clone()
    }

    /// Whether the tenant is as it should be: it has a revision that was loaded, or sleeps and was
    /// not asked yet. A worker that crashed takes nothing from that: one tenant's crash must not
    /// make the whole host look unhealthy.
    pub(crate) fn is_healthy(&self) -> bool {
        let status = self.locked();
        status.revision.is_some() || status.state == "asleep"
    }

    /// The user that its workers run as: always the same, from the first time that there was one.
    /// `None` where none is given out, or none is left.
    pub(crate) fn user(&self) -> Option<u32> {
        let mut user = self.user.lock().unwrap_or_else(PoisonError::into_inner);
        if user.is_none() {
            *user = self.users.as_ref().and_then(Users::lease);
        }
        user.as_ref().map(UserLease::id)
    }

    /// Whether the tenant waits for a request.
    pub(crate) fn is_asleep(&self) -> bool {
        self.locked().state == "asleep"
    }

    /// The bytes that this tenant's request bodies may take from now on.
    pub(crate) fn body_memory(&self) -> &Arc<Semaphore> {
        &self.body_memory
    }

    /// Puts a request to the tenant's worker and waits for the answer, no longer than the tenant's
    /// evaluation timeout and the margin by which a late answer is waited for.
    pub(crate) async fn ask(&self, body: Body) -> Result<Answer, AskError> {
        let deadline = Instant::now() + self.limits.evaluation_timeout;
        if self.lethal.contains(&body.bytes) {
            return Err(AskError::LethalInput);
        }
        if let Some(refusal) = self.stance.refusal() {
            return Err(refusal);
        }
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            self.metrics.limit_reached(TenantLimit::QueueLength);
            AskError::Overloaded
        })?;
        let (reply, answer) = oneshot::channel();
        let Body { bytes, memory } = body;
        let permits = [place, memory];
        self.put(Request { body: bytes, deadline, reply, _permits: permits, is_suspect: false })?;
        match timeout_at(deadline + ANSWER_MARGIN, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(self.stance.refusal().unwrap_or(AskError::WorkerUnavailable)),
            // A worker that was there is late; one that is not there yet is no judge of time.
            Err(_) if self.locked().pid.is_some() => Err(AskError::TimedOut),
            Err(_) => Err(AskError::WorkerUnavailable),
        }
    }

    /// Puts a request where workers take it from.
    pub(crate) fn put(&self, request: Request) -> Result<(), AskError> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        // Never full, because the queue has no more places: it is closed, or takes it.
        requests.try_send(request).map_err(|_| AskError::WorkerUnavailable)
    }

    /// Makes the state known in which the tenant is now, and where no worker serves, that: nobody
    /// sees one without the other. Returns the name of the state before.
    pub(crate) fn enter(
        &self,
        name: &'static str,
        stance: Stance,
        is_served: bool,
    ) -> &'static str {
        self.stance.set(stance);
        let mut status = self.locked();
        if status.state != name {
            status.since = now();
        }
        let before = std::mem::replace(&mut status.state, name);
        if !is_served {
            status.forget_worker();
        }
        drop(status);
        self.metrics.ready.set(is_served.into());
        self.metrics.enter(before, name);
        before
    }

    /// No request gets an answer any more; the tenant is not there.
    pub(crate) fn remove(&self) {
        self.stance.0.store(AtomicStance::REMOVED, Ordering::Relaxed);
    }

    /// A worker has begun to serve. Returns the revision that served last.
    pub(crate) fn begin_serving(
        &self,
        pid: u32,
        revision: Revision,
        introduction: Introduction,
        ignored_files: &[String],
    ) -> Option<Revision> {
        let mut status = self.locked();
        status.pid = Some(pid);
        status.serving_since = Some(Instant::now());
        status.version = introduction.version;
        status.sandbox = introduction.layers;
        status.evaluates(&introduction.evaluator);
        status.warnings = introduction.warnings;
        status.ignored_files = ignored_files.to_vec();
        status.last_difference = None;
        let before = status.revision.replace(revision);
        if before != Some(revision) {
            // Another revision may deal with them.
            self.lethal.clear();
            status.reloads += u64::from(before.is_some());
        }
        before
    }

    /// The bytecode and the interpreter had different answers to a request, so it got an error. Its
    /// body is kept as a digest, by which the input can be found in the gateway's records; there is
    /// none where nobody waits for the answer any more.
    pub(crate) fn evaluators_differed(&self, body: Option<&Bytes>) {
        self.metrics.evaluator_differences.inc();
        let digest = body.map(|body| {
            Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        let mut status = self.locked();
        // A worker can say it as often as it likes.
        let was_told = status.last_difference.is_some();
        status.last_difference = Some(Difference { at: now(), request_sha256: digest.clone() });
        drop(status);
        if !was_told {
            error!(
                tenant_id = %self.id,
                request_sha256 = digest,
                "the bytecode and the interpreter disagree about a request, which was answered with an error: please report this policy and the input whose body has this digest"
            );
        }
    }

    /// No worker serves.
    pub(crate) fn end_serving(&self) {
        self.metrics.ready.set(0);
        self.locked().forget_worker();
    }

    /// Remembers what went wrong.
    pub(crate) fn record_error(&self, about: About, message: String, errors: Vec<Diagnostic>) {
        self.locked().last_error = Some(LastError { about, at: now(), message, errors });
    }

    /// Takes back what was said about what is so no more.
    pub(crate) fn forget_error(&self, about: About) {
        self.locked().last_error.take_if(|error| error.about == about);
    }

    /// Tells consumers of the decision stream what happened.
    pub(crate) fn tell(&self, change: Change, message: String, errors: Vec<Diagnostic>) {
        let (state, revision) = {
            let status = self.locked();
            (status.state, status.revision)
        };
        self.stream.changed(Changed { change, state, revision, message, errors });
    }

    /// Counts a worker that ended unasked, or did not come up.
    pub(crate) fn record_restart(&self, cause: Cause) {
        self.metrics.restarted(cause);
        let mut status = self.locked();
        status.restarts += 1;
        *status.restarts_by_cause.entry(cause.name()).or_default() += 1;
    }

    /// Whether a failure may be logged; counts it where it may not.
    pub(crate) fn may_log_failure(&self) -> bool {
        let may = self.failure_lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !may {
            self.metrics.limit_reached(TenantLimit::FailureLines);
        }
        may
    }

    fn locked(&self) -> MutexGuard<'_, Status> {
        // Every change leaves the status whole, so one that panicked elsewhere broke nothing here.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Config;
    use crate::metrics::Metrics;
    use crate::stream;

    /// A tenant with the default limits, and the requests to it.
    pub(crate) fn tenant() -> (Arc<Tenant>, mpsc::Receiver<Request>) {
        let bundles_dir = ("BUNDLES_DIR".to_owned(), "/".to_owned());
        let id: TenantId = "a".parse().unwrap();
        let limits = Config::parse(|_| None, [bundles_dir]).unwrap().limits(&id);
        let metrics = Metrics::new().tenant(&id);
        let stream = stream::tests::stream().tenant(&id, limits.max_body);
        let (tenant, requests) = Tenant::new(id, limits, &Sandboxing::bare(), metrics, stream);
        (Arc::new(tenant), requests)
    }

    /// A request with this body, and where its answer comes.
    pub(crate) fn request(
        body: impl Into<Bytes>,
        time: Duration,
    ) -> (Request, oneshot::Receiver<Result<Answer, AskError>>) {
        let permit = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + time;
        let _permits = [permit(), permit()];
        (Request { body: body.into(), deadline, reply, _permits, is_suspect: false }, answer)
    }

    #[tokio::test]
    async fn an_input_is_lethal_after_two_deaths_or_one_of_a_suspect() {
        let inputs = LethalInputs::default();
        let (mut request, _) = request("a", Duration::ZERO);
        inputs.remember(&request);
        assert!(!inputs.contains(b"a"));
        inputs.remember(&request);
        assert!(inputs.contains(b"a") && !inputs.contains(b"b"));

        let inputs = LethalInputs::default();
        request.is_suspect = true;
        inputs.remember(&request);
        assert!(inputs.contains(b"a"));
        inputs.clear();
        assert!(!inputs.contains(b"a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_is_not_lethal_for_ever() {
        let inputs = LethalInputs::default();
        let (mut request, _) = request("a", Duration::ZERO);
        request.is_suspect = true;
        inputs.remember(&request);
        tokio::time::advance(INPUT_MEMORY).await;
        assert!(!inputs.contains(b"a"));
        request.is_suspect = false;
        inputs.remember(&request);
        assert!(!inputs.contains(b"a"));
    }

    #[tokio::test]
    async fn no_more_inputs_are_remembered_than_that() {
        let inputs = LethalInputs::default();
        for number in 0..1000 {
            let (request, _) = request(number.to_string(), Duration::ZERO);
            inputs.remember(&request);
            inputs.remember(&request);
        }
        assert_eq!(inputs.locked().len(), REMEMBERED_INPUTS);
        assert!(inputs.contains(b"999") && !inputs.contains(b"0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_no_worker_takes_is_answered_at_its_deadline() {
        let (tenant, requests) = tenant();
        let memory = || Arc::clone(tenant.body_memory()).try_acquire_many_owned(0).unwrap();
        let body = || Body { bytes: Bytes::new(), memory: memory() };
        let start = Instant::now();
        assert_eq!(tenant.ask(body()).await.unwrap_err(), AskError::WorkerUnavailable);
        let timeout = tenant.limits.evaluation_timeout;
        assert!(start.elapsed() >= timeout && start.elapsed() < timeout * 2);
        for (stance, error) in [
            (Stance::Restarting, AskError::WorkerUnavailable),
            (Stance::Closed, AskError::Unavailable),
        ] {
            tenant.enter("backoff", stance, false);
            assert_eq!(tenant.ask(body()).await.unwrap_err(), error);
        }
        tenant.enter("ready", Stance::Open, true);
        drop(requests);
        assert_eq!(tenant.ask(body()).await.unwrap_err(), AskError::WorkerUnavailable);
        tenant.remove();
        assert_eq!(tenant.ask(body()).await.unwrap_err(), AskError::Removed);
    }
}
