//! `POST /v1/data/tenants/{tenant_id}/allow`.

use axum::body::Body as HttpBody;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{Decision, Outcome, Query, Revision, TenantId};
use serde::Serialize;
use tracing::info;
use uuid::Uuid;

use super::body;
use super::error::json;
use super::evaluation::{Evaluated, NotEvaluated, answer_of, evaluate, record_failure};
use crate::clock::new_id;
use crate::stream::{Decided, Disclosure, RequestInput};
use crate::telemetry::logging::{DECISION_TARGET, printable};
use crate::tenant::admission::Tenant;
use crate::tenant::request::{Answered, RequestBody};

/// The answer to a decision request.
#[derive(Debug, Serialize)]
pub(super) struct DecisionBody<'a> {
    result: &'a Decision,
    metrics: DecisionMetrics<'a>,
    decision_id: Uuid,
}

#[derive(Debug, Serialize)]
struct DecisionMetrics<'a> {
    eval_duration_micros: u64,
    tenant_id: &'a TenantId,
}

impl<'a> DecisionBody<'a> {
    /// The body for a decision of a tenant.
    pub(super) const fn new(
        tenant_id: &'a TenantId,
        decision_id: Uuid,
        result: &'a Decision,
        eval_duration_micros: u64,
    ) -> Self {
        let metrics = DecisionMetrics { eval_duration_micros, tenant_id };
        Self { result, metrics, decision_id }
    }
}

/// Has the tenant's policy decide about the input in `body`.
pub(crate) async fn decide(tenant: &Tenant, head: &Parts, body: HttpBody) -> Response {
    let decision_id = new_id();
    let read = match body::read(tenant, head, body).await {
        Ok(read) => read,
        Err(refused) => {
            let not_made = NotEvaluated::from(refused);
            record_failure(tenant, decision_id, &not_made, None);
            return not_made.error.into_response();
        }
    };
    let input = RequestInput::Member(read.bytes.clone());
    match ask(tenant, read).await {
        Ok(Made { decision, revision, micros, disclosure }) => {
            let made = DecisionBody::new(&tenant.id, decision_id, &decision, micros);
            let answer = json(StatusCode::OK, &made);
            record(tenant, (decision_id, decision), (revision, micros), disclosure, &input);
            answer
        }
        Err(not_made) => {
            record_failure(tenant, decision_id, &not_made, Some(&input));
            not_made.error.into_response()
        }
    }
}

/// Counts and logs a decision, and tells it on the stream: before its client has the answer, so that
/// a client that has one finds it on the stream.
pub(super) fn record(
    tenant: &Tenant,
    (decision_id, decision): (Uuid, Decision),
    (revision, micros): (Revision, u64),
    disclosure: Disclosure,
    input: &RequestInput,
) {
    tenant.decided(decision.allow);
    if let Disclosure::Failed(reason) = &disclosure {
        tenant.mask_failed(decision_id, reason);
    }
    let decided = Decided::new(decision_id, decision, (revision, micros), disclosure);
    let decision = &decided.decision;
    info!(
        target: DECISION_TARGET,
        tenant_id = tenant.id.as_str(),
        %decision_id,
        allow = decision.allow,
        reason = decision.reason.as_deref().map(|reason| printable(reason).to_string()),
        %revision,
        eval_duration_micros = micros,
        "decision"
    );
    tenant.stream.decided(decided, input);
}

/// A decision that was made.
struct Made {
    decision: Decision,
    /// Of the worker that made it.
    revision: Revision,
    micros: u64,
    disclosure: Disclosure,
}

async fn ask(tenant: &Tenant, body: RequestBody) -> Result<Made, NotEvaluated> {
    let evaluated = evaluate(tenant, Query::Decision, body).await?;
    let Evaluated { answered, revision, micros, has_mask, mask } = evaluated;
    let disclosure = tenant.stream.disclosure(has_mask, mask);
    let outcome = match answered {
        Answered::One(outcome) => answer_of(tenant, outcome, micros)?,
        Answered::Batch(_) => return Err(NotEvaluated::unexpected()),
    };
    match outcome {
        Outcome::Decision(decision) => Ok(Made { decision, revision, micros, disclosure }),
        _ => Err(NotEvaluated::unexpected()),
    }
}
