//! A policy's mask: what is left of a decision's input and result for those who watch decisions.
//!
//! The rules are OPA's (`data.system.log.mask`). Whatever goes wrong, a decision is answered, and
//! nothing of it is shown.

mod path;
mod rules;

use std::time::{Duration, Instant};

use enforcer_protocol::{
    BatchQuery, Decision, JsonText, MAX_DECISION_STRING, MAX_MASK_PATHS, MAX_MASKED,
    MAX_REDACTIONS, Mask, MaskedDecision, Outcome, Query,
};
use enforcer_rego::{Value, json, request};

use crate::clock::{monotonic_micros, time_left};
use crate::diagnostics::shortened;
use crate::engine::Policy;
use crate::value::member;
use rules::{Changes, Parts, apply, read};

/// How long one mask may take, at most: a mask that never ends costs its tenant's requests this
/// much of their deadline, and never a decision.
const MASK_TIME: Duration = Duration::from_millis(25);

/// Why there is no masked decision.
#[derive(Debug, PartialEq, Eq)]
enum MaskFault {
    /// The time for it was over.
    TimedOut,
    /// The policy's mask failed, or is none. Says why.
    Failed(String),
    /// What is left is too large.
    TooLarge,
}

impl From<MaskFault> for Mask {
    fn from(fault: MaskFault) -> Self {
        match fault {
            MaskFault::TimedOut => Self::Failed("the mask did not end in time".to_owned()),
            MaskFault::Failed(reason) => Self::Failed(shortened(&reason)),
            MaskFault::TooLarge => Self::TooLarge,
        }
    }
}

/// Masks the decisions of one answer.
#[derive(Debug)]
pub(crate) struct Masker<'p> {
    policy: &'p mut Policy,
    /// The document that was asked for, as OPA's records name it.
    path: String,
    /// When the last mask of the answer has to end, on the clock of deadlines: half of what is left
    /// of the answer's deadline is for its way back.
    until_micros: u64,
    /// The bytes that all masks of the answer may leave from now on.
    room: usize,
}

impl<'p> Masker<'p> {
    pub(crate) fn new(policy: &'p mut Policy, query: &Query, deadline_micros: u64) -> Self {
        let path = match query {
            Query::Document(document, _) | Query::Batch(BatchQuery::Document(document), _) => {
                document.path.join("/")
            }
            Query::Decision | Query::Batch(BatchQuery::Decision, _) => {
                let keys = policy.entrypoint().iter().filter_map(|key| key.as_string().ok());
                keys.map(|key| key.to_string()).collect::<Vec<_>>().join("/")
            }
        };
        let now = monotonic_micros();
        let until_micros = now.saturating_add(deadline_micros.saturating_sub(now) / 2);
        Self { policy, path, until_micros, room: MAX_MASKED }
    }

    /// The mask of an outcome; [`Mask::Absent`] where it is no decision.
    pub(crate) fn mask(&mut self, outcome: &Outcome, input: Option<&Value>) -> Mask {
        self.masked(outcome, input, MASK_TIME).unwrap_or_else(Mask::from)
    }

    /// As [`Self::mask`]; `None` if it does not end within `limit`.
    pub(crate) fn try_mask(
        &mut self,
        outcome: &Outcome,
        input: Option<&Value>,
        limit: Duration,
    ) -> Option<Mask> {
        match self.masked(outcome, input, limit) {
            Err(MaskFault::TimedOut) => None,
            masked => Some(masked.unwrap_or_else(Mask::from)),
        }
    }

    fn masked(
        &mut self,
        outcome: &Outcome,
        input: Option<&Value>,
        limit: Duration,
    ) -> Result<Mask, MaskFault> {
        let Some(decided) = decided(outcome)? else { return Ok(Mask::Absent) };
        let left = time_left(self.until_micros).ok_or(MaskFault::TimedOut)?.min(limit);
        let masked = apply_mask(self.policy, &self.path, input, decided, left)?;
        let (length, paths) = (masked.length(), masked.erased.len() + masked.masked.len());
        if length > self.room || paths > MAX_MASK_PATHS {
            return Err(MaskFault::TooLarge);
        }
        self.room -= length;
        Ok(Mask::Applied(Box::new(masked)))
    }
}

