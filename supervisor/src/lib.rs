//! Terminates HTTP, keeps one worker process per tenant, and trusts none of them.
//!
//! Nothing here parses Rego, a tenant's data, or a request's body: all of that happens in the
//! tenant's own worker.

mod body;
mod bundles;
mod clock;
mod config;
mod connection;
mod connections;
mod control_groups;
mod driver;
mod http;
mod keeper;
mod lifecycle;
mod logging;
mod metrics;
mod process_usage;
mod ration;
mod registry;
mod sandbox;
mod socket;
mod spawn;
mod stream;
mod tenant;
mod users;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::SandboxMode;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use connections::Connections;
use driver::{LARGE_READERS, Surroundings};
use http::{App, Server};
use keeper::Keeper;
use metrics::Metrics;
use registry::Registry;
use sandbox::Sandboxing;
use spawn::Spawner;
use stream::Stream;

#[doc(hidden)]
pub use connection::fuzzing;

use config::SandboxConfig;

pub use config::{Config, ConfigErrors, LogConfig, SETTINGS, Setting};
pub use logging::{LogGuard, init as init_logging};
pub use sandbox::{LayerReport, SandboxReport, protect_supervisor};
pub use spawn::WORKER_SUBCOMMAND;

/// Why the supervisor could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The operating system refused something that the supervisor cannot do without.
    #[error("{what}: {error}")]
    Host {
        /// What was wanted.
        what: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; choose another with ENFORCER_HOST and ENFORCER_PORT"
    )]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// Workers would not serve here.
    #[error(
        "this host lacks what workers do not serve without: {lacking}; the command sandbox says more"
    )]
    NotStrict {
        /// The layers, and why each is not to be had.
        lacking: String,
    },
    /// The HTTP server ended by itself, which it never should.
    #[error("the HTTP server ended unasked")]
    ServerEnded(#[source] Option<tokio::task::JoinError>),
    /// The bundles' directory cannot be read.
    #[error("cannot read BUNDLES_DIR: {0}")]
    BundlesDir(io::Error),
}

/// How long all workers together may take to end, once no client is served any more. Each of them
/// is killed after half a second; this is for hosts with very many.
const WORKERS_END: Duration = Duration::from_secs(10);

/// How long the keeper of the registry may take to end. It looks at files, and a file system may
/// hang.
const KEEPER_END: Duration = Duration::from_secs(1);

/// The soft limit of open files that most systems begin with.
const CUSTOMARY_DESCRIPTORS: u64 = 1024;

/// By how much the threads of the decision stream are nicer than those that decide: a thirtieth of
/// their share where both want a processor (`sched(7)`), and all that they leave.
const STREAM_NICENESS: i32 = 15;

/// By how much the threads that read bundles are: a tenth, because a reload has a deadline.
const LOADING_NICENESS: i32 = 10;

/// Threads for looking at files and reading bundles. One tenant whose file system hangs takes one.
const BLOCKING_THREADS: usize = 512;

/// Runs the supervisor until SIGTERM or SIGINT. A second signal ends it at once.
///
/// # Errors
/// When it cannot start. Nothing that a tenant does ends it.
pub fn run(config: &Config, log: &LogGuard) -> Result<(), SupervisorError> {
    let descriptors = raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("supervisor")
        .build()
        .map_err(host("the runtime cannot be started"))?;
    // Bundles give way to decisions, and so does the stream.
    let loading_runtime = tokio::runtime::Builder::new_current_thread()
        .thread_name("bundles")
        .max_blocking_threads(BLOCKING_THREADS)
        .on_thread_start(|| become_nicer(LOADING_NICENESS))
        .build()
        .map_err(host("the runtime cannot be started"))?;
    let stream_runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("stream")
        .on_thread_start(|| become_nicer(STREAM_NICENESS))
        .build()
        .map_err(host("the runtime cannot be started"))?;
    let others = OtherRuntimes {
        loading: loading_runtime.handle().clone(),
        stream: stream_runtime.handle().clone(),
    };
    let result = runtime.block_on(supervise(config, log, descriptors, others));
    // What still runs is past its deadline; it must not hold the process.
    runtime.shutdown_timeout(Duration::ZERO);
    loading_runtime.shutdown_timeout(Duration::ZERO);
    stream_runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// Has this thread give way to others.
fn become_nicer(by: i32) {
    // Where that is refused, it takes as much as they do: worse, and no error.
    let _ = rustix::process::nice(by);
}

/// Where what gives way to decisions is done.
struct OtherRuntimes {
    /// Nothing but what may block.
    loading: Handle,
    stream: Handle,
}

/// Says what this host offers for a worker's sandbox, by starting a worker that tries all of it.
///
/// # Errors
/// When that cannot be found out.
pub fn report_sandbox(config: &Config) -> Result<SandboxReport, SupervisorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(host("the runtime cannot be started"))?;
    let report = async {
        // Whatever the mode is: what is asked is what could be.
        let sandbox = SandboxConfig { mode: SandboxMode::Strict, ..config.sandbox.clone() };
        let limits = config.limits_of_others();
        Sandboxing::prepare_and_try(&sandbox, limits).await.map(|(_, report)| report)
    };
    runtime.block_on(report).map_err(host("the sandbox cannot be tried"))
}

