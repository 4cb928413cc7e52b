//! The operator's keys, each for one algorithm.

use hmac::{Hmac, KeyInit, Mac};
use p256::elliptic_curve::pkcs8::DecodePublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};
use signature::Verifier;

use super::algorithm::Algorithm;

/// Bytes of a key's file. The PEM of the largest RSA key that is accepted has about 1.5 KiB.
pub(crate) const MAX_KEY_FILE: u64 = 64 * 1024;

/// Bits of the smallest RSA key, which RFC 7518 sets (3.3 and 3.5).
const MIN_RSA_BITS: u32 = 2048;

/// A key, and the one algorithm that it verifies by.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    algorithm: Algorithm,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Secret(Box<[u8]>),
}

/// Why a file's content is not a key for its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("a secret of at least {0} bytes, which is the length of the algorithm's digest")]
    SecretTooShort(usize),
    #[error(
        "a public key in PEM (\"BEGIN PUBLIC KEY\" or \"BEGIN RSA PUBLIC KEY\"), and this is a private key, which belongs to whoever signs"
    )]
    Private,
    #[error(
        "a public key in PEM, and this is a certificate; its key is printed by: openssl x509 -pubkey -noout"
    )]
    Certificate,
    #[error("a public key in PEM (\"BEGIN PUBLIC KEY\" or \"BEGIN RSA PUBLIC KEY\")")]
    NotPem,
    #[error("a public {0} key in PEM, and this one cannot be read as that")]
    OtherKey(&'static str),
    #[error("an RSA key of at least {MIN_RSA_BITS} bits")]
    TooSmall,
}

impl VerifyingKey {
    /// Reads a key's file: the PEM of a public key, or the bytes of a shared secret, all of them.
    ///
    /// # Errors
    /// When the content is no key for `algorithm`.
    pub(crate) fn parse(algorithm: Algorithm, content: &[u8]) -> Result<Self, KeyError> {
        use Algorithm::{
            Es256, Es384, Es512, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
        };
        let key = match algorithm {
            Hs256 => secret(content, 32)?,
            Hs384 => secret(content, 48)?,
            Hs512 => secret(content, 64)?,
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => rsa(pem(content)?)?,
            Es256 => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_pem(pem(content)?);
                Key::P256(Box::new(key.map_err(|_| KeyError::OtherKey("P-256"))?))
            }
            Es384 => {
                let key = p384::ecdsa::VerifyingKey::from_public_key_pem(pem(content)?);
                Key::P384(Box::new(key.map_err(|_| KeyError::OtherKey("P-384"))?))
            }
            Es512 => {
                let key = p521::ecdsa::VerifyingKey::from_public_key_pem(pem(content)?);
                Key::P521(Box::new(key.map_err(|_| KeyError::OtherKey("P-521"))?))
            }
        };
        Ok(Self { algorithm, key })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is the algorithm's signature of `message` by this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(key) => self.rsa_verifies(key, message, signature),
            Key::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::Secret(secret) => self.secret_verifies(secret, message, signature),
        }
    }

    fn rsa_verifies(&self, key: &rsa::PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let key = key.clone();
        let pkcs1 = |verifier: &dyn Verifier<pkcs1v15::Signature>| {
            pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| verifier.verify(message, &signature).is_ok())
        };
        let pss = |verifier: &dyn Verifier<pss::Signature>| {
            pss::Signature::try_from(signature)
                .is_ok_and(|signature| verifier.verify(message, &signature).is_ok())
        };
        match self.algorithm {
            Algorithm::Rs256 => pkcs1(&pkcs1v15::VerifyingKey::<Sha256>::new(key)),
            Algorithm::Rs384 => pkcs1(&pkcs1v15::VerifyingKey::<Sha384>::new(key)),
            Algorithm::Rs512 => pkcs1(&pkcs1v15::VerifyingKey::<Sha512>::new(key)),
            Algorithm::Ps256 => pss(&pss::VerifyingKey::<Sha256>::new(key)),
            Algorithm::Ps384 => pss(&pss::VerifyingKey::<Sha384>::new(key)),
            Algorithm::Ps512 => pss(&pss::VerifyingKey::<Sha512>::new(key)),
            _ => false,
        }
    }

    fn secret_verifies(&self, secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
        // The comparisons take the same time wherever the first difference is.
        match self.algorithm {
            Algorithm::Hs256 => Hmac::<Sha256>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
            Algorithm::Hs384 => Hmac::<Sha384>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
            Algorithm::Hs512 => Hmac::<Sha512>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok()),
            _ => false,
        }
    }
}

impl std::fmt::Debug for VerifyingKey {
    /// Without the key, which may be a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("VerifyingKey").field("algorithm", &self.algorithm).finish()
    }
}

fn secret(content: &[u8], least: usize) -> Result<Key, KeyError> {
    if content.len() < least {
        return Err(KeyError::SecretTooShort(least));
    }
    Ok(Key::Secret(content.into()))
}

/// The content as PEM of a public key, as far as its first line tells.
fn pem(content: &[u8]) -> Result<&str, KeyError> {
    let text = std::str::from_utf8(content).map_err(|_| KeyError::NotPem)?.trim();
    let label = text.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----"));
    match label.map(|(label, _)| label) {
        Some("PUBLIC KEY" | "RSA PUBLIC KEY") => Ok(text),
        Some("CERTIFICATE") => Err(KeyError::Certificate),
        Some(label) if label.ends_with("PRIVATE KEY") => Err(KeyError::Private),
        _ => Err(KeyError::NotPem),
    }
}

fn rsa(pem: &str) -> Result<Key, KeyError> {
    let key = if pem.starts_with("-----BEGIN RSA ") {
        rsa::PublicKey::from_pkcs1_pem(pem).ok()
    } else {
        rsa::PublicKey::from_public_key_pem(pem).ok()
    };
    let key = key.ok_or(KeyError::OtherKey("RSA"))?;
    if key.n().bit_width() < MIN_RSA_BITS {
        return Err(KeyError::TooSmall);
    }
    Ok(Key::Rsa(Box::new(key)))
}
