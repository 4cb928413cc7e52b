//! The routes, each with the rule about who may ask.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use enforcer_protocol::TenantId;
use tower_service::Service as _;
use tracing::{Level, debug, enabled};

use super::error::{ApiError, close_if_unread};
use super::path::{DECISION, TENANTS, TenantResource, data_path, tenant_resource};
use super::state::AppState;
use super::{
    body, dashboard, data, decision, gate, operations, overview, quota, session, stream, why,
};
use crate::access::{Caller, Connection, Role};
use crate::telemetry::logging::printable;
use crate::tenant::admission::Tenant;

/// Where a resource is, and who may have it.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// Everyone may.
    Open(Resource),
    /// Whoever has this role for all tenants.
    AllTenants(Role, Resource),
    /// Whoever has the role that the resource needs, for the tenant that the path names.
    Tenant(Family),
    /// The decision stream, whose query may name a tenant.
    Stream,
    /// The dashboard's session, which is begun with a credential.
    Session,
}

/// A resource that is not about one tenant.
#[derive(Clone, Copy, Debug)]
enum Resource {
    Door,
    Health,
    Metrics,
    Overview,
    History,
    Tenants,
    Dashboard,
    DashboardFile,
    DashboardMoved,
}

/// Resources of one tenant. Their paths are split by us and not by the router: a tenant id that is
/// empty, encoded or invalid has an error of its own.
#[derive(Clone, Copy, Debug)]
enum Family {
    Data,
    Batch,
    Root,
    Tenants,
}

const DATA: &str = "/v1/data/";
const BATCH: &str = "/v1/batch/data/";
const ROOTS: &str = "/tenants/";
const DASHBOARD: &str = "/dashboard/";

/// Every route. A path that is not here needs a credential too, and is answered with 404.
const ROUTES: &[(&str, Route)] = &[
    ("/", Route::Open(Resource::Door)),
    ("/health", Route::Open(Resource::Health)),
    // The page itself holds nothing of a tenant.
    ("/dashboard", Route::Open(Resource::Dashboard)),
    ("/dashboard/", Route::Open(Resource::DashboardMoved)),
    ("/dashboard/session", Route::Session),
    ("/dashboard/{file}", Route::Open(Resource::DashboardFile)),
    ("/metrics", Route::AllTenants(Role::Operate, Resource::Metrics)),
    ("/v1/overview", Route::AllTenants(Role::Operate, Resource::Overview)),
    ("/v1/history", Route::AllTenants(Role::Operate, Resource::History)),
    ("/v1/tenants", Route::AllTenants(Role::Operate, Resource::Tenants)),
    ("/v1/tenants/{*path}", Route::Tenant(Family::Tenants)),
    ("/v1/data/{*path}", Route::Tenant(Family::Data)),
    ("/v1/batch/data/{*path}", Route::Tenant(Family::Batch)),
    ("/tenants/{*path}", Route::Tenant(Family::Root)),
    ("/v1/stream/decisions", Route::Stream),
];

/// The routes of the listener for diagnostics.
const DIAGNOSTICS: &[(&str, Route)] =
    &[("/health", Route::Open(Resource::Health)), ("/metrics", Route::Open(Resource::Metrics))];

