//! What the supervisor counts, for Prometheus. Labels are bounded: tenants, and words of ours.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use enforcer_protocol::TenantId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing_appender::non_blocking::ErrorCounter;

use crate::http::CODES;
use crate::lifecycle::{Cause, STATE_NAMES};
use crate::process_usage::Usage;

/// Media type of [`Metrics::encode`]'s text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Buckets of evaluation times in seconds: from the tens of microseconds of an ordinary policy to
/// the default deadline.
const EVALUATION_BUCKETS: [f64; 12] =
    [10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 100e-3];

/// Buckets of the time that a worker takes to come up, in seconds: from a few milliseconds to the
/// default deadline.
const START_BUCKETS: [f64; 9] = [2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 200e-3, 1.0, 5.0, 10.0];

/// Labels of decisions.
const ALLOW: &str = "allow";
/// See [`ALLOW`].
const DENY: &str = "deny";

type EvaluationFamily = Family<TenantLabel, Histogram, fn() -> Histogram>;

/// All metrics of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Client connections open now.
    pub(crate) connections: Gauge,
    /// Directories in `BUNDLES_DIR` whose name is no tenant id.
    pub(crate) ignored_directories: Counter,
    /// Of the decision stream.
    pub(crate) stream: StreamMetrics,
    /// 1 while `BUNDLES_DIR` can be read.
    pub(crate) bundles_dir_readable: Gauge,
    /// 1 while workers run without a sandbox.
    pub(crate) sandbox_off: Gauge,
    host_limits: Family<HostLimitLabel, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    limits: Family<TenantLimitLabels, Counter>,
    restarts: Family<RestartLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    quarantines: Family<TenantLabel, Counter>,
    evaluator_differences: Family<TenantLabel, Counter>,
    states: Family<StateLabels, Gauge>,
    start_seconds: Histogram,
    memory: Family<TenantLabel, Gauge>,
    cpu: Family<TenantLabel, Gauge<f64, AtomicU64>>,
    ready: Family<TenantLabel, Gauge>,
    evaluation: EvaluationFamily,
}

/// What is counted of the decision stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamMetrics {
    /// Consumers connected now.
    pub(crate) consumers: Gauge,
    /// Events that were built.
    pub(crate) events: Counter,
    /// Events that consumers missed, and were told of.
    pub(crate) missed: Counter,
    /// Inputs that were left out of their events, for want of memory.
    pub(crate) inputs_omitted: Counter,
}

/// Counts something as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct OpenGauge(Gauge);

impl OpenGauge {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One tenant's metrics. Those of every request are looked up once, here.
#[derive(Debug)]
pub(crate) struct TenantMetrics {
    tenant: Arc<String>,
    is_forgotten: AtomicBool,
    pub(crate) allowed: Counter,
    pub(crate) denied: Counter,
    pub(crate) evaluation_seconds: Histogram,
    /// How often the tenant was quarantined.
    pub(crate) quarantines: Counter,
    /// Decisions in which the bytecode differed from the interpreter.
    pub(crate) evaluator_differences: Counter,
    /// From starting a worker to its bundle being loaded, of all tenants together.
    pub(crate) start_seconds: Histogram,
    /// Memory of the worker, when the metrics were read last.
    pub(crate) memory_bytes: Gauge,
    /// Processor time of the worker, when the metrics were read last.
    pub(crate) cpu_seconds: Gauge<f64, AtomicU64>,
    /// 1 while a worker serves.
    pub(crate) ready: Gauge,
    errors: Family<ErrorLabels, Counter>,
    limits: Family<TenantLimitLabels, Counter>,
    restarts: Family<RestartLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    states: Family<StateLabels, Gauge>,
}

/// What became of a bundle that was to take the place of another, or to be the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reload {
    /// It serves.
    Loaded,
    /// It cannot be used.
    Rejected,
    /// It could not be read or loaded, for a reason that may pass.
    Failed,
}

