//! `/v1/query`: queries that the request brings. They are compiled with the whole bundle, and may
//! search for anything, so a worker of its own answers each.

use std::time::{Duration, Instant};

use axum::body::Body as HttpBody;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{Explain, Findings, Inspection, JsonReport, QuerySource};
use serde::Serialize;
use uuid::Uuid;

use super::super::body;
use super::super::error::ApiError;
use super::super::evaluation::{NotEvaluated, failure_of, record_failure};
use super::super::json::ObjectWriter;
use super::super::state::AppState;
use super::parameters::Parameters;
use super::refuse;
use super::response::{Client, nanos};
use crate::clock::new_id;
use crate::stream::RequestInput;
use crate::tenant::admission::Tenant;

/// Names are OPA's.
#[derive(Debug, Serialize)]
struct Metrics {
    timer_rego_query_compile_ns: u64,
    timer_rego_query_eval_ns: u64,
    /// `POST` alone has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    timer_server_handler_ns: Option<u64>,
}

impl Metrics {
    fn new([compile, evaluate]: [u64; 2], handler: Option<Duration>) -> Self {
        Self {
            timer_rego_query_compile_ns: compile,
            timer_rego_query_eval_ns: evaluate,
            timer_server_handler_ns: handler.map(nanos),
        }
    }
}

/// Answers `GET` and `POST` of `/v1/query`, where the operator has turned it on.
pub(super) async fn query(
    app: &AppState,
    tenant: &Tenant,
    head: &Parts,
    body: HttpBody,
) -> Response {
    if head.method != Method::GET && head.method != Method::POST {
        return refuse(ApiError::MethodNotAllowed { allow: "GET, POST" }, head, body).await;
    }
    if !tenant.limits.query_api {
        return refuse(ApiError::QueryApiOff, head, body).await;
    }
    let parameters = Parameters::of(head.uri.query());
    let client = Client::plain(parameters.pretty);
    let decision_id = new_id();
    match answer(app, tenant, &parameters, head, body).await {
        Ok(json) => client.plain_ok(json),
        Err(error) => failed(tenant, decision_id, error),
    }
}

fn failed(tenant: &Tenant, decision_id: Uuid, error: ApiError) -> Response {
    let not_evaluated = NotEvaluated { error, micros: None };
    record_failure(tenant, decision_id, &not_evaluated, Some(&RequestInput::Absent));
    not_evaluated.error.into_response()
}

async fn answer(
    app: &AppState,
    tenant: &Tenant,
    parameters: &Parameters,
    head: &Parts,
    body: HttpBody,
) -> Result<String, ApiError> {
    let start = Instant::now();
    let (source, text) = if head.method == Method::GET {
        body::drain_or_close(head, body).await;
        let missing = || ApiError::InvalidParameter("missing parameter 'q'".to_owned());
        (QuerySource::Parameter, parameters.query.clone().ok_or_else(missing)?.into())
    } else {
        (QuerySource::Body, body::read(tenant, head, body).await?.bytes)
    };
    let explain: Option<Explain> = parameters.explain();
    let inspection = Inspection::Query(source, explain);
    let (findings, _) = app.inspector.inspect(tenant, inspection, &text).await?;
    match findings {
        Findings::Solutions { result, explanation, nanos } => {
            let handler = (head.method == Method::POST).then(|| start.elapsed());
            let metrics = Metrics::new(nanos, handler);
            Ok(solutions(parameters, &result, explanation.as_ref(), &metrics))
        }
        Findings::Refused(message, errors) => Err(ApiError::QueryRefused { message, errors }),
        Findings::Unanswerable(message) => Err(ApiError::QueryUnanswerable(message)),
        Findings::Failed(outcome) => Err(failure_of(tenant, outcome, 0).error),
        _ => Err(ApiError::Internal),
    }
}

fn solutions(
    parameters: &Parameters,
    result: &JsonReport,
    explanation: Option<&JsonReport>,
    metrics: &Metrics,
) -> String {
    let mut answer = ObjectWriter::new(result.as_str().len() + 128);
    if let Some(explanation) = explanation {
        answer.raw("explanation", explanation.as_str());
    }
    if parameters.metrics || parameters.instrument {
        answer.member("metrics", metrics);
    }
    // As OPA has it: no solution, no member.
    if result.as_str() != "[]" {
        answer.raw("result", result.as_str());
    }
    answer.finish()
}
