//! JSON texts for comparing and showing values, with numbers as 64-bit floats.

use regorus::Value;

use super::DEPTH;
use crate::builtins::json::write;
use crate::builtins::{Failure, limits, number, order};

/// From this number on an exponent is written, as below the other.
const LARGE: f64 = 1e21;
const SMALL: f64 = 1e-6;

/// The text of a value.
///
/// # Errors
/// When a number is not a 64-bit float, or the text is too long or the value too deep.
pub(super) fn text(value: &Value) -> Result<String, Failure> {
    let mut out = String::new();
    append(&mut out, value, DEPTH)?;
    Ok(out)
}

fn append(out: &mut String, value: &Value, depth: usize) -> Result<(), Failure> {
    if out.len() > limits::STRING_BYTES {
        return Err(limits::exceeded("a text is too long"));
    }
    let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("a value is too deep"))?;
    match value {
        Value::Number(_) => out.push_str(&float(&number::text::of(value))?),
        Value::Array(array) => {
            out.push('[');
            for (i, element) in array.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                append(out, element, below)?;
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (i, (key, value)) in order::entries(object).into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                append(out, key, below)?;
                out.push(':');
                append(out, value, below)?;
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Set(_) | Value::Undefined => {
            out.push_str(&write::marshal(value, None)?);
        }
    }
    Ok(())
}

/// A number's text as Go writes its 64-bit float.
pub(in crate::builtins) fn float(text: &str) -> Result<String, Failure> {
    let float: f64 = text.parse().unwrap_or(f64::INFINITY);
    if float.is_infinite() {
        let what = format!("json: cannot unmarshal number {text} into Go value of type float64");
        return Err(Failure::Builtin(what));
    }
    let size = float.abs();
    if size != 0.0 && !(SMALL..LARGE).contains(&size) {
        let text = format!("{float:e}");
        return Ok(if size >= LARGE { text.replace('e', "e+") } else { text });
    }
    Ok(float.to_string())
}
