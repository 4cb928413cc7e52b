//! The cookie of the dashboard's session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{COOKIE, HOST};

use super::error::ApiError;
use crate::access::Connection;
use crate::access::token::TokenHash;

/// The beginning of the cookie's name. Browsers send a host's cookies to all of its ports, so the
/// port is in the name: two enforcers on one host have a session each.
const COOKIE_NAME: &str = "enforcer_session";

/// The session that a request shows, as the hash of its id.
pub(super) fn session(request: &Request) -> Option<TokenHash> {
    let name = cookie_name(request);
    let cookies = request.headers().get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|it| it.split_once('='));
    let (_, id) = pairs.find(|(known, _)| known.trim() == name)?;
    Some(TokenHash::of(id.trim()))
}

/// The header that has a browser keep a session's id for this long, or forget it.
///
/// # Errors
/// When the id is no text for a header.
pub(super) fn set_session(
    request: &Request,
    id: &str,
    lifetime: Duration,
) -> Result<HeaderValue, ApiError> {
    let connection = request.extensions().get::<Arc<Connection>>();
    // Behind something else that speaks TLS, the enforcer does not know of it.
    let is_encrypted = connection.is_some_and(|it| matches!(**it, Connection::Tls(..)));
    let secure = if is_encrypted { "; Secure" } else { "" };
    let name = cookie_name(request);
    let text = format!(
        "{name}={id}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        lifetime.as_secs()
    );
    let mut value = HeaderValue::try_from(text).map_err(|_| ApiError::Internal)?;
    value.set_sensitive(true);
    Ok(value)
}

fn cookie_name(request: &Request) -> String {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let port = host.or(authority).and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("{COOKIE_NAME}_{port}"),
        None => COOKIE_NAME.to_owned(),
    }
}
