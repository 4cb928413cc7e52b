//! Values as the oracle writes them: `{"n": "1"}` is a number, `{"s": […]}` a set, `{"o": [[k, v]]}` an
//! object.

use enforcer_rego::{Value, number};
use serde_json::json;

/// Encodes a value for the oracle.
pub(crate) fn encode(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => json!(null),
        Value::Bool(b) => json!(b),
        Value::Number(n) => {
            // Only floats have a fraction in this form; an integer beyond their range has no bits.
            let float = n.as_big().is_none() || n.format_decimal_with_width(1).contains('.');
            let text = match n.as_f64() {
                Some(f) if float => float_text(f),
                _ => n.format_decimal(),
            };
            json!({"n": text})
        }
        Value::String(s) => json!(&**s),
        Value::Array(a) => json!(a.iter().map(encode).collect::<Vec<_>>()),
        Value::Set(s) => json!({"s": s.iter().map(encode).collect::<Vec<_>>()}),
        Value::Object(o) => {
            let entries: Vec<_> = o.iter().map(|(k, v)| json!([encode(k), encode(v)])).collect();
            json!({"o": entries})
        }
        Value::Undefined => json!("undefined"),
    }
}

/// The text that our built-ins write for a float: OPA keeps the text that it has read.
fn float_text(f: f64) -> String {
    if f == 0.0 {
        return if f.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    if (1e-4..1e21).contains(&f.abs()) {
        let point = if f.fract() == 0.0 { ".0" } else { "" };
        return format!("{f}{point}");
    }
    let text = format!("{f:e}");
    match text.split_once("e-") {
        Some((mantissa, digits)) => format!("{mantissa}e-{digits:0>2}"),
        None => text.replace('e', "e+"),
    }
}

/// Decodes a value of the oracle. A number that has no exact representation becomes the nearest
/// float.
pub(crate) fn decode(json: &serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(_) => return None,
        serde_json::Value::String(s) => Value::from(s.as_str()),
        serde_json::Value::Array(elements) => Value::from(decode_all(elements)?),
        serde_json::Value::Object(fields) => {
            if let Some(text) = fields.get("n") {
                let text = text.as_str()?;
                return number::parse(text)
                    .ok()
                    .or_else(|| text.parse::<f64>().ok().map(Value::from))
                    .or_else(|| to_number(text));
            }
            if let Some(elements) = fields.get("s") {
                return Some(Value::from(
                    decode_all(elements.as_array()?)?
                        .into_iter()
                        .collect::<std::collections::BTreeSet<_>>(),
                ));
            }
            let mut object = std::collections::BTreeMap::new();
            for entry in fields.get("o")?.as_array()? {
                let entry = entry.as_array()?;
                object.insert(decode(entry.first()?)?, decode(entry.get(1)?)?);
            }
            Value::from(object)
        }
    })
}

/// A result as the oracle can write it: JSON cannot hold invalid UTF-8, and Go writes U+FFFD for
/// each such byte.
pub(crate) fn as_json(value: &Value) -> Value {
    match value {
        Value::String(s) => {
            Value::from(s.replace(|c| ('\u{10ff00}'..='\u{10ffff}').contains(&c), "\u{fffd}"))
        }
        Value::Array(a) => Value::from(a.iter().map(as_json).collect::<Vec<_>>()),
        Value::Set(s) => {
            Value::from(s.iter().map(as_json).collect::<std::collections::BTreeSet<_>>())
        }
        Value::Object(o) => Value::from(
            o.iter()
                .map(|(k, v)| (as_json(k), as_json(v)))
                .collect::<std::collections::BTreeMap<_, _>>(),
        ),
        other => other.clone(),
    }
}

/// Several.
pub(crate) fn decode_all(elements: &[serde_json::Value]) -> Option<Vec<Value>> {
    elements.iter().map(decode).collect()
}

/// Go's other texts of numbers.
fn to_number(text: &str) -> Option<Value> {
    let function = enforcer_rego::builtins::function("to_number")?;
    function(&mut super::context(), &[Value::from(text)]).ok()
}
