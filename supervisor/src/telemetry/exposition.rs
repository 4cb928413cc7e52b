//! Metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 for a client that
//! asks for it. Labels are bounded: tenants, and fixed words.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry as Families;

use super::key_metrics::KeysCollector;
use super::logging::LostLines;
use super::metrics::{BUCKET_BOUNDS_MICROS, EvaluationTotals, HostMetrics, TenantMetrics};
use super::process;
use crate::access::Access;
use crate::bundles::remote::status::{BundleSourceStatus, DownloadCounts};
use crate::clock::unix_seconds;
use crate::readiness::Readiness;
use crate::tenant::quota::QuotaUse;
use crate::tenant::registry::{Registry, Tenants};
use crate::tenant::state::TenantState;
use crate::tenant::status::Status;
use crate::worker::usage::{Usage, usage};

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Prometheus,
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let is_wanted = accept.split(',').any(|media| {
            let (name, _) = media.split_once(';').unwrap_or((media, ""));
            name.trim().eq_ignore_ascii_case("application/openmetrics-text")
        });
        if is_wanted { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics of the process, ready to be written.
#[derive(Debug)]
pub(crate) struct Exposition(Families);

impl Exposition {
    /// Of these sources.
    pub(crate) fn new(
        host: Arc<HostMetrics>,
        access: Arc<Access>,
        registry: Arc<Registry>,
        readiness: Arc<Readiness>,
        lost_lines: LostLines,
    ) -> Self {
        let mut families = Families::default();
        families.register_collector(Box::new(ProcessCollector));
        let ours = families.sub_registry_with_prefix("enforcer");
        register_host(ours, &host);
        let host = HostCollector { host, registry: Arc::clone(&registry), readiness, lost_lines };
        ours.register_collector(Box::new(host));
        ours.register_collector(Box::new(KeysCollector(access)));
        ours.register_collector(Box::new(TenantCollector(registry)));
        Self(families)
    }

    /// The metrics now, as text. It reads two files for every worker.
    ///
    /// # Errors
    /// Never in practice: writing to a string cannot fail.
    pub(crate) fn text(&self, format: Format) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match format {
            Format::OpenMetrics => encode(&mut text, &self.0)?,
            Format::Prometheus => {
                encode_registry(&mut text, &self.0)?;
                text = prometheus(&text);
            }
        }
        Ok(text)
    }
}

/// OpenMetrics text in Prometheus' own format: there, the family of a counter is named with the
/// suffix `_total` that its samples have.
fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let suffix = if kind == "counter" { "_total" } else { "" };
        if let Some((_, help)) = help.take() {
            text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
        }
        text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
    }
    text
}

fn register_host(families: &mut Families, host: &HostMetrics) {
    families.register("connections", "Client connections open now", host.connections.clone());
    families.register(
        "max_connections",
        "Client connections that may be open at once",
        host.max_connections.clone(),
    );
    families.register(
        "forbidden_requests",
        "Requests whose credential lacked a role, or was for other tenants",
        host.forbidden.clone(),
    );
    families.register(
        "misdirected_requests",
        "Requests for hosts that are not served here",
        host.misdirected.clone(),
    );
    families.register(
        "proxy_protocol_errors",
        "Connections of proxies without a valid PROXY protocol header",
        host.proxy_errors.clone(),
    );
    families.register(
        "tls_reload_failures",
        "Times that changed certificates, keys or lists could not be used, so that those from before stayed",
        host.tls.reload_failures.clone(),
    );
    families.register(
        "ignored_directories",
        "Directories in BUNDLES_DIR whose name is not a tenant id",
        host.ignored_directories.clone(),
    );
    families.register(
        "bundles_dir_readable",
        "Whether BUNDLES_DIR can be read",
        host.bundles_dir_readable.clone(),
    );
    families.register(
        "bundle_download_active",
        "Requests for remote bundles that are made now, without servers that wait",
        host.bundle_downloads_active.clone(),
    );
    families.register(
        "sandbox_off",
        "Whether workers run without a sandbox",
        host.sandbox_off.clone(),
    );
    families.register(
        "stream_consumers",
        "Consumers of the decision stream connected now",
        host.stream.consumers.clone(),
    );
    families.register(
        "stream_events",
        "Events of the decision stream that were built",
        host.stream.events.clone(),
    );
    families.register(
        "stream_missed",
        "Events of the decision stream that consumers missed and were told of",
        host.stream.missed.clone(),
    );
    families.register(
        "stream_inputs_omitted",
        "Inputs left out of events of the decision stream because memory was exhausted",
        host.stream.inputs_omitted.clone(),
    );
    families.register(
        "worker_start_seconds",
        "Time from starting a worker to its bundle being loaded",
        host.start_seconds.clone(),
    );
}

