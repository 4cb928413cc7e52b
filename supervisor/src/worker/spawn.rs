//! Starts worker processes, from one thread that lives as long as the supervisor.
//!
//! A worker's parent-death signal fires when the parent *thread* ends (`PR_SET_PDEATHSIG(2const)`),
//! and a runtime's threads may come and go; this one does not.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use enforcer_protocol::{RateLimiter, SandboxMode, TenantId};
use tokio::process::{Child, ChildStderr, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::socket::WorkerSocket;
use crate::config::TenantLimits;
use crate::isolation::cgroups::Leaf;
use crate::isolation::context::SandboxContext;
use crate::telemetry::metrics::{HostLimit, HostMetrics};

/// The hidden subcommand that makes this binary a worker.
pub const WORKER_SUBCOMMAND: &str = "worker";

/// The running binary, even if its file was replaced since.
const OWN_BINARY: &str = "/proc/self/exe";

/// Starts that wait for the spawning thread. A later one waits in its own task.
const WAITING_STARTS: usize = 64;

/// How long the last output of a process may take to be logged.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Workers that the host starts in a second, for all tenants together, once [`START_BURST`] is
/// spent. A worker takes a few milliseconds of a processor until it serves, so more at once would
/// only slow down those that serve.
const STARTS_PER_SECOND: u32 = 500;

/// Workers that are started without a pause between them.
const START_BURST: u32 = 64;

/// How long a killed process may take to be gone. It takes longer only in an uninterruptible wait,
/// which a worker without files does not get into.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Starts worker processes.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    starts: mpsc::Sender<Start>,
    /// Processes that were abandoned, until they are gone.
    ending: TaskTracker,
}

#[derive(Debug)]
struct Start {
    order: Order,
    started: oneshot::Sender<io::Result<Process>>,
}

/// The worker to start.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) tenant_id: TenantId,
    pub(crate) limits: TenantLimits,
    /// The user to run as, where users are given out.
    pub(crate) user: Option<u32>,
}

impl Spawner {
    /// Starts the spawning thread; it ends with the last `Spawner`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(
        runtime: Handle,
        metrics: Arc<HostMetrics>,
        context: Arc<SandboxContext>,
    ) -> io::Result<Self> {
        let (starts, waiting) = mpsc::channel(WAITING_STARTS);
        let ending = TaskTracker::new();
        let spawning = Spawning { runtime, metrics, context, ending: ending.clone() };
        std::thread::Builder::new()
            .name("worker-spawner".to_owned())
            .spawn(move || spawning.spawn_all(waiting))?;
        Ok(Self { starts, ending })
    }

    /// Waits until every abandoned process is gone. Each is killed, so that is soon.
    pub(crate) async fn all_ended(&self) {
        self.ending.close();
        self.ending.wait().await;
    }

    /// Starts a worker process for a tenant.
    ///
    /// # Errors
    /// When the host has no process, socket or memory for it.
    pub(crate) async fn spawn(&self, order: Order) -> io::Result<Process> {
        let gone = || io::Error::other("the spawning thread is gone");
        let (started, process) = oneshot::channel();
        let start = Start { order, started };
        self.starts.send(start).await.map_err(|_| gone())?;
        process.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The state of the spawning thread.
struct Spawning {
    runtime: Handle,
    metrics: Arc<HostMetrics>,
    context: Arc<SandboxContext>,
    ending: TaskTracker,
}

impl Spawning {
    fn spawn_all(self, mut waiting: mpsc::Receiver<Start>) {
        // The runtime reaps the processes and polls their sockets.
        let _entered = self.runtime.enter();
        let mut limiter = RateLimiter::new(STARTS_PER_SECOND, START_BURST);
        while let Some(Start { order, started }) = waiting.blocking_recv() {
            if started.is_closed() {
                continue;
            }
            let pause = limiter.take(1, Instant::now());
            if !pause.is_zero() {
                self.metrics.limit_reached(HostLimit::WorkerStarts);
                std::thread::sleep(pause);
            }
            // The requesting task may be gone; the process is then killed by being dropped.
            let _ = started.send(spawn(&self.context, self.context.mode, &self.ending, &order));
        }
    }
}

/// Starts a worker process. It has to be called in the runtime, and by a thread that lives as long
/// as the worker may.
///
/// # Errors
/// When the host has no process, socket, user or control group for it.
pub(crate) fn spawn(
    context: &SandboxContext,
    mode: SandboxMode,
    ending: &TaskTracker,
    order: &Order,
) -> io::Result<Process> {
    let Order { tenant_id, limits, user } = order;
    let (ours, theirs) = UnixStream::pair()?;
    let socket = WorkerSocket::new(ours)?;
    // The directory that becomes its root takes the place of its standard output, which it does not
    // use.
    let empty_root = match &context.empty_root {
        Some(empty_root) => Stdio::from(empty_root.try_clone()?),
        None => Stdio::null(),
    };
    let mut arguments = vec![
        WORKER_SUBCOMMAND.to_owned(),
        // Shown in the process list.
        tenant_id.to_string(),
        format!("--sandbox={}", mode.name()),
        format!("--memory-limit={}", limits.memory),
    ];
    if context.users.is_some() {
        let user = user.ok_or_else(|| {
            io::Error::other("no user is left for it; widen ENFORCER_WORKER_USERS")
        })?;
        arguments.push(format!("--user={user}"));
    }
    // Only options that std can pass to posix_spawn: with others it forks, which takes longer the
    // more memory the supervisor has.
    let mut child = Command::new(OWN_BINARY)
        .arg0("edge-policy-enforcer")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(empty_root)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or_else(|| io::Error::other("the worker ended at once"))?;
    let stderr = child.stderr.take();
    // It gets no data of its tenant before this function returns, so it never works for the tenant
    // outside of its group. If that fails, dropping the child kills it.
    let leaf = match &context.groups {
        Some(groups) => Some(groups.confine(tenant_id, limits, pid)?),
        None => None,
    };
    let ending = ending.clone();
    let handle = ProcessHandle { child: Some(child), pid, leaf, reader: Reader(None), ending };
    Ok(Process { handle, socket, stderr })
}

/// A worker process and our end of its socket. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    handle: ProcessHandle,
    pub(crate) socket: WorkerSocket,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Process {
    /// Whether it is in a control group of its own.
    pub(crate) const fn is_confined(&self) -> bool {
        self.handle.leaf.is_some()
    }

    /// The process without its socket and its standard error.
    pub(crate) fn into_parts(self) -> (ProcessHandle, WorkerSocket, Option<ChildStderr>) {
        (self.handle, self.socket, self.stderr)
    }
}

/// A handle that ends a worker process and reports how it ended. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    /// `None` once it has ended.
    child: Option<Child>,
    pub(crate) pid: u32,
    /// Removed once the process is gone, which it has to be.
    leaf: Option<Leaf>,
    reader: Reader,
    ending: TaskTracker,
}

