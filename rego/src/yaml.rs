//! YAML to the engine's values, as OPA reads YAML: as the JSON that it stands for.

use std::collections::BTreeMap;

use regorus::Value;
use yaml_serde::Value as Yaml;

use crate::number;

/// Levels of a document, as for JSON.
const MAX_DEPTH: usize = 127;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct YamlError {
    /// What is wrong, for the person who wrote the document.
    pub(crate) message: String,
    /// Where, in bytes from the document's beginning; 0 where it is not known.
    pub(crate) offset: usize,
}

impl YamlError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: 0 }
    }
}

/// Reads the first document of a text. Merge keys (`<<`) are applied, keys become strings.
///
/// # Errors
/// What is no YAML, nests deeper than 127 levels, or has a number that cannot be held.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    let failed = |error: yaml_serde::Error| {
        let offset = error.location().map_or(0, |location| location.index());
        let words = error.to_string();
        let message = words.split(" at line ").next().unwrap_or_default().to_owned();
        YamlError { message, offset }
    };
    let mut document: Yaml = yaml_serde::from_str(text).map_err(failed)?;
    document.apply_merge().map_err(failed)?;
    convert(&document, 0)
}

fn convert(yaml: &Yaml, depth: usize) -> Result<Value, YamlError> {
    if depth > MAX_DEPTH {
        return Err(YamlError::new(format!("it nests deeper than {MAX_DEPTH} levels")));
    }
    match yaml {
        Yaml::Null => Ok(Value::Null),
        Yaml::Bool(value) => Ok(Value::Bool(*value)),
        Yaml::Number(number) => number_of(number),
        Yaml::String(text) => Ok(Value::from(text.as_str())),
        Yaml::Sequence(elements) => {
            let elements: Result<Vec<Value>, YamlError> =
                elements.iter().map(|element| convert(element, depth + 1)).collect();
            Ok(Value::from(elements?))
        }
        Yaml::Mapping(entries) => {
            let mut object = BTreeMap::new();
            for (key, value) in entries {
                object.insert(key_of(key)?, convert(value, depth + 1)?);
            }
            Ok(Value::from(object))
        }
        Yaml::Tagged(tagged) => convert(&tagged.value, depth + 1),
    }
}

fn number_of(number: &yaml_serde::Number) -> Result<Value, YamlError> {
    if let Some(value) = number.as_i64() {
        return Ok(Value::from(value));
    }
    if let Some(value) = number.as_u64() {
        return Ok(Value::from(value));
    }
    number
        .as_f64()
        .and_then(number::from_float)
        .ok_or_else(|| YamlError::new("a number that JSON does not have"))
}

fn key_of(key: &Yaml) -> Result<Value, YamlError> {
    match key {
        Yaml::String(text) => Ok(Value::from(text.as_str())),
        Yaml::Bool(value) => Ok(Value::from(value.to_string())),
        Yaml::Number(number) => Ok(Value::from(number.to_string())),
        Yaml::Null => Ok(Value::from("null")),
        Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => {
            Err(YamlError::new("a key that is not a string, number or boolean"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn yaml_means_the_json_that_it_stands_for() {
        let text = "base: &base {a: 1, b: x}\nmerged: {<<: *base, b: 2.5}\n1: [true, null, '7']\n";
        let expected =
            r#"{"base": {"a": 1, "b": "x"}, "merged": {"a": 1, "b": 2.5}, "1": [true, null, "7"]}"#;
        assert_eq!(parse(text), Ok(json::parse(expected.as_bytes()).unwrap()));
    }

    #[test]
    fn a_fault_has_its_place() {
        assert!(parse("a: 1\nb: [1").unwrap_err().offset > 0);
        assert!(parse("a: .nan").is_err());
        assert!(parse("? [1]\n: 2").is_err());
    }

    #[test]
    fn a_document_that_expands_without_end_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
        }
        assert!(parse(&text).is_err());
    }
}