async fn supervise(
    config: &Config,
    log: &LogGuard,
    descriptors: u64,
    others: OtherRuntimes,
) -> Result<(), SupervisorError> {
    for name in &config.unknown_variables {
        warn!(
            "the environment variable {} is not known; is it misspelt?",
            logging::printable(name)
        );
    }
    let mut signals = Signals::new()?;
    // First of all, so that a port in use is found before any worker was started.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| SupervisorError::Listen { address: config.listen, error })?;
    let address = listener.local_addr().map_err(host("the listening socket has no address"))?;

    let mut metrics = Metrics::new();
    metrics.count_dropped_log_lines(log.dropped_lines.clone());
    let metrics = Arc::new(metrics);
    let sandboxing = Arc::new(prepare_sandbox(config).await?);
    metrics.sandbox_off.set(i64::from(sandboxing.mode == SandboxMode::DebugOff));
    let spawner = Spawner::new(Handle::current(), Arc::clone(&metrics), Arc::clone(&sandboxing))
        .map_err(host("no thread can be started"))?;
    let stop_workers = CancellationToken::new();
    let large_readers = Arc::new(Semaphore::new(LARGE_READERS));
    let mode = sandboxing.mode;
    let surroundings = Surroundings {
        spawner: spawner.clone(),
        sandboxing,
        large_readers,
        loading: others.loading,
        stop: stop_workers.clone(),
    };
    let drivers = TaskTracker::new();
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let connections = Connections::new(config.max_connections, descriptors);
    let stream = Stream::new(config.max_stream_consumers, others.stream, metrics.stream.clone());
    let app = Arc::new(App {
        registry: Registry::default(),
        metrics,
        connections,
        sandbox_mode: mode,
        stream: Arc::new(stream),
        stream_origins: config.stream_origins.clone(),
    });
    let keeper = Keeper::new(config.clone(), Arc::clone(&app), surroundings, drivers.clone())
        .map_err(SupervisorError::BundlesDir)?;
    let reload = Arc::clone(&keeper.reload);
    let stop_keeper = CancellationToken::new();
    let mut keeper = tokio::spawn(keeper.run(stop_keeper.clone()));
    let mut is_kept = true;

    let stop_http = CancellationToken::new();
    let server = Server::new(listener, app);
    let mut server = tokio::spawn(server.run(stop_http.clone(), config.shutdown_timeout));
    info!(%address, "listening");

    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Told::Reload => {
                    info!("SIGHUP: reading all bundles");
                    reload.notify_one();
                }
                Told::End(name) => {
                    info!("{name}: shutting down");
                    break;
                }
            },
            // It ends when it is told to. Without it, everybody keeps what there is.
            ended = &mut keeper, if is_kept => {
                is_kept = false;
                error!("bundles are no longer looked at; restart the supervisor: {ended:?}");
            }
            // It ends when it is told to. If it ends before, clients wait for nobody.
            ended = &mut server => return Err(SupervisorError::ServerEnded(ended.err())),
        }
    }
    let shutdown = async {
        stop_keeper.cancel();
        stop_http.cancel();
        if let Err(error) = server.await {
            error!("the HTTP server ended: {error}");
        }
        if is_kept && timeout(KEEPER_END, keeper).await.is_err() {
            warn!("BUNDLES_DIR was still being looked at when its time had passed");
        }
        stop_workers.cancel();
        drivers.close();
        let all_ended = async {
            drivers.wait().await;
            spawner.all_ended().await;
        };
        if timeout(WORKERS_END, all_ended).await.is_err() {
            warn!("workers were still ending when their time had passed; they are killed");
        }
    };
    let again = async {
        loop {
            if let Told::End(name) = signals.next().await {
                return name;
            }
        }
    };
    tokio::select! {
        () = shutdown => info!("stopped"),
        name = again => warn!("{name} again: stopped at once"),
    }
    Ok(())
}

/// Prepares the sandbox, and finds out whether workers will serve in it.
async fn prepare_sandbox(config: &Config) -> Result<Sandboxing, SupervisorError> {
    let refused = host("workers cannot be sandboxed here as configured");
    if config.sandbox.mode == SandboxMode::DebugOff {
        warn!(
            "ENFORCER_SANDBOX=debug-off: workers run without a sandbox, and a tenant's code can do what this user can"
        );
        return Sandboxing::prepare(&config.sandbox).map_err(refused);
    }
    // Once for all of them, or an operator would read it in every tenant's log.
    let limits = config.limits_of_others();
    let tried = Sandboxing::prepare_and_try(&config.sandbox, limits).await;
    let (sandboxing, report) = tried.map_err(refused)?;
    if !report.is_strict {
        return Err(SupervisorError::NotStrict { lacking: report.lacking() });
    }
    report.log();
    Ok(sandboxing)
}

/// What a signal says.
enum Told {
    /// To end; with the signal's name.
    End(&'static str),
    /// To read everything anew.
    Reload,
}

/// The signals that the supervisor knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, SupervisorError> {
        let listen = |kind| signal(kind).map_err(host("signals cannot be listened for"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End("SIGTERM"),
            _ = self.interrupt.recv() => Told::End("SIGINT"),
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Every worker and every client takes a descriptor or more, and the customary limit of 1024 is for
/// programs that use `select(2)`. Returns the limit that holds now.
fn raise_descriptor_limit() -> u64 {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    raised.unwrap_or_else(|error| {
        warn!("the limit of open files cannot be raised: {error}");
        getrlimit(Resource::RLIMIT_NOFILE).map_or(CUSTOMARY_DESCRIPTORS, |(soft, _)| soft)
    })
}

fn host(what: &'static str) -> impl Fn(io::Error) -> SupervisorError {
    move |error| SupervisorError::Host { what, error }
}
