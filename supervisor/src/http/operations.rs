//! The operators' resources: health, tenants, metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{SandboxMode, TenantId};
use serde::Serialize;
use tracing::info;

use super::body::Rest;
use super::error::{ApiError, close_if_unread, json};
use super::path::Operation;
use super::query::parameters;
use super::state::AppState;
use crate::access::Caller;
use crate::bundles::health::ReconcilerState;
use crate::telemetry::exposition::Format;
use crate::telemetry::logging::printable;
use crate::tenant::admission::Tenant;
use crate::tenant::quota::QuotaUse;
use crate::tenant::status::Status;
use crate::worker::usage::{Usage, usage};

/// OPA's body is empty. Ours has one field, and only when its value needs to be fixed.
#[derive(Debug, Serialize)]
struct HealthBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'static str>,
}

/// OPA wraps its API's results in `result`.
#[derive(Debug, Serialize)]
pub(super) struct ResultBody<T> {
    pub(super) result: T,
}

#[derive(Debug, Serialize)]
struct StatusWithUsage {
    #[serde(flatten)]
    status: Status,
    /// How long the worker has served.
    uptime_millis: Option<u128>,
    /// The worker process's use of resources, if a worker runs.
    #[serde(flatten)]
    usage: Option<Usage>,
    /// The tenant's quotas and their use, by name.
    quotas: BTreeMap<&'static str, QuotaUse>,
}

/// The plugin that reads bundles, as OPA names its own.
const BUNDLE_PLUGIN: &str = "bundle";

/// The conditions of a health check besides the supervisor's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HealthChecks {
    /// Every tenant has a good revision.
    pub(super) bundles: bool,
    /// `BUNDLES_DIR` is monitored.
    pub(super) plugins: bool,
    /// Clients should be sent here.
    pub(super) ready: bool,
}

/// `GET /health`: whether the supervisor answers, and the conditions that the query adds, as in
/// OPA's health check (<https://www.openpolicyagent.org/docs/rest-api#health-api>); `ready` is
/// ours.
pub(crate) fn health(app: &AppState, query: Option<&str>) -> Result<Response, ApiError> {
    let checks = HealthChecks::parse(query.unwrap_or_default())?;
    if checks.ready && !app.readiness.is_ready(&app.registry) {
        return Err(ApiError::NotReady);
    }
    if checks.bundles {
        let tenants = app.registry.all();
        let registered = tenants.len();
        let unready = tenants.values().filter(|tenant| !tenant.status.is_activated()).count();
        if unready > 0 {
            return Err(ApiError::UnactivatedBundles { unready, registered });
        }
    }
    if checks.plugins {
        match app.bundles.state() {
            ReconcilerState::Running => {}
            ReconcilerState::Unreadable => {
                return Err(ApiError::PluginsDown("it cannot be read"));
            }
            ReconcilerState::Ended => {
                return Err(ApiError::PluginsDown("the reconciler ended; restart the supervisor"));
            }
        }
    }
    let is_off = app.sandbox_mode == SandboxMode::DebugOff;
    let sandbox = is_off.then(|| app.sandbox_mode.name());
    Ok(json(StatusCode::OK, &HealthBody { sandbox }))
}

impl HealthChecks {
    /// OPA takes a parameter without a value for true, and ignores parameters that it does not
    /// know.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut checks = Self::default();
        let mut is_bundle_excluded = false;
        for parameter in parameters(query) {
            let (name, value) = parameter?;
            let check = match name.as_ref() {
                "bundles" | "bundle" => &mut checks.bundles,
                "plugins" => &mut checks.plugins,
                "ready" => &mut checks.ready,
                "exclude-plugin" => {
                    is_bundle_excluded |= value.as_deref() == Some(BUNDLE_PLUGIN);
                    continue;
                }
                _ => continue,
            };
            *check |= match value.as_deref().unwrap_or("true") {
                "true" | "" => true,
                "false" => false,
                _ => {
                    let message = format!("{name} must be true or false");
                    return Err(ApiError::InvalidParameter(message));
                }
            };
        }
        checks.plugins &= !is_bundle_excluded;
        Ok(checks)
    }
}

/// `GET /v1/tenants`.
pub(crate) fn list_tenants(app: &AppState) -> Response {
    let result: Vec<Status> =
        app.registry.all().values().map(|tenant| tenant.status.status()).collect();
    fresh(json(StatusCode::OK, &ResultBody { result }))
}

/// `GET /v1/tenants/{tenant_id}`.
pub(crate) fn show_tenant(tenant: &Tenant) -> Response {
    let status = tenant.status.status();
    let uptime_millis = status.serving_since.map(|since| since.elapsed().as_millis());
    let usage = status.pid.and_then(usage);
    let quotas = tenant.quotas.all(Instant::now()).map(|quota| (quota.name.name(), quota));
    let result = StatusWithUsage { status, uptime_millis, usage, quotas: quotas.collect() };
    fresh(json(StatusCode::OK, &ResultBody { result }))
}

/// `POST /v1/tenants/{tenant_id}/{operation}`. The tenant's controller carries it out.
pub(crate) fn operate(
    tenant: &Tenant,
    operation: Operation,
    caller: &Caller,
    rest: Rest,
) -> Response {
    info!(
        tenant_id = %tenant.id,
        operation = operation.name(),
        caller = %printable(caller.name()),
        "an operator asked for it"
    );
    match operation {
        Operation::Reload => tenant.orders.reload(),
        Operation::Restart => tenant.orders.restart(),
        Operation::Release => tenant.orders.release(),
    }
    let result = Ordered { tenant_id: &tenant.id, operation: operation.name() };
    let mut response = fresh(json(StatusCode::ACCEPTED, &ResultBody { result }));
    close_if_unread(&mut response, rest);
    response
}

/// An operation that was begun.
#[derive(Debug, Serialize)]
struct Ordered<'a> {
    tenant_id: &'a TenantId,
    operation: &'static str,
}

/// `GET /metrics`.
pub(crate) async fn show_metrics(
    app: Arc<AppState>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::negotiate(&accepted.collect::<Vec<_>>().join(","));
    let written = in_background(app, move |app| app.exposition.text(format)).await?;
    let text = written.map_err(|_| ApiError::Internal)?;
    Ok(fresh(([(CONTENT_TYPE, format.media_type())], text).into_response()))
}

/// Does work that grows with the number of tenants on threads that give way to those that decide:
/// asking for it again and again must not slow a decision.
pub(super) async fn in_background<T: Send + 'static>(
    app: Arc<AppState>,
    work: impl FnOnce(&AppState) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let runtime = app.stream.runtime.clone();
    runtime.spawn_blocking(move || work(&app)).await.map_err(|_| ApiError::Internal)
}

/// An answer that must not be cached.
pub(super) fn fresh(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_read_as_opa_reads_them() {
        let checks = |query| HealthChecks::parse(query).unwrap();
        for query in ["bundles", "bundles=true", "bundles=", "x=1&bundles", "bundle=true"] {
            assert!(checks(query).bundles, "{query}");
        }
        for query in ["", "plugin", "bundles=false", "bundlesx", "ready"] {
            assert!(!checks(query).bundles, "{query}");
        }
        assert!(HealthChecks::parse("bundles=perhaps").is_err());
        assert!(checks("plugins&exclude-plugin=other").plugins);
        assert!(!checks("plugins&exclude-plugin=bundle").plugins);
        assert!(checks("ready=true&bundles").ready);
    }
}
