//! Many inputs in one request: `POST /v1/batch/data/…`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body as HttpBody;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use enforcer_protocol::{
    BatchItem, BatchQuery, Decision, DocumentAnswer, DocumentQuery, Outcome, Query, Revision,
};
use uuid::Uuid;

use super::super::body;
use super::super::decision::DecisionBody;
use super::super::error::ApiError;
use super::super::evaluation::{
    Evaluated, NotEvaluated, answer_of, evaluate, failure_of, record_failure,
};
use super::super::json::{ObjectWriter, escaped};
use super::parameters::Parameters;
use super::response::Client;
use super::{Found, record, record_document, refuse};
use crate::clock::new_id;
use crate::stream::{BatchInputs, RequestInput};
use crate::tenant::admission::Tenant;
use crate::tenant::request::Answered;

/// Answers `POST` about the tenant's decisions.
pub(crate) async fn decisions(tenant: &Tenant, head: &Parts, body: HttpBody) -> Response {
    answer(tenant, BatchQuery::Decision, head, body).await
}

/// Answers `POST` about a document of the tenant.
pub(crate) async fn documents(
    tenant: &Tenant,
    path: Result<Vec<String>, ApiError>,
    head: &Parts,
    body: HttpBody,
) -> Response {
    let path = match path {
        Ok(path) => path,
        Err(error) => return refuse(error, head, body).await,
    };
    let parameters = Parameters::of(head.uri.query());
    let strict_builtin_errors = parameters.strict_builtin_errors;
    let query = BatchQuery::Document(DocumentQuery { path, strict_builtin_errors });
    answer(tenant, query, head, body).await
}

async fn answer(tenant: &Tenant, query: BatchQuery, head: &Parts, body: HttpBody) -> Response {
    if head.method != Method::POST {
        return refuse(ApiError::MethodNotAllowed { allow: "POST" }, head, body).await;
    }
    let batch_id = new_id();
    let read = match body::read(tenant, head, body).await {
        Ok(read) => read,
        Err(refused) => return failed(tenant, batch_id, NotEvaluated::from(refused), None),
    };
    let bytes = read.bytes.clone();
    let whole = RequestInput::Whole(bytes.clone());
    let most = tenant.quotas.batch_limit(Instant::now());
    let evaluated = match evaluate(tenant, Query::Batch(query, most), read).await {
        Ok(evaluated) => evaluated,
        Err(not_evaluated) => return failed(tenant, batch_id, not_evaluated, Some(&whole)),
    };
    let Evaluated { answered, revision, micros, has_mask, mask: _ } = evaluated;
    let items = match answered {
        Answered::Batch(items) => {
            tenant.quotas.count_batch(items.len(), Instant::now());
            items
        }
        // It could not be read, or its answer is too long.
        Answered::One(outcome) => {
            let not_evaluated = failure_of(tenant, outcome, micros);
            return failed(tenant, batch_id, not_evaluated, Some(&whole));
        }
    };
    let inputs = BatchInputs::new(&bytes, items.len());
    let answers: Vec<ItemAnswer> = items
        .into_iter()
        .map(|item| item_answer(tenant, (revision, has_mask), item, &inputs))
        .collect();
    let (status, json) = compose(batch_id, answers);
    let client = Client::of(&head.headers, Parameters::of(head.uri.query()).pretty);
    client.with_status(status, json).await
}

fn failed(
    tenant: &Tenant,
    batch_id: Uuid,
    not_evaluated: NotEvaluated,
    input: Option<&RequestInput>,
) -> Response {
    record_failure(tenant, batch_id, &not_evaluated, input);
    not_evaluated.error.into_response()
}

/// The answer about one input.
struct ItemAnswer {
    /// The input's name.
    key: String,
    status: StatusCode,
    /// The members of its object.
    json: String,
}

