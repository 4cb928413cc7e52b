//! Drives one tenant through its lifecycle: carries out what [`lifecycle`](super::lifecycle)
//! decides.

pub(crate) mod context;
pub(crate) mod loader;
mod publisher;
mod starter;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use enforcer_protocol::{Diagnostic, DiagnosticCode, Revision};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error};

use super::admission::Tenant;
use super::lifecycle::{self, Action, Event, PauseId, State, WorkerId, on_event};
use super::request::{AskError, Request};
use super::state::{Admission, Cause, TenantState};
use super::status::{ErrorSource, Publication, WorkerPresence};
use crate::bundles::Bundle;
use crate::bundles::limits::MAX_BUNDLE_BYTES;
use crate::clock::utc_now;
use crate::config::Activation;
use crate::deadline::DRAIN_MARGIN;
use crate::stream::Change;
use crate::telemetry::metrics::{BundleLoad, TenantLimit};
use crate::worker::exit::{Ended, Exit, Purpose};
use crate::worker::handshake::Stage;
use crate::worker::pipeline::{ServeParams, Served};
use context::{BundleSource, Context, ControlSignals, Verdict};
use loader::{Loading, Look, READ_AGAIN, READ_PATIENCE, Reading, load};
use publisher::{Publisher, ServedBefore, WorkerFailure};
use starter::{Loaded, StartError, start};

/// The advice about a bundle that ends its workers before they have loaded it.
const UNLOADABLE: &str = "the bundle is tried again when one of its files changes or is touched, on \
                          SIGHUP, and after a pause that grows: make it smaller, or raise the \
                          tenant's load timeout; if its worker crashed, please report it";

