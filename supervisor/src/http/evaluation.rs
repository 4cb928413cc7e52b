//! Has a tenant's policy answer a question, and records failures: the core of every endpoint that
//! asks a policy.

use std::time::Instant;

use axum::http::StatusCode;
use enforcer_protocol::{Diagnostic, Mask, Outcome, Query, Revision};
use tracing::{info, warn};
use uuid::Uuid;

use super::body::Refused;
use super::error::ApiError;
use crate::error_code::ErrorCode;
use crate::stream::{FailedRequest, RequestInput};
use crate::telemetry::logging::{DECISION_TARGET, printable};
use crate::tenant::admission::Tenant;
use crate::tenant::request::{Answer, Answered, AskError, RequestBody};
use crate::tenant::status::Failure;

/// An answer of the policy, which may be an error that the policy is the cause of.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) answered: Answered,
    /// Of the worker that answered.
    pub(super) revision: Revision,
    /// How long the worker took, in microseconds.
    pub(super) micros: u64,
    /// Whether the policy of that worker has a mask.
    pub(super) has_mask: bool,
    /// What the mask leaves, of an answer to one question.
    pub(super) mask: Mask,
}

/// Why the policy gave no answer.
#[derive(Debug)]
pub(super) struct NotEvaluated {
    pub(super) error: ApiError,
    /// How long the evaluation took, if there was one.
    pub(super) micros: Option<u64>,
}

impl NotEvaluated {
    /// A worker's answer of another kind than its question, which no connection to a worker lets
    /// through.
    pub(super) const fn unexpected() -> Self {
        Self { error: ApiError::Internal, micros: None }
    }
}

impl From<Refused> for NotEvaluated {
    fn from(refused: Refused) -> Self {
        Self { error: refused.into(), micros: None }
    }
}

/// Asks the tenant's policy, and counts how long an evaluation took that has one result.
pub(super) async fn evaluate(
    tenant: &Tenant,
    query: Query,
    body: RequestBody,
) -> Result<Evaluated, NotEvaluated> {
    let answer = tenant.ask(query, body).await;
    let Answer { answered, revision, micros, has_mask, mask } = answer.map_err(|error| {
        // The worker may never report its time.
        let micros = (error == AskError::TimedOut).then(|| timeout_micros(tenant));
        if let Some(micros) = micros {
            tenant.metrics.evaluations.observe(micros);
        }
        let error = match error {
            AskError::Unavailable => ApiError::TenantUnavailable { retry: tenant.status.retry() },
            other => other.into(),
        };
        NotEvaluated { error, micros }
    })?;
    Ok(Evaluated { answered, revision, micros, has_mask, mask })
}

/// Counts the time of an evaluation, and takes its answer from its result.
///
/// # Errors
/// When there is none.
pub(super) fn answer_of(
    tenant: &Tenant,
    outcome: Outcome,
    micros: u64,
) -> Result<Outcome, NotEvaluated> {
    let evaluations = &tenant.metrics.evaluations;
    match outcome {
        Outcome::Decision(_) | Outcome::Document(_) => {
            evaluations.observe(micros);
            Ok(outcome)
        }
        Outcome::Failed(diagnostic) => {
            evaluations.observe(micros);
            let error = ApiError::EvaluationFailed(Box::new(diagnostic));
            Err(NotEvaluated { error, micros: Some(micros) })
        }
        Outcome::TimedOut => {
            // The time that it waited counts, and not only the time that it ran.
            let micros = micros.max(timeout_micros(tenant));
            evaluations.observe(micros);
            Err(NotEvaluated { error: ApiError::EvaluationTimeout, micros: Some(micros) })
        }
        Outcome::PathRefused(message) => {
            Err(NotEvaluated { error: ApiError::PathRefused(message), micros: None })
        }
        // The policy was not evaluated.
        Outcome::InvalidRequest(message) => {
            Err(NotEvaluated { error: ApiError::InvalidParameter(message), micros: None })
        }
        Outcome::TenantMismatch => {
            Err(NotEvaluated { error: ApiError::TenantMismatch, micros: None })
        }
        Outcome::TooManyInputs(inputs) => {
            let exceeded = tenant.quotas.refuse_batch(inputs, Instant::now());
            Err(NotEvaluated { error: ApiError::QuotaExceeded(exceeded), micros: None })
        }
    }
}

/// Why an outcome is no answer, where only a failure may come.
pub(super) fn failure_of(tenant: &Tenant, outcome: Outcome, micros: u64) -> NotEvaluated {
    match answer_of(tenant, outcome, micros) {
        Err(not_evaluated) => not_evaluated,
        Ok(_) => NotEvaluated::unexpected(),
    }
}

fn timeout_micros(tenant: &Tenant) -> u64 {
    u64::try_from(tenant.limits.evaluation_timeout.as_micros()).unwrap_or(u64::MAX)
}

/// Counts, logs and tells on the stream that a request got no answer. `input` if its body was read.
pub(super) fn record_failure(
    tenant: &Tenant,
    decision_id: Uuid,
    NotEvaluated { error, micros }: &NotEvaluated,
    input: Option<&RequestInput>,
) {
    let (status, code) = error.status_and_code();
    let message = error.to_string();
    let diagnostic = match error {
        ApiError::EvaluationFailed(diagnostic) => Some(&**diagnostic),
        _ => None,
    };
    match error {
        // The client's mistake, although OPA's status says otherwise.
        ApiError::PathRefused(_) => tenant.metrics.error(code),
        _ => tenant.failed(&Failure {
            code,
            status: status.as_u16(),
            message: &message,
            error: diagnostic,
            decision_id,
        }),
    }
    if tenant.may_log_failure() {
        log_failure(tenant, decision_id, (status, code), diagnostic, &message);
    }
    let failed = FailedRequest {
        id: decision_id,
        code,
        status: status.as_u16(),
        message,
        errors: diagnostic.cloned().into_iter().collect(),
        micros: *micros,
    };
    tenant.stream.failed(failed, input);
}

fn log_failure(
    tenant: &Tenant,
    decision_id: Uuid,
    (status, code): (StatusCode, ErrorCode),
    diagnostic: Option<&Diagnostic>,
    message: &str,
) {
    let tenant_id = tenant.id.as_str();
    let detail = diagnostic.map_or_else(|| message.to_owned(), ToString::to_string);
    let detail = printable(&detail);
    let (is_ours, status, code) = (status.is_server_error(), status.as_u16(), code.name());
    // A client's mistake is logged with the decisions, which may be switched off; our errors always.
    if is_ours {
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