/// This process's resource usage.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(usage) = process::usage() else { return Ok(()) };
        let help = "Processor time that the supervisor has used, in seconds";
        let mut family =
            encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, f64, u64>(&usage.cpu_seconds, None)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory of the supervisor", usage.resident_bytes),
            (
                "process_virtual_memory_bytes",
                "Address space of the supervisor",
                usage.virtual_bytes,
            ),
            ("process_open_fds", "File descriptors open now", usage.open_descriptors),
            ("process_max_fds", "File descriptors that may be open at once", usage.max_descriptors),
        ] {
            gauge(&mut encoder, name, help, &value)?;
        }
        let help = "When the supervisor was started, in seconds since 1970";
        gauge(&mut encoder, "process_start_time_seconds", help, &usage.start_seconds)
    }
}

/// The host's metrics that need no counter.
#[derive(Debug)]
struct HostCollector {
    host: Arc<HostMetrics>,
    registry: Arc<Registry>,
    readiness: Arc<Readiness>,
    lost_lines: LostLines,
}

impl Collector for HostCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "The version that runs, always 1";
        let mut family = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
        family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?.encode_gauge(&1_u64)?;

        let is_ready = u64::from(self.readiness.is_ready(&self.registry));
        let help = "Whether every tenant was tried once, and the supervisor is not shutting down";
        gauge(&mut encoder, "ready", help, &is_ready)?;

        let help =
            "Lines of the log that were lost: it was not read fast enough, or writing failed";
        let mut family =
            encoder.encode_descriptor("dropped_log_lines", help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, u64>(&self.lost_lines.count(), None)?;

        let help = "How often a limit of the host was reached";
        let mut family =
            encoder.encode_descriptor("host_limit_reached", help, None, MetricType::Counter)?;
        for (limit, count) in self.host.limits() {
            counter(&mut family, &[("limit", limit.name())], count)?;
        }

        let help = "Requests without a credential that is accepted";
        let mut family =
            encoder.encode_descriptor("refused_credentials", help, None, MetricType::Counter)?;
        for (refusal, count) in self.host.refused_credentials() {
            counter(&mut family, &[("reason", refusal.name())], count)?;
        }

        let help = "TLS handshakes that did not succeed";
        let mut family =
            encoder.encode_descriptor("tls_handshake_failures", help, None, MetricType::Counter)?;
        for (failure, count) in self.host.tls.failures() {
            counter(&mut family, &[("reason", failure.name())], count)?;
        }

        // No samples without [tls].
        let help = "When each certificate, and the first list of revoked ones, ends, in seconds since 1970";
        let name = "tls_certificate_expiry_timestamp_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, end) in self.host.tls.ends().iter() {
            family.encode_family(&[("certificate", name.as_str())])?.encode_gauge(end)?;
        }

        let states: Vec<TenantState> =
            self.registry.all().values().map(|tenant| tenant.status.state()).collect();
        let help = "Tenants in each state";
        let mut family = encoder.encode_descriptor("tenants", help, None, MetricType::Gauge)?;
        for state in TenantState::ALL {
            let count = states.iter().filter(|other| **other == state).count();
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            family.encode_family(&[("state", state.name())])?.encode_gauge(&count)?;
        }
        Ok(())
    }
}

