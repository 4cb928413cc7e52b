//! Values as OPA writes them in texts, in the syntax of policies.

use regorus::Value;

use super::go::quote::quote;
use super::number;
use super::{Failure, limits, order};

/// The text of a value: `{"a": [1, set()]}`.
///
/// # Errors
/// When the text would be longer, or the value deeper, than a built-in's limits.
pub(crate) fn term(value: &Value) -> Result<String, Failure> {
    let mut out = String::new();
    append(&mut out, value, limits::DEPTH)?;
    Ok(out)
}

/// The same, but a string is not quoted.
pub(crate) fn plain(value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok((**text).to_owned()),
        other => term(other),
    }
}

fn append(out: &mut String, value: &Value, depth: usize) -> Result<(), Failure> {
    if out.len() > limits::STRING_BYTES {
        return Err(limits::exceeded("a text is too long"));
    }
    let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a value is too deep"))?;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(_) => out.push_str(&number::text::of(value)),
        Value::String(text) => out.push_str(&quote(text)),
        Value::Array(array) => {
            out.push('[');
            list(out, array.iter(), below)?;
            out.push(']');
        }
        Value::Set(set) if set.is_empty() => out.push_str("set()"),
        Value::Set(set) => {
            out.push('{');
            list(out, order::elements(set).into_iter(), below)?;
            out.push('}');
        }
        Value::Object(object) => {
            out.push('{');
            for (i, (key, value)) in order::entries(object).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                append(out, key, below)?;
                out.push_str(": ");
                append(out, value, below)?;
            }
            out.push('}');
        }
        Value::Undefined => out.push_str("<undefined>"),
    }
    Ok(())
}

fn list<'a>(
    out: &mut String,
    elements: impl Iterator<Item = &'a Value>,
    depth: usize,
) -> Result<(), Failure> {
    for (i, element) in elements.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        append(out, element, depth)?;
    }
    Ok(())
}
