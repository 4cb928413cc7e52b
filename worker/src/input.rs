//! Reads JSON documents from clients into the engine's values.
//!
//! regorus has a reader of its own, which is not used for what clients send: it takes an object
//! whose first key is `$serde_json::private::Number` for a number and expands its exponent, so that
//! 46 bytes keep a worker busy for half a minute.

use std::collections::BTreeMap;
use std::fmt;

use regorus::Value;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON document as the engine's value.
#[derive(Debug)]
pub struct Document(pub(crate) Value);

impl Document {
    /// Reads `json`, all of it. The last of equal keys wins, as in OPA. Documents nest to 127
    /// levels: serde_json's bound, which keeps its recursion within the stack.
    ///
    /// # Errors
    /// Says what is wrong with it, and where, in words that may be shown to whoever sent it.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(json).map_err(|error| {
            format!("the request body is not UTF-8 at byte {}", error.valid_up_to())
        })?;
        let document = serde_json::from_str(text)
            .map_err(|error| format!("the request body is not valid JSON: {error}"))?;
        match rounded_integer(json) {
            None => Ok(document),
            Some(offset) => Err(format!(
                "the integer at byte {offset} has more digits than can be represented exactly; send it as a string"
            )),
        }
    }
}

/// Where the first integer begins that would be rounded, if any: one outside the 64-bit range, or
/// one that is written as a double (`9007199254740993.0`) and has more digits than that holds.
/// Rounding would make two different identifiers equal: a wrong allow.
///
/// `json` must be valid JSON.
pub(crate) fn rounded_integer(json: &[u8]) -> Option<usize> {
    // Every integer of 15 digits is exact, as an integer and as a double.
    const SHORTEST: usize = 16;

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
                let number = token.get(..length).unwrap_or_default();
                if length >= SHORTEST && is_rounded(number) {
                    return Some(offset);
                }
                if let Some(further) = length.checked_sub(2) {
                    rest.nth(further);
                }
            }
            _ => {}
        }
    }
    None
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

fn is_rounded(number: &[u8]) -> bool {
    /// The first integer that has a neighbour which is no double, 2^53.
    const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0;

    let Ok(text) = std::str::from_utf8(number) else { return false };
    let Some(mantissa_end) = text.find(['.', 'e', 'E']) else {
        return text.parse::<u64>().is_err() && text.parse::<i64>().is_err();
    };
    // A fraction may be rounded: nobody is named by one.
    let is_large = text.parse::<f64>().is_ok_and(|value| value.abs() >= FIRST_INEXACT);
    let exponent_start = text.find(['e', 'E']).unwrap_or(text.len());
    let (whole, fraction) = (text.get(..mantissa_end), text.get(mantissa_end..exponent_start));
    let digits: String = [whole, fraction]
        .into_iter()
        .flatten()
        .flat_map(str::chars)
        .filter(char::is_ascii_digit)
        .collect();
    is_large && digits.trim_matches('0').len() > 15
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON document")
    }

    fn visit_unit<E: Error>(self) -> Result<Document, E> {
        Ok(Document(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Document, E> {
        Ok(Document(Value::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Document, E> {
        Ok(Document(Value::from(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Document, E> {
        Ok(Document(Value::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Document, E> {
        Ok(Document(Value::from(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Document, E> {
        Ok(Document(Value::String(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Document, A::Error> {
        let mut array = Vec::new();
        while let Some(Document(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Document(Value::from(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((Document(key), Document(value))) = entries.next_entry()? {
            object.insert(key, value);
        }
        Ok(Document(Value::from(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> Result<Value, String> {
        Document::parse(json.as_bytes()).map(|document| document.0)
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
            assert_eq!(parse(json), Ok(Value::from_json_str(json).unwrap()), "{json}");
        }
    }

    #[test]
    fn the_private_number_key_is_a_key_like_any_other() {
        let json = r#"{"$serde_json::private::Number":"1e99999999"}"#;
        let value = parse(json).unwrap();
        assert_eq!(value["$serde_json::private::Number"], Value::from("1e99999999"));
    }

    #[test]
    fn what_is_no_json_or_has_no_exact_value_is_refused() {
        for json in [
            "",
            "{",
            "{\"a\":1}x",
            "01",
            "1e999",
            "-1e999",
            "NaN",
            r#""\ud800""#,
            "\"\u{1}\"",
            "18446744073709551616",
            r#"{"id":-9223372036854775809}"#,
            r#"["a\"1",123456789012345678901234567890]"#,
            "9007199254740993.0",
            "9007199254740993e0",
            "-90071992547409.93E2",
            &"[".repeat(100_000),
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(parse(json).is_err(), "{}", &json[..json.len().min(40)]);
        }
        assert!(Document::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn long_digits_that_are_no_integer_are_left_alone() {
        for json in [
            r#""123456789012345678901234567890""#,
            r#"{"123456789012345678901234567890":1}"#,
            r#""\"123456789012345678901234567890""#,
            "0.123456789012345678901234567890",
            "1234567890123456789012345678901234567890e-30",
            "1000000000000000000000.0",
            "1.7976931348623157e3",
            "0.00000000000000000000001",
            "1e300",
        ] {
            assert!(parse(json).is_ok(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn an_integer_is_refused_exactly_when_it_would_be_rounded(
            number in prop_oneof![any::<i128>(), any::<u64>().prop_map(i128::from)],
        ) {
            let json = format!("{{\"a\":[0,{number},-1]}}");
            let exact = u64::try_from(number).is_ok() || i64::try_from(number).is_ok();
            prop_assert_eq!(parse(&json).is_ok(), exact);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes);
            let _ = rounded_integer(&bytes);
        }
    }
}