/// The metrics of each tenant. A tenant that is asleep costs no series: its counters continue when
/// it wakes.
#[derive(Debug)]
struct TenantCollector(Arc<Registry>);

/// Series that one tenant may have at most. It is the sum of what [`TenantCollector`] writes:
/// states, decisions, errors, limits, restarts, loads, single ones, four for each of four quotas, the
/// histogram, and those of a remote bundle: results of its downloads, and single ones.
#[cfg(test)]
const MAX_TENANT_SERIES: usize = 1
    + 2
    + crate::error_code::ErrorCode::ALL.len()
    + 9
    + 9
    + 3
    + 7
    + 4 * 4
    + BUCKET_BOUNDS_MICROS.len()
    + 3
    + (4 + 4);

/// One tenant at the moment that the metrics are read.
struct Row<'a> {
    tenant: &'a str,
    status: Status,
    metrics: &'a TenantMetrics,
    usage: Option<Usage>,
    quotas: Vec<QuotaUse>,
}

impl Row<'_> {
    fn all(tenants: &Tenants) -> Vec<Row<'_>> {
        let now = Instant::now();
        tenants
            .iter()
            .map(|(id, tenant)| (id, tenant, tenant.status.status()))
            .filter(|(_, _, status)| status.state != TenantState::Asleep)
            .map(|(id, tenant, status)| Row {
                tenant: id.as_str(),
                usage: status.pid.and_then(usage),
                status,
                metrics: &tenant.metrics,
                quotas: tenant.quotas.all(now).collect(),
            })
            .collect()
    }
}

impl Collector for TenantCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tenants = self.0.all();
        let rows = Row::all(&tenants);
        encode_counters(&mut encoder, &rows)?;
        encode_gauges(&mut encoder, &rows)?;
        encode_quotas(&mut encoder, &rows)?;
        encode_downloads(&mut encoder, &tenants)?;
        encode_evaluations(&mut encoder, &rows)
    }
}

fn encode_counters(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<'_>]) -> fmt::Result {
    let help = "Decisions made by policies";
    counters(encoder, rows, ("decisions", help, "decision"), |metrics| {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("allow", load(&metrics.allowed)), ("deny", load(&metrics.denied))].into_iter()
    })?;
    let help = "Answers of the Data API about other documents than the decision";
    let mut family = encoder.encode_descriptor("documents", help, None, MetricType::Counter)?;
    for Row { tenant, metrics, .. } in rows {
        let count = metrics.documents.load(Ordering::Relaxed);
        counter(&mut family, &[("tenant", *tenant)], count)?;
    }
    let help = "Requests that got no decision";
    counters(encoder, rows, ("errors", help, "code"), |metrics| {
        metrics.errors().map(|(code, count)| (code.name(), count))
    })?;
    let help = "How often a limit of a tenant was reached";
    counters(encoder, rows, ("tenant_limit_reached", help, "limit"), |metrics| {
        metrics.limits().map(|(limit, count)| (limit.name(), count))
    })?;
    let help = "Workers that ended unexpectedly, or did not start";
    counters(encoder, rows, ("worker_restarts", help, "cause"), |metrics| {
        metrics.restarts().map(|(cause, count)| (cause.name(), count))
    })?;
    let help = "Bundles that were loaded, were rejected, or could not be read or loaded";
    counters(encoder, rows, ("bundle_loads", help, "result"), |metrics| {
        metrics.loads().map(|(result, count)| (result.name(), count))
    })?;
    let help = "How often a tenant was quarantined because its workers failed too often";
    let mut family = encoder.encode_descriptor("quarantines", help, None, MetricType::Counter)?;
    for Row { tenant, metrics, .. } in rows {
        let count = metrics.quarantines.load(Ordering::Relaxed);
        counter(&mut family, &[("tenant", *tenant)], count)?;
    }
    let help = "Requests that were answered with an error because the bytecode and the interpreter disagreed";
    let mut family =
        encoder.encode_descriptor("evaluator_differences", help, None, MetricType::Counter)?;
    for Row { tenant, metrics, .. } in rows {
        let count = metrics.evaluator_differences.load(Ordering::Relaxed);
        counter(&mut family, &[("tenant", *tenant)], count)?;
    }
    let help = "Decisions whose input was not shown because the policy's mask failed";
    let mut family = encoder.encode_descriptor("mask_failures", help, None, MetricType::Counter)?;
    for Row { tenant, metrics, .. } in rows {
        let count = metrics.mask_failures.load(Ordering::Relaxed);
        counter(&mut family, &[("tenant", *tenant)], count)?;
    }
    let help = "Processor time that the worker of the tenant has used, in seconds";
    let mut family =
        encoder.encode_descriptor("worker_cpu_seconds", help, None, MetricType::Counter)?;
    for Row { tenant, usage, .. } in rows {
        if let Some(usage) = usage {
            let labels = [("tenant", *tenant)];
            let mut series = family.encode_family(&labels)?;
            series.encode_counter::<NoLabelSet, f64, u64>(&usage.cpu_seconds(), None)?;
        }
    }
    Ok(())
}

