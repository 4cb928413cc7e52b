//! `io.jwt.encode_sign`, `io.jwt.encode_sign_raw`

use regorus::Value;

use super::token::{field, within};
use super::verify::Algorithm;
use super::{failed, jwk};
use crate::builtins::crypto::keys::PrivateKey;
use crate::builtins::crypto::signature;
use crate::builtins::go::base64;
use crate::builtins::json::read;
use crate::builtins::json::write::marshal;
use crate::builtins::operands::{argument, string};
use crate::builtins::{Answer, Context, Failure, bytes};

/// A key that tokens are signed with.
pub(super) enum SigningKey {
    Private(PrivateKey),
    Secret(Vec<u8>),
    /// A key that only verifies.
    Public,
}

pub(in crate::builtins) fn encode_sign(_: &mut Context, args: &[Value]) -> Answer {
    let json = |position| marshal(argument(args, position), None);
    sign(&json(1)?, &json(2)?, &json(3)?)
}

pub(in crate::builtins) fn encode_sign_raw(_: &mut Context, args: &[Value]) -> Answer {
    let key = string(args, 3)?;
    sign(string(args, 1)?, string(args, 2)?, key)
}

fn sign(header: &str, payload: &str, key: &str) -> Answer {
    let key = jwk::signing_key(key)?;
    let fields = read::parse(header)
        .map_err(|failure| within("missing or invalid 'alg' header", failure))?;
    let name = match field(&fields, "alg") {
        Some(Value::String(name)) => name,
        _ => return Err(failed("missing or invalid 'alg' header: header \"alg\" not found")),
    };
    let algorithm = Algorithm::named(name).filter(|_| Algorithm::is_known(name));
    let algorithm = algorithm.ok_or_else(|| failed(&format!("unknown JWS algorithm: {name}")))?;
    let is_jwt = match field(&fields, "typ") {
        Some(Value::String(typ)) => &**typ == "JWT",
        _ => true,
    };
    if is_jwt && !read::is_valid(payload)? {
        return Err(failed("type is JWT but payload is not JSON"));
    }
    let encode = |bytes: &[u8]| base64::encode(bytes, base64::URL, false);
    let message = format!("{}.{}", encode(&bytes::of(header)), encode(&bytes::of(payload)));
    let signature = signature(algorithm, &key, message.as_bytes())?;
    Ok(Value::from(format!("{message}.{}", encode(&signature))))
}

fn signature(algorithm: Algorithm, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Failure> {
    match (algorithm, key) {
        (Algorithm::Keyed(hash), SigningKey::Secret(secret)) if !secret.is_empty() => {
            Ok(hash.keyed(secret, message))
        }
        (Algorithm::Rsa(padding, hash), SigningKey::Private(PrivateKey::Rsa(key))) => {
            signature::sign_rsa(key, padding, hash, message)
        }
        (Algorithm::Ec(hash), SigningKey::Private(PrivateKey::Ec(key))) => {
            signature::sign_ec(key, hash, message)
        }
        (Algorithm::EdDsa, SigningKey::Private(PrivateKey::Ed25519(key))) => {
            Ok(signature::sign_ed25519(key, message))
        }
        _ => Err(failed("the algorithm takes another kind of key")),
    }
}
