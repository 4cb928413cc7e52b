//! What operators ask: health, tenants, metrics.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use enforcer_protocol::SandboxMode;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::App;
use super::error::{ApiError, json};
use super::path::segments;
use super::query::parameters;
use crate::metrics;
use crate::process_usage::{Usage, usage};
use crate::tenant::Status;

/// OPA's is empty. Ours says one thing, and only where it is to be put right.
#[derive(Debug, Serialize)]
struct HealthBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'static str>,
}

/// OPA wraps what its API returns in `result`.
#[derive(Debug, Serialize)]
struct ResultBody<T> {
    result: T,
}

#[derive(Debug, Serialize)]
struct StatusWithUsage {
    #[serde(flatten)]
    status: Status,
    /// How long the worker has served.
    uptime_millis: Option<u128>,
    /// What the worker process uses, where there is one.
    #[serde(flatten)]
    usage: Option<Usage>,
}

/// `GET /health`: that the supervisor answers; with `?bundles`, that every tenant has a good
/// revision too.
pub(crate) fn health(app: &App, query: Option<&str>) -> Result<Response, ApiError> {
    if wants_bundles(query.unwrap_or_default())? {
        let tenants = app.registry.all();
        let registered = tenants.len();
        let unready = tenants.values().filter(|tenant| !tenant.is_healthy()).count();
        if unready > 0 {
            return Err(ApiError::UnreadyTenants { unready, registered });
        }
    }
    let is_off = app.sandbox_mode == SandboxMode::DebugOff;
    let sandbox = is_off.then(|| app.sandbox_mode.name());
    Ok(json(StatusCode::OK, &HealthBody { sandbox }))
}

/// OPA takes a parameter without a value for true; parameters that it does not know, it ignores.
fn wants_bundles(query: &str) -> Result<bool, ApiError> {
    for parameter in parameters(query) {
        let (name, value) = parameter?;
        match (name.as_ref(), value.as_deref().unwrap_or("true")) {
            ("bundles" | "bundle", "true" | "") => return Ok(true),
            ("bundles" | "bundle", "false") => return Ok(false),
            ("bundles" | "bundle", _) => {
                return Err(ApiError::InvalidParameter("bundles must be true or false".to_owned()));
            }
            _ => {}
        }
    }
    Ok(false)
}

/// `GET /v1/tenants`.
pub(crate) fn list_tenants(app: &App) -> Response {
    let result: Vec<Status> = app.registry.all().values().map(|tenant| tenant.status()).collect();
    json(StatusCode::OK, &ResultBody { result })
}

/// `GET /v1/tenants/{tenant_id}`; `path` is what follows `/v1/tenants/`.
pub(crate) fn show_tenant(app: &App, path: &str) -> Result<Response, ApiError> {
    let segments = segments(path)?;
    let [tenant_id] = segments.as_slice() else {
        return Err(ApiError::UnknownResource);
    };
    let tenant = app.registry.get(&tenant_id.parse()?).ok_or(ApiError::UnknownTenant)?;
    let status = tenant.status();
    let uptime_millis = status.serving_since.map(|since| since.elapsed().as_millis());
    let usage = status.pid.and_then(usage);
    let result = StatusWithUsage { status, uptime_millis, usage };
    Ok(json(StatusCode::OK, &ResultBody { result }))
}

/// `GET /metrics`.
pub(crate) async fn show_metrics(app: Arc<App>) -> Result<Response, ApiError> {
    // It reads two files for every worker.
    let encoded = spawn_blocking(move || {
        for tenant in app.registry.all().values() {
            tenant.metrics.record_usage(tenant.status().pid.and_then(usage));
        }
        app.metrics.encode()
    });
    let text = encoded.await.ok().and_then(Result::ok).ok_or(ApiError::Internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundles_parameter_is_read_as_opa_reads_it() {
        for query in ["bundles", "bundles=true", "bundles=", "x=1&bundles", "bundle=true"] {
            assert!(wants_bundles(query).unwrap(), "{query}");
        }
        for query in ["", "plugins", "bundles=false", "bundlesx"] {
            assert!(!wants_bundles(query).unwrap(), "{query}");
        }
        assert!(wants_bundles("bundles=perhaps").is_err());
    }
}
