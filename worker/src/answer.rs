//! Answers the questions of an `Evaluate`.

use std::time::{Duration, Instant};

use enforcer_protocol::{
    BatchItem, BatchQuery, Decision, DocumentAnswer, DocumentQuery, Given, InputSource, JsonText,
    MAX_BATCH, MAX_BATCH_KEY, MAX_DECISION_STRING, Mask, Outcome, Query, TextFormat,
};
use enforcer_rego::request::{self, Format};
use enforcer_rego::{Value, json};

use crate::clock::{monotonic_micros, nanos};
use crate::decision::{RuleValues, decide};
use crate::diagnostics::{evaluation_failed, shortened};
use crate::engine::{MOST_PRINTS, Policy};
use crate::value::member;

/// The answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To a single one, or to a batch that could not be read.
    One(Outcome),
    /// To a batch.
    Batch(Vec<BatchItem>),
}

/// The answer to a question, and the inputs that it is about.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// The input of each outcome, in their order, for the policy's mask.
    pub(crate) inputs: Vec<Option<Value>>,
}

impl Answer {
    fn one(outcome: Outcome, input: Option<Value>) -> Self {
        Self { reply: Reply::One(outcome), inputs: vec![input] }
    }

    /// Whether it is that there was no time.
    pub(crate) fn is_timed_out(&self) -> bool {
        matches!(self.reply, Reply::One(Outcome::TimedOut))
    }
}

/// Answers a question about `body`, until `deadline_micros` of [`monotonic_micros`].
pub(crate) fn answer(
    policy: &mut Policy,
    query: &Query,
    body: &[u8],
    deadline_micros: u64,
) -> Answer {
    match query {
        Query::Decision => match json_of(body) {
            Ok(document) => {
                let input = member(&document, "input");
                Answer::one(policy.decide(input, deadline_micros), Some(input.clone()))
            }
            Err(invalid) => Answer::one(invalid, None),
        },
        Query::Document(query, source) => {
            let read = Instant::now();
            let input = match input_of(body, *source) {
                Ok(input) => input,
                Err(message) => {
                    return Answer::one(Outcome::InvalidRequest(shortened(&message)), None);
                }
            };
            let parsing = read.elapsed();
            let path = keys_of(query);
            let query = of_path(&path, query);
            let outcome = document(policy, query, input.clone(), parsing, deadline_micros);
            Answer::one(outcome, input)
        }
        Query::Batch(query, most) => match batch(policy, (query, *most), body, deadline_micros) {
            Ok(mut items) => {
                items.sort_by(|(item, _), (other, _)| item.key.cmp(&other.key));
                let (items, inputs) = items.into_iter().unzip();
                Answer { reply: Reply::Batch(items), inputs }
            }
            Err(invalid) => Answer::one(invalid, None),
        },
    }
}

fn json_of(body: &[u8]) -> Result<Value, Outcome> {
    json::parse(body).map_err(|error| {
        Outcome::InvalidRequest(shortened(&format!(
            "the request body cannot be read as JSON, at byte {}: {}",
            error.offset, error.message
        )))
    })
}

/// The input of a request of the Data API. The errors are OPA's.
pub(crate) fn input_of(body: &[u8], source: InputSource) -> Result<Option<Value>, String> {
    let malformed = |error| format!("body contains malformed input document: {error}");
    match source {
        InputSource::Absent => Ok(None),
        InputSource::Parameter => request::parameter(body)
            .map(Some)
            .map_err(|error| format!("parameter contains malformed input document: {error}")),
        InputSource::Member(format) => {
            request::body(body, of_wire(format)).and_then(request::input_of).map_err(malformed)
        }
        // An empty body is the input null.
        InputSource::Body(format) => request::body(body, of_wire(format))
            .map(|input| Some(input.unwrap_or(Value::Null)))
            .map_err(|error| format!("unexpected parse error for input: {}", malformed(error))),
    }
}

const fn of_wire(format: TextFormat) -> Format {
    match format {
        TextFormat::Json => Format::Json,
        TextFormat::Yaml => Format::Yaml,
    }
}

/// The keys below `data` that a query's path has.
pub(crate) fn keys_of(query: &DocumentQuery) -> Vec<Value> {
    query.path.iter().map(|segment| request::path_key(segment)).collect()
}

/// A query as the engine has it.
pub(crate) const fn of_path<'p>(
    path: &'p [Value],
    query: &DocumentQuery,
) -> enforcer_rego::DocumentQuery<'p> {
    enforcer_rego::DocumentQuery { path, strict_builtin_errors: query.strict_builtin_errors }
}

