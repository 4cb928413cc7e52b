//! Who may have what: every request passes here before anything about a tenant is looked up.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, Version};
use enforcer_protocol::TenantId;

use super::cookie;
use super::error::ApiError;
use super::origin::{is_from_elsewhere, is_of_own_page};
use super::path::{TENANTS, TenantResource, tenant_resource};
use super::state::AppState;
use crate::access::proof::bearer;
use crate::access::{Caller, Connection, Proof, Refusal, Right, Role, Shown};
use crate::clock::utc_now;
use crate::tenant::admission::Tenant;

/// Who asks.
///
/// # Errors
/// When the request is for no host of ours, or shows no credential that is accepted.
pub(super) fn caller(app: &AppState, request: &Request) -> Result<Caller, ApiError> {
    let connection = check_host(app, request)?;
    let accepted =
        shown(request).and_then(|shown| app.access.authenticate(connection, shown, utc_now()));
    accepted.map_err(|refusal| refused(app, refusal, connection))
}

/// Who asks, and what the request shows of that, to be checked again for as long as its answer lasts.
///
/// # Errors
/// When the request is for no host of ours, or shows no credential that is accepted.
pub(super) fn proof(app: &AppState, request: &Request) -> Result<(Caller, Proof), ApiError> {
    let connection = check_host(app, request)?;
    let accepted = shown(request).and_then(|shown| {
        let caller = app.access.authenticate(connection, shown, utc_now())?;
        Ok((caller, Proof::new(connection, shown)))
    });
    accepted.map_err(|refusal| refused(app, refusal, connection))
}

/// What a request shows. A session is shown by a cookie, which a browser sends with every request,
/// whoever made the browser send it: so it counts for requests that change nothing.
fn shown(request: &Request) -> Result<Shown<'_>, Refusal> {
    if let Some(token) = bearer(request.headers())? {
        return Ok(Shown::Token(token));
    }
    let headers = request.headers();
    let is_safe = match *request.method() {
        Method::GET | Method::HEAD => !is_from_elsewhere(headers),
        Method::POST => is_explanation(request.uri().path()) && is_of_own_page(headers),
        _ => false,
    };
    let session = cookie::session(request).filter(|_| is_safe);
    Ok(session.map_or(Shown::Nothing, Shown::Session))
}

/// Whether a path is that of an explanation, which is asked for by `POST` and changes nothing.
fn is_explanation(path: &str) -> bool {
    let resource = path.strip_prefix(TENANTS).map(tenant_resource);
    matches!(resource, Some(Ok((_, TenantResource::Why))))
}

/// The tenant, for somebody who may do what `role` allows with it.
///
/// # Errors
/// When they may not. Whether a tenant exists that is not theirs is not told: the answer is the same,
/// and nothing was looked up.
pub(super) fn tenant(
    app: &AppState,
    caller: &Caller,
    role: Role,
    tenant_id: &TenantId,
) -> Result<Arc<Tenant>, ApiError> {
    match caller.right(role, tenant_id) {
        Right::Granted => app.registry.get(tenant_id).ok_or(ApiError::UnknownTenant),
        Right::RoleMissing => {
            app.metrics.forbidden.inc();
            Err(ApiError::Forbidden { role })
        }
        Right::OtherTenant => {
            app.metrics.forbidden.inc();
            Err(ApiError::UnknownTenant)
        }
    }
}

/// Checks that somebody may do what `role` allows with all tenants.
///
/// # Errors
/// When they may not.
pub(super) fn permit_for_all(app: &AppState, caller: &Caller, role: Role) -> Result<(), ApiError> {
    if caller.is_for_all(role) {
        return Ok(());
    }
    app.metrics.forbidden.inc();
    Err(ApiError::ForbiddenForAll { role })
}

fn refused(app: &AppState, refusal: Refusal, connection: &Connection) -> ApiError {
    app.metrics.refused_credential(refusal);
    app.access.log_refusal(refusal, connection);
    ApiError::Unauthorized(refusal)
}

/// Checks that the request is for one host, which is ours, and returns its connection.
///
/// # Errors
/// When it is for none, for several, or for another.
pub(super) fn check_host<'a>(
    app: &AppState,
    request: &'a Request,
) -> Result<&'a Connection, ApiError> {
    let host = host(request.version(), request.headers(), request.uri())?;
    let connection = request.extensions().get::<Arc<Connection>>().ok_or(ApiError::Internal)?;
    match (&**connection, host) {
        (Connection::Tcp(_) | Connection::Tls(_, _), Some(host)) if !app.hosts.include(host) => {
            app.metrics.misdirected.inc();
            Err(ApiError::MisdirectedRequest)
        }
        _ => Ok(connection),
    }
}

/// The one host that a request is for, as HTTP/1.1 requires (RFC 9112, section 3.2). Where two are
/// named, a proxy on the way may have used the other. An old request may name no host; no browser
/// sends such.
fn host<'a>(
    version: Version,
    headers: &'a HeaderMap,
    uri: &'a Uri,
) -> Result<Option<&'a str>, ApiError> {
    let authority = uri.authority().map(|authority| authority.as_str());
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), authority) {
        (Some(host), None, None) => valid_host(host).map(Some).ok_or(ApiError::InvalidHost),
        // The request's target has it too (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1).
        (Some(host), None, Some(authority)) => {
            let host = valid_host(host).filter(|host| host.eq_ignore_ascii_case(authority));
            host.map(Some).ok_or(ApiError::InvalidHost)
        }
        (None, _, Some(authority)) if version >= Version::HTTP_2 => Ok(Some(authority)),
        (None, _, _) if version < Version::HTTP_11 => Ok(None),
        (None, _, _) | (Some(_), Some(_), _) => Err(ApiError::InvalidHost),
    }
}

/// A host and a port, as far as their characters tell. It may be empty.
fn valid_host(host: &HeaderValue) -> Option<&str> {
    let is_part = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|}".contains(&byte);
    host.to_str().ok().filter(|host| host.bytes().all(is_part))
}
