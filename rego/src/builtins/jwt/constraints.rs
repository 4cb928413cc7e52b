//! `io.jwt.decode_verify`

use std::cmp::Ordering;

use regorus::Value;

use super::algorithm::Algorithm;
use super::failed;
use super::key::{NamedKey, VerificationKey};
use super::token::{self, Header, Token, field};
use super::verify;
use crate::builtins::operands::{object, string};
use crate::builtins::{Answer, Context, Failure, bytes, compare, limits, order, text};

/// The constraints on a token.
struct Constraints {
    keys: Vec<NamedKey>,
    alg: String,
    iss: String,
    aud: String,
    /// The time in seconds.
    time: Value,
}

impl Constraints {
    fn of(context: &Context, constraints: &regorus::value::Object) -> Result<Self, Failure> {
        let (mut keys, mut secret, mut time) = (None, String::new(), None);
        let (mut alg, mut iss, mut aud) = (String::new(), String::new(), String::new());
        for (name, value) in order::entries(constraints) {
            let Value::String(name) = name else {
                let name = text::term(name)?;
                return Err(failed(&format!("unknown token validation constraint: {name}")));
            };
            let as_text = || match value {
                Value::String(text) => Ok((**text).to_owned()),
                _ => Err(failed(&format!("{name} constraint: must be a string"))),
            };
            match &**name {
                "cert" => keys = Some(verify::keys(&as_text()?)?),
                "secret" => secret = as_text()?,
                "alg" => alg = as_text()?,
                "iss" => iss = as_text()?,
                "aud" => aud = as_text()?,
                "time" => time = Some(seconds(value)?),
                _ => return Err(failed(&format!("unknown token validation constraint: {name}"))),
            }
        }
        let time = match time {
            Some(time) => time,
            None => seconds(&Value::from(context.now_ns))?,
        };
        let keys = match (keys, secret.is_empty()) {
            (Some(_), false) => return Err(failed("duplicate key constraints")),
            (None, true) => return Err(failed("no key constraint")),
            (Some(keys), true) => keys,
            (None, false) => {
                let key = VerificationKey::Secret(bytes::of(&secret).into_owned());
                vec![NamedKey { alg: String::new(), kid: String::new(), key }]
            }
        };
        Ok(Self { keys, alg, iss, aud, time })
    }

    /// Whether the payload's claims meet the constraints.
    fn accept(&self, payload: &Value) -> Result<bool, Failure> {
        if !self.iss.is_empty() {
            match field(payload, "iss") {
                Some(Value::String(iss)) if **iss == *self.iss => {}
                Some(Value::String(_)) | None => return Ok(false),
                Some(_) => return Err(failed("iss: must be a string")),
            }
        }
        let is_aud = |value: &Value| matches!(value, Value::String(aud) if **aud == *self.aud);
        let for_us = match field(payload, "aud") {
            None => self.aud.is_empty(),
            Some(Value::Array(all)) => all.iter().any(is_aud),
            Some(one) => is_aud(one),
        };
        if !for_us {
            return Ok(false);
        }
        let time = |claim: &str| match field(payload, claim) {
            None => Ok(None),
            Some(time @ Value::Number(_)) => Ok(Some(compare(&self.time, time))),
            Some(_) => Err(failed(&format!("{claim} value must be a number"))),
        };
        // The exact time of `exp` is already too late.
        if time("exp")?.is_some_and(|order| order != Ordering::Less) {
            return Ok(false);
        }
        Ok(time("nbf")?.is_none_or(|order| order != Ordering::Less))
    }
}

/// Nanoseconds as seconds, as a 64-bit float is divided.
fn seconds(value: &Value) -> Result<Value, Failure> {
    let Value::Number(number) = value else {
        return Err(failed("token time constraint: must be a number"));
    };
    let nanoseconds = number.as_f64().or_else(|| number.format_decimal().parse().ok());
    let nanoseconds = nanoseconds
        .filter(|time| time.is_finite())
        .ok_or_else(|| failed("token time constraint: unvalid float64"))?;
    if nanoseconds < 0.0 {
        return Err(failed("token time constraint: must not be negative"));
    }
    Ok(Value::from(nanoseconds / 1e9))
}

pub(in crate::builtins) fn decode_verify(context: &mut Context, args: &[Value]) -> Answer {
    let object = object(args, 2)?;
    let constraints = Constraints::of(context, object)?;
    let mut text = string(args, 1)?.to_owned();
    // Each token in a token is a quarter shorter than the one around it.
    loop {
        limits::in_time(context)?;
        let token = Token::of(&text)?;
        let decoded = token.header()?;
        let header = Header::of(&decoded)?;
        if !header.is_valid() || !constraints.alg.is_empty() && constraints.alg != header.alg {
            return Ok(unverified());
        }
        let signature = token.signature()?;
        let message = token.message();
        let algorithm = Algorithm::named(&header.alg);
        let valid = verify::any_verifies(context, &constraints.keys, &header, |key| {
            algorithm.is_some_and(|algorithm| algorithm.verifies(key, &message, &signature))
        })?;
        if !valid {
            return Ok(unverified());
        }
        let payload = token.payload()?;
        if header.cty.eq_ignore_ascii_case("JWT") {
            text = payload;
            continue;
        }
        let payload = token::object(&payload)?;
        return Ok(if constraints.accept(&payload)? {
            Value::from(vec![Value::from(true), decoded, payload])
        } else {
            unverified()
        });
    }
}

fn unverified() -> Value {
    Value::from(vec![Value::from(false), token::empty(), token::empty()])
}
