//! The routes.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Method, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tower_service::Service as _;
use tracing::{Level, debug, enabled};

use super::error::ApiError;
use super::path::{TenantAction, data_path, tenant_action};
use super::state::AppState;
use super::{body, dashboard, data, decision, operations, overview, stream, why};
use crate::telemetry::logging::printable;

type SharedApp = State<Arc<AppState>>;

const DATA: &str = "/v1/data/";
const BATCH: &str = "/v1/batch/data/";
const ROOTS: &str = "/tenants/";
const TENANTS: &str = "/v1/tenants/";
const DASHBOARD: &str = "/dashboard/";

/// Answers one request.
pub(super) async fn answer(router: Router, request: Request) -> Response {
    if !enabled!(Level::DEBUG) {
        return route(router, request).await;
    }
    let (began, method) = (Instant::now(), request.method().clone());
    let path = printable(request.uri().path()).to_string();
    let response = route(router, request).await;
    debug!(
        %method,
        path,
        status = response.status().as_u16(),
        micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

async fn route(mut router: Router, request: Request) -> Response {
    if !names_its_host(request.version(), request.headers()) {
        return refuse(ApiError::InvalidHost, request).await;
    }
    let Ok(response) = router.call(request).await;
    response
}

/// All routes.
pub(super) fn router(app: Arc<AppState>) -> Router {
    // Paths below these two are split by us and not by the router: a tenant id that is empty,
    // encoded or invalid has an error of its own.
    Router::new()
        .route("/", get(go_to_dashboard))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/overview", get(overview))
        .route("/v1/history", get(history))
        .route("/v1/tenants", get(list_tenants))
        .route("/v1/tenants/{*path}", get(show_tenant).post(act_on_tenant))
        .route("/v1/data/{*path}", any(data))
        .route("/v1/batch/data/{*path}", any(batch))
        .route("/tenants/{*path}", any(tenant_root))
        .route("/v1/stream/decisions", get(stream_decisions))
        .route("/dashboard", get(show_dashboard))
        .route("/dashboard/", get(move_to_dashboard))
        .route("/dashboard/{file}", get(show_dashboard_file))
        .fallback(unknown)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

async fn data(State(app): SharedApp, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = match data_path(after(DATA, head.uri.path())) {
        Ok(path) => path,
        Err(error) => return refuse(error, Request::from_parts(head, body)).await,
    };
    if path.is_decision() && head.method == Method::POST {
        return decision::decide(&app, &path.tenant_id, &head, body).await;
    }
    let Some(tenant) = app.registry.get(&path.tenant_id) else {
        return refuse(ApiError::UnknownTenant, Request::from_parts(head, body)).await;
    };
    let keys = data::document_path(&tenant.limits.root(&tenant.id), path.rest);
    data::v1(&app, &tenant, keys, &head, body).await
}

async fn batch(State(app): SharedApp, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = match data_path(after(BATCH, head.uri.path())) {
        Ok(path) => path,
        Err(error) => return refuse(error, Request::from_parts(head, body)).await,
    };
    let Some(tenant) = app.registry.get(&path.tenant_id) else {
        return refuse(ApiError::UnknownTenant, Request::from_parts(head, body)).await;
    };
    if path.is_decision() {
        return data::decisions(&tenant, &head, body).await;
    }
    let keys = data::document_path(&tenant.limits.root(&tenant.id), path.rest);
    data::documents(&tenant, keys, &head, body).await
}

async fn tenant_root(State(app): SharedApp, request: Request) -> Response {
    let (head, body) = request.into_parts();
    data::below_root(&app, after(ROOTS, head.uri.path()), &head, body).await
}

async fn health(State(app): SharedApp, request: Request) -> Response {
    operations::health(&app, request.uri().query()).unwrap_or_else(ApiError::into_response)
}

async fn metrics(State(app): SharedApp, headers: HeaderMap) -> Response {
    operations::show_metrics(app, &headers).await.unwrap_or_else(ApiError::into_response)
}

async fn overview(State(app): SharedApp) -> Response {
    overview::overview(app).await.unwrap_or_else(ApiError::into_response)
}

async fn history(State(app): SharedApp) -> Response {
    overview::history(app).await.unwrap_or_else(ApiError::into_response)
}

async fn go_to_dashboard() -> Response {
    dashboard::door()
}

async fn list_tenants(State(app): SharedApp) -> Response {
    operations::list_tenants(&app)
}

async fn act_on_tenant(State(app): SharedApp, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let error = match tenant_action(after(TENANTS, head.uri.path())) {
        Ok((tenant_id, Some(TenantAction::Why))) => match app.registry.get(&tenant_id) {
            Some(tenant) => return why::why(&app, &tenant, &head, body).await,
            None => ApiError::UnknownTenant,
        },
        Ok((_, None)) => ApiError::MethodNotAllowed { allow: Some("GET, HEAD") },
        Err(error) => error,
    };
    refuse(error, Request::from_parts(head, body)).await
}

async fn show_tenant(State(app): SharedApp, request: Request) -> Response {
    let path = after(TENANTS, request.uri().path());
    operations::show_tenant(&app, path).unwrap_or_else(ApiError::into_response)
}

async fn stream_decisions(State(app): SharedApp, request: Request) -> Response {
    stream::open(&app, request).await
}

async fn show_dashboard(headers: HeaderMap) -> Response {
    dashboard::page(&headers).unwrap_or_else(ApiError::into_response)
}

async fn move_to_dashboard() -> Response {
    dashboard::moved()
}

async fn show_dashboard_file(request: Request) -> Response {
    let name = after(DASHBOARD, request.uri().path());
    dashboard::file(name, request.headers()).unwrap_or_else(ApiError::into_response)
}

async fn unknown(request: Request) -> Response {
    refuse(ApiError::UnknownResource, request).await
}

async fn method_not_allowed(request: Request) -> Response {
    refuse(ApiError::MethodNotAllowed { allow: None }, request).await
}

/// Answers a request whose body is not read.
async fn refuse(error: ApiError, request: Request) -> Response {
    let (head, body) = request.into_parts();
    error.response(body::drain_or_close(&head, body).await)
}

/// Whether a request names the one host that it is for, as HTTP/1.1 requires (RFC 9112, section
/// 3.2). Where two are named, a proxy on the way may have used the other.
fn names_its_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether this may be a host and a port. It is not used to find anything, so it is not parsed;
/// only characters that belong to other parts of a URL are refused. It may be empty.
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(byte))
}

fn after<'a>(prefix: &str, path: &'a str) -> &'a str {
    path.strip_prefix(prefix).unwrap_or_default()
}
