//! OPA's REST API for one tenant: `/v1/data/tenants/{tenant_id}[/{path}]`, and everything below
//! `/tenants/{tenant_id}`, which is a base URL for OPA's clients.

mod batch;
mod parameters;
mod path;
mod policies;
mod query;
mod response;
mod root;

use std::time::Instant;

use axum::body::Body as HttpBody;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use enforcer_protocol::{
    DocumentAnswer, DocumentQuery, Findings, InputSource, Inspection, JsonReport, Outcome, Query,
    Revision, TextFormat,
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;
use uuid::Uuid;

use super::body;
use super::decision::record;
use super::error::ApiError;
use super::evaluation::{Evaluated, NotEvaluated, answer_of, evaluate, record_failure};
use super::state::AppState;
use crate::clock::new_id;
use crate::stream::{Disclosure, RequestInput};
use crate::telemetry::logging::DECISION_TARGET;
use crate::tenant::admission::Tenant;
use crate::tenant::request::{Answered, RequestBody};
use parameters::Parameters;
use response::{Client, data_response, value_response};

pub(super) use batch::{decisions, documents};
pub(super) use path::document_path;
pub(super) use root::{Resource, below_root, resource_below_root};

/// The versions of the Data API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// The body is the input, and the answer is the bare value.
    V0,
    V1,
}

/// Answers `GET` and `POST` of `/v1/data` about a document of a tenant.
pub(super) async fn v1(
    app: &AppState,
    tenant: &Tenant,
    path: Result<Vec<String>, ApiError>,
    head: &Parts,
    body: HttpBody,
) -> Response {
    if head.method != Method::GET && head.method != Method::POST {
        return refuse(ApiError::MethodNotAllowed { allow: "GET, POST" }, head, body).await;
    }
    answer(app, tenant, Version::V1, path, head, body).await
}

/// Answers `POST` of `/v0/data` about a document of a tenant.
async fn v0(
    app: &AppState,
    tenant: &Tenant,
    path: Result<Vec<String>, ApiError>,
    head: &Parts,
    body: HttpBody,
) -> Response {
    if head.method != Method::POST {
        return refuse(ApiError::MethodNotAllowed { allow: "POST" }, head, body).await;
    }
    answer(app, tenant, Version::V0, path, head, body).await
}

async fn refuse(error: ApiError, head: &Parts, body: HttpBody) -> Response {
    error.response(body::drain_or_close(head, body).await)
}

async fn answer(
    app: &AppState,
    tenant: &Tenant,
    version: Version,
    path: Result<Vec<String>, ApiError>,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let (start, decision_id) = (Instant::now(), new_id());
    let parameters = Parameters::of(head.uri.query());
    let client = Client::of(&head.headers, parameters.pretty);
    let path = match path {
        Ok(path) => path,
        Err(error) => {
            let rest = body::drain_or_close(head, body).await;
            return client.vary(error.response(rest));
        }
    };
    let failed = |error, micros, input: Option<&RequestInput>| {
        let not_evaluated = NotEvaluated { error, micros };
        record_failure(tenant, decision_id, &not_evaluated, input);
        not_evaluated.error
    };
    let request = match read(tenant, version, head, body, &parameters).await {
        Ok(request) => request,
        Err(error) => return client.error(failed(error, None, None)).await,
    };
    let Request { source, body, input } = request;
    let reference = (version == Version::V0).then(|| path::reference(&path));
    let strict_builtin_errors = version == Version::V1 && parameters.strict_builtin_errors;
    let query = DocumentQuery { path, strict_builtin_errors };
    let explain = parameters.explain().filter(|_| version == Version::V1);
    let found = match explain {
        None => ask(tenant, Query::Document(query, source), body).await,
        Some(explain) => {
            let inspection = Inspection::Document(query, source, explain);
            ask_why(app, tenant, inspection, &body).await
        }
    };
    let found = match found {
        Ok(found) => found,
        Err(NotEvaluated { error, micros }) => {
            return client.error(failed(error, micros, Some(&input))).await;
        }
    };
    let response = match version {
        Version::V1 => {
            let handled = start.elapsed();
            let explanation = found.explanation.as_ref();
            data_response(
                tenant,
                decision_id,
                &parameters,
                head,
                handled,
                &found.document,
                explanation,
            )
        }
        Version::V0 => match value_response(&found.document, reference.unwrap_or_default()) {
            Ok(value) => value,
            Err(undefined) => {
                record_document(tenant, decision_id, found, &input);
                return client.error(undefined).await;
            }
        },
    };
    record_document(tenant, decision_id, found, &input);
    client.ok(response).await
}

