//! Builds the supervisor, runs it, and shuts it down gracefully.

mod credentials;
pub(crate) mod error;
pub(crate) mod host;
pub(crate) mod inspect;
mod signals;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use enforcer_protocol::SandboxMode;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::access::Access;
use crate::access::jwt::keeper::KeyKeepers;
use crate::bundles::health::{BundlesHealth, ReconcilerState};
use crate::bundles::reconciler::{Reconciler, Shared};
use crate::bundles::remote::cache::{CacheLock, CacheRefused};
use crate::bundles::remote::downloads::Downloads;
use crate::clock::utc_now;
use crate::config::{Config, InsecureListen, ListenAddress, SandboxConfig};
use crate::http::addresses::AddressLimits;
use crate::http::handshake::Handshakes;
use crate::http::listener::{Listener, Purpose};
use crate::http::server::{Server, prepare_thread};
use crate::http::state::AppState;
use crate::inspection::Inspector;
use crate::isolation::context::SandboxContext;
use crate::isolation::report::{SandboxReport, prepare_and_try};
use crate::permits::ConnectionPermits;
use crate::readiness::Readiness;
use crate::stream::Stream;
use crate::telemetry::exposition::Exposition;
use crate::telemetry::history::History;
use crate::telemetry::logging::{LogGuard, printable};
use crate::telemetry::metrics::HostMetrics;
use crate::tenant::controller::context::Context;
use crate::tenant::controller::loader::LARGE_READERS;
use crate::tenant::registry::Registry;
use crate::worker::spawn::Spawner;
use credentials::{Credentials, rules};
use error::{SupervisorError, host as host_error};
use host::{check, lower_priority, raise_descriptor_limit, survive_full_files};
use signals::{SignalEvent, Signals};

/// How long all workers together may take to end, once no client is served any more. Each of them
/// is killed after half a second; this is for hosts with very many.
const WORKERS_END: Duration = Duration::from_secs(10);

/// How long the reconciler may take to end. It looks at files, and a file system may hang.
const RECONCILER_END: Duration = Duration::from_secs(1);

/// The niceness of the threads of the decision stream: a thirtieth of the share of the threads that
/// decide where both want a processor (`sched(7)`).
const STREAM_NICENESS: i32 = 15;

/// The niceness of the threads that read bundles: a tenth of that share, because a reload has a
/// deadline.
const LOADING_NICENESS: i32 = 10;

/// Threads for looking at files and reading bundles. One tenant whose file system hangs takes one.
const BLOCKING_THREADS: usize = 512;

/// Threads for looking up the addresses of bundles' servers, which blocks.
const LOOKUP_THREADS: usize = 64;

/// The runtimes whose threads give way to those that decide.
struct BackgroundRuntimes {
    /// For blocking work only.
    loading: Handle,
    /// For remote bundles.
    downloads: Handle,
    stream: Handle,
}

