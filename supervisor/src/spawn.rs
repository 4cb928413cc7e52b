//! Starts worker processes, from one thread that lives as long as the supervisor.
//!
//! A worker's parent-death signal fires when the parent *thread* ends (`PR_SET_PDEATHSIG(2const)`),
//! and a runtime's threads may come and go; this one does not.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use enforcer_protocol::TenantId;
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::metrics::{HostLimit, Metrics};

/// The hidden subcommand that makes this binary a worker.
pub const WORKER_SUBCOMMAND: &str = "worker";

/// This very binary, also when another was put in its place since.
const OWN_BINARY: &str = "/proc/self/exe";

/// Starts that wait for the spawning thread. Whoever comes later waits in its own task.
const WAITING_STARTS: usize = 64;

/// How long what a process has said last may take to be logged.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Workers that the host starts in a second, for all tenants together, once [`START_BURST`] is
/// spent. A worker takes a few milliseconds of a processor until it serves, so more at once would
/// only take them from those that serve.
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
}

#[derive(Debug)]
struct Start {
    tenant_id: TenantId,
    started: oneshot::Sender<io::Result<Process>>,
}

impl Spawner {
    /// Starts the spawning thread; it ends with the last `Spawner`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(runtime: Handle, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (starts, waiting) = mpsc::channel(WAITING_STARTS);
        std::thread::Builder::new()
            .name("worker-spawner".to_owned())
            .spawn(move || spawn_all(&runtime, &metrics, waiting))?;
        Ok(Self { starts })
    }

    /// Starts a worker process for a tenant.
    ///
    /// # Errors
    /// When the host gives no process, socket or memory for it.
    pub(crate) async fn spawn(&self, tenant_id: &TenantId) -> io::Result<Process> {
        let gone = || io::Error::other("the spawning thread is gone");
        let (started, process) = oneshot::channel();
        let start = Start { tenant_id: tenant_id.clone(), started };
        self.starts.send(start).await.map_err(|_| gone())?;
        process.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn spawn_all(runtime: &Handle, metrics: &Metrics, mut waiting: mpsc::Receiver<Start>) {
    // The runtime is what reaps the processes and polls their sockets.
    let _entered = runtime.enter();
    let mut bucket = Bucket::new(Instant::now());
    while let Some(Start { tenant_id, started }) = waiting.blocking_recv() {
        if started.is_closed() {
            continue;
        }
        if let Some(pause) = bucket.take(Instant::now()) {
            metrics.host_limit_reached(HostLimit::WorkerStarts);
            std::thread::sleep(pause);
        }
        // Whoever asked may have gone; the process is then killed by being dropped.
        let _ = started.send(spawn(&tenant_id));
    }
}

/// A token bucket: what bounds the rate of starts, but not a few of them at once.
#[derive(Debug)]
struct Bucket {
    /// When it will be full again.
    full: Instant,
}

impl Bucket {
    const fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// Takes a token; returns how long to wait for it, where there is none.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let token = Duration::from_secs(1) / STARTS_PER_SECOND;
        self.full = self.full.max(now) + token;
        let pause = self.full.saturating_duration_since(now).checked_sub(token * START_BURST)?;
        (!pause.is_zero()).then_some(pause)
    }
}

fn spawn(tenant_id: &TenantId) -> io::Result<Process> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let socket = UnixStream::from_std(ours)?;
    // Only what std can pass to posix_spawn: with more it forks, which takes longer the more
    // memory the supervisor has. The tenant id is there for whoever looks at the process list.
    let mut child = Command::new(OWN_BINARY)
        .arg0("edge-policy-enforcer")
        .args([WORKER_SUBCOMMAND, tenant_id.as_str()])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or_else(|| io::Error::other("the worker ended at once"))?;
    let stderr = child.stderr.take();
    Ok(Process { child, pid, socket, stderr })
}

/// A worker process and our end of its socket. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
    pub(crate) socket: UnixStream,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Process {
    /// The process without its socket and its standard error.
    pub(crate) fn into_parts(self) -> (ProcessHandle, UnixStream, Option<ChildStderr>) {
        let handle = ProcessHandle { child: self.child, pid: self.pid, reader: Reader(None) };
        (handle, self.socket, self.stderr)
    }
}

/// What ends a worker process and says how it ended.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    child: Child,
    pub(crate) pid: u32,
    reader: Reader,
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
    /// Ends the task that reads the process's standard error a moment after the process, whoever
    /// else may hold its pipe.
    pub(crate) fn ends_with(&mut self, reader: AbortHandle) {
        self.reader = Reader(Some(reader));
    }

    /// Gives the process `grace` to end by itself, then kills it. Returns how it ended, where that
    /// could be learnt, and whether it was killed.
    pub(crate) async fn end(mut self, grace: Duration) -> (Option<ExitStatus>, bool) {
        let ended = self.see_it_end(grace).await;
        let reader = self.reader;
        tokio::spawn(async move {
            sleep(LAST_WORDS).await;
            drop(reader);
        });
        ended
    }

    async fn see_it_end(&mut self, grace: Duration) -> (Option<ExitStatus>, bool) {
        if let Ok(status) = timeout(grace, self.child.wait()).await {
            return (status.ok(), false);
        }
        // An error says that it is gone already, which waiting for it shows.
        let _ = self.child.start_kill();
        let status = timeout(KILL_WAIT, self.child.wait()).await;
        (status.ok().and_then(Result::ok), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        for _ in 0..START_BURST {
            assert_eq!(bucket.take(start), None);
        }
        let mut now = start;
        for _ in 0..STARTS_PER_SECOND {
            now += bucket.take(now).unwrap();
        }
        assert_eq!(now.duration_since(start), Duration::from_secs(1));
        assert_eq!(bucket.take(now + Duration::from_secs(1)), None);
    }
}
