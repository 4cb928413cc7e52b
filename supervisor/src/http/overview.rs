//! The dashboard's data: one JSON document for the present, and one for the last minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use enforcer_protocol::TenantId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::{ApiError, json};
use super::operations::{ResultBody, fresh, in_background};
use super::state::AppState;
use crate::bundles::health::ReconcilerState;
use crate::clock::{rfc3339, utc_now};
use crate::stream::{RecentEvent, RecentRequest};
use crate::telemetry::history::{INTERVAL, Report};
use crate::telemetry::metrics::{BUCKET_BOUNDS_MICROS, EvaluationTotals};
use crate::tenant::state::TenantState;
use crate::worker::usage::usage;

/// Maximum number of decisions and errors of all tenants in one answer.
const MAX_REQUEST_EVENTS: usize = 500;

#[derive(Debug, Serialize)]
struct Overview {
    version: &'static str,
    started: String,
    now: String,
    uptime_seconds: i64,
    pid: u32,
    sandbox_mode: &'static str,
    bundles_dir_readable: bool,
    is_ready: bool,
    connections: i64,
    max_connections: usize,
    stream_consumers: i64,
    host_limits: BTreeMap<&'static str, u64>,
    dropped_log_lines: u64,
    ignored_directories: u64,
    states: BTreeMap<&'static str, u64>,
    evaluation_bounds_micros: [u64; BUCKET_BOUNDS_MICROS.len()],
    tenants: BTreeMap<TenantId, TenantOverview>,
}

#[derive(Debug, Serialize)]
struct TenantOverview {
    allowed: u64,
    denied: u64,
    errors: BTreeMap<&'static str, u64>,
    limits: BTreeMap<&'static str, u64>,
    evaluations: EvaluationTotals,
    /// Only while a worker serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct HistoryBody {
    #[serde(flatten)]
    report: Report,
    until: String,
    events: Vec<Box<RawValue>>,
}

/// `GET /v1/overview`.
pub(crate) async fn overview(app: Arc<AppState>) -> Result<Response, ApiError> {
    // It reads two files for every worker.
    let result = in_background(app, of).await?;
    Ok(fresh(json(StatusCode::OK, &ResultBody { result })))
}

fn of(app: &AppState) -> Overview {
    let now = utc_now();
    let mut states = BTreeMap::new();
    let mut tenants = BTreeMap::new();
    for (id, tenant) in app.registry.all().iter() {
        let status = tenant.status.status();
        *states.entry(status.state.name()).or_default() += 1;
        let metrics = &tenant.metrics;
        let overview = TenantOverview {
            allowed: metrics.allowed.load(Ordering::Relaxed),
            denied: metrics.denied.load(Ordering::Relaxed),
            errors: metrics.errors().map(|(code, count)| (code.name(), count)).collect(),
            limits: metrics.limits().map(|(limit, count)| (limit.name(), count)).collect(),
            evaluations: metrics.evaluations.totals(),
            cpu_millis: None,
            memory_bytes: None,
        };
        let was_asked = overview.evaluations.count > 0 || !overview.errors.is_empty();
        if status.state == TenantState::Asleep && !was_asked {
            continue;
        }
        let usage = status.pid.and_then(usage);
        let overview = TenantOverview {
            cpu_millis: usage.as_ref().map(|usage| usage.cpu_millis),
            memory_bytes: usage.as_ref().map(|usage| usage.memory_bytes),
            ..overview
        };
        tenants.insert(id.clone(), overview);
    }
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        started: rfc3339(app.started),
        now: rfc3339(now),
        uptime_seconds: (now - app.started).num_seconds(),
        pid: std::process::id(),
        sandbox_mode: app.sandbox_mode.name(),
        bundles_dir_readable: app.bundles.state() == ReconcilerState::Running,
        is_ready: app.readiness.is_ready(&app.registry),
        connections: app.metrics.connections.get(),
        max_connections: app.connections.count(),
        stream_consumers: app.stream.metrics.consumers.get(),
        host_limits: app.metrics.limits().map(|(limit, count)| (limit.name(), count)).collect(),
        dropped_log_lines: app.lost_lines.count(),
        ignored_directories: app.metrics.ignored_directories.get(),
        states,
        evaluation_bounds_micros: BUCKET_BOUNDS_MICROS,
        tenants,
    }
}

/// `GET /v1/history`.
pub(crate) async fn history(app: Arc<AppState>) -> Result<Response, ApiError> {
    // It builds up to a thousand events.
    let result = in_background(app, history_of).await?;
    Ok(fresh(json(StatusCode::OK, &ResultBody { result })))
}

fn history_of(app: &AppState) -> HistoryBody {
    let mut requests: Vec<RecentRequest> = Vec::new();
    let mut after = DateTime::<Utc>::MIN_UTC;
    for tenant in app.registry.all().values() {
        requests.extend(tenant.stream.recent(after));
        if requests.len() >= 2 * MAX_REQUEST_EVENTS {
            after = keep_latest(&mut requests);
        }
    }
    keep_latest(&mut requests);
    let mut events: Vec<RecentEvent> = requests
        .iter()
        .filter_map(RecentRequest::event)
        .chain(app.stream.recent_changes())
        .collect();
    events.sort_by_key(|event| event.at);
    let report = app.history.report();
    let until = report.until.unwrap_or_else(|| utc_now() - INTERVAL);
    let events = events.into_iter().filter_map(|event| {
        RawValue::from_string(String::from_utf8(event.json.to_vec()).ok()?).ok()
    });
    HistoryBody { report, until: rfc3339(until), events: events.collect() }
}

/// Drops all but the latest requests; returns when the oldest of those ended.
fn keep_latest(requests: &mut Vec<RecentRequest>) -> DateTime<Utc> {
    requests.sort_by_key(|request| request.at);
    let excess = requests.len().saturating_sub(MAX_REQUEST_EVENTS);
    requests.drain(..excess);
    requests.first().map_or(DateTime::<Utc>::MIN_UTC, |oldest| oldest.at)
}