fn encode_gauges(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<'_>]) -> fmt::Result {
    let help = "1 for the state that a tenant is in";
    let mut family = encoder.encode_descriptor("tenant_state", help, None, MetricType::Gauge)?;
    for Row { tenant, status, .. } in rows {
        let labels = [("tenant", *tenant), ("state", status.state.name())];
        family.encode_family(&labels)?.encode_gauge(&1_u64)?;
    }
    let help = "Whether a worker serves the tenant";
    let mut family = encoder.encode_descriptor("worker_ready", help, None, MetricType::Gauge)?;
    for Row { tenant, status, .. } in rows {
        let is_ready = u64::from(status.pid.is_some());
        family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&is_ready)?;
    }
    let help = "Memory of the worker of the tenant that it shares with no other process";
    let mut family =
        encoder.encode_descriptor("worker_memory_bytes", help, None, MetricType::Gauge)?;
    for Row { tenant, usage, .. } in rows {
        if let Some(usage) = usage {
            family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&usage.memory_bytes)?;
        }
    }
    let help = "Since when an older revision serves than the directory has, in seconds since 1970; absent while the newest serves";
    let name = "bundle_stale_since_timestamp_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for Row { tenant, status, .. } in rows {
        if let Some(stale) = &status.stale {
            let since = unix_seconds(stale.since);
            family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&since)?;
        }
    }
    let help =
        "When the next worker is tried, in seconds since 1970; absent outside of a quarantine";
    let name = "quarantine_until_timestamp_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for Row { tenant, status, .. } in rows {
        if let Some(quarantine) = &status.quarantine {
            let until = unix_seconds(quarantine.until);
            family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&until)?;
        }
    }
    Ok(())
}

fn encode_quotas(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<'_>]) -> fmt::Result {
    let each =
        || rows.iter().flat_map(|row| row.quotas.iter().map(move |quota| (row.tenant, quota)));
    let help = "How much a quota of a tenant gives in a minute, or allows at once";
    let mut family = encoder.encode_descriptor("quota_limit", help, None, MetricType::Gauge)?;
    for (tenant, quota) in each() {
        let labels = [("tenant", tenant), ("quota", quota.name.name())];
        family.encode_family(&labels)?.encode_gauge(&quota.window_limit)?;
    }
    let help = "How much of it was used in the last minute, or is used now";
    let mut family = encoder.encode_descriptor("quota_used", help, None, MetricType::Gauge)?;
    for (tenant, quota) in each() {
        let labels = [("tenant", tenant), ("quota", quota.name.name())];
        family.encode_family(&labels)?.encode_gauge(&quota.used)?;
    }
    let help = "Requests that were refused because a quota of the tenant was spent";
    let mut family =
        encoder.encode_descriptor("quota_exceeded", help, None, MetricType::Counter)?;
    for (tenant, quota) in each() {
        let labels = [("tenant", tenant), ("quota", quota.name.name())];
        counter(&mut family, &labels, quota.exceeded)?;
    }
    let help = "Warnings that a quota of a tenant was nearly used, at most one in a minute";
    let mut family =
        encoder.encode_descriptor("quota_warnings", help, None, MetricType::Counter)?;
    for (tenant, quota) in each() {
        let labels = [("tenant", tenant), ("quota", quota.name.name())];
        counter(&mut family, &labels, quota.warnings)?;
    }
    Ok(())
}