fn item_answer(
    tenant: &Tenant,
    (revision, has_mask): (Revision, bool),
    item: BatchItem,
    inputs: &Arc<BatchInputs>,
) -> ItemAnswer {
    let BatchItem { key, outcome, micros, mask } = item;
    let disclosure = tenant.stream.disclosure(has_mask, mask);
    let id = new_id();
    let input = RequestInput::Batched(Arc::clone(inputs), key.clone());
    let (status, json) = match answer_of(tenant, outcome, micros) {
        Ok(Outcome::Decision(decision)) => {
            let json = decision_json(tenant, id, &decision, micros);
            record(tenant, (id, decision), (revision, micros), disclosure, &input);
            (StatusCode::OK, json)
        }
        Ok(Outcome::Document(document)) => {
            let json = document_json(id, &document);
            record_document(
                tenant,
                id,
                Found { document, revision, micros, disclosure, explanation: None },
                &input,
            );
            (StatusCode::OK, json)
        }
        Ok(_) => error_json(tenant, id, &NotEvaluated::unexpected(), &input),
        Err(not_evaluated) => error_json(tenant, id, &not_evaluated, &input),
    };
    ItemAnswer { key, status, json }
}

fn decision_json(tenant: &Tenant, id: Uuid, decision: &Decision, micros: u64) -> String {
    // Only maps whose keys are not strings cannot be written.
    serde_json::to_string(&DecisionBody::new(&tenant.id, id, decision, micros)).unwrap_or_default()
}

fn document_json(id: Uuid, document: &DocumentAnswer) -> String {
    let mut answer =
        ObjectWriter::new(document.value.as_ref().map_or(0, |v| v.as_str().len()) + 64);
    answer.member("decision_id", &id);
    if let Some(value) = &document.value {
        answer.raw("result", value.as_str());
    }
    answer.finish()
}

fn error_json(
    tenant: &Tenant,
    id: Uuid,
    not_evaluated: &NotEvaluated,
    input: &RequestInput,
) -> (StatusCode, String) {
    record_failure(tenant, id, not_evaluated, Some(input));
    let (status, _) = not_evaluated.error.status_and_code();
    let mut answer = ObjectWriter::new(256);
    answer.member("decision_id", &id);
    not_evaluated.error.members(&mut answer);
    (status, answer.finish())
}

/// The whole answer: 200 where every input has one, 207 where some have errors, 500 where all have.
/// With 207, each says its own status, in text, as Enterprise OPA's clients expect it.
fn compose(batch_id: Uuid, answers: Vec<ItemAnswer>) -> (StatusCode, String) {
    let errors = answers.iter().filter(|answer| answer.status != StatusCode::OK).count();
    let status = match errors {
        // A batch without inputs has no error either.
        0 => StatusCode::OK,
        errors if errors == answers.len() => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::MULTI_STATUS,
    };
    let length: usize =
        answers.iter().map(|answer| answer.json.len() + answer.key.len() + 40).sum();
    let mut responses = String::with_capacity(length);
    responses.push('{');
    for (index, ItemAnswer { key, status: own, json }) in answers.into_iter().enumerate() {
        if index > 0 {
            responses.push(',');
        }
        responses.push_str(&escaped(&serde_json::Value::from(key).to_string()));
        responses.push(':');
        match json.strip_prefix('{') {
            Some(members) if status == StatusCode::MULTI_STATUS => {
                responses.push_str("{\"http_status_code\":\"");
                responses.push_str(own.as_str());
                responses.push_str("\",");
                responses.push_str(members);
            }
            _ => responses.push_str(&json),
        }
    }
    responses.push('}');
    let mut answer = ObjectWriter::new(responses.len() + 64);
    if responses != "{}" {
        answer.raw("responses", &responses);
    }
    answer.member("batch_decision_id", &batch_id);
    (status, answer.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn composed(statuses: &[u16]) -> (u16, Value) {
        let answers = statuses.iter().enumerate().map(|(index, status)| ItemAnswer {
            key: format!("<{index}>\""),
            status: StatusCode::from_u16(*status).unwrap(),
            json: r#"{"result":1}"#.to_owned(),
        });
        let (status, text) = compose(Uuid::nil(), answers.collect());
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_status_tells_whether_all_some_or_no_inputs_have_an_answer() {
        let (status, body) = composed(&[200, 200]);
        assert_eq!(status, 200);
        assert_eq!(body["responses"], json!({"<0>\"": {"result": 1}, "<1>\"": {"result": 1}}));
        assert_eq!(composed(&[500, 504]).0, 500);
        let (status, body) = composed(&[200, 504]);
        assert_eq!(status, 207);
        assert_eq!(body["responses"]["<0>\""]["http_status_code"], "200");
        assert_eq!(body["responses"]["<1>\""]["http_status_code"], "504");
    }
}