/// Answers about a document with the evaluator that serves.
pub(crate) fn document(
    policy: &mut Policy,
    query: enforcer_rego::DocumentQuery<'_>,
    input: Option<Value>,
    parsing: Duration,
    deadline_micros: u64,
) -> Outcome {
    let path = query.path;
    let has_input = input.is_some();
    let start = Instant::now();
    if let Err(message) = policy.check_path(path) {
        return Outcome::PathRefused(bounded(message));
    }
    let value = match policy.document(query, input, deadline_micros) {
        Ok(value) => value,
        Err(outcome) => return outcome,
    };
    let found = Found {
        value,
        has_rules: policy.has_rules(path),
        has_input,
        parsing,
        evaluating: start.elapsed(),
    };
    document_outcome(found, policy.max_result(), path == policy.entrypoint())
}

/// The value of a document, and what is known of its evaluation.
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) has_rules: bool,
    pub(crate) has_input: bool,
    pub(crate) parsing: Duration,
    pub(crate) evaluating: Duration,
}

/// The answer about a document whose JSON has at most `max_result` bytes.
pub(crate) fn document_outcome(found: Found, max_result: usize, is_entrypoint: bool) -> Outcome {
    let Found { value, has_rules, has_input, parsing, evaluating } = found;
    match result(&value, max_result) {
        Ok(text) => Outcome::Document(DocumentAnswer {
            value: text,
            has_rules,
            input: if has_input { Given::Input } else { Given::Nothing },
            decision: is_entrypoint.then(|| decision(value)).flatten(),
            parse_nanos: nanos(parsing),
            evaluation_nanos: nanos(evaluating),
        }),
        Err(message) => Outcome::Failed(evaluation_failed(&message)),
    }
}

/// A message that may be as long as a decision's texts: it names keys of documents.
pub(crate) fn bounded(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_DECISION_STRING));
    message
}

fn result(value: &Value, limit: usize) -> Result<Option<JsonText>, String> {
    if *value == Value::Undefined {
        return Ok(None);
    }
    let text = request::to_json(value)?;
    if text.len() > limit {
        let length = text.len();
        return Err(format!(
            "the result has {length} bytes, and the tenant's limit (max_result_bytes) is {limit}"
        ));
    }
    Ok(Some(JsonText::new(text)))
}

/// The decision that the value of the entrypoint is, for those who watch decisions. `None` if it is
/// none: the Data API answers any value.
fn decision(value: Value) -> Option<Decision> {
    let values = RuleValues { allow: value, redact: Value::Undefined, reason: Value::Undefined };
    decide(values).ok()
}

/// Answers about each input of a batch, of which it may have `most`; returns the inputs too. Those
/// that the deadline leaves no time for are timed out.
fn batch(
    policy: &mut Policy,
    (query, most): (&BatchQuery, u32),
    body: &[u8],
    deadline_micros: u64,
) -> Result<Vec<(BatchItem, Option<Value>)>, Outcome> {
    let document_of = json_of(body)?;
    let invalid = |message: &str| Outcome::InvalidRequest(message.to_owned());
    let Value::Object(inputs) = member(&document_of, "inputs") else {
        return Err(invalid("the request body must be a JSON object with an object \"inputs\""));
    };
    if inputs.len() > MAX_BATCH {
        let message =
            format!("\"inputs\" has {} inputs; expected at most {MAX_BATCH}", inputs.len());
        return Err(invalid(&message));
    }
    let count = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
    if count > most {
        return Err(Outcome::TooManyInputs(count));
    }
    let common = member(&document_of, "common_input");
    let path = match query {
        BatchQuery::Decision => Vec::new(),
        BatchQuery::Document(query) => keys_of(query),
    };
    let mut items = Vec::with_capacity(inputs.len());
    let mut prints = Vec::new();
    for (key, input) in inputs.iter() {
        let key = key.as_string().map(|key| key.to_string()).unwrap_or_default();
        if key.len() > MAX_BATCH_KEY {
            let message = format!("a name in \"inputs\" is longer than {MAX_BATCH_KEY} bytes");
            return Err(invalid(&message));
        }
        let start = monotonic_micros();
        let input = Some(request::with_common(input, common)).filter(|input| *input != Value::Null);
        let outcome = match query {
            BatchQuery::Decision => {
                policy.decide(input.as_ref().unwrap_or(&Value::Null), deadline_micros)
            }
            BatchQuery::Document(query) => {
                let (input, parsing) = (input.clone(), Duration::ZERO);
                document(policy, of_path(&path, query), input, parsing, deadline_micros)
            }
        };
        let micros = monotonic_micros().saturating_sub(start);
        items.push((BatchItem { key, outcome, micros, mask: Mask::Absent }, input));
        let room = MOST_PRINTS.saturating_sub(prints.len());
        prints.extend(policy.take_prints().into_iter().take(room));
    }
    policy.keep_prints(prints);
    Ok(items)
}

#[cfg(test)]
mod tests;