/// Runs the supervisor until SIGTERM or SIGINT. A second signal ends it at once.
///
/// # Errors
/// When it cannot start. Nothing that a tenant does ends it.
pub fn run(config: &Config, log: &LogGuard) -> Result<(), SupervisorError> {
    check()?;
    let descriptors = raise_descriptor_limit();
    let refused = || host_error("the runtime cannot be started");
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("supervisor")
        .on_thread_start(prepare_thread)
        .build()
        .map_err(refused())?;
    let loading_runtime = Builder::new_current_thread()
        .thread_name("bundles")
        .max_blocking_threads(BLOCKING_THREADS)
        .on_thread_start(|| lower_priority(LOADING_NICENESS))
        .build()
        .map_err(refused())?;
    // One thread: bundles are few, and TLS of many at once must not crowd out decisions.
    let download_runtime = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .max_blocking_threads(LOOKUP_THREADS)
        .thread_name("downloads")
        .on_thread_start(|| {
            lower_priority(LOADING_NICENESS);
            prepare_thread();
        })
        .build()
        .map_err(refused())?;
    let stream_runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("stream")
        .on_thread_start(|| {
            lower_priority(STREAM_NICENESS);
            prepare_thread();
        })
        .build()
        .map_err(refused())?;
    let background = BackgroundRuntimes {
        loading: loading_runtime.handle().clone(),
        downloads: download_runtime.handle().clone(),
        stream: stream_runtime.handle().clone(),
    };
    let result = runtime.block_on(async {
        let supervisor = Supervisor::start(config, log, descriptors, background).await?;
        supervisor.run(config).await
    });
    // Work that still runs is past its deadline; it must not hold the process.
    runtime.shutdown_timeout(Duration::ZERO);
    loading_runtime.shutdown_timeout(Duration::ZERO);
    stream_runtime.shutdown_timeout(Duration::ZERO);
    download_runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// Reports the sandbox layers that this host offers, by starting a worker that tries all of them.
///
/// # Errors
/// When no worker can be started, or it does not report.
pub fn report_sandbox(config: &Config) -> Result<SandboxReport, SupervisorError> {
    check()?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(host_error("the runtime cannot be started"))?;
    let report = async {
        // Independent of the configured mode: the report is about the host's possibilities.
        let sandbox = SandboxConfig { mode: SandboxMode::Strict, ..config.sandbox.clone() };
        prepare_and_try(&sandbox, config.limits_of_others()).await.map(|(_, report)| report)
    };
    runtime.block_on(report).map_err(host_error("the sandbox cannot be tried"))
}

/// The parts of a running supervisor.
struct Supervisor {
    signals: Signals,
    reload_credentials: Arc<Notify>,
    reload: Arc<Notify>,
    reload_tls: Arc<Notify>,
    readiness: Arc<Readiness>,
    bundles: Arc<BundlesHealth>,
    server: JoinHandle<()>,
    stop_server: CancellationToken,
    reconciler: JoinHandle<()>,
    stop_reconciler: CancellationToken,
    controllers: TaskTracker,
    stop_controllers: CancellationToken,
    spawner: Spawner,
    /// Held until all controllers have ended, which write to the cache.
    _cache: Option<CacheLock>,
}

impl Supervisor {
    async fn start(
        config: &Config,
        log: &LogGuard,
        descriptors: u64,
        background: BackgroundRuntimes,
    ) -> Result<Self, SupervisorError> {
        for name in &config.unknown_variables {
            warn!("the environment variable {} is not known; is it misspelt?", printable(name));
        }
        match config.listen.unprotected {
            None | Some(InsecureListen::Refuse) => {}
            Some(InsecureListen::WithoutTls) => warn!(
                "ENFORCER_INSECURE_LISTEN=without-tls: other hosts reach this one without TLS, and anyone on the way reads credentials and inputs"
            ),
            Some(InsecureListen::WithoutTlsAndCredentials) => warn!(
                "ENFORCER_INSECURE_LISTEN=without-tls-and-credentials: other hosts reach this one, and anyone who does may ask for every tenant and watch every input"
            ),
        }
        survive_full_files()?;
        let signals = Signals::new()?;
        // First of all, so that a port in use is found before any worker was started.
        let mut listeners = Vec::new();
        for address in &config.listen.addresses {
            listeners.push(listen(address, Purpose::Clients(config.tls.clone())).await?);
        }
        let diagnostics = match config.listen.diagnostics {
            Some(address) => {
                Some(listen(&ListenAddress::Tcp(address), Purpose::Diagnostics).await?)
            }
            None => None,
        };
        let cache = lock_cache(config)?;

        let metrics = Arc::new(HostMetrics::new());
        let sandbox = Arc::new(prepare_sandbox(config).await?);
        let sandbox_mode = sandbox.mode;
        metrics.sandbox_off.set(i64::from(sandbox_mode == SandboxMode::DebugOff));
        let spawner = Spawner::new(Handle::current(), Arc::clone(&metrics), Arc::clone(&sandbox))
            .map_err(host_error("no thread can be started"))?;
        let stop_controllers = CancellationToken::new();
        let controllers = TaskTracker::new();
        let registry = Arc::new(Registry::default());
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let connections = Arc::new(ConnectionPermits::new(config.max_connections, descriptors));
        let stream_metrics = metrics.stream.clone();
        let stream_runtime = background.stream.clone();
        let stream =
            Arc::new(Stream::new(config.max_stream_consumers, stream_runtime, stream_metrics));
        let bundles = Arc::new(BundlesHealth::default());
        let reload = Arc::new(Notify::new());
        let access = Arc::new(Access::new(rules(&config.credentials)));
        let keys = KeyKeepers::new(
            Arc::clone(&access),
            background.downloads.clone(),
            background.loading.clone(),
        );
        let keys = Arc::new(keys);
        let credentials =
            Credentials::enforce(config, Arc::clone(&access), keys, background.loading.clone());
        let reload_credentials = Arc::new(Notify::new());
        background
            .stream
            .spawn(credentials.keep(Arc::clone(&reload_credentials), stop_controllers.clone()));
        let downloads = Downloads::new(
            background.downloads,
            background.loading.clone(),
            config.remote.cache.clone(),
            metrics.bundle_downloads_active.clone(),
        );
        let shared = Shared {
            registry: Arc::clone(&registry),
            connections: Arc::clone(&connections),
            stream: Arc::clone(&stream),
            health: Arc::clone(&bundles),
            reload: Arc::clone(&reload),
            downloads,
        };
        let context = Context {
            spawner: spawner.clone(),
            sandbox,
            metrics: Arc::clone(&metrics),
            large_readers: Arc::new(Semaphore::new(LARGE_READERS)),
            loading: background.loading,
            stop: stop_controllers.clone(),
        };
        let reconciler = Reconciler::new(config.clone(), shared, context, controllers.clone())
            .map_err(SupervisorError::BundlesDir)?;
        let stop_reconciler = CancellationToken::new();
        let reconciler = tokio::spawn(reconciler.run(stop_reconciler.clone()));

        let history = Arc::new(History::default());
        background.stream.spawn({
            let (history, registry) = (Arc::clone(&history), Arc::clone(&registry));
            let stop = stop_controllers.clone();
            async move { history.run(&registry, stop).await }
        });
        let readiness = Arc::new(Readiness::default());
        let lost_lines = log.lost_lines.clone();
        let exposition = Exposition::new(
            Arc::clone(&metrics),
            Arc::clone(&access),
            Arc::clone(&registry),
            Arc::clone(&readiness),
            lost_lines.clone(),
        );
        let inspector = Inspector::new(spawner.clone(), sandbox_mode, Arc::clone(&metrics));
        background.stream.spawn({
            let (access, stop) = (Arc::clone(&access), stop_controllers.clone());
            async move { access.run(stop).await }
        });
        let reload_tls = Arc::new(Notify::new());
        if let Some(tls) = &config.tls {
            background.stream.spawn(tls::keep_current(
                Arc::clone(tls),
                Arc::clone(&metrics),
                Arc::clone(&reload_tls),
                stop_controllers.clone(),
            ));
        }
        // Of one address may be a quarter of all connections: half of them leaves others room while
        // it begins handshakes and does not end them.
        let handshakes = Handshakes::new(
            config.max_connections.div_ceil(2),
            config.proxies.clone(),
            AddressLimits::new(config.max_connections_per_address),
            config.http2_plaintext,
        );
        let app = Arc::new(AppState {
            access: Arc::clone(&access),
            hosts: config.listen.hosts.clone(),
            registry,
            inspector,
            metrics,
            exposition,
            history,
            lost_lines,
            connections,
            handshakes,
            bundles: Arc::clone(&bundles),
            readiness: Arc::clone(&readiness),
            sandbox_mode,
            stream,
            stream_origins: config.stream_origins.clone(),
            started: utc_now(),
        });
        let stop_server = CancellationToken::new();
        for listener in &listeners {
            let address = listener.address().map_err(no_address())?;
            match address {
                ListenAddress::Tcp(address) | ListenAddress::Plain(address) => {
                    let scheme = if listener.has_tls() { "https" } else { "http" };
                    let dashboard = format!("{scheme}://{address}/dashboard");
                    info!(%address, dashboard, "listening");
                }
                ListenAddress::Unix(_) => info!(%address, "listening"),
            }
        }
        if let Some(listener) = &diagnostics {
            let address = listener.address().map_err(no_address())?;
            info!(%address, "listening for /health and /metrics, which need no credential here");
        }
        let server = Server { listeners, diagnostics, app };
        let server = tokio::spawn(server.run(stop_server.clone(), config.shutdown_timeout));
        Ok(Self {
            signals,
            reload_credentials,
            reload,
            reload_tls,
            readiness,
            bundles,
            server,
            stop_server,
            reconciler,
            stop_reconciler,
            controllers,
            stop_controllers,
            spawner,
            _cache: cache,
        })
    }

    /// Runs until a signal asks it to end.
    async fn run(mut self, config: &Config) -> Result<(), SupervisorError> {
        loop {
            tokio::select! {
                event = self.signals.next() => match event {
                    SignalEvent::Reload => {
                        info!("SIGHUP: credentials, certificates and all bundles are read again");
                        self.reload_tls.notify_one();
                        self.reload_credentials.notify_one();
                        self.reload.notify_one();
                    }
                    SignalEvent::End(name) => {
                        info!(
                            timeout_ms = u64::try_from(config.shutdown_timeout.as_millis()).ok(),
                            "{name}: shutting down once the requests in flight are answered"
                        );
                        break;
                    }
                },
                // It ends when it is told to. Without it, all tenants keep their revisions.
                ended = &mut self.reconciler, if self.bundles.state() != ReconcilerState::Ended => {
                    self.bundles.set(ReconcilerState::Ended);
                    error!("bundles are no longer monitored; restart the supervisor: {ended:?}");
                }
                // It ends when it is told to. If it ends before, clients get no answers.
                ended = &mut self.server => {
                    return Err(SupervisorError::ServerEnded(ended.err()));
                }
            }
        }
        self.readiness.stop();
        let Self {
            mut signals,
            bundles,
            server,
            stop_server,
            reconciler,
            stop_reconciler,
            controllers,
            stop_controllers,
            spawner,
            ..
        } = self;
        let shutdown = async {
            stop_reconciler.cancel();
            stop_server.cancel();
            if let Err(error) = server.await {
                error!("the HTTP server failed while it ended: {error}");
            }
            let is_reconciling = bundles.state() != ReconcilerState::Ended;
            if is_reconciling && timeout(RECONCILER_END, reconciler).await.is_err() {
                warn!("reading BUNDLES_DIR did not end within its shutdown deadline");
            }
            stop_controllers.cancel();
            controllers.close();
            let all_ended = async {
                controllers.wait().await;
                spawner.all_ended().await;
            };
            if timeout(WORKERS_END, all_ended).await.is_err() {
                warn!("workers did not end within their shutdown deadline; they are killed");
            }
        };
        let again = async {
            loop {
                if let SignalEvent::End(name) = signals.next().await {
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
}

async fn listen(address: &ListenAddress, purpose: Purpose) -> Result<Listener, SupervisorError> {
    let refused = |error| SupervisorError::Listen { address: address.clone(), error };
    Listener::bind(address, purpose).await.map_err(refused)
}

fn no_address() -> impl Fn(std::io::Error) -> SupervisorError {
    host_error("the listening socket has no address")
}

/// Locks the bundle cache, if a tenant's bundle is remote.
fn lock_cache(config: &Config) -> Result<Option<CacheLock>, SupervisorError> {
    if config.remote.of.is_empty() {
        return Ok(None);
    }
    let directory = config.remote.cache.clone();
    match CacheLock::take(&directory) {
        Ok(lock) => Ok(Some(lock)),
        Err(CacheRefused::InUse) => Err(SupervisorError::BundleCacheInUse { directory }),
        Err(CacheRefused::Unusable(error)) => {
            Err(SupervisorError::BundleCache { directory, error })
        }
    }
}

/// Prepares the sandbox, and finds out whether workers will serve in it.
async fn prepare_sandbox(config: &Config) -> Result<SandboxContext, SupervisorError> {
    let refused = host_error("workers cannot be sandboxed here as configured");
    if config.sandbox.mode == SandboxMode::DebugOff {
        warn!(
            "ENFORCER_SANDBOX=debug-off: workers run without a sandbox, and a tenant's code can do everything that this user can"
        );
        return SandboxContext::prepare(&config.sandbox).map_err(refused);
    }
    // Logged once for all workers, not for every tenant.
    let tried = prepare_and_try(&config.sandbox, config.limits_of_others()).await;
    let (context, report) = tried.map_err(refused)?;
    if !report.is_strict {
        return Err(SupervisorError::NotStrict { lacking: report.lacking() });
    }
    report.log();
    Ok(context)
}
