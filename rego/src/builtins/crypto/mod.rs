//! `crypto.*`

mod curves;
mod der;
pub(super) mod keys;
pub(super) mod pem;
mod private;
mod private_der;
pub(super) mod signature;
pub(super) mod x509;

#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use regorus::Value;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

pub(super) use self::private::{parse_private_keys, parse_rsa_private_key};
use self::signature::keyed;
use super::go::base64;
use super::operands::string;
use super::{Answer, Context, Failure, bytes, encoding};

/// Errors of OPA's functions besides operand types.
fn failed(what: &str) -> Failure {
    Failure::Builtin(what.to_owned())
}

/// An object of fields.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().map(|(name, value)| (Value::from(name), value));
    Value::from(fields.collect::<std::collections::BTreeMap<_, _>>())
}

/// Bytes as Go writes them in JSON.
fn base64_value(bytes: &[u8]) -> Value {
    Value::from(base64::encode(bytes, base64::STANDARD, true))
}

macro_rules! hashes {
    ($($name:ident: $hash:ty;)*) => {$(
        pub(super) fn $name(_: &mut Context, args: &[Value]) -> Answer {
            Ok(Value::from(encoding::hex(&<$hash>::digest(bytes::of(string(args, 1)?)))))
        }
    )*};
}
hashes! {
    md5: Md5;
    sha1: Sha1;
    sha256: Sha256;
}

macro_rules! keyed_hashes {
    ($($name:ident: $hash:ty;)*) => {$(
        pub(super) fn $name(_: &mut Context, args: &[Value]) -> Answer {
            let (message, key) = (bytes::of(string(args, 1)?), bytes::of(string(args, 2)?));
            Ok(Value::from(encoding::hex(&keyed!($hash, &key, &message))))
        }
    )*};
}
keyed_hashes! {
    hmac_md5: Md5;
    hmac_sha1: Sha1;
    hmac_sha256: Sha256;
    hmac_sha512: Sha512;
}

pub(super) fn hmac_equal(_: &mut Context, args: &[Value]) -> Answer {
    let (a, b) = (bytes::of(string(args, 1)?), bytes::of(string(args, 2)?));
    Ok(Value::from(signature::same(&a, &b)))
}