impl Drop for ProcessHandle {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // At once, also where the runtime is about to end and runs no more tasks.
        let _ = child.start_kill();
        let leaf = self.leaf.take();
        let gone = async move {
            // If that takes longer, nothing can be done about it.
            let _ = timeout(KILL_WAIT, child.wait()).await;
            drop(leaf);
        };
        if let Ok(runtime) = Handle::try_current() {
            self.ending.spawn_on(gone, &runtime);
        }
    }
}

/// The task that reads the standard error of a process; it ends with this.
#[derive(Debug)]
struct Reader(Option<AbortHandle>);

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl ProcessHandle {
    /// Ends the task that reads the process's standard error a moment after the process, even if
    /// another process holds its pipe.
    pub(crate) fn ends_with(&mut self, reader: AbortHandle) {
        self.reader = Reader(Some(reader));
    }

    /// Gives the process `grace` to end by itself, then kills it. Returns how it ended.
    pub(crate) async fn end(mut self, grace: Duration) -> ProcessEnd {
        let (status, was_killed) = self.see_it_end(grace).await;
        let ran_out_of_memory = self.leaf.as_ref().is_some_and(Leaf::ran_out_of_memory);
        let ended = ProcessEnd { status, was_killed, ran_out_of_memory };
        let reader = std::mem::replace(&mut self.reader, Reader(None));
        tokio::spawn(async move {
            sleep(LAST_WORDS).await;
            drop(reader);
        });
        ended
    }

    async fn see_it_end(&mut self, grace: Duration) -> (Option<ExitStatus>, bool) {
        let Some(child) = &mut self.child else { return (None, false) };
        if let Ok(status) = timeout(grace, child.wait()).await {
            self.child = None;
            return (status.ok(), false);
        }
        // An error means that it is gone already, which waiting for it shows.
        let _ = child.start_kill();
        let status = timeout(KILL_WAIT, child.wait()).await;
        self.child = None;
        (status.ok().and_then(Result::ok), true)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessEnd {
    /// `None` if that is unknown.
    pub(crate) status: Option<ExitStatus>,
    /// Whether we killed it.
    pub(crate) was_killed: bool,
    /// Whether the OOM killer ended it at its control group's memory bound.
    pub(crate) ran_out_of_memory: bool,
}