/// A resource of a tenant, and the tenant's part of it.
#[derive(Debug)]
enum Asked<'a> {
    Decision,
    /// The document at this path below the tenant's package.
    Document(&'a str),
    Decisions,
    Documents(&'a str),
    BelowRoot(data::Resource<'a>),
    OfTenant(TenantResource),
}

impl Asked<'_> {
    /// The role that it needs.
    const fn role(&self) -> Role {
        match self {
            Self::Decision
            | Self::Document(_)
            | Self::Decisions
            | Self::Documents(_)
            | Self::BelowRoot(_) => Role::Decide,
            Self::OfTenant(TenantResource::Status | TenantResource::Why) => Role::Observe,
            Self::OfTenant(TenantResource::Operation(_)) => Role::Operate,
        }
    }

    /// Whether it asks the tenant's policy for something, which the tenant's quotas count.
    const fn is_of_policy(&self) -> bool {
        match self {
            Self::Decision | Self::Document(_) | Self::Decisions | Self::Documents(_) => true,
            Self::BelowRoot(resource) => resource.is_of_policy(),
            Self::OfTenant(TenantResource::Why) => true,
            Self::OfTenant(TenantResource::Status | TenantResource::Operation(_)) => false,
        }
    }
}

/// Answers one request.
pub(super) async fn answer(router: Router, request: Request) -> Response {
    if !enabled!(Level::DEBUG) {
        return route(router, request).await;
    }
    let (began, method) = (Instant::now(), request.method().clone());
    let path = printable(request.uri().path()).to_string();
    let client = request.extensions().get::<Arc<Connection>>().and_then(|it| it.address());
    let response = route(router, request).await;
    debug!(
        %method,
        path,
        client = client.map(tracing::field::display),
        status = response.status().as_u16(),
        micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}

async fn route(mut router: Router, request: Request) -> Response {
    let Ok(response) = router.call(request).await;
    response
}

/// The routes for clients.
pub(super) fn router(app: Arc<AppState>) -> Router {
    routed(ROUTES, app)
}

/// The routes for diagnostics.
pub(super) fn diagnostics_router(app: Arc<AppState>) -> Router {
    routed(DIAGNOSTICS, app)
}

fn routed(routes: &'static [(&'static str, Route)], app: Arc<AppState>) -> Router {
    let router = routes.iter().fold(Router::new(), |router, &(path, route)| {
        let serve = move |State(app): State<Arc<AppState>>, request: Request| async move {
            match route {
                Route::Open(resource) => open(app, resource, request).await,
                Route::AllTenants(role, resource) => {
                    all_tenants(app, role, resource, request).await
                }
                Route::Tenant(family) => tenant(app, family, request).await,
                Route::Stream => stream(app, request).await,
                Route::Session => session::answer(&app, request).await,
            }
        };
        router.route(path, any(serve))
    });
    router.fallback(unknown).with_state(app)
}

async fn open(app: Arc<AppState>, resource: Resource, request: Request) -> Response {
    match gate::check_host(&app, &request) {
        Ok(_) => show(app, resource, request).await,
        Err(error) => refuse(error, request).await,
    }
}

async fn all_tenants(
    app: Arc<AppState>,
    role: Role,
    resource: Resource,
    request: Request,
) -> Response {
    let caller = gate::caller(&app, &request);
    match caller.and_then(|caller| gate::permit_for_all(&app, &caller, role)) {
        Ok(()) => show(app, resource, request).await,
        Err(error) => refuse(error, request).await,
    }
}

async fn tenant(app: Arc<AppState>, family: Family, request: Request) -> Response {
    let caller = match gate::caller(&app, &request) {
        Ok(caller) => caller,
        Err(error) => return refuse(error, request).await,
    };
    let (head, body) = request.into_parts();
    let permitted = asked(family, head.uri.path()).and_then(|(tenant_id, asked)| {
        Ok((gate::tenant(&app, &caller, asked.role(), &tenant_id)?, asked))
    });
    let (tenant, asked) = match permitted {
        Ok(permitted) => permitted,
        Err(error) => return error.response(body::drain_or_close(&head, body).await),
    };
    if !asked.is_of_policy() {
        return answer_tenant(&app, &tenant, asked, &caller, &head, body).await;
    }
    match quota::admit(&tenant, &head) {
        Ok(_permit) => {
            let response = answer_tenant(&app, &tenant, asked, &caller, &head, body).await;
            quota::with_rate_limit(&tenant, response)
        }
        Err(exceeded) => quota::refuse(&tenant, exceeded, &head, body).await,
    }
}

async fn answer_tenant(
    app: &AppState,
    tenant: &Tenant,
    asked: Asked<'_>,
    caller: &Caller,
    head: &Parts,
    body: HttpBody,
) -> Response {
    match asked {
        Asked::Decision if head.method == Method::POST => {
            decision::decide(tenant, head, body).await
        }
        Asked::Decision => document(app, tenant, DECISION, head, body).await,
        Asked::Document(rest) => document(app, tenant, rest, head, body).await,
        Asked::Decisions => data::decisions(tenant, head, body).await,
        Asked::Documents(rest) => {
            let keys = data::document_path(&tenant.limits.root(&tenant.id), rest);
            data::documents(tenant, keys, head, body).await
        }
        Asked::BelowRoot(resource) => data::below_root(app, tenant, resource, head, body).await,
        Asked::OfTenant(TenantResource::Status) => match only(GET_OR_HEAD, head) {
            Ok(()) => operations::show_tenant(tenant),
            Err(error) => error.response(body::drain_or_close(head, body).await),
        },
        Asked::OfTenant(resource) => match (only(POST, head), resource) {
            (Err(error), _) => error.response(body::drain_or_close(head, body).await),
            (Ok(()), TenantResource::Operation(operation)) => {
                let rest = body::drain_or_close(head, body).await;
                operations::operate(tenant, operation, caller, rest)
            }
            (Ok(()), TenantResource::Why | TenantResource::Status) => {
                why::why(app, tenant, head, body).await
            }
        },
    }
}