/// Of remote bundles, which are downloaded while their tenants are asleep, too.
fn encode_downloads(encoder: &mut DescriptorEncoder<'_>, tenants: &Tenants) -> fmt::Result {
    let remote: Vec<(&str, BundleSourceStatus, &DownloadCounts)> = tenants
        .iter()
        .filter_map(|(id, tenant)| {
            Some((id.as_str(), tenant.status.bundle_source()?, &tenant.metrics.downloads))
        })
        .collect();
    let help = "Attempts to download a remote bundle, by their results";
    let name = "bundle_download_attempts";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (tenant, _, counts) in &remote {
        for (result, count) in counts.results() {
            counter(&mut family, &[("tenant", *tenant), ("result", result.name())], count)?;
        }
    }
    let help = "Bytes of remote bundles that were received, those of refused ones included";
    let name = "bundle_download_bytes";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (tenant, _, counts) in &remote {
        counter(&mut family, &[("tenant", *tenant)], counts.bytes())?;
    }
    let help = "How often a server went back to a revision that it had replaced before";
    let name = "bundle_download_rollbacks";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (tenant, _, counts) in &remote {
        counter(&mut family, &[("tenant", *tenant)], counts.rollbacks())?;
    }
    let help = "When the server last gave a good bundle or said that there is no newer one, in seconds since 1970; absent before that";
    let name = "bundle_download_last_success_timestamp_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (tenant, source, _) in &remote {
        if let Some(at) = source.last_successful_attempt {
            family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&unix_seconds(at))?;
        }
    }
    let help = "Since when a remote bundle could not be updated, in seconds since 1970; absent while it can";
    let name = "bundle_download_failing_since_timestamp_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (tenant, source, _) in &remote {
        if let Some(error) = &source.last_error {
            let since = unix_seconds(error.since);
            family.encode_family(&[("tenant", *tenant)])?.encode_gauge(&since)?;
        }
    }
    Ok(())
}

fn encode_evaluations(encoder: &mut DescriptorEncoder<'_>, rows: &[Row<'_>]) -> fmt::Result {
    let help = "How long evaluations took: those that decided, failed, or timed out";
    let mut family =
        encoder.encode_descriptor("evaluation_seconds", help, None, MetricType::Histogram)?;
    for Row { tenant, metrics, .. } in rows {
        let EvaluationTotals { count, sum_micros, buckets } = metrics.evaluations.totals();
        let bounds = BUCKET_BOUNDS_MICROS.iter().map(|bound| seconds(*bound));
        let buckets: Vec<(f64, u64)> =
            bounds.chain(std::iter::once(f64::INFINITY)).zip(buckets).collect();
        let labels = [("tenant", *tenant)];
        let mut series = family.encode_family(&labels)?;
        series.encode_histogram::<NoLabelSet>(seconds(sum_micros), count, &buckets, None)?;
    }
    Ok(())
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl prometheus_client::encoding::EncodeGaugeValue,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

/// A family of counters with a name, a help and a label beside the tenant's, whose values and
/// numbers `counts` takes from a tenant's metrics.
fn counters<'a, Counts: Iterator<Item = (&'static str, u64)>>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: &[Row<'a>],
    (name, help, label): (&str, &str, &str),
    counts: impl Fn(&'a TenantMetrics) -> Counts,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for row in rows {
        for (value, count) in counts(row.metrics) {
            counter(&mut family, &[("tenant", row.tenant), (label, value)], count)?;
        }
    }
    Ok(())
}

