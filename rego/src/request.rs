//! Requests and answers of OPA's Data API: inputs as OPA's server reads them, paths as it turns
//! them into references, and results as it writes them.

use std::str::Utf8Error;

use regorus::Value;
use regorus::value::Object;

use crate::builtins::Failure;
use crate::builtins::json::{read, write};
use crate::compile::text::{KEYWORDS, is_plain_name};
use crate::core::data::{merge, whole_number};
use crate::json;
use crate::yaml;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON. Text after the first value is ignored, as OPA ignores it.
    Json,
    /// YAML. A text that is JSON is read as JSON, as OPA reads it: numbers keep their digits.
    Yaml,
}

/// Reads a request's body. The value is `None` for an empty one.
///
/// # Errors
/// Go's message, as OPA's server has it, or ours where the body has a number that cannot be held
/// exactly or nests too deeply.
pub fn body(body: &[u8], format: Format) -> Result<Option<Value>, String> {
    match format {
        Format::Json => {
            // Nearly every body is plain JSON. Go accepts more: lone surrogates, bytes that are
            // not UTF-8, and anything after the value.
            if let Ok(value) = json::parse(body) {
                return Ok(Some(value));
            }
            let text = as_go_reads(body);
            if text.trim_ascii().is_empty() {
                return Ok(None);
            }
            read::parse_first(&text).map(Some).map_err(message)
        }
        Format::Yaml if body.is_empty() => Ok(None),
        Format::Yaml => {
            let text = as_go_reads(body);
            if read::is_valid(&text).map_err(message)? {
                return read::parse(&text).map(Some).map_err(message);
            }
            let text = str::from_utf8(body).map_err(not_utf8)?;
            yaml::parse(text).map(Some).map_err(|error| error.message)
        }
    }
}

/// Reads the parameter `input`, which is JSON and nothing after it.
///
/// # Errors
/// As [`body`].
pub fn parameter(text: &[u8]) -> Result<Value, String> {
    match json::parse(text) {
        Ok(value) => Ok(value),
        Err(_) => read::parse(&as_go_reads(text)).map_err(message),
    }
}

/// The member `input` of a body.
///
/// # Errors
/// Go's message, where the body is not an object.
pub fn input_of(body: Option<Value>) -> Result<Option<Value>, String> {
    let other = match body {
        None | Some(Value::Null | Value::Undefined) => return Ok(None),
        Some(Value::Object(object)) => return Ok(named(&object, "input").cloned()),
        Some(other) => other,
    };
    let kind = kind_of(&other);
    Err(format!("json: cannot unmarshal {kind} into Go value of type types.alias"))
}

/// The members `query` and `input` of a body of OPA's Query API.
///
/// # Errors
/// Go's message, where the body is not an object or the query not a text.
pub fn query_of(body: &Value) -> Result<(String, Option<Value>), String> {
    let unfit = |kind: &str, into: &str| format!("json: cannot unmarshal {kind} into Go {into}");
    let object = match body {
        Value::Null => return Ok((String::new(), None)),
        Value::Object(object) => object,
        other => return Err(unfit(kind_of(other), "value of type types.QueryRequestV1")),
    };
    let text = match named(object, "query") {
        None => String::new(),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => {
            let field = "struct field QueryRequestV1.query of type string";
            return Err(unfit(kind_of(other), field));
        }
    };
    Ok((text, named(object, "input").cloned()))
}

/// The member of this name, unless it is null. Go's decoder takes names in any case; the exact one is
/// taken first here.
fn named<'o>(object: &'o Object, name: &str) -> Option<&'o Value> {
    let is_it = |key: &Value| matches!(key, Value::String(key) if key.eq_ignore_ascii_case(name));
    let folded = || object.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value);
    let found = object.get(&Value::from(name)).or_else(folded);
    found.filter(|value| **value != Value::Null)
}

