//! `base64.*`, `base64url.*`, `hex.*`, `urlquery.*`

use std::collections::BTreeMap;

use regorus::Value;

use super::go::{base64, url};
use super::json::write::by_text;
use super::operands::{argument, string, wrong, wrong_type};
use super::{Answer, Context, Failure, bytes, order};

pub(super) fn base64_encode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(base64::encode(&bytes::of(string(args, 1)?), base64::STANDARD, true)))
}

pub(super) fn base64_decode(_: &mut Context, args: &[Value]) -> Answer {
    let decoded = base64::decode(&bytes::of(string(args, 1)?), base64::STANDARD)?;
    Ok(Value::from(bytes::to_text(&decoded)))
}

pub(super) fn base64_is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    Ok(Value::from(base64::decode(&bytes::of(text), base64::STANDARD).is_ok()))
}

pub(super) fn base64url_encode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(base64::encode(&bytes::of(string(args, 1)?), base64::URL, true)))
}

pub(super) fn base64url_encode_no_pad(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(base64::encode(&bytes::of(string(args, 1)?), base64::URL, false)))
}

pub(super) fn base64url_decode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(bytes::to_text(&base64url_bytes(string(args, 1)?)?)))
}

/// The bytes of a text, with or without padding.
pub(super) fn base64url_bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let mut encoded = bytes::of(text).into_owned();
    if encoded.last() != Some(&b'=') {
        match encoded.len() % 4 {
            0 => {}
            2 => encoded.extend(b"=="),
            3 => encoded.extend(b"="),
            _ => return Err(Failure::Builtin(format!("illegal base64url string: {text}"))),
        }
    }
    base64::decode(&encoded, base64::URL)
}

pub(super) fn hex_encode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(hex(&bytes::of(string(args, 1)?))))
}

/// Two lower-case hexadecimal digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn hex_decode(_: &mut Context, args: &[Value]) -> Answer {
    let encoded = bytes::of(string(args, 1)?);
    let mut decoded = Vec::with_capacity(encoded.len() / 2);
    for pair in encoded.chunks(2) {
        let mut byte = 0;
        for digit in pair {
            byte = byte * 16 + hex_digit(*digit)?;
        }
        if pair.len() < 2 {
            return Err(Failure::Builtin("encoding/hex: odd length hex string".to_owned()));
        }
        decoded.push(byte);
    }
    Ok(Value::from(bytes::to_text(&decoded)))
}

fn hex_digit(byte: u8) -> Result<u8, Failure> {
    let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or_else(|| {
        let c = super::go::quote::quoted(&char::from(byte).to_string(), '\'', false);
        // Go shows the code of an unprintable character instead of the character.
        let shown = if c.starts_with("'\\") && byte != b'\'' && byte != b'\\' {
            String::new()
        } else {
            format!(" '{}'", char::from(byte))
        };
        Failure::Builtin(format!("encoding/hex: invalid byte: U+{byte:04X}{shown}"))
    })
}

pub(super) fn urlquery_encode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(url::escape(string(args, 1)?, url::Part::Query)))
}

pub(super) fn urlquery_decode(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(url::unescape(string(args, 1)?, url::Part::Query)?))
}

pub(super) fn urlquery_encode_object(_: &mut Context, args: &[Value]) -> Answer {
    let Value::Object(object) = argument(args, 1) else {
        return Err(wrong_type(1, argument(args, 1), &["object"]));
    };
    let mut pairs = Vec::new();
    for (key, value) in by_text(object)? {
        let values: Vec<&Value> = match value {
            Value::String(_) => vec![value],
            Value::Array(array) => array.iter().collect(),
            Value::Set(set) => order::elements(set),
            _ => return Err(no_texts()),
        };
        for value in values {
            let Value::String(text) = value else { return Err(no_texts()) };
            pairs.push(format!(
                "{}={}",
                url::escape(&key, url::Part::Query),
                url::escape(text, url::Part::Query)
            ));
        }
    }
    Ok(Value::from(pairs.join("&")))
}

fn no_texts() -> Failure {
    wrong(1, "values must be string, array[string], or set[string]")
}

pub(super) fn urlquery_decode_object(_: &mut Context, args: &[Value]) -> Answer {
    let mut values: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for (key, value) in url::parse_query(string(args, 1)?)? {
        values.entry(Value::from(key)).or_default().push(Value::from(value));
    }
    let object: BTreeMap<_, _> =
        values.into_iter().map(|(key, values)| (key, Value::from(values))).collect();
    Ok(Value::from(object))
}
