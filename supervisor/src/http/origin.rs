//! Which pages a request may come from: which may open the decision stream, and which is our own.
//!
//! A browser lets every page open a WebSocket to every host that the user's machine can reach. It
//! only sends the page's origin (RFC 6455, section 10.2), which the server has to check.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::error::ApiError;

/// Pages of desktop applications made with Tauri, which serve themselves.
const DESKTOP: [&str; 3] =
    ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// No page, or the enforcer's own.
    Own,
    /// One that was allowed, with its origin.
    Other(HeaderValue),
}

/// Finds out which page a request comes from.
///
/// # Errors
/// When it comes from a page that may not.
pub(crate) fn page(headers: &HeaderMap, allowed: &[String]) -> Result<Page, ApiError> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) if is_from_elsewhere(headers) => return Err(ApiError::ForbiddenOrigin),
        (None, _) => return Ok(Page::Own),
        (Some(origin), None) => origin,
        (Some(_), Some(_)) => return Err(ApiError::ForbiddenOrigin),
    };
    let text = origin.to_str().map_err(|_| ApiError::ForbiddenOrigin)?;
    if is_same(text, headers.get(HOST)) {
        return Ok(Page::Own);
    }
    let mut allowed = DESKTOP.into_iter().chain(allowed.iter().map(String::as_str));
    if allowed.any(|known| known.eq_ignore_ascii_case(text)) {
        return Ok(Page::Other(origin.clone()));
    }
    Err(ApiError::ForbiddenOrigin)
}

/// Whether a browser reports a request of a page of another origin without naming the origin: the
/// page may not read the answer, and would take a consumer's place all the same
/// (<https://www.w3.org/TR/fetch-metadata/>).
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(FETCH_SITE).iter();
    sites.any(|site| site != "same-origin" && site != "none")
}

/// Whether a request is one of the enforcer's own page, as the browser says. Only a browser can be made
/// to send what somebody else wants, and every browser that knows `SameSite` says where a request comes
/// from that is not a plain `GET`.
pub(super) fn is_of_own_page(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => {
            origin.to_str().is_ok_and(|origin| is_same(origin, headers.get(HOST)))
                && !is_from_elsewhere(headers)
        }
        _ => false,
    }
}

/// Whether this is an origin of the requested host. Behind a gateway that speaks TLS the page is
/// `https`, so either scheme will do.
pub(super) fn is_same(origin: &str, host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    let same = |scheme: &str, port: &str| {
        let named = origin.strip_prefix(scheme);
        let without = |authority: &'_ str| -> String {
            authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase()
        };
        named.is_some_and(|named| !named.is_empty() && without(named) == without(host))
    };
    same("http://", ":80") || same("https://", ":443")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origin: &[&str], host: &str) -> Result<Page, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for origin in origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        page(&headers, &["https://ops.example.com".to_owned()])
    }

    #[test]
    fn a_page_of_ours_and_clients_without_a_page_may() {
        assert_eq!(asked(&[], "a:8181").unwrap(), Page::Own);
        for (origin, host) in [
            ("http://127.0.0.1:8181", "127.0.0.1:8181"),
            ("http://LOCALHOST:8181", "localhost:8181"),
            ("http://[::1]:8181", "[::1]:8181"),
            ("http://a", "a"),
            ("http://a", "a:80"),
            ("https://a", "a:443"),
            ("https://enforcer.example", "enforcer.example"),
        ] {
            assert_eq!(asked(&[origin], host).unwrap(), Page::Own, "{origin} at {host}");
        }
    }

    #[test]
    fn a_page_that_does_not_say_which_it_is_may_where_it_is_ours() {
        let asked = |site: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            page(&headers, &[])
        };
        for site in ["same-origin", "none"] {
            assert_eq!(asked(site).unwrap(), Page::Own, "{site}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(asked(site).is_err(), "{site}");
        }
    }

    #[test]
    fn desktop_applications_and_configured_origins_may() {
        for origin in DESKTOP.into_iter().chain(["https://ops.example.com"]) {
            let expected = Page::Other(origin.parse().unwrap());
            assert_eq!(asked(&[origin], "a:8181").unwrap(), expected);
        }
    }

    #[test]
    fn no_other_page_may() {
        for origin in [
            "http://evil.example",
            "null",
            "",
            "*",
            "http://",
            "http://a:8181.evil.example",
            "http://evil.example/http://a:8181",
            "http://a:8182",
            "http://a",
            "ws://a:8181",
            "file://",
            "tauri://localhost.evil.example",
            "http://ops.example.com",
            "https://ops.example.com:8443",
        ] {
            let refused = asked(&[origin], "a:8181");
            assert!(matches!(refused, Err(ApiError::ForbiddenOrigin)), "{origin}: {refused:?}");
        }
        assert!(asked(&["http://a:8181", "http://evil.example"], "a:8181").is_err());
        assert!(asked(&["http://a:8181", "http://a:8181"], "a:8181").is_err());
    }
}
