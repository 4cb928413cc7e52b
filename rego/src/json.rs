//! Converts JSON to the engine's values, with numbers as exact as OPA's.
//!
//! regorus has its own reader, which is not used: it takes an object whose first key is
//! `$serde_json::private::Number` for a number and expands its exponent, so that 46 bytes block a
//! worker for half a minute. serde_json without that key rounds integers beyond 64 bits, which
//! could make two identifiers equal. So where a document holds a long number, it is read a second
//! time, and its long numbers are taken from their text.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use regorus::Value;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::number;

/// Every number of up to 15 characters is read exactly at once, unless its exponent is negative: it
/// may be too small for a double.
const SHORTEST_LONG_NUMBER: usize = 16;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    /// The fault, for the author of the document.
    pub message: String,
    /// The offset in bytes from the document's beginning.
    pub offset: usize,
}

/// Reads a document, all of it. The last of equal keys wins, as in OPA. Documents nest to 127
/// levels, which is serde_json's bound and keeps its recursion within the stack.
///
/// # Errors
/// When the document is not JSON, or has numbers that cannot be represented exactly
/// ([`number::parse`]).
pub fn parse(json: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(json).map_err(|error| JsonError {
        message: "not UTF-8".to_owned(),
        offset: error.valid_up_to(),
    })?;
    let long = long_numbers(json)?;
    let numbers = Numbers { next: Cell::new(0), long: &long };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Seed(&numbers).deserialize(&mut deserializer);
    read.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let words = error.to_string();
        let message = words.split(" at line ").next().unwrap_or_default().to_owned();
        JsonError { message, offset: offset_of(text, error.line(), error.column()) }
    })
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'\n')
        .nth(line.wrapping_sub(2))
        .map_or(0, |(at, _)| at + 1);
    (start + column.saturating_sub(1)).min(text.len())
}

/// The long numbers of a document, each with the count of numbers before it.
fn long_numbers(json: &[u8]) -> Result<Vec<(usize, Value)>, JsonError> {
    let mut long = Vec::new();
    let mut count = 0;
    let mut rest = json.iter().enumerate();
    while let Some((offset, byte)) = rest.next() {
        match byte {
            b'"' => skip_string(&mut rest),
            b'-' | b'0'..=b'9' => {
                let token = json.get(offset..).unwrap_or_default();
                let length = token
                    .iter()
                    .position(|byte| {
                        !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
                    })
                    .unwrap_or(token.len());
                let token = token.get(..length).unwrap_or_default();
                let may_be_small = token.windows(2).any(|pair| matches!(pair, b"e-" | b"E-"));
                if length >= SHORTEST_LONG_NUMBER || may_be_small {
                    let text = str::from_utf8(token).unwrap_or_default();
                    let value = number::parse(text)
                        .map_err(|error| JsonError { message: error.to_string(), offset })?;
                    long.push((count, value));
                }
                count += 1;
                if let Some(further) = length.checked_sub(2) {
                    rest.nth(further);
                }
            }
            _ => {}
        }
    }
    Ok(long)
}

fn skip_string<'a>(rest: &mut impl Iterator<Item = (usize, &'a u8)>) {
    while let Some((_, byte)) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                rest.next();
            }
            _ => {}
        }
    }
}

/// Counts the numbers from serde_json, which come in the order of the text.
struct Numbers<'a> {
    next: Cell<usize>,
    long: &'a [(usize, Value)],
}

impl Numbers<'_> {
    fn take(&self, read: Value) -> Value {
        if self.long.is_empty() {
            return read;
        }
        let count = self.next.replace(self.next.get() + 1);
        let found = self.long.binary_search_by_key(&count, |(count, _)| *count).ok();
        found.and_then(|at| self.long.get(at)).map_or(read, |(_, value)| value.clone())
    }
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a Numbers<'a>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON document")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(self.0.take(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.0.take(Value::from(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let value = number::from_float(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(self.0.take(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Value::from(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry_seed(self, self)? {
            object.insert(key, value);
        }
        Ok(Value::from(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(json: &str) -> bool {
        parse(json.as_bytes()).is_ok()
    }

    #[test]
    fn documents_read_as_the_engine_reads_them() {
        for json in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "0.5",
            "1e2",
            r#""a\"b\\\u00e9""#,
            r#"{"a":[1,{"b":null},"x"],"a":2}"#,
            "[]",
            "{}",
        ] {
            assert_eq!(parse(json.as_bytes()), Ok(Value::from_json_str(json).unwrap()), "{json}");
        }
    }

    #[test]
    fn long_integers_stay_apart_wherever_they_stand() {
        let json = r#"{"1234567890123456789012": [1, "12345678901234567890123", {"a": 12345678901234567890123, "b": 2}], "c": -12345678901234567890124, "d": 7}"#;
        let value = parse(json.as_bytes()).unwrap();
        let integer = |text: &str| Value::from_numeric_string(text).unwrap();
        assert_eq!(value["1234567890123456789012"][2]["a"], integer("12345678901234567890123"));
        assert_ne!(value["1234567890123456789012"][2]["a"], integer("12345678901234567890124"));
        assert_eq!(value["c"], integer("-12345678901234567890124"));
        assert_eq!(value["1234567890123456789012"][2]["b"], Value::from(2));
        assert_eq!(value["d"], Value::from(7));
    }

    #[test]
    fn the_private_number_key_is_a_key_like_any_other() {
        let value = parse(br#"{"$serde_json::private::Number":"1e99999999"}"#).unwrap();
        assert_eq!(value["$serde_json::private::Number"], Value::from("1e99999999"));
    }

    #[test]
    fn a_fault_has_its_place() {
        for (json, offset) in
            [("{\n\"a\": }", 7), ("[1, 0.12345678901234567890123]", 4), ("{\"a\": 1}\n x", 10)]
        {
            assert_eq!(parse(json.as_bytes()).unwrap_err().offset, offset, "{json}");
        }
        assert_eq!(parse(b"\"a\xff\"").unwrap_err().offset, 2);
    }

    #[test]
    fn what_is_no_json_or_cannot_be_held_is_refused() {
        for json in [
            "",
            "{",
            "{\"a\":1}x",
            "01",
            "1e999",
            "NaN",
            r#""\ud800""#,
            "\"\u{1}\"",
            "9007199254740993.0",
            &"[".repeat(100_000),
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(!holds(json), "{}", &json[..json.len().min(40)]);
        }
    }

    proptest! {
        #[test]
        fn every_integer_is_read_exactly(number in any::<i128>()) {
            let value = parse(format!("[{number}]").as_bytes()).unwrap();
            prop_assert_eq!(&value[0], &Value::from_numeric_string(&number.to_string()).unwrap());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