/// A limit of the host that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HostLimit {
    /// Client connections at once.
    Connections,
    /// Connections that did not end in the time that shutting down allows.
    ShutdownTime,
    /// Starts of workers in a second.
    WorkerStarts,
    /// Consumers of the decision stream at once.
    StreamConsumers,
    /// Time for a consumer of the stream to take what waits for it.
    StreamWriteTime,
    /// Time for a consumer of the stream to answer a ping.
    StreamPongTime,
    /// Bytes of a consumer of the stream, which has nothing to say.
    StreamClientBytes,
}

/// A limit of a tenant that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Time for a worker to finish what it has, once another took its place.
    DrainTime,
}

impl Reload {
    const ALL: [Self; 3] = [Self::Loaded, Self::Rejected, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl TenantLimit {
    const ALL: [Self; 7] = [
        Self::QueueLength,
        Self::BodyMemory,
        Self::BodyLength,
        Self::BodyTime,
        Self::StderrLines,
        Self::FailureLines,
        Self::DrainTime,
    ];
}

impl EncodeLabelValue for HostLimit {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::Connections => "connections",
            Self::ShutdownTime => "shutdown_time",
            Self::WorkerStarts => "worker_starts",
            Self::StreamConsumers => "stream_consumers",
            Self::StreamWriteTime => "stream_write_time",
            Self::StreamPongTime => "stream_pong_time",
            Self::StreamClientBytes => "stream_client_bytes",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

impl EncodeLabelValue for TenantLimit {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let name = match self {
            Self::QueueLength => "queue_length",
            Self::BodyMemory => "body_memory",
            Self::BodyLength => "body_length",
            Self::BodyTime => "body_time",
            Self::StderrLines => "stderr_lines",
            Self::FailureLines => "failure_lines",
            Self::DrainTime => "drain_time",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLimitLabel {
    limit: HostLimit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabel {
    tenant: Arc<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RestartLabels {
    tenant: Arc<String>,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    tenant: Arc<String>,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    tenant: Arc<String>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    tenant: Arc<String>,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    tenant: Arc<String>,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLimitLabels {
    tenant: Arc<String>,
    limit: TenantLimit,
}

impl Metrics {
    /// All of them, at zero.
    pub(crate) fn new() -> Self {
        let connections = Gauge::default();
        let ignored_directories = Counter::default();
        let bundles_dir_readable = Gauge::default();
        bundles_dir_readable.set(1);
        let sandbox_off = Gauge::default();
        let host_limits = Family::default();
        let decisions = Family::default();
        let errors = Family::default();
        let limits = Family::default();
        let restarts = Family::default();
        let reloads = Family::default();
        let quarantines = Family::default();
        let evaluator_differences = Family::default();
        let states = Family::default();
        let memory = Family::default();
        let cpu = Family::<TenantLabel, Gauge<f64, AtomicU64>>::default();
        let ready = Family::default();
        let start_seconds = Histogram::new(START_BUCKETS);
        let evaluation: EvaluationFamily =
            Family::new_with_constructor(|| Histogram::new(EVALUATION_BUCKETS));

        let mut registry = Registry::with_prefix("enforcer");
        registry.register("connections", "Client connections open now", connections.clone());
        registry.register(
            "ignored_directories",
            "Directories in BUNDLES_DIR whose name is no tenant id",
            ignored_directories.clone(),
        );
        registry.register(
            "bundles_dir_readable",
            "Whether BUNDLES_DIR can be read",
            bundles_dir_readable.clone(),
        );
        let stream = StreamMetrics::default();
        registry.register(
            "stream_consumers",
            "Consumers of the decision stream connected now",
            stream.consumers.clone(),
        );
        registry.register(
            "stream_events",
            "Events of the decision stream that were built",
            stream.events.clone(),
        );
        registry.register(
            "stream_missed",
            "Events of the decision stream that consumers missed and were told of",
            stream.missed.clone(),
        );
        registry.register(
            "stream_inputs_omitted",
            "Inputs left out of events of the decision stream for want of memory",
            stream.inputs_omitted.clone(),
        );
        registry.register(
            "sandbox_off",
            "Whether workers run without a sandbox",
            sandbox_off.clone(),
        );
        registry.register(
            "host_limit_reached",
            "How often a limit of the host was reached",
            host_limits.clone(),
        );
        registry.register("decisions", "Decisions made by policies", decisions.clone());
        registry.register("errors", "Requests that got no decision", errors.clone());
        registry.register(
            "tenant_limit_reached",
            "How often a limit of a tenant was reached",
            limits.clone(),
        );
        registry.register(
            "worker_restarts",
            "Workers that ended unasked, or did not come up",
            restarts.clone(),
        );
        registry.register(
            "bundle_loads",
            "Bundles that were taken up, rejected, or could not be",
            reloads.clone(),
        );
        registry.register(
            "quarantines",
            "How often a tenant's workers failed too often to be restarted soon",
            quarantines.clone(),
        );
        registry.register(
            "evaluator_differences",
            "Requests that were checked, and answered with an error because the bytecode and the interpreter disagreed",
            evaluator_differences.clone(),
        );
        registry.register("tenant_state", "1 for the state that a tenant is in", states.clone());
        registry.register(
            "worker_start_seconds",
            "Time from starting a worker to its bundle being loaded",
            start_seconds.clone(),
        );
        registry.register("worker_memory_bytes", "Memory of the worker", memory.clone());
        registry.register("worker_cpu_seconds", "Processor time of the worker", cpu.clone());
        registry.register("worker_ready", "Whether a worker serves the tenant", ready.clone());
        registry.register(
            "evaluation_seconds",
            "Time that workers took for a request",
            evaluation.clone(),
        );
        Self {
            registry,
            connections,
            ignored_directories,
            stream,
            bundles_dir_readable,
            sandbox_off,
            host_limits,
            decisions,
            errors,
            limits,
            restarts,
            reloads,
            quarantines,
            evaluator_differences,
            states,
            start_seconds,
            memory,
            cpu,
            ready,
            evaluation,
        }
    }

    /// A tenant's metrics, at zero where it is new.
    pub(crate) fn tenant(&self, tenant_id: &TenantId) -> TenantMetrics {
        let tenant = Arc::new(tenant_id.as_str().to_owned());
        let label = TenantLabel { tenant: Arc::clone(&tenant) };
        let decisions = |decision| {
            self.decisions
                .get_or_create_owned(&DecisionLabels { tenant: Arc::clone(&tenant), decision })
        };
        TenantMetrics {
            allowed: decisions(ALLOW),
            denied: decisions(DENY),
            evaluation_seconds: self.evaluation.get_or_create_owned(&label),
            quarantines: self.quarantines.get_or_create_owned(&label),
            evaluator_differences: self.evaluator_differences.get_or_create_owned(&label),
            start_seconds: self.start_seconds.clone(),
            memory_bytes: self.memory.get_or_create_owned(&label),
            cpu_seconds: self.cpu.get_or_create_owned(&label),
            ready: self.ready.get_or_create_owned(&label),
            errors: self.errors.clone(),
            limits: self.limits.clone(),
            restarts: self.restarts.clone(),
            reloads: self.reloads.clone(),
            states: self.states.clone(),
            is_forgotten: AtomicBool::new(false),
            tenant,
        }
    }

    /// Forgets a tenant that was removed.
    pub(crate) fn forget(&self, tenant_id: &TenantId) {
        let tenant = Arc::new(tenant_id.as_str().to_owned());
        let label = TenantLabel { tenant: Arc::clone(&tenant) };
        for decision in [ALLOW, DENY] {
            self.decisions.remove(&DecisionLabels { tenant: Arc::clone(&tenant), decision });
        }
        for cause in Cause::ALL {
            let tenant = Arc::clone(&tenant);
            self.restarts.remove(&RestartLabels { tenant, cause: cause.name() });
        }
        for result in Reload::ALL {
            let tenant = Arc::clone(&tenant);
            self.reloads.remove(&ReloadLabels { tenant, result: result.name() });
        }
        for state in STATE_NAMES {
            self.states.remove(&StateLabels { tenant: Arc::clone(&tenant), state });
        }
        for limit in TenantLimit::ALL {
            self.limits.remove(&TenantLimitLabels { tenant: Arc::clone(&tenant), limit });
        }
        for code in CODES {
            self.errors.remove(&ErrorLabels { tenant: Arc::clone(&tenant), code });
        }
        self.quarantines.remove(&label);
        self.evaluator_differences.remove(&label);
        self.memory.remove(&label);
        self.cpu.remove(&label);
        self.ready.remove(&label);
        self.evaluation.remove(&label);
    }

    /// Counts that a limit of the host was reached.
    pub(crate) fn host_limit_reached(&self, limit: HostLimit) {
        self.host_limits.get_or_create(&HostLimitLabel { limit }).inc();
    }

    /// Counts the lines of the log that were dropped because nobody read it.
    pub(crate) fn count_dropped_log_lines(&mut self, dropped: ErrorCounter) {
        self.registry.register_collector(Box::new(DroppedLogLines(dropped)));
    }

    /// All metrics as text of the `OpenMetrics` format, which Prometheus reads.
    ///
    /// # Errors
    /// None in practice: writing to a string cannot fail.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl TenantMetrics {
    /// Counts nothing any more: what is counted for a tenant that was removed would stay.
    pub(crate) fn forget(&self) {
        self.is_forgotten.store(true, Ordering::Relaxed);
    }

    fn is_forgotten(&self) -> bool {
        self.is_forgotten.load(Ordering::Relaxed)
    }

    /// Notes that the tenant is in another state.
    pub(crate) fn enter(&self, before: &'static str, now: &'static str) {
        if !self.is_forgotten() {
            for (state, value) in [(before, 0), (now, 1)] {
                let labels = StateLabels { tenant: Arc::clone(&self.tenant), state };
                self.states.get_or_create(&labels).set(value);
            }
        }
    }

    /// Counts a request that got no decision.
    pub(crate) fn error(&self, code: &'static str) {
        if self.is_forgotten() {
            return;
        }
        let labels = ErrorLabels { tenant: Arc::clone(&self.tenant), code };
        self.errors.get_or_create(&labels).inc();
    }

    /// Notes what the worker uses now; `None` where there is none.
    #[expect(clippy::cast_precision_loss, reason = "seconds of a processor, to the millisecond")]
    pub(crate) fn record_usage(&self, usage: Option<Usage>) {
        let (millis, bytes) = usage.map_or((0, 0), |usage| (usage.cpu_millis, usage.memory_bytes));
        self.cpu_seconds.set(millis as f64 / 1000.0);
        self.memory_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a worker that ended unasked, or did not come up.
    pub(crate) fn restarted(&self, cause: Cause) {
        let labels = RestartLabels { tenant: Arc::clone(&self.tenant), cause: cause.name() };
        self.restarts.get_or_create(&labels).inc();
    }

    /// Counts what became of a bundle.
    pub(crate) fn reloaded(&self, result: Reload) {
        let labels = ReloadLabels { tenant: Arc::clone(&self.tenant), result: result.name() };
        self.reloads.get_or_create(&labels).inc();
    }

    /// Counts that a limit of this tenant was reached.
    pub(crate) fn limit_reached(&self, limit: TenantLimit) {
        if self.is_forgotten() {
            return;
        }
        let labels = TenantLimitLabels { tenant: Arc::clone(&self.tenant), limit };
        self.limits.get_or_create(&labels).inc();
    }
}

/// Reads the logger's own counter when the metrics are read.
#[derive(Debug)]
struct DroppedLogLines(ErrorCounter);

impl Collector for DroppedLogLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let dropped = u64::try_from(self.0.dropped_lines()).unwrap_or(u64::MAX);
        let counter = ConstCounter::new(dropped);
        let help = "Lines of the log that were dropped because it was not read fast enough";
        let metric =
            encoder.encode_descriptor("dropped_log_lines", help, None, counter.metric_type())?;
        counter.encode(metric)
    }
}
