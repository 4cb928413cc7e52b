//! Answers of the Data API, with OPA's members in OPA's order.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{DocumentAnswer, Given, JsonReport};
use http_body_util::BodyExt;
use serde::Serialize;
use uuid::Uuid;

use super::super::body::Rest;
use super::super::error::{ApiError, close_if_unread};
use super::super::gzip;
use super::super::json::{ObjectWriter, indented};
use super::parameters::Parameters;
use crate::tenant::admission::Tenant;

/// Bytes of an answer below which it is not compressed: OPA's default.
const SHORTEST_COMPRESSED: usize = 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// The form in which a client wants its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    is_pretty: bool,
    takes_gzip: bool,
}

impl Client {
    pub(super) fn of(headers: &HeaderMap, is_pretty: bool) -> Self {
        Self { is_pretty, takes_gzip: gzip::is_accepted(headers) }
    }

    /// A client of a resource that is never compressed.
    pub(super) const fn plain(is_pretty: bool) -> Self {
        Self { is_pretty, takes_gzip: false }
    }

    /// The answer with this JSON, of such a resource; `rest` is the unread part of the request's
    /// body.
    pub(super) fn with_rest(self, rest: Rest, json: String) -> Response {
        let mut response =
            (StatusCode::OK, [(CONTENT_TYPE, JSON)], self.text(json)).into_response();
        close_if_unread(&mut response, rest);
        response
    }

    /// The answer with this JSON, of such a resource.
    pub(super) fn plain_ok(self, json: String) -> Response {
        self.with_rest(Rest::Nothing, json)
    }

    fn text(self, json: String) -> String {
        let mut text = self.is_pretty.then(|| indented(&json)).flatten().unwrap_or(json);
        text.push('\n');
        text
    }

    /// The answer with this JSON.
    pub(super) async fn ok(self, json: String) -> Response {
        self.with_status(StatusCode::OK, json).await
    }

    /// The answer with this JSON and status.
    pub(super) async fn with_status(self, status: StatusCode, json: String) -> Response {
        let text = self.text(json);
        self.vary(self.encoded((status, [(CONTENT_TYPE, JSON)]).into_response(), text).await)
    }

    /// The answer that is an error. Its body is indented in any case, as OPA's are.
    pub(super) async fn error(self, error: ApiError) -> Response {
        let (head, body) = error.into_response().into_parts();
        // An error's body is in memory, so it has no error of its own.
        let text = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut response = Response::from_parts(head, HttpBody::empty());
        response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
        self.vary(self.encoded(response, text).await)
    }

    async fn encoded(self, mut response: Response, text: String) -> Response {
        let compressed = if self.takes_gzip && text.len() >= SHORTEST_COMPRESSED {
            gzip::deflate(text.as_bytes()).await.ok()
        } else {
            None
        };
        if compressed.is_some() {
            response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        }
        *response.body_mut() = compressed.map_or_else(|| text.into(), HttpBody::from);
        response
    }

    /// Says that caches must not give this answer to clients that take other encodings.
    pub(super) fn vary(self, mut response: Response) -> Response {
        response.headers_mut().insert(VARY, ACCEPT_ENCODING);
        response
    }
}

#[derive(Debug, Serialize)]
struct Provenance<'a> {
    version: &'static str,
    build_commit: &'static str,
    build_timestamp: &'static str,
    build_hostname: &'static str,
    bundles: Bundles<'a>,
}

/// The one bundle of a tenant.
#[derive(Debug)]
struct Bundles<'a> {
    tenant_id: &'a str,
    revision: String,
}

impl Serialize for Bundles<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Bundle<'a> {
            revision: &'a str,
        }
        serializer.collect_map([(self.tenant_id, Bundle { revision: &self.revision })])
    }
}

/// Names are OPA's. A path is compiled before it is asked, so that the query is always prepared.
#[derive(Debug, Serialize)]
struct Metrics {
    counter_server_query_cache_hit: u64,
    timer_rego_input_parse_ns: u64,
    timer_rego_query_eval_ns: u64,
    timer_server_handler_ns: u64,
}

#[derive(Debug, Serialize)]
struct Warning {
    code: &'static str,
    message: &'static str,
}

const INPUT_MISSING: Warning =
    Warning { code: "api_usage_warning", message: "'input' key missing from the request" };

/// The answer of `/v1/data`.
pub(super) fn data_response(
    tenant: &Tenant,
    decision_id: Uuid,
    parameters: &Parameters,
    head: &Parts,
    handled: Duration,
    document: &DocumentAnswer,
    explanation: Option<&JsonReport>,
) -> String {
    let value = document.value.as_ref().map(|value| value.as_str());
    let mut answer = ObjectWriter::new(value.map_or(0, str::len) + 512);
    answer.member("decision_id", &decision_id);
    if parameters.provenance {
        answer.member("provenance", &provenance(tenant));
    }
    if let Some(explanation) = explanation {
        answer.raw("explanation", explanation.as_str());
    }
    if parameters.metrics || parameters.instrument {
        let timer_server_handler_ns = nanos(handled);
        answer.member(
            "metrics",
            &Metrics {
                counter_server_query_cache_hit: 1,
                timer_rego_input_parse_ns: document.parse_nanos,
                timer_rego_query_eval_ns: document.evaluation_nanos,
                timer_server_handler_ns,
            },
        );
    }
    if let Some(value) = value {
        answer.raw("result", value);
    }
    if head.method == Method::POST && document.input == Given::Nothing {
        answer.member("warning", &INPUT_MISSING);
    }
    answer.finish()
}

fn provenance(tenant: &Tenant) -> Provenance<'_> {
    Provenance {
        version: env!("CARGO_PKG_VERSION"),
        build_commit: "",
        build_timestamp: "",
        build_hostname: "",
        bundles: Bundles {
            tenant_id: tenant.id.as_str(),
            revision: tenant.status.shown_revision().unwrap_or_default(),
        },
    }
}

/// The answer of `/v0/data`: the bare value.
///
/// # Errors
/// When the document, whose reference this is, is undefined.
pub(super) fn value_response(
    document: &DocumentAnswer,
    reference: String,
) -> Result<String, ApiError> {
    match &document.value {
        Some(value) => Ok(value.as_str().to_owned()),
        None if document.has_rules => Err(ApiError::UndefinedDocument(reference)),
        None => Err(ApiError::MissingDocument(reference)),
    }
}

/// Nanoseconds as metrics have them.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
