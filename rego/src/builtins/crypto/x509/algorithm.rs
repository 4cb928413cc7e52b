//! The algorithms of certificates' signatures.

use crate::builtins::crypto::der::{self, Der};
use crate::builtins::crypto::keys::{Algorithm, PublicKey};
use crate::builtins::crypto::signature::{self, Hash, Padding};

/// An algorithm, by Go's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    Unknown,
    Md5WithRsa,
    Sha1WithRsa,
    Rsa(Hash),
    DsaWithSha1,
    DsaWithSha256,
    EcWithSha1,
    Ec(Hash),
    Pss(Hash),
    Ed25519,
}

impl SignatureAlgorithm {
    pub(super) fn of(algorithm: &Algorithm<'_>) -> Self {
        match algorithm.oid.parts() {
            [1, 2, 840, 113_549, 1, 1, 4] => Self::Md5WithRsa,
            [1, 2, 840, 113_549, 1, 1, 5] | [1, 3, 14, 3, 2, 29] => Self::Sha1WithRsa,
            [1, 2, 840, 113_549, 1, 1, 11] => Self::Rsa(Hash::Sha256),
            [1, 2, 840, 113_549, 1, 1, 12] => Self::Rsa(Hash::Sha384),
            [1, 2, 840, 113_549, 1, 1, 13] => Self::Rsa(Hash::Sha512),
            [1, 2, 840, 113_549, 1, 1, 10] => {
                pss(algorithm.parameters).map_or(Self::Unknown, Self::Pss)
            }
            [1, 2, 840, 10_040, 4, 3] => Self::DsaWithSha1,
            [2, 16, 840, 1, 101, 3, 4, 3, 2] => Self::DsaWithSha256,
            [1, 2, 840, 10_045, 4, 1] => Self::EcWithSha1,
            [1, 2, 840, 10_045, 4, 3, 2] => Self::Ec(Hash::Sha256),
            [1, 2, 840, 10_045, 4, 3, 3] => Self::Ec(Hash::Sha384),
            [1, 2, 840, 10_045, 4, 3, 4] => Self::Ec(Hash::Sha512),
            [1, 3, 101, 112] if algorithm.parameters.is_empty() => Self::Ed25519,
            _ => Self::Unknown,
        }
    }

    /// Go's number of it.
    pub(super) fn number(self) -> u64 {
        let of_hash = |first, hash| match hash {
            Hash::Sha256 => first,
            Hash::Sha384 => first + 1,
            Hash::Sha512 => first + 2,
        };
        match self {
            Self::Unknown => 0,
            Self::Md5WithRsa => 2,
            Self::Sha1WithRsa => 3,
            Self::Rsa(hash) => of_hash(4, hash),
            Self::DsaWithSha1 => 7,
            Self::DsaWithSha256 => 8,
            Self::EcWithSha1 => 9,
            Self::Ec(hash) => of_hash(10, hash),
            Self::Pss(hash) => of_hash(13, hash),
            Self::Ed25519 => 16,
        }
    }

    /// Whether a signature is one of this key. Signatures with MD5, SHA-1 or DSA never verify.
    pub(super) fn verifies(self, key: &PublicKey, message: &[u8], bytes: &[u8]) -> bool {
        match (self, key) {
            (Self::Rsa(hash), PublicKey::Rsa(key)) => {
                signature::verify_rsa(key, Padding::Pkcs1, hash, message, bytes)
            }
            (Self::Pss(hash), PublicKey::Rsa(key)) => {
                signature::verify_rsa(key, Padding::Pss, hash, message, bytes)
            }
            (Self::Ec(hash), PublicKey::Ec(key)) => ec_numbers(bytes)
                .is_some_and(|(r, s)| signature::verify_ec(key, hash, message, &r, &s)),
            (Self::Ed25519, PublicKey::Ed25519(key)) => {
                signature::verify_ed25519(key, message, bytes)
            }
            _ => false,
        }
    }
}

/// The two numbers of an ECDSA signature.
fn ec_numbers(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut rest = Der::new(bytes);
    let mut numbers = rest.read(der::SEQUENCE)?;
    let (r, s) = (numbers.positive()?, numbers.positive()?);
    (rest.is_empty() && numbers.is_empty()).then(|| (r.to_bytes_be(), s.to_bytes_be()))
}

/// The hash in the parameters of PSS, which must be the same in all of them, with a salt of its
/// length.
fn pss(parameters: &[u8]) -> Option<Hash> {
    let mut fields = Der::new(parameters).read(der::SEQUENCE)?;
    let mut explicit = |number: u8| fields.read(der::constructed(number));
    let hash = Algorithm::of(explicit(0)?.read(der::SEQUENCE)?).ok()?;
    let mask = Algorithm::of(explicit(1)?.read(der::SEQUENCE)?).ok()?;
    let salt = explicit(2)?.word(der::INTEGER)?;
    let trailer = match fields.optional(der::constructed(3))? {
        Some(mut trailer) => trailer.word(der::INTEGER)?,
        None => 1,
    };
    let mask_hash = Algorithm::of(Der::new(mask.parameters).read(der::SEQUENCE)?).ok()?;
    let plain = |parameters: &[u8]| parameters.is_empty() || parameters == der::NULL;
    let valid = plain(hash.parameters)
        && mask.oid.is(&[1, 2, 840, 113_549, 1, 1, 8])
        && mask_hash.oid == hash.oid
        && plain(mask_hash.parameters)
        && trailer == 1;
    if !valid {
        return None;
    }
    match (hash.oid.parts(), salt) {
        ([2, 16, 840, 1, 101, 3, 4, 2, 1], 32) => Some(Hash::Sha256),
        ([2, 16, 840, 1, 101, 3, 4, 2, 2], 48) => Some(Hash::Sha384),
        ([2, 16, 840, 1, 101, 3, 4, 2, 3], 64) => Some(Hash::Sha512),
        _ => None,
    }
}
