//! `crypto.parse_private_keys`, `crypto.x509.parse_rsa_private_key`

use regorus::Value;

use super::keys::{self, PrivateKey};
use super::{failed, pem, private_der};
use crate::builtins::go::base64;
use crate::builtins::jwt::jwk;
use crate::builtins::operands::string;
use crate::builtins::{Answer, Context, Failure, bytes, limits};

/// Keys of one text.
const KEYS: usize = 256;

pub(in crate::builtins) fn parse_private_keys(_: &mut Context, args: &[Value]) -> Answer {
    let text = bytes::of(string(args, 1)?);
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let keys = parse(&text)?;
    Ok(Value::from(keys.iter().map(keys::private_value).collect::<Vec<_>>()))
}

pub(in crate::builtins) fn parse_rsa_private_key(_: &mut Context, args: &[Value]) -> Answer {
    let text = bytes::of(string(args, 1)?);
    if text.is_empty() {
        return Err(failed("input PEM data was empty"));
    }
    let text = if pem::is_pem(&text) {
        text.into_owned()
    } else {
        base64::decode(&text, base64::STANDARD)?
    };
    match parse(&text)?.first() {
        None => Ok(Value::Null),
        Some(key) => jwk::of_private(key),
    }
}

/// The keys of the blocks in PEM, which may be in base64. Blocks of other labels are skipped.
fn parse(text: &[u8]) -> Result<Vec<PrivateKey>, Failure> {
    let decoded = base64::decode(text, base64::STANDARD).ok();
    let mut rest = decoded.as_deref().unwrap_or(text);
    let mut found = Vec::new();
    while let (Some(block), after) = pem::decode(rest) {
        rest = after;
        found.push(match block.label.as_str() {
            "RSA PRIVATE KEY" => PrivateKey::Rsa(private_der::pkcs1(&block.bytes)?),
            "PRIVATE KEY" => private_der::pkcs8(&block.bytes)?,
            "EC PRIVATE KEY" => PrivateKey::Ec(private_der::ec(None, &block.bytes)?),
            _ => continue,
        });
        if found.len() > KEYS {
            return Err(limits::exceeded("a text has too many private keys"));
        }
    }
    Ok(found)
}
