//! `POST /v1/data/tenants/{tenant_id}/allow`.

use axum::body::Body as HttpBody;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use enforcer_protocol::{Decision, Outcome, Revision, TenantId};
use serde::Serialize;
use tracing::{info, warn};
use uuid::Uuid;

use super::body;
use super::error::{ApiError, json};
use super::state::AppState;
use crate::clock::new_id;
use crate::stream::{Decided, FailedRequest};
use crate::telemetry::logging::{DECISION_TARGET, printable};
use crate::tenant::admission::Tenant;
use crate::tenant::request::{Answer, AskError};
use crate::tenant::status::Failure;

/// The answer to a decision request.
#[derive(Debug, Serialize)]
struct DecisionBody<'a> {
    result: &'a Decision,
    metrics: DecisionMetrics<'a>,
    decision_id: Uuid,
}

#[derive(Debug, Serialize)]
struct DecisionMetrics<'a> {
    eval_duration_micros: u64,
    tenant_id: &'a TenantId,
}

/// Has the tenant's policy decide about the input in `body`.
pub(crate) async fn decide(
    app: &AppState,
    tenant_id: &TenantId,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let Some(tenant) = app.registry.get(tenant_id) else {
        return ApiError::UnknownTenant.response(body::drain_or_close(head, body).await);
    };
    let decision_id = new_id();
    match ask(&tenant, head, body).await {
        Ok(Made { decision, revision, micros, body }) => {
            tenant.decided(decision.allow);
            info!(
                target: DECISION_TARGET,
                tenant_id = tenant_id.as_str(),
                %decision_id,
                allow = decision.allow,
                reason = decision.reason.as_deref().map(|reason| printable(reason).to_string()),
                %revision,
                eval_duration_micros = micros,
                "decision"
            );
            let metrics = DecisionMetrics { eval_duration_micros: micros, tenant_id };
            let answer =
                json(StatusCode::OK, &DecisionBody { result: &decision, metrics, decision_id });
            // Before its client has the answer, so that a client that has one finds it on the
            // stream.
            tenant.stream.decided(Decided { id: decision_id, decision, micros, revision }, &body);
            answer
        }
        Err(not_made) => {
            record_failure(&tenant, decision_id, &not_made);
            not_made.error.into_response()
        }
    }
}

/// A decision that was made.
struct Made {
    decision: Decision,
    /// Of the worker that made it.
    revision: Revision,
    micros: u64,
    body: Bytes,
}

/// Why no decision was made, the body if it was read, and how long the evaluation took if there was one.
struct NotMade {
    error: ApiError,
    body: Option<Bytes>,
    micros: Option<u64>,
}

async fn ask(tenant: &Tenant, head: &Parts, body: HttpBody) -> Result<Made, NotMade> {
    let read = body::read(tenant, head, body).await.map_err(|refused| NotMade {
        error: refused.into(),
        body: None,
        micros: None,
    })?;
    let body = read.bytes.clone();
    let not_made = |error, micros| NotMade { error, body: Some(body.clone()), micros };
    let evaluations = &tenant.metrics.evaluations;
    let timeout = tenant.limits.evaluation_timeout.as_micros();
    let timeout = u64::try_from(timeout).unwrap_or(u64::MAX);
    let Answer { outcome, revision, micros } = tenant.ask(read).await.map_err(|error| {
        // The worker may never report its time.
        let micros = (error == AskError::TimedOut).then_some(timeout);
        if let Some(micros) = micros {
            evaluations.observe(micros);
        }
        let error = match error {
            AskError::Unavailable => ApiError::TenantUnavailable { retry: tenant.status.retry() },
            other => other.into(),
        };
        not_made(error, micros)
    })?;
    match outcome {
        Outcome::Decision(decision) => {
            evaluations.observe(micros);
            Ok(Made { decision, revision, micros, body })
        }
        Outcome::Failed(diagnostic) => {
            evaluations.observe(micros);
            Err(not_made(ApiError::EvaluationFailed(diagnostic), Some(micros)))
        }
        Outcome::TimedOut => {
            // The time that it waited counts, and not only the time that it ran.
            let micros = micros.max(timeout);
            evaluations.observe(micros);
            Err(not_made(ApiError::EvaluationTimeout, Some(micros)))
        }
        // The policy was not evaluated.
        Outcome::InvalidRequest(message) => {
            Err(not_made(ApiError::InvalidParameter(message), None))
        }
        Outcome::TenantMismatch => Err(not_made(ApiError::TenantMismatch, None)),
    }
}

fn record_failure(tenant: &Tenant, decision_id: Uuid, not_made: &NotMade) {
    let NotMade { error, body, micros } = not_made;
    let (status, code) = error.status_and_code();
    let message = error.to_string();
    let diagnostic = match error {
        ApiError::EvaluationFailed(diagnostic) => Some(diagnostic),
        _ => None,
    };
    tenant.failed(&Failure {
        code,
        status: status.as_u16(),
        message: &message,
        error: diagnostic,
        decision_id,
    });
    if tenant.may_log_failure() {
        let tenant_id = tenant.id.as_str();
        let detail = diagnostic.map_or_else(|| message.clone(), ToString::to_string);
        let detail = printable(&detail);
        let (status, code) = (status.as_u16(), code.name());
        // A client's mistake is logged with the decisions, which may be switched off; our errors
        // always.
        if error.status_and_code().0.is_server_error() {
            warn!(tenant_id, %decision_id, code, status, "no decision: {detail}");
        } else {
            info!(
                target: DECISION_TARGET,
                tenant_id,
                %decision_id,
                code,
                status,
                "no decision: {detail}"
            );
        }
    }
    let failed = FailedRequest {
        id: decision_id,
        code,
        status: status.as_u16(),
        message,
        errors: diagnostic.cloned().into_iter().collect(),
        micros: *micros,
    };
    tenant.stream.failed(failed, body.as_ref());
}