/// The resource of a tenant that a path names.
fn asked(family: Family, path: &str) -> Result<(TenantId, Asked<'_>), ApiError> {
    match family {
        Family::Data => {
            let path = data_path(after(DATA, path))?;
            let is_decision = path.is_decision();
            let asked = if is_decision { Asked::Decision } else { Asked::Document(path.rest) };
            Ok((path.tenant_id, asked))
        }
        Family::Batch => {
            let path = data_path(after(BATCH, path))?;
            let is_decision = path.is_decision();
            let asked = if is_decision { Asked::Decisions } else { Asked::Documents(path.rest) };
            Ok((path.tenant_id, asked))
        }
        Family::Root => {
            let (tenant_id, resource) = data::resource_below_root(after(ROOTS, path))?;
            Ok((tenant_id, Asked::BelowRoot(resource)))
        }
        Family::Tenants => {
            let (tenant_id, resource) = tenant_resource(after(TENANTS, path))?;
            Ok((tenant_id, Asked::OfTenant(resource)))
        }
    }
}

async fn document(
    app: &AppState,
    tenant: &Tenant,
    rest: &str,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let keys = data::document_path(&tenant.limits.root(&tenant.id), rest);
    data::v1(app, tenant, keys, head, body).await
}

/// Answers with a resource that is not about one tenant, to somebody who may have it.
async fn show(app: Arc<AppState>, resource: Resource, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let rest = body::drain_or_close(&head, body).await;
    if let Err(error) = only(GET_OR_HEAD, &head) {
        return error.response(rest);
    }
    let shown = match resource {
        Resource::Door => Ok(dashboard::door()),
        Resource::Health => operations::health(&app, head.uri.query()),
        Resource::Metrics => operations::show_metrics(app, &head.headers).await,
        Resource::Overview => overview::overview(app).await,
        Resource::History => overview::history(app).await,
        Resource::Tenants => Ok(operations::list_tenants(&app)),
        Resource::Dashboard => dashboard::page(&head.headers),
        Resource::DashboardFile => {
            dashboard::file(after(DASHBOARD, head.uri.path()), &head.headers)
        }
        Resource::DashboardMoved => Ok(dashboard::moved()),
    };
    let mut response = shown.unwrap_or_else(ApiError::into_response);
    close_if_unread(&mut response, rest);
    response
}

async fn stream(app: Arc<AppState>, request: Request) -> Response {
    match gate::proof(&app, &request) {
        Ok((caller, proof)) => stream::open(&app, caller, proof, request).await,
        Err(error) => refuse(error, request).await,
    }
}

async fn unknown(State(app): State<Arc<AppState>>, request: Request) -> Response {
    let error = gate::caller(&app, &request).err().unwrap_or(ApiError::UnknownResource);
    refuse(error, request).await
}

const GET_OR_HEAD: &str = "GET, HEAD";
const POST: &str = "POST";

/// Refuses methods that are not in this list.
fn only(allow: &'static str, head: &Parts) -> Result<(), ApiError> {
    let is_allowed = allow.split(", ").any(|method| method == head.method.as_str());
    if is_allowed { Ok(()) } else { Err(ApiError::MethodNotAllowed { allow }) }
}

/// Answers a request whose body is not read.
async fn refuse(error: ApiError, request: Request) -> Response {
    let (head, body) = request.into_parts();
    error.response(body::drain_or_close(&head, body).await)
}

fn after<'a>(prefix: &str, path: &'a str) -> &'a str {
    path.strip_prefix(prefix).unwrap_or_default()
}
