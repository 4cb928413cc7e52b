//! A token in its compact form (RFC 7515, section 7.1), before its signature was verified.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::algorithm::JwtAlgorithm;
use super::json::object;
use super::keys::MAX_KEY_ID;
use crate::access::principal::Refusal;

/// The types of tokens, without `application/`, which they may begin with.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A token that nobody may believe yet.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    /// The bytes that are signed: the first two parts and their dot.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
}

/// Whether a token has the form of a JSON Web Token, as far as its dots tell.
pub(super) fn is_in_parts(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a token, whose length the caller has bounded.
    ///
    /// # Errors
    /// When it is not in its one canonical form, asks for something that is not done here, or is
    /// signed by no algorithm that there is.
    pub(super) fn parse(token: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::InvalidToken)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::InvalidToken)?;
        // It refuses bits that are not zero at the end, which would be a second form of the same.
        let decode =
            |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Refusal::InvalidToken);
        let header = object(&decode(header)?).ok_or(Refusal::InvalidToken)?;
        // An extension that must be understood (RFC 7515, section 4.1.11), and none is.
        if header.contains_key("crit") {
            return Err(Refusal::InvalidToken);
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(of)) if is_type(of) => {}
            Some(_) => return Err(Refusal::InvalidToken),
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KEY_ID => Some(id.clone()),
            Some(_) => return Err(Refusal::InvalidToken),
        };
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Refusal::InvalidToken)?;
        let algorithm = algorithm.parse().map_err(|_| Refusal::WrongAlgorithm)?;
        let claims = object(&decode(claims)?).ok_or(Refusal::InvalidToken)?;
        let signature = decode(signature)?;
        Ok(Self { signed: signed.as_bytes(), signature, algorithm, key_id, claims })
    }
}

fn is_type(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    TYPES.contains(&text.strip_prefix("application/").unwrap_or(&text))
}
