//! The keys of an issuer: a JWK Set (RFC 7517).

use data_encoding::BASE64URL_NOPAD;
use p521::ecdsa::signature::Verifier;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::JwtAlgorithm;
use crate::access::principal::Refusal;

/// Bytes of a JWK Set. That of a large provider has ten thousand.
pub(crate) const MAX_KEY_SET: usize = 1024 * 1024;

/// Keys of a JWK Set, usable or not. Providers have two to ten.
const MAX_KEYS: usize = 100;

/// Bytes of a key's id.
pub(super) const MAX_KEY_ID: usize = 1024;

/// Bits of the smallest RSA key, which RFC 7518 sets (3.3 and 3.5), and of the largest that is
/// verified by: more cost a request more time than a decision takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bytes of the largest RSA exponent, and the smallest one. With an exponent of 1 everything is a
/// signature.
const MAX_RSA_EXPONENT: usize = 4;
const MIN_RSA_EXPONENT: u64 = 3;

/// Characters of a text of the set that a message repeats.
const SHOWN: usize = 64;

/// The keys of an issuer that tokens can be verified by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    /// The keys that are not used, each with why, for the log.
    pub(super) unused: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, where it says so.
    algorithm: Option<JwtAlgorithm>,
    public: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    /// Modulus and exponent, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point on the curve, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Vec<u8>),
}

/// Why a document is not a JWK Set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("it is larger than {MAX_KEY_SET} bytes")]
    TooLarge,
    #[error("it is not a JSON object with the list \"keys\": {0}")]
    NotASet(String),
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
}

impl KeySet {
    /// Reads a JWK Set. A key that no token can be verified by is left out, and [`Self::unused`] says
    /// why.
    ///
    /// # Errors
    /// When the document is not a JWK Set.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLarge);
        }
        let set: JwkSet = serde_json::from_slice(document)
            .map_err(|error| KeySetError::NotASet(error.to_string()))?;
        if set.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut parsed = Self::default();
        for (index, key) in set.keys.into_iter().enumerate() {
            let kid = key.get("kid").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{index} ({:?})", kid.chars().take(SHOWN).collect::<String>());
            match Key::parse(key) {
                Ok(key) => parsed.keys.push(key),
                Err(why) => parsed.unused.push(format!("{name}: {why}")),
            }
        }
        Ok(parsed)
    }

    /// How many keys tokens can be verified by.
    pub(crate) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that are not used, each with why.
    pub(crate) fn unused(&self) -> &[String] {
        &self.unused
    }

    /// The key that a token is signed by, as its header says.
    ///
    /// # Errors
    /// When there is not exactly one key of this name for this algorithm; without a name, when there
    /// is not exactly one for this algorithm.
    pub(super) fn select(
        &self,
        id: Option<&str>,
        algorithm: JwtAlgorithm,
    ) -> Result<&Key, Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::KeysUnavailable);
        }
        let mut is_known = false;
        let mut selected = None;
        for key in self.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id) {
            is_known = true;
            if key.is_for(algorithm) && selected.replace(key).is_some() {
                return Err(Refusal::UnknownKey);
            }
        }
        match (selected, is_known && id.is_some()) {
            (Some(key), _) => Ok(key),
            (None, true) => Err(Refusal::WrongAlgorithm),
            (None, false) => Err(Refusal::UnknownKey),
        }
    }

    /// Whether a key has this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

