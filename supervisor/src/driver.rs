//! Drives one tenant through its lifecycle: carries out what [`lifecycle`] decides.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::{
    Diagnostic, DiagnosticCode, EXIT_MEMORY_LIMIT, EXIT_NOT_SEALED, Revision, SandboxLayer,
};
use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::bundles::{self, Bundle, BundleError};
use crate::config::Activation;
use crate::connection::{Connection, End, HandshakeError, Intake, Introduction, Served};
use crate::lifecycle::{self, Action, Cause, Event, PauseId, Stance, State, WorkerId, on_event};
use crate::logging::printable;
use crate::metrics::{Reload, TenantLimit};
use crate::process_usage::is_stopped;
use crate::ration::Ration;
use crate::sandbox::Sandboxing;
use crate::spawn::{ProcessEnd, ProcessHandle, Spawner};
use crate::stream::Change;
use crate::tenant::{About, AskError, Request, Tenant};

/// How long a worker whose socket is closed may take to end by itself.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// How long beyond its tenant's evaluation timeout a worker may take to finish what it has.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);

/// Bytes of a bundle that is read without regard to others.
const SMALL_BUNDLE: u64 = 8 * 1024 * 1024;

/// Larger bundles that are read at once.
pub(crate) const LARGE_READERS: usize = 2;

/// How long reading a bundle may take before its file system is taken for one that hangs.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Pause before a bundle is read again that could not be read for a reason that may pass.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What to do about a bundle that ends its workers before they have loaded it.
const UNLOADABLE: &str = "the bundle is tried again when it changes, when you ask for a reload, and \
                          after a pause that grows: make it smaller, or raise the tenant's load timeout; \
                          if its worker crashed, please report it";

/// Lines of a worker's standard error that are logged in a second.
const STDERR_LINES_PER_SECOND: u32 = 32;

/// Bytes of a worker's standard error in one line of the log.
const STDERR_LINE: usize = 512;

/// What a driver needs besides its tenant.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) spawner: Spawner,
    pub(crate) sandboxing: Arc<Sandboxing>,
    /// [`LARGE_READERS`] of them.
    pub(crate) large_readers: Arc<Semaphore>,
    /// Where files are read.
    pub(crate) loading: Handle,
    /// The supervisor ends.
    pub(crate) stop: CancellationToken,
}

/// What a tenant's driver is told from outside.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The bundle may have changed.
    pub(crate) look: Notify,
    /// An operator wants everything read and tried again.
    pub(crate) reload: Notify,
    /// The tenant is no more, or the supervisor ends.
    pub(crate) stop: CancellationToken,
}

impl Orders {
    pub(crate) fn new(surroundings: &Surroundings) -> Self {
        Self { look: Notify::new(), reload: Notify::new(), stop: surroundings.stop.child_token() }
    }
}

/// Drives `tenant`, whose bundle is in `directory`, until it is told to stop. Begins again, after a
/// pause, should that panic: a fault of ours, or a host that has no thread left, must not leave a
/// tenant in its last state for ever.
pub(crate) async fn drive_always(
    tenant: Arc<Tenant>,
    requests: mpsc::Receiver<Request>,
    directory: PathBuf,
    orders: Arc<Orders>,
    surroundings: Surroundings,
) {
    let mut requests = requests;
    loop {
        let driver = Driver::new(&tenant, requests, &directory, &orders, &surroundings);
        let Err(panic) = tokio::spawn(driver.drive()).await else { return };
        error!(tenant_id = %tenant.id, "the tenant's driver failed: {panic}");
        let message = "an unexpected error occurred; the log says more".to_owned();
        tenant.record_error(About::Worker, message, Vec::new());
        tenant.enter("backoff", Stance::Restarting, false);
        tokio::select! {
            () = sleep(jittered(lifecycle::LONGEST_PAUSE)) => {}
            () = orders.stop.cancelled() => return,
        }
        requests = tenant.requests_anew();
    }
}

struct Driver {
    tenant: Arc<Tenant>,
    directory: PathBuf,
    orders: Arc<Orders>,
    surroundings: Surroundings,
    state: State,
    began: Instant,
    /// The bundles whose revisions the lifecycle may ask for: at most the last good one and one
    /// that no worker has loaded.
    bundles: Vec<Arc<Bundle>>,
    is_reading: bool,
    /// Whether something may have changed since the reading that is under way began.
    is_read_stale: bool,
    /// Whether it will be looked again by itself.
    is_look_planned: bool,
    /// Why the bundle could not be used when it was read last.
    unusable: Option<String>,
    /// The requests, while no worker takes them.
    requests: Option<mpsc::Receiver<Request>>,
    /// Requests that go to the next worker before all others.
    backlog: VecDeque<Request>,
    /// The worker that comes up.
    starting: Option<(WorkerId, AbortHandle)>,
    /// A worker that has come up, until it serves.
    loaded: Option<Loaded>,
    serving: Option<Server>,
    /// The worker that had the requests before, and gets no more.
    draining: Option<Draining>,
    /// The latest pause.
    pause: Option<AbortHandle>,
    /// Everything that is under way. Each ends by itself in bounded time, but for serving.
    tasks: JoinSet<Happening>,
}

