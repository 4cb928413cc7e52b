//! The values of scalars: YAML 1.2's core schema, with parts of 1.1.

use super::time;
use crate::builtins::go::base64;
use crate::builtins::go::parse_int::{self, Integer};

pub(super) const LONG_PREFIX: &str = "tag:yaml.org,2002:";
pub(super) const STRING: &str = "!!str";
pub(super) const SEQUENCE: &str = "!!seq";
pub(super) const MAPPING: &str = "!!map";
pub(super) const MERGE: &str = "!!merge";
pub(super) const NULL: &str = "!!null";
pub(super) const TIMESTAMP: &str = "!!timestamp";
const BINARY: &str = "!!binary";
const FLOAT: &str = "!!float";

/// The value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    /// In the form of RFC 3339.
    Time(String),
    Text,
}

impl Scalar {
    /// YAML's name of the kind.
    pub(super) const fn tag(&self) -> &'static str {
        match self {
            Self::Null => NULL,
            Self::Bool(_) => "!!bool",
            Self::Integer(_) | Self::Unsigned(_) => "!!int",
            Self::Float(_) => FLOAT,
            Self::Time(_) => TIMESTAMP,
            Self::Text => STRING,
        }
    }
}

/// A shortened tag.
pub(super) fn short(tag: &str) -> String {
    tag.strip_prefix(LONG_PREFIX).map_or_else(|| tag.to_owned(), |name| format!("!!{name}"))
}

/// The value of a scalar without a tag and quotation marks.
pub(super) fn plain(text: &str) -> Scalar {
    scalar(text, true)
}

fn scalar(text: &str, may_be_time: bool) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => float(text).map_or(Scalar::Text, Scalar::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if may_be_time && let Some(time) = time::timestamp(text) {
                return Scalar::Time(time);
            }
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| float(&plain).map(Scalar::Float)).unwrap_or(Scalar::Text)
        }
        _ => Scalar::Text,
    }
}

/// The value of a scalar by its tag, and its text where that differs.
///
/// # Errors
/// Go's message, when the tag does not fit.
pub(super) fn tagged(tag: &str, text: &str) -> Result<(Scalar, Option<String>), String> {
    match tag {
        BINARY => {
            let cleaned: Vec<u8> =
                text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
            let decoded = base64::decode(&cleaned, base64::STANDARD)
                .map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
            // It passes through JSON, which has no other bytes.
            let text = String::from_utf8_lossy(&decoded).into_owned();
            Ok((Scalar::Text, Some(text)))
        }
        NULL | "!!bool" | "!!int" | FLOAT | TIMESTAMP => {
            let found = scalar(text, tag == TIMESTAMP);
            match (&found, tag) {
                _ if found.tag() == tag => Ok((found, None)),
                (Scalar::Integer(integer), FLOAT) => {
                    let float = integer.to_string().parse().unwrap_or(0.0);
                    Ok((Scalar::Float(float), None))
                }
                _ => Err(format!("cannot decode {} `{text}` as a {tag}", found.tag())),
            }
        }
        _ => Ok((Scalar::Text, None)),
    }
}

/// An integer in any of Go's bases. One that needs an unsigned type has no sign.
fn integer(text: &str) -> Option<Scalar> {
    match parse_int::parse(text)? {
        Integer::Signed(value) => Some(Scalar::Integer(value)),
        Integer::Unsigned(value) => (!text.starts_with('+')).then_some(Scalar::Unsigned(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_decimal =
        unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit());
    text.parse().ok().filter(|value: &f64| is_decimal && begins && value.is_finite())
}
