//! Signatures: the algorithms of tokens and certificates, each with its own kinds of keys.

use ed25519_dalek::{Signer as _, Verifier as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use num_bigint::BigUint;
use rsa::BoxedUint;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::keys::{Curve, EcPrivate, EcPublic, Ed25519Private, RsaPrivate, RsaPublic, fixed};
use super::{curves, failed};
use crate::builtins::Failure;

/// Bits of an RSA modulus that Go verifies and signs with; `keys` bounds it above.
const LEAST_MODULUS_BITS: usize = 1024;

/// A keyed hash; a key may have any length.
macro_rules! keyed {
    ($hash:ty, $secret:expr, $message:expr) => {
        match <Hmac<$hash>>::new_from_slice($secret) {
            Ok(mut mac) => {
                mac.update($message);
                mac.finalize().into_bytes().to_vec()
            }
            Err(_) => Vec::new(),
        }
    };
}
pub(super) use keyed;

/// The signature scheme of a padding.
macro_rules! rsa_scheme {
    ($hash:ty, $padding:expr, |$scheme:ident| $do:expr) => {
        match $padding {
            Padding::Pkcs1 => {
                let $scheme = rsa::Pkcs1v15Sign::new::<$hash>();
                $do
            }
            Padding::Pss => {
                let $scheme = rsa::Pss::<$hash>::new();
                $do
            }
            Padding::PssAnySalt => {
                let $scheme = rsa::Pss::<$hash> { salt_len: None, ..rsa::Pss::new() };
                $do
            }
        }
    };
}
/// A hash for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtins) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The hash of a message.
    pub(in crate::builtins) fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    /// Its keyed form.
    pub(in crate::builtins) fn keyed(self, secret: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => keyed!(Sha256, secret, message),
            Self::Sha384 => keyed!(Sha384, secret, message),
            Self::Sha512 => keyed!(Sha512, secret, message),
        }
    }
}

/// How an RSA signature is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtins) enum Padding {
    /// PKCS #1 1.5
    Pkcs1,
    /// PSS with a salt as long as the hash.
    Pss,
    /// PSS with a salt of any length, which is found when verifying.
    PssAnySalt,
}

/// Whether two byte strings are equal, in a time that depends only on their lengths.
pub(in crate::builtins) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn boxed(n: &BigUint) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(&n.to_bytes_be())
}

/// Whether an RSA signature of a message is one of this key.
pub(in crate::builtins) fn verify_rsa(
    key: &RsaPublic,
    padding: Padding,
    hash: Hash,
    message: &[u8],
    signature: &[u8],
) -> bool {
    if key.check().is_err() {
        return false;
    }
    let (n, e) = (boxed(&key.n), BoxedUint::from(key.e));
    let Ok(key) = rsa::PublicKey::new_with_size_limits(n, e, LEAST_MODULUS_BITS..=usize::MAX)
    else {
        return false;
    };
    let digest = hash.of(message);
    match hash {
        Hash::Sha256 => {
            rsa_scheme!(Sha256, padding, |scheme| key.verify(scheme, &digest, signature))
        }
        Hash::Sha384 => {
            rsa_scheme!(Sha384, padding, |scheme| key.verify(scheme, &digest, signature))
        }
        Hash::Sha512 => {
            rsa_scheme!(Sha512, padding, |scheme| key.verify(scheme, &digest, signature))
        }
    }
    .is_ok()
}

/// The RSA signature of a message.
///
/// # Errors
/// When the key cannot sign the message, or there is no randomness for the salt and the blinding.
pub(in crate::builtins) fn sign_rsa(
    key: &RsaPrivate,
    padding: Padding,
    hash: Hash,
    message: &[u8],
) -> Result<Vec<u8>, Failure> {
    if key.public.n.bits() < u64::try_from(LEAST_MODULUS_BITS).unwrap_or(u64::MAX) {
        let bits = key.public.n.bits();
        return Err(failed(&format!("crypto/rsa: {bits}-bit keys are insecure")));
    }
    let (n, e) = (boxed(&key.public.n), BoxedUint::from(key.public.e));
    let primes = vec![boxed(&key.p), boxed(&key.q)];
    let balanced = key.p.bits().max(key.q.bits()) <= key.public.n.bits().div_ceil(2);
    let of_components = if balanced {
        rsa::PrivateKey::from_components
    } else {
        rsa::PrivateKey::from_components_with_wide_primes
    };
    let key = of_components(n, e, boxed(&key.d), primes)
        .map_err(|_| failed("crypto/rsa: invalid private key"))?;
    let digest = hash.of(message);
    let mut random = getrandom::SysRng;
    match hash {
        Hash::Sha256 => {
            rsa_scheme!(Sha256, padding, |s| key.sign_with_rng(&mut random, s, &digest))
        }
        Hash::Sha384 => {
            rsa_scheme!(Sha384, padding, |s| key.sign_with_rng(&mut random, s, &digest))
        }
        Hash::Sha512 => {
            rsa_scheme!(Sha512, padding, |s| key.sign_with_rng(&mut random, s, &digest))
        }
    }
    .map_err(|_| failed("crypto/rsa: message too long for RSA key size"))
}

/// Whether an ECDSA signature of a message is one of this key. As in Go, any of its hashes may be
/// used with any curve. P-224 never verifies.
pub(in crate::builtins) fn verify_ec(
    key: &EcPublic,
    hash: Hash,
    message: &[u8],
    r: &[u8],
    s: &[u8],
) -> bool {
    let length = key.curve.bytes();
    let (Some(r), Some(s)) = (fixed(r, length), fixed(s, length)) else { return false };
    let (digest, signature) = (hash.of(message), [r, s].concat());
    match key.curve {
        Curve::P224 => false,
        Curve::P256 => curves::p256_key::verify(&key.x, &key.y, &digest, &signature),
        Curve::P384 => curves::p384_key::verify(&key.x, &key.y, &digest, &signature),
        Curve::P521 => curves::p521_key::verify(&key.x, &key.y, &digest, &signature),
    }
}

/// The ECDSA signature of a message, the two numbers concatenated. The nonce comes from the key and
/// the message (RFC 6979).
///
/// # Errors
/// When the key cannot sign.
pub(in crate::builtins) fn sign_ec(
    key: &EcPrivate,
    hash: Hash,
    message: &[u8],
) -> Result<Vec<u8>, Failure> {
    let digest = hash.of(message);
    let signature = match key.public.curve {
        Curve::P224 => None,
        Curve::P256 => curves::p256_key::sign(&key.d, &digest),
        Curve::P384 => curves::p384_key::sign(&key.d, &digest),
        Curve::P521 => curves::p521_key::sign(&key.d, &digest),
    };
    signature.ok_or_else(|| failed("crypto/ecdsa: invalid private key"))
}

/// Whether a signature of Ed25519 is one of this key.
pub(in crate::builtins) fn verify_ed25519(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
    let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
    key.verify(message, &signature).is_ok()
}

/// The signature of Ed25519 of a message.
pub(in crate::builtins) fn sign_ed25519(key: &Ed25519Private, message: &[u8]) -> Vec<u8> {
    ed25519_dalek::SigningKey::from_bytes(&key.seed).sign(message).to_bytes().to_vec()
}
