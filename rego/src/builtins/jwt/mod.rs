//! `io.jwt.*`

mod algorithm;
mod constraints;
pub(super) mod jwk;
mod key;
mod sign;
mod token;
mod verify;

#[cfg(test)]
mod tests;

use regorus::Value;

pub(super) use self::constraints::decode_verify;
pub(super) use self::sign::{encode_sign, encode_sign_raw};
use self::token::Token;
pub(super) use self::verify::{
    verify_eddsa, verify_es256, verify_es384, verify_es512, verify_hs256, verify_hs384,
    verify_hs512, verify_ps256, verify_ps384, verify_ps512, verify_rs256, verify_rs384,
    verify_rs512,
};
use super::operands::string;
use super::{Answer, Context, Failure, encoding};

/// Errors of OPA's functions besides operand types.
fn failed(what: &str) -> Failure {
    Failure::Builtin(what.to_owned())
}

pub(super) fn decode(_: &mut Context, args: &[Value]) -> Answer {
    let mut text = string(args, 1)?.to_owned();
    // Each token in a token is a quarter shorter than the one around it.
    loop {
        let token = Token::of(&text)?;
        let header = token.header()?;
        let payload = token.payload()?;
        match token::field(&header, "cty") {
            Some(Value::String(of)) if &**of == "JWT" => {
                // Within a token, a token stands in quotes.
                payload.trim_matches(['"', '\'']).clone_into(&mut text);
                continue;
            }
            Some(Value::String(_)) | None => {}
            Some(_) => return Err(failed("cty: must be a string")),
        }
        let payload = token::object(&payload)?;
        let signature = token
            .signature()
            .map_err(|failure| token::within("JWT signature had invalid encoding", failure))?;
        let signature = Value::from(encoding::hex(&signature));
        return Ok(Value::from(vec![header, payload, signature]));
    }
}
