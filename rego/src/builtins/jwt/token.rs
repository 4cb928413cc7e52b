//! Tokens in their compact form: three parts in base64.

use std::collections::BTreeMap;

use regorus::Value;

use super::failed;
use crate::builtins::json::read;
use crate::builtins::{Failure, bytes, encoding, limits, order};

/// The highest number of bytes of a token. A request's headers hold some kilobytes; the parts of a
/// token become values, which take many times the memory of their texts.
const TOKEN_BYTES: usize = 1 << 20;

/// A token whose parts are not decoded yet.
pub(super) struct Token<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// The parts of a token.
    ///
    /// # Errors
    /// When there are not three; a token of more than [`TOKEN_BYTES`] ends the evaluation.
    pub(super) fn of(text: &'a str) -> Result<Self, Failure> {
        if text.len() > TOKEN_BYTES {
            return Err(limits::exceeded("a token is too long"));
        }
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            [header, payload, signature] => Ok(Self { header, payload, signature }),
            [_] => Err(failed("encoded JWT had no period separators")),
            other => {
                let count = other.len();
                Err(failed(&format!("encoded JWT must have 3 sections, found {count}")))
            }
        }
    }

    /// The signed bytes.
    pub(super) fn message(&self) -> Vec<u8> {
        bytes::of(&format!("{}.{}", self.header, self.payload)).into_owned()
    }

    /// The header, which is an object.
    pub(super) fn header(&self) -> Result<Value, Failure> {
        let decoded = encoding::base64url_bytes(self.header)
            .map_err(|failure| within("JWT header had invalid encoding", failure))?;
        let header = object(&bytes::to_text(&decoded))
            .map_err(|failure| within("bad JWT header", failure))?;
        if field(&header, "enc").is_some() {
            return Err(failed("JWT is a JWE object, which is not supported"));
        }
        Ok(header)
    }

    /// The payload's text.
    pub(super) fn payload(&self) -> Result<String, Failure> {
        encoding::base64url_bytes(self.payload)
            .map(|decoded| bytes::to_text(&decoded))
            .map_err(|failure| within("JWT payload had invalid encoding", failure))
    }

    /// The signature's bytes.
    pub(super) fn signature(&self) -> Result<Vec<u8>, Failure> {
        encoding::base64url_bytes(self.signature)
    }
}

/// The header's parameters for verification.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) cty: String,
    critical: Option<Vec<String>>,
    unknown: Vec<String>,
}

impl Header {
    /// # Errors
    /// When a parameter that OPA knows has the wrong type.
    pub(super) fn of(header: &Value) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        let Value::Object(fields) = header else { return Ok(parsed) };
        for (name, value) in order::entries(fields) {
            let Value::String(name) = name else { continue };
            let text = || match value {
                Value::String(text) => Ok((**text).to_owned()),
                _ => Err(failed(&format!("{name}: must be a string"))),
            };
            match &**name {
                "alg" => parsed.alg = text()?,
                "kid" => parsed.kid = text()?,
                "cty" => parsed.cty = text()?,
                "typ" => _ = text()?,
                "crit" => parsed.critical = Some(critical(value)?),
                _ => parsed.unknown.push((**name).to_owned()),
            }
        }
        Ok(parsed)
    }

    /// Whether it names an algorithm, and no unknown parameter as critical.
    pub(super) fn is_valid(&self) -> bool {
        let critical = self.critical.as_deref().unwrap_or_default();
        !self.alg.is_empty() && !self.unknown.iter().any(|name| critical.contains(name))
    }
}

/// The names up to the first that is not a string, as in OPA.
fn critical(value: &Value) -> Result<Vec<String>, Failure> {
    let Value::Array(names) = value else { return Err(failed("crit: must be a list")) };
    let names: Vec<String> = names
        .iter()
        .map_while(|name| match name {
            Value::String(name) => Some((**name).to_owned()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return Err(failed("crit: must be a nonempty list"));
    }
    Ok(names)
}

/// The object of a JSON text.
pub(super) fn object(text: &str) -> Result<Value, Failure> {
    match read::parse(text).map_err(|failure| within("invalid JSON", failure))? {
        object @ Value::Object(_) => Ok(object),
        _ => Err(failed("decoded JSON type was not an Object")),
    }
}

/// A field of an object.
pub(super) fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    match object {
        Value::Object(fields) => fields.get(&Value::from(name)),
        _ => None,
    }
}

/// An object without fields.
pub(super) fn empty() -> Value {
    Value::from(BTreeMap::new())
}

/// A failure with its context before it. A failure that ends the evaluation stays unchanged.
pub(super) fn within(what: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Builtin(inner) => failed(&format!("{what}: {inner}")),
        other => other,
    }
}