/// What a task of the driver's has to tell.
enum Happening {
    Read(Result<Bundle, ReadError>),
    /// The reading that is under way has taken too long to be waited for.
    ReadHangs(JoinHandle<()>),
    /// That reading has ended after all.
    ReadEnded,
    Started(WorkerId, Result<Box<Loaded>, StartError>),
    Ended(WorkerId, Purpose, Ended),
    PauseOver(PauseId),
    LookAgain,
    DrainOver(WorkerId),
}

/// A worker that has loaded its bundle, and does not serve yet.
struct Loaded {
    worker: WorkerId,
    process: ProcessHandle,
    connection: Connection,
    introduction: Introduction,
    bundle: Arc<Bundle>,
    took: Duration,
}

/// The worker that takes requests.
struct Server {
    worker: WorkerId,
    release: oneshot::Sender<oneshot::Sender<mpsc::Receiver<Request>>>,
    /// Gets what it leaves as soon as it ends.
    left: oneshot::Receiver<Served>,
    task: AbortHandle,
}

/// A worker that finishes what it has.
struct Draining {
    worker: WorkerId,
    left: oneshot::Receiver<Served>,
    task: AbortHandle,
}

/// How a worker has ended.
struct Ended {
    pid: u32,
    /// In words.
    end: String,
    /// Means something only where it was not told to end.
    cause: Cause,
}

/// Whether a worker ended as it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Drained,
    Idle,
    Unasked,
}

impl Purpose {
    const fn of(end: &End) -> Self {
        match end {
            End::Drained => Self::Drained,
            End::Idle => Self::Idle,
            End::Stuck | End::Closed | End::Breach(_) | End::Socket(_) => Self::Unasked,
        }
    }
}

/// Why there is no bundle.
enum ReadError {
    /// The bundle cannot be used, and reading it again would not help.
    Refused(String, Vec<Diagnostic>),
    /// There is no directory.
    Gone(String),
    /// Anything else.
    Failed(String),
}

/// Why a worker did not come up.
enum StartError {
    /// The bundle cannot be used, and trying again would not help.
    Refused(String, Vec<Diagnostic>),
    /// Anything else.
    Failed(String, Cause),
}

