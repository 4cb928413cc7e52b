//! Values of any type in a block: checked, shown, and as JSON.

use serde_json::{Number, Value};

use crate::builtins::go::float;
use crate::yaml::Any;

/// Checks that keys are texts. As in OPA, only below a mapping with other keys.
///
/// # Errors
/// OPA's message.
pub(super) fn check_keys(any: &Any, path: &[&str]) -> Result<(), String> {
    match any {
        Any::Sequence(elements) => elements.iter().enumerate().try_for_each(|(index, element)| {
            let index = index.to_string();
            check_keys(element, &[path, &[index.as_str()]].concat())
        }),
        Any::Mapping(mapping) if !mapping.is_of_texts() => {
            mapping.entries().iter().try_for_each(|(key, value)| match key.as_text() {
                Some(key) => check_keys(value, &[path, &[key]].concat()),
                None => Err(format!("invalid map key type(s): {}", path.join("/"))),
            })
        }
        Any::Null
        | Any::Bool(_)
        | Any::Integer(_)
        | Any::Unsigned(_)
        | Any::Float(_)
        | Any::Text(_)
        | Any::Time(_)
        | Any::Mapping(_) => Ok(()),
    }
}

/// A value as JSON. Floats that JSON cannot represent are null.
pub(super) fn to_json(any: &Any) -> Value {
    match any {
        Any::Null => Value::Null,
        Any::Bool(value) => Value::Bool(*value),
        Any::Integer(value) => Value::Number((*value).into()),
        Any::Unsigned(value) => Value::Number((*value).into()),
        Any::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Any::Text(text) | Any::Time(text) => Value::String(text.clone()),
        Any::Sequence(elements) => elements.iter().map(to_json).collect(),
        Any::Mapping(mapping) => mapping
            .entries()
            .iter()
            .map(|(key, value)| {
                let name = key.as_text().map_or_else(|| to_json(key).to_string(), str::to_owned);
                (name, to_json(value))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// A value as Go's `%s` prints it.
pub(super) fn go_text(any: &Any) -> String {
    match any {
        Any::Null => "%!s(<nil>)".to_owned(),
        Any::Bool(_)
        | Any::Integer(_)
        | Any::Unsigned(_)
        | Any::Float(_)
        | Any::Text(_)
        | Any::Time(_)
        | Any::Sequence(_)
        | Any::Mapping(_) => inner_text(any),
    }
}

fn inner_text(any: &Any) -> String {
    match any {
        Any::Null => "<nil>".to_owned(),
        Any::Bool(value) => format!("%!s(bool={value})"),
        Any::Integer(value) => format!("%!s(int={value})"),
        Any::Unsigned(value) => format!("%!s(uint64={value})"),
        Any::Float(value) => format!("%!s(float64={})", float::format(*value, 'g', None)),
        Any::Text(text) => text.clone(),
        Any::Time(text) => time(text),
        Any::Sequence(elements) => {
            let shown: Vec<String> = elements.iter().map(inner_text).collect();
            format!("[{}]", shown.join(" "))
        }
        Any::Mapping(mapping) => {
            let entries = mapping.entries().iter();
            let mut shown: Vec<String> = entries
                .map(|(key, value)| format!("{}:{}", inner_text(key), inner_text(value)))
                .collect();
            shown.sort_unstable();
            format!("map[{}]", shown.join(" "))
        }
    }
}

/// A time in the form of RFC 3339 as Go prints it.
fn time(text: &str) -> String {
    let (date, clock) = text.split_once('T').unwrap_or((text, ""));
    if let Some(clock) = clock.strip_suffix('Z') {
        return format!("{date} {clock} +0000 UTC");
    }
    let (clock, zone) = clock.split_at(clock.rfind(['+', '-']).unwrap_or(clock.len()));
    let zone = zone.replace(':', "");
    format!("{date} {clock} {zone} {zone}")
}
