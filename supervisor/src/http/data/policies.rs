//! `/v1/policies`: the tenant's modules, read only.

use axum::body::Body as HttpBody;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use enforcer_protocol::{Findings, Inspection};
use percent_encoding::percent_decode_str;

use super::super::body;
use super::super::error::ApiError;
use super::super::json::{ObjectWriter, escaped};
use super::super::state::AppState;
use super::parameters::Parameters;
use super::refuse;
use super::response::Client;
use crate::tenant::admission::Tenant;

/// Answers `GET` of `/v1/policies` and of `/v1/policies/{id}`; `path` is the part behind
/// `/v1/policies`.
pub(super) async fn policies(
    app: &AppState,
    tenant: &Tenant,
    path: &str,
    head: &Parts,
    body: HttpBody,
) -> Response {
    if head.method != Method::GET {
        return refuse(ApiError::MethodNotAllowed { allow: "GET" }, head, body).await;
    }
    let rest = body::drain_or_close(head, body).await;
    match answer(app, tenant, path).await {
        Ok(json) => {
            let client = Client::plain(Parameters::of(head.uri.query()).pretty);
            client.with_rest(rest, json)
        }
        Err(error) => error.response(rest),
    }
}

async fn answer(app: &AppState, tenant: &Tenant, path: &str) -> Result<String, ApiError> {
    let id = match path.trim_start_matches('/') {
        "" => None,
        id => Some(percent_decode_str(id).decode_utf8_lossy().into_owned()),
    };
    let inspection = Inspection::Policies(id.clone());
    let (findings, _) = app.inspector.inspect(tenant, inspection, &[]).await?;
    match findings {
        Findings::Report(report) => {
            let mut answer = ObjectWriter::new(report.as_str().len() + 16);
            answer.raw("result", &escaped(report.as_str()));
            Ok(answer.finish())
        }
        Findings::NotFound => Err(ApiError::UnknownPolicy(id.unwrap_or_default())),
        _ => Err(ApiError::Internal),
    }
}
