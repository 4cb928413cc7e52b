//! The rules that a policy's mask names, and what they do to a document: OPA's semantics.

use std::time::Instant;

use enforcer_protocol::MAX_MASK_PATHS;
use enforcer_rego::Value;

use super::path::{MaskPath, index};
use crate::value::member;

/// One rule of a mask.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MaskRule {
    operation: Operation,
    path: MaskPath,
}

/// What a rule does with the value at its path.
#[derive(Debug, PartialEq, Eq)]
enum Operation {
    Remove,
    /// Replaces the value, or adds it, with the objects around it.
    Upsert(Value),
}

/// The parts of an event that a mask may change. `None` for a part that the event does not have.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) input: Option<Value>,
    pub(super) result: Option<Value>,
}

/// The paths of the rules that changed something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) erased: Vec<String>,
    pub(super) masked: Vec<String>,
}

/// Reads the value of a policy's mask: an array (or a set, which is one in JSON) of paths and of
/// objects `{"op", "path", "value"}`.
///
/// # Errors
/// Says why the value is no mask. As in OPA, one faulty rule makes all of them invalid: a rule that
/// was skipped would show what its author wanted to hide.
pub(super) fn read(mask: &Value) -> Result<Vec<MaskRule>, String> {
    let Value::Array(rules) = mask else {
        return Err(format!("unexpected rule format: expected a set of rules, not {}", kind(mask)));
    };
    if rules.len() > MAX_MASK_PATHS {
        return Err(format!("the mask has {} rules; the limit is {MAX_MASK_PATHS}", rules.len()));
    }
    rules.iter().map(read_rule).collect()
}

fn read_rule(rule: &Value) -> Result<MaskRule, String> {
    match rule {
        Value::String(path) => {
            Ok(MaskRule { operation: Operation::Remove, path: MaskPath::parse(path)? })
        }
        Value::Object(_) => {
            let operation = text(rule, "op")?;
            let path = MaskPath::parse(text(rule, "path")?)?;
            let operation = match operation {
                "remove" => Operation::Remove,
                "upsert" => Operation::Upsert(match member(rule, "value") {
                    Value::Undefined => Value::Null,
                    value => value.clone(),
                }),
                other => return Err(format!("mask op is not supported: {other:?}")),
            };
            Ok(MaskRule { operation, path })
        }
        other => Err(format!("invalid mask rule format encountered: {}", kind(other))),
    }
}

/// A text of a rule's object; empty where it is missing.
fn text<'v>(rule: &'v Value, key: &str) -> Result<&'v str, String> {
    match member(rule, key) {
        Value::Undefined => Ok(""),
        Value::String(text) if !text.is_empty() => Ok(text),
        other => Err(format!("invalid {key:?} value: {}", kind(other))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    }
}

/// Applies the rules in their order. `None` if `until` passes before the last: a rule may have to
/// move all elements of a large array.
pub(super) fn apply(rules: Vec<MaskRule>, parts: &mut Parts, until: Instant) -> Option<Changes> {
    let mut changes = Changes::default();
    for MaskRule { operation, path } in rules {
        if Instant::now() >= until {
            return None;
        }
        let Some(part) = part_of(parts, &path) else { continue };
        // A part that is not there, or that an earlier rule erased, is left as it is.
        let Some(document) = part else { continue };
        match operation {
            Operation::Remove if path.keys().is_empty() => {
                *part = None;
                changes.erased.push(path.text());
            }
            Operation::Remove => {
                if remove(document, path.keys()).is_some() {
                    changes.erased.push(path.text());
                }
            }
            Operation::Upsert(value) if path.keys().is_empty() => {
                *document = value;
                changes.masked.push(path.text());
            }
            Operation::Upsert(value) => {
                if upsert(document, path.keys(), value).is_some() {
                    changes.masked.push(path.text());
                }
            }
        }
    }
    Some(changes)
}

/// The part that a path begins in; `None` for one that no event of ours has.
fn part_of<'p>(parts: &'p mut Parts, path: &MaskPath) -> Option<&'p mut Option<Value>> {
    match path.part() {
        "input" => Some(&mut parts.input),
        "result" => Some(&mut parts.result),
        _ => None,
    }
}

/// Removes the value at a path. `None` if there is no such value.
fn remove(document: &mut Value, path: &[String]) -> Option<()> {
    let (last, parents) = path.split_last()?;
    let mut node = document;
    for key in parents {
        node = child(node, key)?;
    }
    if let Ok(object) = node.as_object_mut() {
        return object.remove(&Value::from(last.as_str())).map(|_| ());
    }
    let array = node.as_array_mut().ok()?;
    let removed = index(last).filter(|index| *index < array.len())?;
    let mut at = 0;
    array.retain(|_| {
        at += 1;
        at != removed + 1
    });
    Some(())
}

/// Puts a value at a path, and objects on the way to it where there is nothing. `None` if something
/// else is in the way, or an array is too short: then nothing is changed.
fn upsert(document: &mut Value, path: &[String], value: Value) -> Option<()> {
    let (last, parents) = path.split_last()?;
    let mut node = document;
    for key in parents {
        if let Value::Object(_) = node {
            let object = node.as_object_mut().ok()?;
            let key = Value::from(key.as_str());
            if !object.contains_key(&key) {
                object.insert(key.clone(), Value::new_object());
            }
            node = object.get_mut(&key)?;
        } else {
            node = child(node, key)?;
        }
    }
    match node {
        Value::Object(_) => {
            node.as_object_mut().ok()?.insert(Value::from(last.as_str()), value);
        }
        _ => *child(node, last)? = value,
    }
    Some(())
}

/// The value of a key in an object, or at an index of an array.
fn child<'v>(node: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    match node {
        Value::Object(_) => node.as_object_mut().ok()?.get_mut(&Value::from(key)),
        Value::Array(_) => node.as_array_mut().ok()?.get_mut(index(key)?),
        _ => None,
    }
}