/// The kind of a value in Go's messages.
const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Undefined => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Set(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An input with the members of `common` that it lacks, at any depth. Where one of them is not an
/// object, it is the input alone.
#[must_use]
pub fn with_common(input: &Value, common: &Value) -> Value {
    merge(input, common)
}

/// The key that a segment of a request's path is: a whole number where OPA reads one, else text.
#[must_use]
pub fn path_key(segment: &str) -> Value {
    whole_number(segment).map_or_else(|| Value::from(segment), Value::from)
}

/// A reference to the document at a path below `data`, as OPA writes references.
#[must_use]
pub fn reference(path: &[Value]) -> String {
    let mut text = "data".to_owned();
    for key in path {
        match key {
            Value::String(name) if is_plain_name(name) && !KEYWORDS.contains(&&**name) => {
                text.push('.');
                text.push_str(name);
            }
            other => {
                text.push('[');
                text.push_str(&key_text(other));
                text.push(']');
            }
        }
    }
    text
}

/// A key as OPA writes it in brackets.
pub(crate) fn key_text(key: &Value) -> String {
    write::marshal(key, None).unwrap_or_default()
}

/// The JSON of a result, as OPA's server writes it: without whitespace, with sorted keys.
///
/// # Errors
/// When it would be longer than 16 MiB or deeper than 512 levels.
pub fn to_json(value: &Value) -> Result<String, String> {
    write::marshal(value, None).map_err(message)
}

/// Go's messages about YAML that is not UTF-8.
fn not_utf8(error: Utf8Error) -> String {
    let what = match error.error_len() {
        None => "incomplete UTF-8 octet sequence",
        Some(1) => "invalid leading UTF-8 octet",
        Some(_) => "invalid trailing UTF-8 octet",
    };
    format!("yaml: {what}")
}

fn message(failure: Failure) -> String {
    failure.to_string()
}

/// The text of some bytes: Go takes U+FFFD for each byte that is not UTF-8.
fn as_go_reads(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('\u{fffd}', chunk.invalid().len()));
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str, format: Format) -> Result<Option<String>, String> {
        let input = input_of(body(text.as_bytes(), format)?)?;
        Ok(input.map(|value| to_json(&value).unwrap()))
    }

    /// OPA 1.22.2's answers.
    #[test]
    fn inputs_are_read_as_opa_s_server_reads_them() {
        let json = |text| input(text, Format::Json);
        let yaml = |text| input(text, Format::Yaml);
        let some = |text: &str| Ok(Some(text.to_owned()));
        for nothing in ["", "  \n", "null", "{}", r#"{"input":null}"#, r#"{"a":1}"#] {
            assert_eq!(json(nothing), Ok(None), "{nothing}");
        }
        assert_eq!(json(r#"{"input":{"b":1,"a":[2.50]}}"#), some(r#"{"a":[2.5],"b":1}"#));
        assert_eq!(json(r#"{"INPUT":1}"#), some("1"));
        assert_eq!(json(r#"{"input":1} x"#), some("1"));
        assert!(json(r#"{"input":1e-400}"#).is_err());
        assert_eq!(json(r#"{"input":"\ud800"}"#), some("\"\u{fffd}\""));
        let alias = "into Go value of type types.alias";
        assert_eq!(json("[1]"), Err(format!("json: cannot unmarshal array {alias}")));
        assert_eq!(json("true"), Err(format!("json: cannot unmarshal bool {alias}")));
        let key = "invalid character 'x' looking for beginning of object key string";
        assert_eq!(json("{x"), Err(key.to_owned()));
        assert_eq!(json("{"), Err("unexpected EOF".to_owned()));
        assert_eq!(yaml(""), Ok(None));
        assert_eq!(yaml("input: {a: 1}"), some(r#"{"a":1}"#));
        let content = "yaml: line 1: did not find expected node content";
        assert_eq!(yaml("a: ["), Err(content.to_owned()));
        assert_eq!(yaml(r#"{"input":"\ud800"}"#), some("\"\u{fffd}\""));
        let large = "12345678901234567890123";
        assert_eq!(yaml(&format!(r#"{{"input":{large}}}"#)), some(large));
        let octet = "yaml: invalid leading UTF-8 octet";
        assert_eq!(body(b"input: \xff", Format::Yaml), Err(octet.to_owned()));
        assert_eq!(parameter(b""), Err("EOF".to_owned()));
        assert!(parameter(b"1 2").is_err());
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        let read = body(b"{\"input\":\"a\xff\xfe\"}", Format::Json).unwrap();
        let input = input_of(read).unwrap();
        assert_eq!(input, Some(Value::from("a\u{fffd}\u{fffd}")));
    }

    #[test]
    fn segments_are_numbers_where_opa_reads_one() {
        for (segment, number) in [
            ("0", 0),
            ("00", 0),
            ("-1", -1),
            ("+7", 7),
            ("7.0", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(path_key(segment), Value::from(number), "{segment}");
        }
        for text in ["", "-", "1.5", "1e3", "0x1", " 1", "9223372036854775808", "١", "1_0"] {
            assert_eq!(path_key(text), Value::from(text), "{text}");
        }
    }

    #[test]
    fn a_path_is_written_as_a_reference() {
        let path = ["a", "x y", "0", "\"q\"", "true"].map(path_key);
        assert_eq!(reference(&path), r#"data.a["x y"][0]["\"q\""]["true"]"#);
    }
}
