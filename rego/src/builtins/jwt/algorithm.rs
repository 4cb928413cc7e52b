//! The algorithms of tokens.

use super::key::VerificationKey;
use crate::builtins::crypto::keys::PublicKey;
use crate::builtins::crypto::signature::{self, Hash, Padding};

/// How a token is signed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Algorithm {
    Keyed(Hash),
    Rsa(Padding, Hash),
    Ec(Hash),
    EdDsa,
}

impl Algorithm {
    /// The algorithm of a token's header, by the names of tokens and further names in OPA's
    /// library.
    pub(super) fn named(name: &str) -> Option<Self> {
        use Hash::{Sha256, Sha384, Sha512};
        Some(match name {
            "HS256" | "HMAC_WITH_SHA256" => Self::Keyed(Sha256),
            "HS384" | "HMAC_WITH_SHA384" => Self::Keyed(Sha384),
            "HS512" | "HMAC_WITH_SHA512" => Self::Keyed(Sha512),
            "RS256" | "RSA_PKCS1v15_WITH_SHA256" => Self::Rsa(Padding::Pkcs1, Sha256),
            "RS384" | "RSA_PKCS1v15_WITH_SHA384" => Self::Rsa(Padding::Pkcs1, Sha384),
            "RS512" | "RSA_PKCS1v15_WITH_SHA512" => Self::Rsa(Padding::Pkcs1, Sha512),
            "PS256" | "RSA_PSS_WITH_SHA256" => Self::Rsa(Padding::Pss, Sha256),
            "PS384" | "RSA_PSS_WITH_SHA384" => Self::Rsa(Padding::Pss, Sha384),
            "PS512" | "RSA_PSS_WITH_SHA512" => Self::Rsa(Padding::Pss, Sha512),
            "ES256" | "ECDSA_WITH_P256_AND_SHA256" => Self::Ec(Sha256),
            "ES384" | "ECDSA_WITH_P384_AND_SHA384" => Self::Ec(Sha384),
            "ES512" | "ECDSA_WITH_P521_AND_SHA512" => Self::Ec(Sha512),
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether OPA signs with it, and accepts keys that name it.
    pub(super) fn is_known(name: &str) -> bool {
        let short = name.len() == 5 && name != "none";
        short && Self::named(name).is_some()
    }

    /// Whether this key made a signature, by the rules of `io.jwt.decode_verify`: halves of ECDSA's
    /// are as long as the curve's numbers, and a salt of PSS is as long as the hash.
    pub(super) fn verifies(self, key: &VerificationKey, message: &[u8], signature: &[u8]) -> bool {
        let public = match key {
            VerificationKey::Secret(secret) => {
                return match self {
                    Self::Keyed(hash) if !secret.is_empty() => {
                        signature::same(&hash.keyed(secret, message), signature)
                    }
                    Self::Keyed(_) | Self::Rsa(..) | Self::Ec(_) | Self::EdDsa => false,
                };
            }
            VerificationKey::Public(public) | VerificationKey::OfPrivate(public) => public,
        };
        match (self, public) {
            (Self::Rsa(padding, hash), PublicKey::Rsa(key)) => {
                signature::verify_rsa(key, padding, hash, message, signature)
            }
            (Self::Ec(hash), PublicKey::Ec(key)) => {
                let halves = signature.split_at_checked(key.curve.bytes());
                halves.is_some_and(|(r, s)| {
                    r.len() == s.len() && signature::verify_ec(key, hash, message, r, s)
                })
            }
            (Self::EdDsa, PublicKey::Ed25519(key)) => {
                signature::verify_ed25519(key, message, signature)
            }
            _ => false,
        }
    }

    /// The same by the rules of `io.jwt.verify_*`: only public keys, salts of any length, and
    /// halves of a signature of any length.
    pub(super) fn verifies_leniently(
        self,
        key: &VerificationKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        match (self, key) {
            (Self::Rsa(Padding::Pss, hash), VerificationKey::Public(_)) => {
                Self::Rsa(Padding::PssAnySalt, hash).verifies(key, message, signature)
            }
            (Self::Ec(hash), VerificationKey::Public(PublicKey::Ec(key))) => {
                let halves = signature.split_at_checked(signature.len() / 2);
                halves.is_some_and(|(r, s)| signature::verify_ec(key, hash, message, r, s))
            }
            (_, VerificationKey::Public(_)) => self.verifies(key, message, signature),
            (_, VerificationKey::OfPrivate(_) | VerificationKey::Secret(_)) => false,
        }
    }
}
