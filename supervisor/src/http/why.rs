//! `POST /v1/tenants/{tenant_id}/why`: why the tenant's policy decides about an input as it does.
//!
//! A worker of the serving revision's bundle evaluates the input again, slowly, and tells what held
//! and what did not. So the answer is about the revision that it names, which may be another one
//! than that of an earlier decision.

use axum::body::Body as HttpBody;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{DocumentQuery, Findings, InputSource, Inspection, TextFormat};

use super::body;
use super::error::ApiError;
use super::evaluation::failure_of;
use super::json::ObjectWriter;
use super::state::AppState;
use crate::tenant::admission::Tenant;

/// Answers.
pub(super) async fn why(app: &AppState, tenant: &Tenant, head: &Parts, body: HttpBody) -> Response {
    match answer(app, tenant, head, body).await {
        Ok(json) => {
            let content_type = [(axum::http::header::CONTENT_TYPE, "application/json")];
            (StatusCode::OK, content_type, json + "\n").into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn answer(
    app: &AppState,
    tenant: &Tenant,
    head: &Parts,
    body: HttpBody,
) -> Result<String, ApiError> {
    let read = body::read(tenant, head, body).await?;
    let path = tenant.limits.entrypoint(&tenant.id).into_iter().map(str::to_owned).collect();
    let query = DocumentQuery { path, strict_builtin_errors: false };
    let inspection = Inspection::Why(query, InputSource::Member(TextFormat::Json));
    let (findings, revision) = app.inspector.inspect(tenant, inspection, &read.bytes).await?;
    match findings {
        Findings::Report(report) => {
            let mut answer = ObjectWriter::new(report.as_str().len() + 128);
            answer.raw("result", report.as_str());
            answer.member("revision", &revision);
            Ok(answer.finish())
        }
        Findings::Failed(outcome) => Err(failure_of(tenant, outcome, 0).error),
        _ => Err(ApiError::Internal),
    }
}