/// A document that a worker found.
struct Found {
    document: DocumentAnswer,
    revision: Revision,
    micros: u64,
    /// How much of it may be shown to others than the client.
    disclosure: Disclosure,
    /// The events of the evaluation, if they were asked for.
    explanation: Option<JsonReport>,
}

async fn ask(tenant: &Tenant, query: Query, body: RequestBody) -> Result<Found, NotEvaluated> {
    let evaluated = evaluate(tenant, query, body).await?;
    let Evaluated { answered, revision, micros, has_mask, mask } = evaluated;
    let disclosure = tenant.stream.disclosure(has_mask, mask);
    let outcome = match answered {
        Answered::One(outcome) => answer_of(tenant, outcome, micros)?,
        Answered::Batch(_) => return Err(NotEvaluated::unexpected()),
    };
    match outcome {
        Outcome::Document(document) => {
            Ok(Found { document, revision, micros, disclosure, explanation: None })
        }
        _ => Err(NotEvaluated::unexpected()),
    }
}

/// Asks a worker that answers only this, and tells the events of the evaluation.
async fn ask_why(
    app: &AppState,
    tenant: &Tenant,
    inspection: Inspection,
    body: &RequestBody,
) -> Result<Found, NotEvaluated> {
    let inspected = app.inspector.inspect(tenant, inspection, &body.bytes).await;
    let (findings, revision) =
        inspected.map_err(|error| NotEvaluated { error: error.into(), micros: None })?;
    match findings {
        Findings::Document(outcome, explanation) => match answer_of(tenant, outcome, 0)? {
            Outcome::Document(document) => {
                let micros = document.evaluation_nanos / 1000;
                // The mask is not evaluated there.
                let disclosure = tenant.stream.without_mask();
                Ok(Found { document, revision, micros, disclosure, explanation })
            }
            _ => Err(NotEvaluated::unexpected()),
        },
        _ => Err(NotEvaluated::unexpected()),
    }
}

/// Counts and logs an answer. One about the tenant's entrypoint is a decision.
fn record_document(tenant: &Tenant, id: Uuid, found: Found, input: &RequestInput) {
    let Found { document, revision, micros, disclosure, explanation: _ } = found;
    if let Some(decision) = document.decision {
        return record(tenant, (id, decision), (revision, micros), disclosure, input);
    }
    tenant.answered();
    info!(
        target: DECISION_TARGET,
        tenant_id = tenant.id.as_str(),
        decision_id = %id,
        is_defined = document.value.is_some(),
        %revision,
        eval_duration_micros = micros,
        "document"
    );
}

/// A request of the Data API.
struct Request {
    source: InputSource,
    body: RequestBody,
    /// The input, for the stream.
    input: RequestInput,
}

async fn read(
    tenant: &Tenant,
    version: Version,
    head: &Parts,
    body: HttpBody,
    parameters: &Parameters,
) -> Result<Request, ApiError> {
    if head.method == Method::GET {
        let rest = body::drain_or_close(head, body).await;
        let text = parameters.input.clone();
        return from_parameter(tenant, text)
            .map_err(|error| ApiError::Body(body::Refused { error, rest }));
    }
    let body = body::read(tenant, head, body).await?;
    let format = format_of(&head.headers);
    let bytes = body.bytes.clone();
    let (source, input) = match (version, format) {
        (Version::V1, TextFormat::Json) => {
            (InputSource::Member(format), RequestInput::Member(bytes))
        }
        (Version::V0, TextFormat::Json) => (InputSource::Body(format), RequestInput::Whole(bytes)),
        (Version::V1, TextFormat::Yaml) => {
            (InputSource::Member(format), RequestInput::OtherLanguage)
        }
        (Version::V0, TextFormat::Yaml) => (InputSource::Body(format), RequestInput::OtherLanguage),
    };
    Ok(Request { source, body, input })
}

fn from_parameter(tenant: &Tenant, text: Option<Vec<u8>>) -> Result<Request, body::BodyError> {
    let (source, bytes) = match text {
        Some(text) => (InputSource::Parameter, Bytes::from(text)),
        None => (InputSource::Absent, Bytes::new()),
    };
    let input = match source {
        InputSource::Parameter => RequestInput::Whole(bytes.clone()),
        _ => RequestInput::Absent,
    };
    let memory: OwnedSemaphorePermit = body::take_memory(tenant, bytes.len())?;
    Ok(Request { source, body: RequestBody { bytes, memory }, input })
}

/// There is no media type of YAML that all use, so OPA looks for the word.
fn format_of(headers: &HeaderMap) -> TextFormat {
    let named = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    if named.windows(4).any(|word| word == b"yaml") { TextFormat::Yaml } else { TextFormat::Json }
}
