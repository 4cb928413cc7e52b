//! `io.jwt.encode_sign`, `io.jwt.encode_sign_raw`

use regorus::Value;

use super::algorithm::Algorithm;
use super::key::SigningKey;
use super::token::{field, within};
use super::{failed, jwk};
use crate::builtins::crypto::keys::PrivateKey;
use crate::builtins::crypto::signature::{self, Hash, Padding};
use crate::builtins::go::base64;
use crate::builtins::json::read;
use crate::builtins::json::write::marshal;
use crate::builtins::operands::{argument, string, type_name};
use crate::builtins::{Answer, Context, Failure, bytes, encoding, uuid};

pub(in crate::builtins) fn encode_sign(context: &mut Context, args: &[Value]) -> Answer {
    let json = |position| marshal(argument(args, position), None);
    sign(context, &json(1)?, &json(2)?, &json(3)?)
}

pub(in crate::builtins) fn encode_sign_raw(context: &mut Context, args: &[Value]) -> Answer {
    let key = string(args, 3)?;
    sign(context, string(args, 1)?, string(args, 2)?, key)
}

fn sign(context: &mut Context, header: &str, payload: &str, key_text: &str) -> Answer {
    let key = jwk::signing_key(key_text)?;
    let fields = read::parse(header)
        .map_err(|failure| within("missing or invalid 'alg' header", failure))?;
    let name = match field(&fields, "alg") {
        Some(Value::String(name)) => name,
        Some(other) => {
            let kind = type_name(other);
            let what = format!("value doesn't contain string; it contains {kind}");
            return Err(failed(&format!("missing or invalid 'alg' header: {what}")));
        }
        None => {
            return Err(failed("missing or invalid 'alg' header: jwsbb: header \"alg\" not found"));
        }
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
    let signed = || {
        let signature = signature(algorithm, &key, message.as_bytes())?;
        Ok(Value::from(format!("{message}.{}", encode(&signature))))
    };
    match algorithm {
        // The salt is random.
        Algorithm::Rsa(Padding::Pss | Padding::PssAnySalt, _) => {
            let key = Hash::Sha256.keyed(key_text.as_bytes(), message.as_bytes());
            uuid::stable(context, format!("io.jwt.encode_sign {}", encoding::hex(&key)), signed)
        }
        Algorithm::Keyed(_)
        | Algorithm::Rsa(Padding::Pkcs1, _)
        | Algorithm::Ec(_)
        | Algorithm::EdDsa => signed(),
    }
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