impl Key {
    fn parse(jwk: Value) -> Result<Self, String> {
        let jwk: Jwk = serde_json::from_value(jwk).map_err(|error| error.to_string())?;
        if jwk.kty == "oct" {
            return Err("it is a shared secret, and no token is verified by one".to_owned());
        }
        if jwk.d.is_some() {
            let why = "it is a private key, which whoever signs must keep; replace the key";
            return Err(why.to_owned());
        }
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return Err("its \"use\" is not \"sig\"".to_owned());
        }
        if jwk.key_ops.is_some_and(|operations| !operations.iter().any(|it| it == "verify")) {
            return Err("its \"key_ops\" do not have \"verify\"".to_owned());
        }
        if jwk.kid.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID) {
            return Err(format!("its \"kid\" is longer than {MAX_KEY_ID} bytes"));
        }
        let algorithm = match &jwk.alg {
            Some(name) => {
                let unknown = |_| format!("its \"alg\" is not one of {}", names());
                Some(name.parse::<JwtAlgorithm>().map_err(unknown)?)
            }
            None => None,
        };
        let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => rsa(jwk.n.as_deref(), jwk.e.as_deref())?,
            ("EC", Some("P-256")) => PublicKey::P256(point(jwk.x, jwk.y, 32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(jwk.x, jwk.y, 48)?),
            ("EC", Some("P-521")) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point(jwk.x, jwk.y, 66)?);
                PublicKey::P521(Box::new(key.map_err(|_| "its point is not on the curve")?))
            }
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(coordinate("x", jwk.x, 32)?),
            _ => {
                let why =
                    "it is not RSA, EC with the curve P-256, P-384 or P-521, or OKP with Ed25519";
                return Err(why.to_owned());
            }
        };
        let key = Self { id: jwk.kid, algorithm: None, public };
        match algorithm {
            Some(algorithm) if !key.is_for(algorithm) => {
                Err(format!("it is no key for its \"alg\", {}", algorithm.name()))
            }
            algorithm => Ok(Self { algorithm, ..key }),
        }
    }

    fn is_for(&self, algorithm: JwtAlgorithm) -> bool {
        use JwtAlgorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let is_of_its_kind = match self.public {
            PublicKey::Rsa { .. } => {
                matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
            }
            PublicKey::P256(_) => algorithm == Es256,
            PublicKey::P384(_) => algorithm == Es384,
            PublicKey::P521(_) => algorithm == Es512,
            PublicKey::Ed25519(_) => algorithm == EdDsa,
        };
        is_of_its_kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is the algorithm's signature of `message` by this key.
    pub(super) fn verifies(
        &self,
        algorithm: JwtAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !self.is_for(algorithm) {
            return false;
        }
        let by = |parameters: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(parameters, key).verify(message, signature).is_ok()
        };
        match &self.public {
            PublicKey::Rsa { n, e } => rsa_parameters(algorithm).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            // As JWS has them: two numbers of fixed length. DER is something else.
            PublicKey::P256(point) => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            PublicKey::P384(point) => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            PublicKey::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            PublicKey::Ed25519(key) => by(&signature::ED25519, key),
        }
    }
}

fn rsa_parameters(algorithm: JwtAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        JwtAlgorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        JwtAlgorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        JwtAlgorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        JwtAlgorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        JwtAlgorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        JwtAlgorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        JwtAlgorithm::Es256 | JwtAlgorithm::Es384 | JwtAlgorithm::Es512 | JwtAlgorithm::EdDsa => {
            None
        }
    }
}

fn rsa(n: Option<&str>, e: Option<&str>) -> Result<PublicKey, String> {
    let n = number("n", n)?;
    let e = number("e", e)?;
    let unused = n.first().map_or(0, |first| first.leading_zeros());
    let bits = (n.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default());
    if !RSA_BITS.contains(&bits) {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(format!("it has {bits} bits, and RSA keys must have {least} to {most}"));
    }
    let exponent = e.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if e.len() > MAX_RSA_EXPONENT || exponent < MIN_RSA_EXPONENT || exponent.is_multiple_of(2) {
        return Err("its exponent is not an odd number from 3 to 4294967295".to_owned());
    }
    Ok(PublicKey::Rsa { n, e })
}

/// A number without leading zeros, which some write nevertheless.
fn number(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let bytes = decoded(name, text)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// A point of a curve, uncompressed (SEC 1, section 2.3.3).
fn point(x: Option<String>, y: Option<String>, length: usize) -> Result<Vec<u8>, String> {
    let (x, y) = (coordinate("x", x, length)?, coordinate("y", y, length)?);
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn coordinate(name: &str, text: Option<String>, length: usize) -> Result<Vec<u8>, String> {
    let bytes = decoded(name, text.as_deref())?;
    if bytes.len() == length {
        return Ok(bytes);
    }
    Err(format!("its {name:?} has {} bytes, and its curve's have {length}", bytes.len()))
}

fn decoded(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("it has no {name:?}"))?;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
    bytes.map_err(|_| format!("its {name:?} is not in Base64 for URLs without padding"))
}

/// The names of all algorithms, for messages.
pub(crate) fn names() -> String {
    JwtAlgorithm::ALL.map(JwtAlgorithm::name).join(", ")
}