/// Drives `tenant`, whose bundle is in `source`, until it is told to stop. Restarts the
/// controller, after a pause, if it panics: a bug of ours, or a host without a thread left, must
/// not leave a tenant in its last state for ever.
pub(crate) async fn run_controller(
    tenant: Arc<Tenant>,
    requests: mpsc::Receiver<Request>,
    source: BundleSource,
    signals: Arc<ControlSignals>,
    context: Context,
) {
    let mut requests = requests;
    loop {
        let controller = Controller::new(&tenant, requests, &source, &signals, &context);
        let Err(panic) = tokio::spawn(controller.run()).await else { return };
        error!(
            tenant_id = %tenant.id,
            "the tenant's controller failed and is started again; please report this: {panic}"
        );
        let reason = "an unexpected error occurred; see the supervisor's log".to_owned();
        tenant.status.record_error(ErrorSource::Worker, &reason, &[]);
        let pause = jittered(lifecycle::LONGEST_PAUSE);
        tenant.status.publish(Publication {
            state: TenantState::Backoff,
            admission: Admission::Restarting,
            reason,
            retry_at: after(pause),
            stale: None,
            worker: WorkerPresence::Gone,
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = signals.stop.cancelled() => return,
        }
        requests = tenant.replace_channel();
    }
}

struct Controller {
    tenant: Arc<Tenant>,
    publisher: Publisher,
    source: BundleSource,
    signals: Arc<ControlSignals>,
    context: Context,
    state: State,
    began: Instant,
    /// The bundles whose revisions the lifecycle may ask for: at most the last good one and one
    /// that no worker has loaded.
    bundles: Vec<Arc<Bundle>>,
    loading: Loading,
    /// The fingerprint of the files that were read last.
    read: Option<u64>,
    /// The content of the directory then.
    found: Found,
    /// The requests, while no worker takes them.
    requests: Option<mpsc::Receiver<Request>>,
    /// Requests that go to the next worker before all others.
    backlog: VecDeque<Request>,
    /// The worker that is starting.
    starting: Option<(WorkerId, AbortHandle)>,
    /// A worker that has started, until it serves.
    loaded: Option<Loaded>,
    serving: Option<Server>,
    /// The worker that had the requests before, and gets no further ones.
    draining: Option<Draining>,
    /// The latest pause.
    pause: Option<AbortHandle>,
    /// All running tasks. Each ends by itself in bounded time, except serving.
    tasks: JoinSet<TaskEvent>,
}

/// The content of the directory when it was read last.
enum Found {
    /// Unknown: it was not read, or is to be read again before it is used.
    Unknown,
    Revision(Revision),
    /// It cannot be used, for this reason.
    Unusable(String),
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// A message from one of the controller's tasks.
enum TaskEvent {
    Looked(Reading),
    /// A reading that hung has ended.
    HangingEnded,
    Started(WorkerId, Result<Box<Loaded>, StartError>),
    Ended(WorkerId, Purpose, Ended),
    PauseOver(PauseId),
    LookAgain,
    DrainOver(WorkerId),
}

/// The worker that takes requests.
struct Server {
    worker: WorkerId,
    release: oneshot::Sender<oneshot::Sender<mpsc::Receiver<Request>>>,
    /// Gets the remaining requests as soon as it ends.
    left: oneshot::Receiver<Served>,
    task: AbortHandle,
}

/// A worker that finishes the requests it has.
struct Draining {
    worker: WorkerId,
    left: oneshot::Receiver<Served>,
    task: AbortHandle,
}

impl Controller {
    fn new(
        tenant: &Arc<Tenant>,
        requests: mpsc::Receiver<Request>,
        source: &BundleSource,
        signals: &Arc<ControlSignals>,
        context: &Context,
    ) -> Self {
        let (state, _) = lifecycle::begin(true);
        Self {
            tenant: Arc::clone(tenant),
            publisher: Publisher::new(Arc::clone(tenant)),
            source: source.clone(),
            signals: Arc::clone(signals),
            context: context.clone(),
            state,
            began: Instant::now(),
            bundles: Vec::new(),
            loading: Loading::Idle,
            read: None,
            found: Found::Unknown,
            requests: Some(requests),
            backlog: VecDeque::new(),
            starting: None,
            loaded: None,
            serving: None,
            draining: None,
            pause: None,
            tasks: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        let is_lazy = self.tenant.limits.activation == Activation::Lazy;
        let (state, actions) = lifecycle::begin(is_lazy);
        self.state = state;
        self.publish("the tenant was registered", None);
        Box::pin(self.carry_out(actions, "", None)).await;
        let (signals, tenant) = (Arc::clone(&self.signals), Arc::clone(&self.tenant));
        while !self.state.is_stopped() {
            tokio::select! {
                () = signals.stop.cancelled() => {
                    let ends = self.context.stop.is_cancelled();
                    let why = if ends { "the supervisor ends" } else { "its bundle is gone" };
                    Box::pin(self.handle(Event::Stop, why)).await;
                }
                Some(event) = self.tasks.join_next() => match event {
                    // On the heap while it lasts: most controllers of a large host are asleep.
                    Ok(event) => Box::pin(self.take(event)).await,
                    // A bug of ours: restart, as after a panic here.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                () = tenant.orders.reload.notified() => Box::pin(self.reload()).await,
                () = tenant.orders.restart.notified() => {
                    let why = "an operator asked for a fresh worker";
                    Box::pin(self.handle(Event::Restart, why)).await;
                }
                () = tenant.orders.release.notified() => {
                    let why = "an operator asked for another try";
                    Box::pin(self.handle(Event::Retry, why)).await;
                }
                () = signals.look.notified() => self.look(Look::IfChanged),
                Some(request) = waiting(self.requests.as_mut()), if self.wants_requests() => {
                    Box::pin(self.take_request(request)).await;
                }
            }
        }
        Box::pin(self.finish()).await;
    }

    /// Whether requests that come now are for the controller.
    fn wants_requests(&self) -> bool {
        self.state.is_asleep() || self.state.admission() == Admission::Closed
    }

    async fn take_request(&mut self, request: Request) {
        if self.state.is_asleep() {
            self.backlog.push_back(request);
            self.handle(Event::Requested, "a request came").await;
        } else {
            // It came in while the tenant was being closed.
            let _ = request.reply.send(Err(AskError::Unavailable));
        }
    }

    async fn handle(&mut self, event: Event, reason: &str) {
        let (state, actions) = on_event(self.state.clone(), self.began.elapsed(), event);
        self.state = state;
        self.bundles.retain(|bundle| self.state.needs(bundle.revision));
        if self.state.is_asleep() {
            self.found = Found::Unknown;
        }
        let pause = actions.iter().find_map(|action| match action {
            Action::Pause(_, length) => Some(jittered(*length)),
            _ => None,
        });
        if !actions.iter().any(|action| matches!(action, Action::Serve(_))) {
            // Else `serve` does, once it is true.
            self.publish(reason, pause.and_then(after));
        }
        if self.state.admission() == Admission::Closed {
            for request in self.backlog.drain(..) {
                let _ = request.reply.send(Err(AskError::Unavailable));
            }
        }
        self.carry_out(actions, reason, pause).await;
    }

    fn publish(&self, reason: &str, retry_at: Option<DateTime<Utc>>) {
        let is_served = self.serving.is_some();
        self.signals.set_verdict(self.verdict());
        self.publisher.publish(Publication {
            state: self.state.summary(),
            admission: self.state.admission(),
            reason: reason.to_owned(),
            retry_at,
            stale: self.stale(),
            worker: if is_served { WorkerPresence::Serving } else { WorkerPresence::Gone },
        });
    }

    /// What has become of the bundle that was read last.
    fn verdict(&self) -> Option<Verdict> {
        let Found::Revision(found) = self.found else { return None };
        if self.state.is_refused(found) || self.state.summary() == TenantState::Rejected {
            return Some(Verdict::Refused(found));
        }
        let serves = self.serving.is_some() && self.state.good_revision() == Some(found);
        serves.then_some(Verdict::Serves(found))
    }

    /// Why an older revision serves than the directory has, if so.
    fn stale(&self) -> Option<String> {
        let good = self.state.good_revision()?;
        let is_remote = self.source.source.is_remote();
        let bundle =
            if is_remote { "the bundle that was downloaded" } else { "the bundle in BUNDLES_DIR" };
        match &self.found {
            Found::Unknown => None,
            Found::Revision(found) if *found == good => None,
            Found::Revision(found) if self.state.is_refused(*found) => {
                Some(format!("{bundle} was rejected"))
            }
            Found::Revision(_) => Some(format!("{bundle} is not loaded yet")),
            Found::Unusable(why) => Some(format!("{bundle} was rejected: {why}")),
            Found::Unreadable(why) => Some(format!("the bundle cannot be read: {why}")),
        }
    }

    async fn carry_out(&mut self, actions: Vec<Action>, reason: &str, pause: Option<Duration>) {
        for action in actions {
            match action {
                Action::Read => self.look(Look::Anyway),
                Action::Start(worker, revision) => self.start(worker, revision),
                Action::Serve(worker) => self.serve(worker, reason).await,
                Action::Pause(id, length) => {
                    let length = pause.unwrap_or(length);
                    let task = self.tasks.spawn(async move {
                        sleep(length).await;
                        TaskEvent::PauseOver(id)
                    });
                    if let Some(before) = self.pause.replace(task) {
                        before.abort();
                    }
                }
                Action::GiveUp => {
                    let message = format!("no worker could load the bundle: {reason}");
                    let mut diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
                    diagnostic.help = Some(UNLOADABLE.to_owned());
                    self.publisher.rejected(&message, std::slice::from_ref(&diagnostic));
                    self.tenant.tell(Change::Rejected, message, vec![diagnostic]);
                }
                Action::Discard(worker) => {
                    self.loaded = None;
                    if let Some((_, start)) = self.starting.take_if(|(id, _)| *id == worker) {
                        // Its process is killed by being dropped.
                        start.abort();
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: TaskEvent) {
        match event {
            TaskEvent::PauseOver(pause) => {
                self.handle(Event::PauseOver(pause), "the pause is over").await;
            }
            TaskEvent::LookAgain => {
                if self.loading == Loading::Planned {
                    self.look(Look::Anyway);
                }
            }
            TaskEvent::DrainOver(worker) => self.stop_draining(worker).await,
            TaskEvent::Looked(reading) => self.take_reading(reading).await,
            TaskEvent::HangingEnded => {
                self.loading.end();
                self.look(Look::Anyway);
            }
            TaskEvent::Started(worker, result) => self.take_start(worker, result).await,
            TaskEvent::Ended(worker, purpose, ended) => {
                self.take_end(worker, purpose, ended).await;
            }
        }
    }

    /// An operator asks for another reading and another try.
    async fn reload(&mut self) {
        // The inputs may not have been the cause.
        self.tenant.poison.clear();
        self.handle(Event::Retry, "an operator asked for another try").await;
        self.look(Look::Anyway);
    }

    /// Looks at the bundle, or looks once more after the look that is running.
    fn look(&mut self, look: Look) {
        // An asleep tenant's bundle is read when it is needed.
        if self.state.is_asleep() || !self.loading.look(look) {
            return;
        }
        let known = match look {
            Look::IfChanged => self.read,
            Look::Anyway => None,
        };
        let mut source = self.source.clone();
        if self.serving.is_none() {
            source.source = source.source.for_start();
        }
        let max_bytes = MAX_BUNDLE_BYTES.min(self.tenant.limits.memory);
        let large_readers = Arc::clone(&self.context.large_readers);
        let loading = self.context.loading.clone();
        self.tasks.spawn(async move {
            TaskEvent::Looked(load(source, known, max_bytes, large_readers, loading).await)
        });
    }

    async fn take_reading(&mut self, reading: Reading) {
        if let Reading::Hangs(reading) = reading {
            return self.leave_reading(reading).await;
        }
        let then = self.loading.end();
        if self.state.is_asleep() {
            // It is read again when it is needed.
            return;
        }
        match reading {
            Reading::Unchanged | Reading::Hangs(_) => {}
            Reading::Read(bundle, fingerprint) => self.take_bundle(bundle, fingerprint).await,
            Reading::Empty(fingerprint) => {
                self.has_read(Some(fingerprint));
                let message = "the bundle holds neither a policy nor data";
                if self.state.good_revision().is_none() {
                    self.tenant.status.clear_error(ErrorSource::Reading);
                    self.found = Found::Unknown;
                    self.handle(Event::Empty, message).await;
                } else {
                    let diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.to_owned());
                    self.refuse(message.to_owned(), vec![diagnostic]).await;
                }
            }
            Reading::Refused(message, diagnostics, fingerprint) => {
                self.has_read(Some(fingerprint));
                self.refuse(message, diagnostics).await;
            }
            // Its first download is awaited, or the answer says why it did not come.
            Reading::Gone(_) if self.waits_for_download() => {
                self.has_read(None);
                // Told again, a tenant that waits would have lost a bundle.
                let is_waiting = self.state.summary() == TenantState::Waiting;
                if !is_waiting && !self.tenant.status.is_download_pending() {
                    self.tenant.status.clear_error(ErrorSource::Reading);
                    self.found = Found::Unknown;
                    self.handle(Event::Empty, "no bundle has been downloaded yet").await;
                }
            }
            Reading::Gone(message) => {
                // A tenant that stays away is removed soon; one that is added again is read then.
                self.has_read(None);
                self.handle(Event::Unreadable, &message).await;
            }
            Reading::Failed(message) => {
                self.has_read(None);
                self.could_not_read(&message).await;
                if self.loading.plan() {
                    self.tasks.spawn(async {
                        sleep(jittered(READ_AGAIN)).await;
                        TaskEvent::LookAgain
                    });
                }
            }
        }
        if let Some(look) = then {
            self.look(look);
        }
    }

    /// Whether there is no bundle of any revision, and there may be one as soon as it is downloaded.
    fn waits_for_download(&self) -> bool {
        self.source.source.is_remote() && self.state.good_revision().is_none()
    }

    fn has_read(&mut self, fingerprint: Option<u64>) {
        self.read = fingerprint;
        self.signals.set_read(fingerprint);
    }

    async fn take_bundle(&mut self, bundle: Bundle, fingerprint: u64) {
        let revision = bundle.revision;
        debug!(tenant_id = %self.tenant.id, %revision, files = bundle.files.len(), "bundle read");
        let is_touched = self.read.is_some_and(|before| before != fingerprint);
        self.has_read(Some(fingerprint));
        self.found = Found::Revision(revision);
        self.tenant.status.clear_error(ErrorSource::Reading);
        if is_touched && self.state.is_held() && self.state.is_known(revision) {
            // The content is unchanged, so an operator asks for another try.
            self.tenant.poison.clear();
            self.handle(Event::Retry, "a file of the bundle was touched").await;
        }
        if self.state.is_good(revision) {
            // The directory was repaired.
            self.tenant.status.clear_error(ErrorSource::Bundle);
        }
        if !self.state.needs(revision) {
            self.bundles.push(Arc::new(bundle));
        }
        self.handle(Event::Read(revision), "the bundle was read").await;
    }

    /// The bundle cannot be used as it was read.
    async fn refuse(&mut self, message: String, diagnostics: Vec<Diagnostic>) {
        // Once is enough, for any number of changes in the directory.
        let is_new = !matches!(&self.found, Found::Unusable(before) if *before == message);
        self.found = Found::Unusable(message.clone());
        if is_new {
            self.publisher.rejected(&message, &diagnostics);
        }
        self.handle(Event::Unusable, &message).await;
        if is_new {
            self.tenant.tell(Change::Rejected, message, diagnostics);
        }
    }

    /// Reading the bundle exceeded its deadline, so its file system must hang. It is not read again
    /// before that ends: each try would take one of the threads that all tenants share.
    async fn leave_reading(&mut self, reading: JoinHandle<()>) {
        self.loading = Loading::Hanging;
        let message = format!("reading it takes longer than {} seconds", READ_PATIENCE.as_secs());
        self.tasks.spawn(async move {
            // Only that it ends matters.
            let _ = reading.await;
            TaskEvent::HangingEnded
        });
        self.could_not_read(&message).await;
    }

    async fn could_not_read(&mut self, message: &str) {
        self.found = Found::Unreadable(message.to_owned());
        self.publisher.unreadable(message);
        self.handle(Event::Unreadable, message).await;
        self.tenant.tell(Change::Unreadable, message.to_owned(), Vec::new());
    }

    fn start(&mut self, worker: WorkerId, revision: Revision) {
        let bundle = self.bundles.iter().find(|bundle| bundle.revision == revision).cloned();
        let (tenant, context) = (Arc::clone(&self.tenant), self.context.clone());
        let is_good = self.state.is_good(revision);
        let task = self.tasks.spawn(async move {
            let result = match bundle {
                Some(bundle) => start(worker, &tenant, &context, &bundle).await,
                None => {
                    let message = "its bundle is not in memory; please report this";
                    Err(StartError::Failed(message.to_owned(), Cause::Host))
                }
            };
            let result = result.map_err(|error| match error {
                // A revision that was loaded before is not invalid; its worker or the host is at
                // fault.
                StartError::Refused(message, _) if is_good => {
                    StartError::Failed(message, Cause::Crash)
                }
                error => error,
            });
            TaskEvent::Started(worker, result.map(Box::new))
        });
        self.starting = Some((worker, task));
    }

    async fn take_start(&mut self, worker: WorkerId, result: Result<Box<Loaded>, StartError>) {
        self.starting.take_if(|(id, _)| *id == worker);
        match result {
            Ok(loaded) => {
                // It is the good revision from now on, even if another was read meanwhile.
                if self.bundles.iter().all(|kept| kept.revision != loaded.bundle.revision) {
                    self.bundles.push(Arc::clone(&loaded.bundle));
                }
                self.loaded = Some(*loaded);
                self.handle(Event::Loaded(worker), "the bundle was loaded").await;
            }
            Err(StartError::Refused(message, diagnostics)) => {
                self.publisher.rejected(&message, &diagnostics);
                self.handle(Event::Refused(worker), &message).await;
                self.tenant.tell(Change::Rejected, message, diagnostics);
            }
            Err(StartError::Failed(message, cause)) => {
                let reason = format!("worker did not start: {message}");
                self.tenant.metrics.bundle_load(BundleLoad::Failed);
                self.fail(Event::Failed(worker, cause), None, cause, &reason).await;
            }
        }
    }

    /// A worker failed.
    async fn fail(&mut self, event: Event, pid: Option<u32>, cause: Cause, reason: &str) {
        self.tenant.status.record_error(ErrorSource::Worker, reason, &[]);
        self.tenant.status.record_restart(cause, reason);
        self.handle(event, reason).await;
        self.publisher.worker_failed(&WorkerFailure { pid, cause, reason });
    }

    /// Gives the requests to the worker that has started. The one that had them keeps those that it
    /// has taken, and ends when it has answered them; each has a deadline, so that is soon.
    async fn serve(&mut self, worker: WorkerId, reason: &str) {
        let Some(loaded) = self.loaded.take_if(|loaded| loaded.worker == worker) else { return };
        let Loaded { process, connection, info, bundle, took, .. } = loaded;
        if let Some(before) = self.serving.take() {
            self.take_requests_back(before).await;
        }
        let Some(requests) = self.requests.take() else { return };
        let (pid, revision) = (process.pid, bundle.revision);
        let (release, released) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        let is_lazy = self.tenant.limits.activation == Activation::Lazy;
        let params = ServeParams {
            backlog: std::mem::take(&mut self.backlog),
            requests,
            release: released,
            idle_timeout: is_lazy.then_some(self.tenant.limits.idle_timeout),
            poison: Arc::clone(&self.tenant.poison),
            status: Arc::clone(&self.tenant.status),
            revision,
            has_mask: info.has_mask,
        };
        self.tenant.stream.set_mask(info.has_mask);
        let evaluator = info.evaluator.clone();
        // Before its first answer, so that no client has an answer of a revision that is not shown.
        let before = self.tenant.status.begin_serving(pid, revision, info, &bundle.ignored_files);
        self.tenant.begin_announcements();
        self.tenant.set_bundle(&bundle);
        let served_before = match before {
            None => ServedBefore::Nothing,
            Some(before) if before == revision => ServedBefore::SameRevision,
            Some(_) => ServedBefore::AnotherRevision,
        };
        if served_before != ServedBefore::SameRevision {
            // Another revision may handle them.
            self.tenant.poison.clear();
        }
        let task = self.tasks.spawn(async move {
            let served = connection.serve(params).await;
            let exit = Exit::of(&served.end, Stage::Introduced);
            let purpose = Purpose::of(&served.end);
            // A controller that is ending may not want the requests any more.
            let _ = leave.send(served);
            TaskEvent::Ended(worker, purpose, exit.learn(process).await)
        });
        self.serving = Some(Server { worker, release, left, task });
        // And the state only now: a client that reads that a tenant is ready finds its worker.
        self.publish(reason, None);
        self.publisher.serving(&publisher::Served {
            pid,
            revision,
            took,
            evaluator: evaluator.name(),
            interpreted_because: evaluator.interpreted_because(),
            served_before,
        });
    }

    async fn take_requests_back(&mut self, server: Server) {
        let (back, requests) = oneshot::channel();
        // If it ended meanwhile, it left them.
        if server.release.send(back).is_ok()
            && let Ok(requests) = requests.await
        {
            self.requests = Some(requests);
            let Server { worker, left, task, .. } = server;
            self.draining = Some(Draining { worker, left, task });
            // Every request that it has is answered or abandoned before that.
            let longest = self.tenant.limits.evaluation_timeout + DRAIN_MARGIN;
            self.tasks.spawn(async move {
                sleep(longest).await;
                TaskEvent::DrainOver(worker)
            });
        } else if let Ok(served) = server.left.await {
            self.take_remaining(served, None);
        }
    }

    /// Ends a worker that still drains when it cannot have any request left.
    async fn stop_draining(&mut self, worker: WorkerId) {
        if let Some(draining) = self.draining.take_if(|draining| draining.worker == worker) {
            // Its process is killed by being dropped.
            draining.task.abort();
            self.tenant.metrics.limit_reached(TenantLimit::DrainTime);
            self.handle(Event::Drained(worker), "the worker drained for too long").await;
        }
    }

    fn take_remaining(&mut self, served: Served, cause: Option<Cause>) {
        if let Some(culprit) = served.culprit {
            if cause.is_some_and(Cause::may_be_an_input) {
                self.tenant.poison.remember(&culprit);
            }
            let error = match cause {
                Some(Cause::Memory) => AskError::MemoryLimit,
                _ => AskError::WorkerUnavailable,
            };
            let _ = culprit.reply.send(Err(error));
        }
        self.backlog.extend(served.unanswered);
        if served.requests.is_some() {
            self.requests = served.requests;
        }
    }

    async fn take_end(&mut self, worker: WorkerId, purpose: Purpose, ended: Ended) {
        let Ended { pid, end, cause } = ended;
        let was_serving = self.serving.take_if(|serving| serving.worker == worker);
        let reason = format!("worker ended: {end}");
        if let Some(server) = was_serving {
            if let Ok(served) = server.left.await {
                self.take_remaining(served, Some(cause));
            }
        } else if let Some(draining) = self.draining.take_if(|draining| draining.worker == worker)
            && let Ok(served) = draining.left.await
        {
            // The end of a worker of the previous revision says nothing about this one.
            self.take_remaining(served, None);
            // Another worker has the requests by now, and is to get these too.
            for request in std::mem::take(&mut self.backlog) {
                // If that fails, dropping the request reports it.
                let _ = self.tenant.put(request);
            }
        }
        match purpose {
            Purpose::Drained => self.handle(Event::Drained(worker), &reason).await,
            Purpose::Idle => {
                self.handle(Event::Idle(worker), "no request for the idle timeout").await
            }
            Purpose::Unasked => {
                self.fail(Event::Ended(worker, cause), Some(pid), cause, &reason).await;
            }
        }
    }

    /// Ends the workers. Clients are no longer served by then, so a client that still waits for an
    /// answer has had the time that shutting down allows, and is told that there will be no answer.
    async fn finish(mut self) {
        if !self.context.stop.is_cancelled()
            && let Some(server) = self.serving.take()
        {
            // The tenant was removed: requests that were accepted before are answered.
            let longest = self.tenant.limits.evaluation_timeout + DRAIN_MARGIN;
            let drained = async {
                let worker = server.worker;
                self.take_requests_back(server).await;
                while let Some(event) = self.tasks.join_next().await {
                    if matches!(event, Ok(TaskEvent::Ended(ended, ..)) if ended == worker) {
                        break;
                    }
                }
            };
            // Giving up loses only answers that would be too late.
            let _ = timeout(longest, drained).await;
        }
        self.tenant.status.end_serving();
        self.tasks.shutdown().await;
    }
}

async fn waiting(requests: Option<&mut mpsc::Receiver<Request>>) -> Option<Request> {
    match requests {
        Some(requests) => requests.recv().await,
        None => std::future::pending().await,
    }
}

/// The time after a pause that begins now.
fn after(pause: Duration) -> Option<DateTime<Utc>> {
    utc_now().checked_add_signed(TimeDelta::from_std(pause).ok()?)
}

/// `pause`, with a jitter of a quarter: tenants that failed together do not restart together.
fn jittered(pause: Duration) -> Duration {
    // A fresh hasher has random keys, which is all the randomness that is needed here.
    let random = RandomState::new().build_hasher().finish();
    let percent = u32::try_from(random % 51).unwrap_or(25);
    pause * (75 + percent) / 100
}
