//! Who may have what: every request passes here before anything about a tenant is looked up.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, Uri, Version};
use enforcer_protocol::TenantId;

use super::error::ApiError;
use super::state::AppState;
use crate::access::{Caller, Connection, Proof, Refusal, Right, Role};
use crate::clock::utc_now;
use crate::tenant::admission::Tenant;

/// Who asks.
///
/// # Errors
/// When the request is for no host of ours, or shows no credential that is accepted.
pub(super) fn caller(app: &AppState, request: &Request) -> Result<Caller, ApiError> {
    let connection = check_host(app, request)?;
    let accepted = app.access.authenticate(connection, request.headers(), utc_now());
    accepted.map_err(|refusal| refused(app, refusal))
}

/// What the request shows of who asks, to be checked again for as long as its answer lasts.
///
/// # Errors
/// When the request is for no host of ours, or shows no credential that is accepted.
pub(super) fn proof(app: &AppState, request: &Request) -> Result<Proof, ApiError> {
    let connection = check_host(app, request)?;
    let proof = Proof::of(connection, request.headers()).map_err(|it| refused(app, it))?;
    check(app, &proof)?;
    Ok(proof)
}

/// Whose proof this is.
///
/// # Errors
/// When it is no longer accepted.
pub(super) fn check(app: &AppState, proof: &Proof) -> Result<Caller, ApiError> {
    app.access.check(proof, utc_now()).map_err(|refusal| refused(app, refusal))
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

fn refused(app: &AppState, refusal: Refusal) -> ApiError {
    app.metrics.refused_credential(refusal);
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