fn counter<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    count: u64,
) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds to the microsecond, for centuries")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    use crate::access::Rules;
    use crate::bundles::remote::status::SourceError;
    use crate::clock::utc_now;
    use crate::config::{DecisionQuota, TenantQuotas};
    use crate::error_code::ErrorCode;
    use crate::telemetry::metrics::{BundleLoad, TenantLimit};
    use crate::tenant::state::Cause;
    use crate::tenant::testing::{tenant, tenant_with};

    const ONE: NonZeroU64 = NonZeroU64::MIN;

    fn exposition() -> (Exposition, Arc<Registry>) {
        let registry = Arc::new(Registry::default());
        let host = Arc::new(HostMetrics::new());
        let readiness = Arc::new(Readiness::default());
        let access = Arc::new(Access::new(Rules::Open));
        let exposition =
            Exposition::new(host, access, Arc::clone(&registry), readiness, LostLines::default());
        (exposition, registry)
    }

    #[tokio::test]
    async fn both_formats_are_whole() {
        let (exposition, registry) = exposition();
        let (one, _requests) = tenant();
        one.metrics.decided(true);
        registry.replace([(one.id.clone(), one)].into());
        let text = exposition.text(Format::Prometheus).unwrap();
        assert!(text.contains("# TYPE enforcer_decisions_total counter\n"), "{text}");
        let series = "enforcer_decisions_total{tenant=\"a\",decision=\"allow\"} 1\n";
        assert!(text.contains(series), "{text}");
        assert!(text.contains("# TYPE process_resident_memory_bytes gauge\n"), "{text}");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        let text = exposition.text(Format::OpenMetrics).unwrap();
        assert!(text.contains("# TYPE enforcer_decisions counter\n"), "{text}");
        assert!(text.contains(series) && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn a_tenant_with_every_trouble_has_a_bounded_number_of_series() {
        let (exposition, registry) = exposition();
        let series = |exposition: &Exposition| {
            let text = exposition.text(Format::Prometheus).unwrap();
            text.lines().filter(|line| line.contains("tenant=\"a\"")).count()
        };
        let (one, _requests) = tenant_with(TenantQuotas {
            decisions: Some(DecisionQuota { per_second: ONE, burst: ONE }),
            concurrent_requests: NonZeroU32::new(1),
            body_bytes_per_second: Some(ONE),
            stream_consumers: NonZeroU32::new(1),
        });
        for code in ErrorCode::ALL {
            one.metrics.error(*code);
        }
        for cause in Cause::ALL {
            one.metrics.restarted(cause);
        }
        for load in [BundleLoad::Loaded, BundleLoad::Rejected, BundleLoad::Failed] {
            one.metrics.bundle_load(load);
        }
        for limit in [TenantLimit::QueueLength, TenantLimit::DrainTime] {
            one.metrics.limit_reached(limit);
        }
        let now = utc_now();
        one.status.set_bundle_source(BundleSourceStatus {
            service: "cdn".to_owned(),
            resource: "a.tar.gz".to_owned(),
            etag: None,
            long_polling: false,
            last_attempt: Some(now),
            last_successful_attempt: Some(now),
            last_successful_download: Some(now),
            last_rollback: Some(now),
            last_error: Some(SourceError::new("status", "503".to_owned(), Some(503), now, now)),
        });
        registry.replace([(one.id.clone(), Arc::clone(&one))].into());
        let with_trouble = series(&exposition);
        assert!((56..=MAX_TENANT_SERIES).contains(&with_trouble), "{with_trouble}");
        let text = exposition.text(Format::Prometheus).unwrap();
        let limit = "enforcer_quota_limit{tenant=\"a\",quota=\"decisions_per_second\"} 60\n";
        assert!(text.contains(limit), "{text}");
    }

    #[test]
    fn a_client_gets_the_format_that_it_asks_for() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format::OpenMetrics),
            ("text/plain, Application/OpenMetrics-Text", Format::OpenMetrics),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }
}