impl Driver {
    fn new(
        tenant: &Arc<Tenant>,
        requests: mpsc::Receiver<Request>,
        directory: &std::path::Path,
        orders: &Arc<Orders>,
        surroundings: &Surroundings,
    ) -> Self {
        let (state, _) = lifecycle::begin(true);
        Self {
            tenant: Arc::clone(tenant),
            directory: directory.to_owned(),
            orders: Arc::clone(orders),
            surroundings: surroundings.clone(),
            state,
            began: Instant::now(),
            bundles: Vec::new(),
            is_reading: false,
            is_read_stale: false,
            is_look_planned: false,
            unusable: None,
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

    async fn drive(mut self) {
        let is_lazy = self.tenant.limits.activation == Activation::Lazy;
        let (state, actions) = lifecycle::begin(is_lazy);
        self.state = state;
        self.publish("", false);
        Box::pin(self.carry_out(actions, "")).await;
        let orders = Arc::clone(&self.orders);
        while !self.state.is_stopped() {
            tokio::select! {
                () = orders.stop.cancelled() => {
                    let ends = self.surroundings.stop.is_cancelled();
                    let why = if ends { "the supervisor ends" } else { "its directory is gone" };
                    Box::pin(self.handle(Event::Stop, why)).await;
                }
                Some(happening) = self.tasks.join_next() => match happening {
                    // On the heap while it lasts: most drivers of a large host are asleep.
                    Ok(happening) => Box::pin(self.take(happening)).await,
                    // A fault of ours: begin anew, as for one in here.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                () = orders.reload.notified() => Box::pin(self.begin_anew()).await,
                () = orders.look.notified() => self.look(),
                Some(request) = waiting(self.requests.as_mut()), if self.wants_requests() => {
                    Box::pin(self.take_request(request)).await;
                }
            }
        }
        Box::pin(self.finish()).await;
    }

    /// Whether requests that come now are for the driver.
    fn wants_requests(&self) -> bool {
        self.state.is_asleep() || self.state.stance() == Stance::Closed
    }

    async fn take_request(&mut self, request: Request) {
        if self.state.is_asleep() {
            self.backlog.push_back(request);
            self.handle(Event::Requested, "a request came").await;
        } else {
            // It slipped in while the tenant was closed.
            let _ = request.reply.send(Err(AskError::Unavailable));
        }
    }

    async fn handle(&mut self, event: Event, reason: &str) {
        let now = self.began.elapsed();
        let was_quarantined = self.state.is_quarantined();
        let (state, actions) = on_event(self.state.clone(), now, event);
        self.state = state;
        self.bundles.retain(|bundle| self.state.needs(bundle.revision));
        if self.state.is_quarantined() && !was_quarantined {
            self.tenant.metrics.quarantines.inc();
            error!(tenant_id = %self.tenant.id, "tenant quarantined: {}", printable(reason));
        }
        if !actions.iter().any(|action| matches!(action, Action::Serve(_))) {
            // Else `serve` does, once it is true.
            self.publish(reason, self.serving.is_some());
        }
        if let Event::Ended(..) | Event::Failed(..) = event {
            self.tenant.tell(Change::Crashed, reason.to_owned(), Vec::new());
        }
        if self.state.is_quarantined() && !was_quarantined {
            self.tenant.tell(Change::Quarantined, reason.to_owned(), Vec::new());
        }
        if self.state.stance() == Stance::Closed {
            for request in self.backlog.drain(..) {
                let _ = request.reply.send(Err(AskError::Unavailable));
            }
        }
        self.carry_out(actions, reason).await;
    }

    /// Makes the state known, and logs it where it is another.
    fn publish(&self, reason: &str, is_served: bool) {
        let name = self.state.name();
        let before = self.tenant.enter(name, self.state.stance(), is_served);
        if before != name {
            let reason = printable(reason);
            info!(tenant_id = %self.tenant.id, from = before, to = name, "tenant is {name}: {reason}");
            if self.state.is_asleep() && !before.is_empty() {
                self.tenant.tell(Change::Asleep, reason.to_string(), Vec::new());
            }
        }
    }

    async fn carry_out(&mut self, actions: Vec<Action>, reason: &str) {
        for action in actions {
            match action {
                Action::Read => self.look(),
                Action::Start(worker, revision) => self.start(worker, revision),
                Action::Serve(worker) => self.serve(worker, reason).await,
                Action::Pause(pause, length) => {
                    let task = self.tasks.spawn(async move {
                        sleep(jittered(length)).await;
                        Happening::PauseOver(pause)
                    });
                    if let Some(before) = self.pause.replace(task) {
                        before.abort();
                    }
                }
                Action::GiveUp => {
                    let message = format!("no worker could load the bundle: {reason}");
                    let mut diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
                    diagnostic.help = Some(UNLOADABLE.to_owned());
                    self.reject(message.clone(), vec![diagnostic.clone()]);
                    self.tenant.tell(Change::Rejected, message, vec![diagnostic]);
                }
                Action::Discard(worker) => {
                    self.loaded = None;
                    if let Some((_, start)) = self.starting.take_if(|(id, _)| *id == worker) {
                        // Its process is killed by being dropped.
                        start.abort();
                    }
                }
                // Carried out when the loop has ended.
                Action::Finish => {}
            }
        }
    }

    async fn take(&mut self, happening: Happening) {
        match happening {
            Happening::PauseOver(pause) => {
                self.handle(Event::PauseOver(pause), "the pause is over").await
            }
            Happening::LookAgain => {
                self.is_look_planned = false;
                self.look();
            }
            Happening::DrainOver(worker) => self.give_up_draining(worker).await,
            Happening::Read(read) => self.take_bundle(read).await,
            Happening::ReadHangs(reading) => self.leave_reading(reading).await,
            Happening::ReadEnded => {
                self.is_reading = false;
                self.look();
            }
            Happening::Started(worker, result) => self.take_start(worker, result).await,
            Happening::Ended(worker, purpose, ended) => {
                self.take_end(worker, purpose, ended).await;
            }
        }
    }

    /// An operator wants everything read and tried again.
    async fn begin_anew(&mut self) {
        // It may not have been the inputs.
        self.tenant.lethal.clear();
        self.unusable = None;
        self.handle(Event::Retry, "an operator wants another try").await;
        self.look();
    }

    /// Reads the bundle, unless that is under way: then once more when it is done.
    fn look(&mut self) {
        if self.is_reading {
            self.is_read_stale = true;
            return;
        }
        if self.state.is_asleep() {
            // It is read when it is needed.
            return;
        }
        self.is_reading = true;
        self.is_read_stale = false;
        let directory = self.directory.clone();
        let max_bytes = bundles::MAX_BUNDLE_BYTES.min(self.tenant.limits.memory);
        let large_readers = Arc::clone(&self.surroundings.large_readers);
        let loading = self.surroundings.loading.clone();
        self.tasks.spawn(read(directory, max_bytes, large_readers, loading));
    }

    async fn take_bundle(&mut self, read: Result<Bundle, ReadError>) {
        self.is_reading = false;
        if self.state.is_asleep() {
            // It is read again when it is needed.
            return;
        }
        match read {
            Ok(bundle) => {
                self.unusable = None;
                let revision = bundle.revision;
                self.tenant.forget_error(About::Reading);
                if self.state.is_good(revision) {
                    // Whatever was wrong with the directory was put right.
                    self.tenant.forget_error(About::Bundle);
                }
                if !self.state.needs(revision) {
                    self.bundles.push(Arc::new(bundle));
                }
                self.handle(Event::Read(revision), "the bundle was read").await;
            }
            Err(ReadError::Refused(message, diagnostics)) => {
                // Once is enough, however often something in the directory changes.
                let is_new = self.unusable.replace(message.clone()).as_ref() != Some(&message);
                if is_new {
                    self.reject(message.clone(), diagnostics.clone());
                }
                self.handle(Event::Unusable, &message).await;
                if is_new {
                    self.tenant.tell(Change::Rejected, message, diagnostics);
                }
            }
            Err(ReadError::Gone(message)) => {
                // Who is gone for good is removed soon; who comes back is looked at then.
                self.handle(Event::Unreadable, &message).await;
            }
            Err(ReadError::Failed(message)) => {
                self.could_not_read(&message).await;
                self.look_later();
            }
        }
        if self.is_read_stale {
            self.look();
        }
    }

    /// The bundle has been read for so long that its file system must hang. It is not read again
    /// before that ends: each try would take a thread that everybody needs.
    async fn leave_reading(&mut self, reading: JoinHandle<()>) {
        let message = format!("reading it takes longer than {} seconds", READ_PATIENCE.as_secs());
        self.tasks.spawn(async move {
            // However it ends, it does.
            let _ = reading.await;
            Happening::ReadEnded
        });
        self.could_not_read(&message).await;
    }

    async fn could_not_read(&mut self, message: &str) {
        warn!(tenant_id = %self.tenant.id, "the bundle could not be read: {message}");
        self.tenant.metrics.reloaded(Reload::Failed);
        self.tenant.record_error(About::Reading, message.to_owned(), Vec::new());
        self.handle(Event::Unreadable, message).await;
        self.tenant.tell(Change::Unreadable, message.to_owned(), Vec::new());
    }

    fn look_later(&mut self) {
        if !std::mem::replace(&mut self.is_look_planned, true) {
            self.tasks.spawn(async {
                sleep(jittered(READ_AGAIN)).await;
                Happening::LookAgain
            });
        }
    }

    fn start(&mut self, worker: WorkerId, revision: Revision) {
        let bundle = self.bundles.iter().find(|bundle| bundle.revision == revision).cloned();
        let (tenant, surroundings) = (Arc::clone(&self.tenant), self.surroundings.clone());
        let is_good = self.state.is_good(revision);
        let task = self.tasks.spawn(async move {
            let result = match bundle {
                Some(bundle) => start(worker, &tenant, &surroundings, &bundle).await,
                // Not reached: the lifecycle starts workers for bundles that it said it needs.
                None => Err(StartError::Failed("its bundle is not there".into(), Cause::Host)),
            };
            let result = result.map_err(|error| match error {
                // What was loaded before is no worse now; its worker or the host is.
                StartError::Refused(message, _) if is_good => {
                    StartError::Failed(message, Cause::Crash)
                }
                error => error,
            });
            Happening::Started(worker, result.map(Box::new))
        });
        self.starting = Some((worker, task));
    }

    async fn take_start(&mut self, worker: WorkerId, result: Result<Box<Loaded>, StartError>) {
        self.starting.take_if(|(id, _)| *id == worker);
        match result {
            Ok(loaded) => {
                self.loaded = Some(*loaded);
                // It is the good one from now on, also where another was read meanwhile.
                self.keep_loaded();
                self.handle(Event::Loaded(worker), "the bundle was loaded").await;
            }
            Err(StartError::Refused(message, diagnostics)) => {
                self.reject(message.clone(), diagnostics.clone());
                self.handle(Event::Refused(worker), &message).await;
                self.tenant.tell(Change::Rejected, message, diagnostics);
            }
            Err(StartError::Failed(message, cause)) => {
                let reason = format!("worker did not start: {message}");
                warn!(tenant_id = %self.tenant.id, cause = cause.name(), "{reason}");
                self.tenant.metrics.reloaded(Reload::Failed);
                self.tenant.record_error(About::Worker, reason.clone(), Vec::new());
                self.tenant.record_restart(cause);
                self.handle(Event::Failed(worker, cause), &reason).await;
            }
        }
    }

    fn keep_loaded(&mut self) {
        let Some(Loaded { bundle, .. }) = &self.loaded else { return };
        if self.bundles.iter().all(|kept| kept.revision != bundle.revision) {
            self.bundles.push(Arc::clone(bundle));
        }
    }

    /// Says what is wrong with a bundle, everywhere.
    fn reject(&self, message: String, diagnostics: Vec<Diagnostic>) {
        let tenant_id = &self.tenant.id;
        for diagnostic in diagnostics.iter().take_while(|_| self.tenant.may_log_failure()) {
            let place = diagnostic.location.as_ref();
            error!(
                %tenant_id,
                code = diagnostic.code.as_str(),
                file = place.map(|place| place.file.as_str()),
                row = place.map(|place| place.row),
                col = place.map(|place| place.col),
                line = diagnostic.line.as_deref().map(|line| printable(line).to_string()),
                help = diagnostic.help.as_deref().map(|help| printable(help).to_string()),
                "bundle rejected: {}",
                printable(&diagnostic.message)
            );
        }
        self.tenant.metrics.reloaded(Reload::Rejected);
        self.tenant.record_error(About::Bundle, message, diagnostics);
    }

    /// Gives the requests to the worker that has come up. The one that had them keeps those that it
    /// has taken, and ends when it has answered them; each has a deadline, so that is soon.
    async fn serve(&mut self, worker: WorkerId, reason: &str) {
        let Some(loaded) = self.loaded.take_if(|loaded| loaded.worker == worker) else {
            // Not reached: a worker is loaded before it serves.
            return;
        };
        let Loaded { process, connection, introduction, bundle, took, .. } = loaded;
        if let Some(before) = self.serving.take() {
            self.take_requests_back(before).await;
        }
        let Some(requests) = self.requests.take() else {
            // Not reached: whoever had them gave them back.
            return;
        };
        let pid = process.pid;
        let revision = bundle.revision;
        let (release, released) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        let is_lazy = self.tenant.limits.activation == Activation::Lazy;
        let intake = Intake {
            backlog: std::mem::take(&mut self.backlog),
            requests,
            release: released,
            idle_timeout: is_lazy.then_some(self.tenant.limits.idle_timeout),
            tenant: Arc::clone(&self.tenant),
            revision,
        };
        let evaluator = introduction.evaluator.name();
        let because = introduction.evaluator.interpreted_because();
        let interpreted_because = because.map(|reason| printable(reason).to_string());
        // Before its first answer, so that nobody has an answer of a revision that is not known yet.
        let before = self.tenant.begin_serving(pid, revision, introduction, &bundle.ignored_files);
        // And the state only now: who reads that a tenant is ready finds its worker there.
        self.publish(reason, true);
        let is_another = before != Some(revision);
        let is_reload = is_another && before.is_some();
        let task = self.tasks.spawn(async move {
            let served = connection.serve(intake).await;
            let (exit, purpose) = (Exit::of(&served.end, true), Purpose::of(&served.end));
            // The driver may be past caring for requests, when it ends.
            let _ = leave.send(served);
            Happening::Ended(worker, purpose, exit.learn(process).await)
        });
        self.serving = Some(Server { worker, release, left, task });
        // No more digits than mean something.
        let milliseconds = (took.as_secs_f64() * 1e6).round() / 1e3;
        if is_another {
            self.tenant.metrics.reloaded(Reload::Loaded);
            self.tenant.forget_error(About::Bundle);
        }
        info!(
            tenant_id = %self.tenant.id,
            pid,
            %revision,
            evaluator,
            interpreted_because,
            milliseconds,
            "worker serves"
        );
        let message = format!("a worker serves, {milliseconds} ms after it was started");
        self.tenant.tell(
            if is_reload { Change::Reloaded } else { Change::Ready },
            message,
            Vec::new(),
        );
    }

    async fn take_requests_back(&mut self, server: Server) {
        let (back, requests) = oneshot::channel();
        // Where it ended meanwhile, it has left them.
        if server.release.send(back).is_ok()
            && let Ok(requests) = requests.await
        {
            self.requests = Some(requests);
            let Server { worker, left, task, .. } = server;
            self.draining = Some(Draining { worker, left, task });
            // Every request that it has is answered or given up sooner than that.
            let longest = self.tenant.limits.evaluation_timeout + DRAIN_MARGIN;
            self.tasks.spawn(async move {
                sleep(longest).await;
                Happening::DrainOver(worker)
            });
        } else if let Ok(served) = server.left.await {
            self.take_what_is_left(served, None);
        }
    }

    /// Ends a worker that still drains when it cannot have anything left to answer.
    async fn give_up_draining(&mut self, worker: WorkerId) {
        if let Some(draining) = self.draining.take_if(|draining| draining.worker == worker) {
            // Its process is killed by being dropped.
            draining.task.abort();
            self.tenant.metrics.limit_reached(TenantLimit::DrainTime);
            self.handle(Event::Drained(worker), "the worker drained for too long").await;
        }
    }

    fn take_what_is_left(&mut self, served: Served, cause: Option<Cause>) {
        if let Some(culprit) = served.culprit {
            if cause.is_some_and(Cause::may_be_an_input_s) {
                self.tenant.lethal.remember(&culprit);
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
                self.take_what_is_left(served, Some(cause));
            }
        } else if let Some(draining) = self.draining.take_if(|draining| draining.worker == worker)
            && let Ok(served) = draining.left.await
        {
            // What a worker of the revision before dies of says nothing about this one.
            self.take_what_is_left(served, None);
            // Another worker has the requests by now, and is to get these too.
            for request in std::mem::take(&mut self.backlog) {
                // Where that fails, dropping it says so.
                let _ = self.tenant.put(request);
            }
        }
        let tenant_id = &self.tenant.id;
        let event = match purpose {
            Purpose::Drained => Event::Drained(worker),
            Purpose::Idle => Event::Idle(worker),
            Purpose::Unasked => {
                warn!(%tenant_id, pid, cause = cause.name(), "{reason}");
                if cause.is_sign_of_compromise() {
                    error!(%tenant_id, pid, cause = cause.name(), "a worker did what no honest one does: {end}");
                }
                self.tenant.record_error(About::Worker, reason.clone(), Vec::new());
                self.tenant.record_restart(cause);
                Event::Ended(worker, cause)
            }
        };
        self.handle(event, &reason).await;
    }

    /// Ends the workers. Clients are no longer served by then, so whoever still waits for an answer
    /// has had the time that shutting down allows, and is told that there will be none.
    async fn finish(mut self) {
        if !self.surroundings.stop.is_cancelled()
            && let Some(server) = self.serving.take()
        {
            // The tenant was removed: who was accepted before is answered.
            let longest = self.tenant.limits.evaluation_timeout + DRAIN_MARGIN;
            let drained = async {
                let worker = server.worker;
                self.take_requests_back(server).await;
                while let Some(happening) = self.tasks.join_next().await {
                    if matches!(happening, Ok(Happening::Ended(ended, ..)) if ended == worker) {
                        break;
                    }
                }
            };
            // Nothing is lost by giving up but answers that are too late.
            let _ = timeout(longest, drained).await;
        }
        self.tenant.end_serving();
        self.tasks.shutdown().await;
    }
}

/// Reads a bundle. Large ones wait for one another, so that not all of them are in memory twice at
/// once; small ones wait for nobody. Nobody waits for one that hangs.
async fn read(
    directory: PathBuf,
    max_bytes: u64,
    large_readers: Arc<Semaphore>,
    loading: Handle,
) -> Happening {
    let failed = |error: String| Happening::Read(Err(ReadError::Failed(error)));
    let root = directory.clone();
    let glance = match patiently(&loading, move || bundles::glance(&root)).await {
        Ok(glance) => glance,
        Err(happening) => return happening,
    };
    let (permit, max_bytes) = if glance.bytes > SMALL_BUNDLE {
        match large_readers.acquire_owned().await {
            Ok(permit) => (Some(permit), max_bytes),
            // Not reached: it is never closed.
            Err(error) => return failed(error.to_string()),
        }
    } else {
        (None, max_bytes.min(SMALL_BUNDLE))
    };
    let read = patiently(&loading, move || bundles::read(&directory, max_bytes)).await;
    drop(permit);
    match read {
        Ok(Ok(bundle)) => Happening::Read(Ok(bundle)),
        Ok(Err(error @ BundleError::TooLarge { .. })) if max_bytes == SMALL_BUNDLE => {
            failed(format!("it has grown meanwhile: {error}"))
        }
        Ok(Err(error @ BundleError::Gone)) => {
            Happening::Read(Err(ReadError::Gone(error.to_string())))
        }
        Ok(Err(error)) if error.is_passing() => failed(error.to_string()),
        Ok(Err(error)) => {
            let message = error.to_string();
            let diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
            Happening::Read(Err(ReadError::Refused(message, vec![diagnostic])))
        }
        Err(happening) => happening,
    }
}

/// Does what reads files where it may block, and waits for [`READ_PATIENCE`]. Else says what there
/// is to be said: that it hangs, or that the host has no thread for it.
async fn patiently<T: Send + 'static>(
    loading: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Happening> {
    let (done, result) = oneshot::channel();
    let reading = loading.spawn_blocking(move || {
        // Whoever waited may have gone.
        let _ = done.send(work());
    });
    match timeout(READ_PATIENCE, result).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => {
            let why = "the host has no thread to read it".to_owned();
            Err(Happening::Read(Err(ReadError::Failed(why))))
        }
        Err(_) => Err(Happening::ReadHangs(reading)),
    }
}

/// Starts a worker and has it load a bundle.
async fn start(
    worker: WorkerId,
    tenant: &Arc<Tenant>,
    surroundings: &Surroundings,
    bundle: &Arc<Bundle>,
) -> Result<Loaded, StartError> {
    let limits = &tenant.limits;
    let deadline = Instant::now() + limits.load_timeout;
    let too_late = || {
        let millis = limits.load_timeout.as_millis();
        format!("it did not load its bundle within {millis} ms")
    };
    let began = Instant::now();
    let process = timeout_at(deadline, surroundings.spawner.spawn(tenant))
        .await
        .map_err(|_| StartError::Failed("the host did not start it in time".into(), Cause::Host))?
        .map_err(|error| StartError::Failed(error.to_string(), Cause::Host))?;
    let is_confined = process.is_confined();
    let (mut process, socket, stderr) = process.into_parts();
    if let Some(stderr) = stderr {
        let reader = tokio::spawn(log_stderr(Arc::clone(tenant), process.pid, stderr));
        process.ends_with(reader.abort_handle());
    }
    let mut connection = Connection::new(socket);
    let mode = surroundings.sandboxing.mode;
    let handshake = connection.handshake(&tenant.id, limits, mode, bundle);
    let exit = match timeout_at(deadline, handshake).await {
        Ok(Ok(mut introduction)) => {
            if is_confined {
                introduction.layers.insert(0, SandboxLayer::ControlGroup);
            }
            let (bundle, took) = (Arc::clone(bundle), began.elapsed());
            tenant.metrics.start_seconds.observe(took.as_secs_f64());
            return Ok(Loaded { worker, process, connection, introduction, bundle, took });
        }
        Ok(Err(HandshakeError::Rejected(diagnostics))) => {
            drop(connection);
            process.end(EXIT_GRACE).await;
            let message = diagnostics.first().map_or_else(String::new, Diagnostic::to_string);
            return Err(StartError::Refused(message, diagnostics));
        }
        Ok(Err(HandshakeError::Ended(end))) => Exit::of(&end, connection.is_introduced()),
        Ok(Err(error @ HandshakeError::Encode(_))) => Exit::forced(error.to_string(), Cause::Host),
        Err(_) => Exit::forced(too_late(), Cause::LoadTimeout),
    };
    drop(connection);
    let ended = exit.learn(process).await;
    if ended.cause == Cause::Memory {
        // It would be as large the next time.
        let message =
            format!("the bundle needs more than the tenant's {} bytes of memory", limits.memory);
        let diagnostic = Diagnostic::new(DiagnosticCode::Bundle, message.clone());
        return Err(StartError::Refused(message, vec![diagnostic]));
    }
    Err(StartError::Failed(ended.end, ended.cause))
}

/// How a worker's connection ended, until it is known how its process did.
struct Exit {
    end: String,
    grace: Duration,
    /// `None` while only the process can tell.
    cause: Option<Cause>,
    /// Whether its tenant's code may have run in it.
    is_introduced: bool,
}

impl Exit {
    fn of(end: &End, is_introduced: bool) -> Self {
        let (grace, cause) = match end {
            End::Drained | End::Idle | End::Closed => (EXIT_GRACE, None),
            End::Stuck => (Duration::ZERO, Some(Cause::Stuck)),
            End::Breach(_) => (Duration::ZERO, Some(Cause::Breach)),
            End::Socket(_) => (EXIT_GRACE, None),
        };
        Self { end: end.to_string(), grace, cause, is_introduced }
    }

    /// Of a worker that we end for this cause before it has loaded its bundle.
    const fn forced(end: String, cause: Cause) -> Self {
        Self { end, grace: Duration::ZERO, cause: Some(cause), is_introduced: false }
    }

    /// Sees the process end.
    async fn learn(self, process: ProcessHandle) -> Ended {
        let pid = process.pid;
        let is_stopped = self.cause == Some(Cause::Stuck) && is_stopped(pid);
        let ended = process.end(self.grace).await;
        let cause = match self.cause {
            Some(Cause::Stuck) if is_stopped => Cause::Stopped,
            Some(cause) => cause,
            None => match cause_of(ended) {
                // Once it has introduced itself, what it says of the host is a tenant's word.
                Cause::Host if self.is_introduced => Cause::Crash,
                cause => cause,
            },
        };
        let end = match cause {
            Cause::Host => format!(
                "its sandbox cannot be closed on this host, which the command sandbox says more of; {}",
                describe(ended.status)
            ),
            _ => format!("{}; {}", self.end, describe(ended.status)),
        };
        Ended { pid, end, cause }
    }
}

/// Why a process ended that was not told to.
fn cause_of(ProcessEnd { status, was_killed, ran_out_of_memory }: ProcessEnd) -> Cause {
    let is_host = |code| u8::try_from(code).is_ok_and(|code| EXIT_NOT_SEALED.contains(&code));
    let signal = status.and_then(|status| status.signal()).map(Signal::try_from);
    match (status.and_then(|status| status.code()), signal) {
        (Some(code), _) if is_host(code) => Cause::Host,
        (Some(code), _) if code == i32::from(EXIT_MEMORY_LIMIT) => Cause::Memory,
        (_, Some(Ok(Signal::SIGSYS))) => Cause::ForbiddenCall,
        (_, Some(Ok(Signal::SIGKILL))) if ran_out_of_memory => Cause::Memory,
        (_, Some(Ok(Signal::SIGKILL))) if !was_killed => Cause::Killed,
        _ => Cause::Crash,
    }
}

async fn waiting(requests: Option<&mut mpsc::Receiver<Request>>) -> Option<Request> {
    match requests {
        Some(requests) => requests.recv().await,
        None => std::future::pending().await,
    }
}

/// How a process ended, in words.
fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "how its process ended is not known".to_owned();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its process exited with code {code}"),
        (_, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("its process was ended by {signal}"),
            Err(_) => format!("its process was ended by signal {signal}"),
        },
        _ => format!("its process ended: {status}"),
    }
}