/// The decision that an outcome is, and its result as the client has it. `None` where it is none.
fn decided(outcome: &Outcome) -> Result<Option<(&Decision, Option<Value>)>, MaskFault> {
    match outcome {
        Outcome::Decision(decision) => Ok(Some((decision, Some(value_of(decision))))),
        Outcome::Document(document) => {
            let Some(decision) = &document.decision else { return Ok(None) };
            let result = document.value.as_ref().map(|text| read_again(text.as_str()));
            Ok(Some((decision, result.transpose()?)))
        }
        _ => Ok(None),
    }
}

/// Evaluates the policy's mask about a decision, and applies its rules, in no more than `limit`.
fn apply_mask(
    policy: &mut Policy,
    path: &str,
    input: Option<&Value>,
    (decision, result): (&Decision, Option<Value>),
    limit: Duration,
) -> Result<MaskedDecision, MaskFault> {
    let until = Instant::now() + limit;
    let mut parts = Parts { input: input.cloned(), result };
    let changes = match policy.mask_rules(event(path, &parts), limit).map_err(fault_of)? {
        // No rule applies.
        Value::Undefined => Changes::default(),
        rules => {
            // Sets become arrays, and keys texts, as in JSON.
            let rules = read_again(&request::to_json(&rules).map_err(MaskFault::Failed)?)?;
            let rules = read(&rules).map_err(MaskFault::Failed)?;
            apply(rules, &mut parts, until).ok_or(MaskFault::TimedOut)?
        }
    };
    let input = parts.input.as_ref().map(request::to_json).transpose();
    Ok(MaskedDecision {
        input: input.map_err(MaskFault::Failed)?.map(JsonText::new),
        decision: decision_after(decision, parts.result.as_ref()),
        erased: changes.erased,
        masked: changes.masked,
    })
}

/// The value of a text that the engine wrote.
fn read_again(text: &str) -> Result<Value, MaskFault> {
    json::parse(text.as_bytes()).map_err(|error| MaskFault::Failed(error.to_string()))
}

/// The event that the mask has as its input: what OPA's has of it, as far as the worker knows it.
fn event(path: &str, parts: &Parts) -> Value {
    let mut event = Value::new_object();
    if let Ok(members) = event.as_object_mut() {
        members.insert("path".into(), path.into());
        for (name, part) in [("input", &parts.input), ("result", &parts.result)] {
            if let Some(value) = part {
                members.insert(name.into(), value.clone());
            }
        }
    }
    event
}

fn fault_of(outcome: Outcome) -> MaskFault {
    match outcome {
        Outcome::TimedOut => MaskFault::TimedOut,
        Outcome::Failed(diagnostic) => MaskFault::Failed(diagnostic.to_string()),
        _ => MaskFault::Failed("the mask could not be evaluated".to_owned()),
    }
}

/// A decision as a document.
fn value_of(decision: &Decision) -> Value {
    let Decision { allow, redact, reason } = decision;
    let mut value = Value::new_object();
    if let Ok(members) = value.as_object_mut() {
        let redact: Vec<Value> = redact.iter().map(|path| path.as_str().into()).collect();
        members.insert("allow".into(), (*allow).into());
        members.insert("redact".into(), redact.into());
        members.insert("reason".into(), reason.as_deref().map_or(Value::Null, Value::from));
    }
    value
}

/// The decision that is left of a result. Whether it allows is no secret: all else that is not as a
/// decision has it any more is left out.
fn decision_after(decision: &Decision, result: Option<&Value>) -> Decision {
    let result = result.unwrap_or(&Value::Undefined);
    let text = |value: &Value| match value {
        Value::String(text) if text.len() <= MAX_DECISION_STRING => Some(text.to_string()),
        _ => None,
    };
    let redact = match member(result, "redact") {
        Value::Array(paths) => paths.iter().filter_map(text).take(MAX_REDACTIONS).collect(),
        _ => Vec::new(),
    };
    Decision { allow: decision.allow, redact, reason: text(member(result, "reason")) }
}

#[cfg(test)]
mod tests;
