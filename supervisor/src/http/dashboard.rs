//! `GET /dashboard`: a page for operators, compiled into the binary. It reads the decision
//! stream, the tenants and their history, and asks why a decision was made, as every other client
//! can. It changes nothing.

use std::sync::LazyLock;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::error::ApiError;

/// The page's content security policy: it may use its own files and ask its own host, and nothing
/// else. Text of tenants and clients is shown on it, and must never become markup or script
/// (<https://www.w3.org/TR/CSP3/>, <https://www.w3.org/TR/trusted-types/>).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page itself.
const INDEX: &str = "index.html";

/// A file of the dashboard.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal)*) => {
        const ASSETS: &[Asset] = &[$(
            Asset { name: $name, content: include_bytes!(concat!("../../../dashboard/", $name)) }
        ),*];
    };
}

assets! {
    "alert-item.js"
    "alerts.js"
    "app.js"
    "chart.js"
    "connection.js"
    "diagnostics.js"
    "dom.js"
    "errors.js"
    "feed.js"
    "format.js"
    "history.js"
    "host-panel.js"
    "host.js"
    "icon-problems.svg"
    "icon-warnings.svg"
    "icon.svg"
    "index.html"
    "inspector.js"
    "json.js"
    "keys.js"
    "layers.js"
    "list.js"
    "parts.js"
    "poll.js"
    "problems.js"
    "quantiles.js"
    "quotas.js"
    "row.js"
    "session.js"
    "shift.js"
    "sources.js"
    "spans.js"
    "states.js"
    "stats.js"
    "store.js"
    "style.css"
    "table.js"
    "tenant-facts.js"
    "theme.js"
    "top.js"
    "view-alerts.js"
    "view-decisions.js"
    "view-overview.js"
    "view-tenant.js"
    "why-answer.js"
    "why-view.js"
    "why.js"
}

/// Names the content of all files together, so that no browser mixes those of two versions.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all = ASSETS.iter().fold(Sha256::new(), |all, asset| all.chain_update(asset.content));
    let digest: String = all.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digest}\"")
});

/// The page.
pub(super) fn page(headers: &HeaderMap) -> Result<Response, ApiError> {
    file(INDEX, headers)
}

/// From `/` to the page.
pub(super) fn door() -> Response {
    let location = (LOCATION, HeaderValue::from_static("dashboard"));
    (StatusCode::TEMPORARY_REDIRECT, [location]).into_response()
}

/// The page's address, for a client that appended a slash: its files are found beside it.
pub(super) fn moved() -> Response {
    let location = (LOCATION, HeaderValue::from_static("../dashboard"));
    (StatusCode::PERMANENT_REDIRECT, [location]).into_response()
}

/// One of its files.
pub(super) fn file(name: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let found = ASSETS.iter().find(|asset| asset.name == name).zip(media_type(name));
    let (asset, media_type) = found.ok_or(ApiError::UnknownResource)?;
    let tag = HeaderValue::try_from(TAG.as_str()).map_err(|_| ApiError::Internal)?;
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| known == tag);
    let common: [(HeaderName, HeaderValue); 5] = [
        (ETAG, tag),
        // Cached, and revalidated each time: the supervisor may be another version by then.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let media_type = (CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok((common, [media_type], asset.content).into_response())
}

fn media_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_file_of_the_dashboard_is_served() {
        let there: BTreeSet<String> = fs::read_dir("../dashboard")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(there, served);
        for name in there {
            assert!(file(&name, &HeaderMap::new()).is_ok(), "{name}");
        }
    }

    #[test]
    fn nothing_else_is_served() {
        for name in ["", "..", "nothing.js", "../Cargo.toml", "index.html/"] {
            assert!(file(name, &HeaderMap::new()).is_err(), "{name}");
        }
    }
}