/// `pause`, give or take a quarter: tenants that failed together do not restart together.
fn jittered(pause: Duration) -> Duration {
    // A fresh hasher is keyed at random, and that is all that is needed here.
    let random = RandomState::new().build_hasher().finish();
    let percent = u32::try_from(random % 51).unwrap_or(25);
    pause * (75 + percent) / 100
}

/// Logs what a worker says on its standard error: a panic's message, or the output of a policy's
/// `print`. It is a tenant's text, so it is escaped, cut and rationed.
async fn log_stderr(tenant: Arc<Tenant>, pid: u32, mut stderr: ChildStderr) {
    let mut buffer = [0; STDERR_LINE];
    let mut ration = Ration::new(STDERR_LINES_PER_SECOND);
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if ration.take() {
                info!(tenant_id = %tenant.id, pid, "worker says: {}", printable(line));
            }
        }
        if ration.is_spent() {
            // An honest worker rations itself. One that does not waits for its pipe, and nobody
            // else pays for reading it.
            tenant.metrics.limit_reached(TenantLimit::StderrLines);
            sleep_until(ration.renewal()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_system_that_hangs_is_not_waited_for() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let here = Handle::current();
        let reading = {
            let here = here.clone();
            tokio::spawn(async move { patiently(&here, move || released.recv()).await })
        };
        tokio::task::yield_now().await;
        tokio::time::advance(READ_PATIENCE).await;
        let Err(Happening::ReadHangs(thread)) = reading.await.unwrap() else {
            panic!("it was waited for")
        };
        assert!(!thread.is_finished());
        release.send(()).unwrap();
        thread.await.unwrap();
        assert!(matches!(patiently(&here, || 7).await, Ok(7)));
    }

    #[test]
    fn how_a_process_ended_says_whose_fault_it_was() {
        let end = |status, was_killed, ran_out_of_memory| {
            let status = Some(ExitStatus::from_raw(status));
            cause_of(ProcessEnd { status, was_killed, ran_out_of_memory })
        };
        let exit = |code: u8| i32::from(code) << 8;
        for code in EXIT_NOT_SEALED {
            assert_eq!(end(exit(code), false, false), Cause::Host);
        }
        for code in [0, 1, 65, 79, 100] {
            assert_eq!(end(exit(code), false, false), Cause::Crash);
        }
        assert_eq!(end(exit(EXIT_MEMORY_LIMIT), false, false), Cause::Memory);
        assert_eq!(end(Signal::SIGKILL as i32, false, true), Cause::Memory);
        assert_eq!(end(Signal::SIGKILL as i32, false, false), Cause::Killed);
        assert_eq!(end(Signal::SIGKILL as i32, true, false), Cause::Crash);
        assert_eq!(end(Signal::SIGSYS as i32, false, false), Cause::ForbiddenCall);
        assert_eq!(end(Signal::SIGSEGV as i32, false, false), Cause::Crash);
        assert_eq!(end(Signal::SIGABRT as i32, false, false), Cause::Crash);
    }
}
