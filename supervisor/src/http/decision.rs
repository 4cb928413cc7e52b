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

use super::App;
use super::error::{ApiError, json};
use crate::body;
use crate::logging::{DECISION_TARGET, printable};
use crate::stream::Decided;
use crate::tenant::{Answer, Tenant};

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
    app: &App,
    tenant_id: &TenantId,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let Some(tenant) = app.registry.get(tenant_id) else {
        return ApiError::UnknownTenant.turning_away(body::turn_away(head, body).await);
    };
    let decision_id = Uuid::now_v7();
    match ask(&tenant, head, body).await {
        Ok(Made { decision, revision, micros, body }) => {
            let counter =
                if decision.allow { &tenant.metrics.allowed } else { &tenant.metrics.denied };
            counter.inc();
            info!(
                target: DECISION_TARGET,
                tenant_id = tenant_id.as_str(),
                %decision_id,
                allow = decision.allow,
                eval_duration_micros = micros,
                "decision"
            );
            let metrics = DecisionMetrics { eval_duration_micros: micros, tenant_id };
            let answer =
                json(StatusCode::OK, &DecisionBody { result: &decision, metrics, decision_id });
            // Before its client has the answer, so that whoever has one finds it on the stream.
            tenant.stream.decided(Decided { id: decision_id, decision, micros, revision }, &body);
            answer
        }
        Err(error) => {
            record_failure(&tenant, decision_id, &error);
            error.into_response()
        }
    }
}

/// A decision that was made, and what of.
struct Made {
    decision: Decision,
    /// Of the worker that made it.
    revision: Revision,
    micros: u64,
    body: Bytes,
}

async fn ask(tenant: &Tenant, head: &Parts, body: HttpBody) -> Result<Made, ApiError> {
    let read = body::read(tenant, head, body).await?;
    let body = read.bytes.clone();
    let Answer { outcome, revision, micros } = tenant.ask(read).await?;
    // An answer of microseconds, as seconds for Prometheus; what a float cannot hold exactly is
    // beyond every bucket.
    tenant
        .metrics
        .evaluation_seconds
        .observe(std::time::Duration::from_micros(micros).as_secs_f64());
    match outcome {
        Outcome::Decision(decision) => Ok(Made { decision, revision, micros, body }),
        Outcome::InvalidRequest(message) => Err(ApiError::InvalidParameter(message)),
        Outcome::TenantMismatch => Err(ApiError::TenantMismatch),
        Outcome::Failed(diagnostic) => Err(ApiError::EvaluationFailed(diagnostic)),
        Outcome::TimedOut => Err(ApiError::EvaluationTimeout),
    }
}

fn record_failure(tenant: &Tenant, decision_id: Uuid, error: &ApiError) {
    let (status, code) = error.status_and_code();
    tenant.metrics.error(code);
    if !tenant.may_log_failure() {
        return;
    }
    let tenant_id = tenant.id.as_str();
    let detail = match error {
        ApiError::EvaluationFailed(diagnostic) => diagnostic.to_string(),
        other => other.to_string(),
    };
    let detail = printable(&detail);
    // A client's mistake is logged with the decisions, which may be switched off; ours always.
    if status.is_server_error() {
        warn!(tenant_id, %decision_id, code, status = status.as_u16(), "no decision: {detail}");
    } else {
        info!(
            target: DECISION_TARGET,
            tenant_id,
            %decision_id,
            code,
            status = status.as_u16(),
            "no decision: {detail}"
        );
    }
}
