//! HTTP: routes, and what they share.

mod dashboard;
mod decision;
mod error;
mod operations;
pub(crate) mod origin;
mod path;
mod query;
mod server;
mod server_sent_events;
mod stream;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use enforcer_protocol::SandboxMode;
use tower_service::Service as _;

use crate::body;
use crate::connections::Connections;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::stream::Stream;
use error::ApiError;
use path::{DataPath, data_path};

pub(crate) use error::CODES;
pub(crate) use server::Server;

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) connections: Connections,
    pub(crate) sandbox_mode: SandboxMode,
    pub(crate) stream: Arc<Stream>,
    /// Origins of pages that may open the stream, besides those that always may.
    pub(crate) stream_origins: Vec<String>,
}

type SharedApp = State<Arc<App>>;

const DATA: &str = "/v1/data/";
const TENANTS: &str = "/v1/tenants/";
const DASHBOARD: &str = "/dashboard/";

/// Answers one request.
pub(crate) async fn answer(mut router: Router, request: Request) -> Response {
    if !names_its_host(request.version(), request.headers()) {
        return refuse(ApiError::InvalidHost, request).await;
    }
    let Ok(response) = router.call(request).await;
    response
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    // Paths below these two are taken apart by us, not by the router: a tenant id that is empty,
    // encoded or no id at all has an error of its own.
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/tenants", get(list_tenants))
        .route("/v1/tenants/{*path}", get(show_tenant))
        .route("/v1/data/{*path}", post(data))
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
    let error = match data_path(after(DATA, head.uri.path())) {
        Ok(DataPath::Decision(tenant_id)) => {
            return decision::decide(&app, &tenant_id, &head, body).await;
        }
        Ok(DataPath::Other(tenant_id)) => match app.registry.get(&tenant_id) {
            Some(_) => ApiError::UnknownResource,
            None => ApiError::UnknownTenant,
        },
        Err(error) => error,
    };
    refuse(error, Request::from_parts(head, body)).await
}

async fn health(State(app): SharedApp, request: Request) -> Response {
    operations::health(&app, request.uri().query()).unwrap_or_else(ApiError::into_response)
}

async fn metrics(State(app): SharedApp) -> Response {
    operations::show_metrics(app).await.unwrap_or_else(ApiError::into_response)
}

async fn list_tenants(State(app): SharedApp) -> Response {
    operations::list_tenants(&app)
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
    refuse(ApiError::MethodNotAllowed, request).await
}

/// Answers a request whose body is not wanted.
async fn refuse(error: ApiError, request: Request) -> Response {
    let (head, body) = request.into_parts();
    error.turning_away(body::turn_away(&head, body).await)
}

/// Whether a request names the one host that it is for, as HTTP/1.1 wants it (RFC 9112, section
/// 3.2). Where two are named, somebody on the way may have gone by the other.
fn names_its_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => version < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether this may be a host and a port. None of ours is looked up, so it is not taken apart; what
/// could only be another part of a URL is refused. Empty is allowed.
fn is_host(host: &[u8]) -> bool {
    host.iter().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(byte))
}

fn after<'a>(prefix: &str, path: &'a str) -> &'a str {
    path.strip_prefix(prefix).unwrap_or_default()
}
