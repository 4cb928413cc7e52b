//! `/dashboard/session`: signing in to the dashboard, and out again.
//!
//! The token comes in the `Authorization` header, which no page of somebody else can make a browser
//! send. The cookie that stands for it can be read by no script.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::info;

use super::body;
use super::cookie;
use super::error::{ApiError, close_if_unread, json};
use super::gate;
use super::operations::ResultBody;
use super::origin::is_of_own_page;
use super::state::AppState;
use crate::access::grant::{Role, Tenants};
use crate::access::proof::bearer;
use crate::access::sessions::SESSION_LIFETIME;
use crate::access::{Caller, Refusal};
use crate::clock::rfc3339;
use crate::telemetry::logging::printable;

/// Who is signed in.
#[derive(Debug, Serialize)]
struct Session<'a> {
    /// Whether anyone may ask, so that there is nothing to sign in with.
    is_open: bool,
    name: &'a str,
    roles: Vec<&'static str>,
    /// Whether the page can show all tenants: the role operate, for all of them.
    is_for_all: bool,
    /// `null` for all.
    tenants: Option<Vec<&'a str>>,
    expires: Option<String>,
}

/// Answers `GET`, `POST` and `DELETE`.
pub(super) async fn answer(app: &AppState, request: Request) -> Response {
    let answered = match *request.method() {
        Method::GET | Method::HEAD => gate::caller(app, &request).map(|caller| show(&caller)),
        Method::POST => begin(app, &request),
        Method::DELETE => end(app, &request),
        _ => Err(ApiError::MethodNotAllowed { allow: "GET, HEAD, POST, DELETE" }),
    };
    let (head, body) = request.into_parts();
    let rest = body::drain_or_close(&head, body).await;
    match answered {
        Ok(mut response) => {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            close_if_unread(&mut response, rest);
            response
        }
        Err(error) => error.response(rest),
    }
}

fn show(caller: &Caller) -> Response {
    let result = match caller {
        Caller::Anyone => Session {
            is_open: true,
            name: caller.name(),
            roles: Role::ALL.map(Role::name).to_vec(),
            is_for_all: true,
            tenants: None,
            expires: None,
        },
        Caller::Known(principal) => Session {
            is_open: false,
            name: &principal.name,
            roles: principal.grant.roles.names().collect(),
            is_for_all: caller.is_for_all(Role::Operate),
            tenants: match &principal.grant.tenants {
                Tenants::All => None,
                Tenants::Named(ids) => Some(ids.iter().map(|id| id.as_str()).collect()),
            },
            expires: principal.expires.map(rfc3339),
        },
    };
    json(StatusCode::OK, &ResultBody { result })
}

fn begin(app: &AppState, request: &Request) -> Result<Response, ApiError> {
    let caller = gate::caller(app, request)?;
    let mut response = show(&caller);
    if let Caller::Known(_) = caller {
        // A session of a session, or of a process at a Unix socket, would last longer than those.
        let token = bearer(request.headers()).ok().flatten();
        let token = token.ok_or(ApiError::Unauthorized(Refusal::Missing))?;
        let id = app.access.begin_session(token).map_err(|_| ApiError::Internal)?;
        response
            .headers_mut()
            .insert(SET_COOKIE, cookie::set_session(request, &id, SESSION_LIFETIME)?);
        info!(caller = %printable(caller.name()), "signed in to the dashboard");
    }
    Ok(response)
}

fn end(app: &AppState, request: &Request) -> Result<Response, ApiError> {
    gate::check_host(app, request)?;
    if !is_of_own_page(request.headers()) {
        return Err(ApiError::ForbiddenOrigin);
    }
    if let Some(id) = cookie::session(request) {
        app.access.end_session(id);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(SET_COOKIE, cookie::set_session(request, "", Duration::ZERO)?);
    Ok(response)
}
