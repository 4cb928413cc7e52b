//! JSON Web Keys and sets of them, as OPA's library reads them.
//!
//! Messages about a key never contain a part of it.

use num_bigint::BigUint;
use num_traits::ToPrimitive as _;
use regorus::Value;
use regorus::value::Object;

use super::algorithm::Algorithm;
use super::failed;
use super::key::{NamedKey, SigningKey, VerificationKey};
use super::token::{field, within};
use crate::builtins::crypto::keys::{
    self, Crt, Curve, EcPrivate, EcPublic, PrivateKey, PublicKey, RsaPrivate, RsaPublic,
};
use crate::builtins::crypto::x509;
use crate::builtins::go::base64;
use crate::builtins::json::read;
use crate::builtins::{Answer, Failure, bytes};

/// The highest number of keys in a set, as in OPA's library.
const KEYS: usize = 1000;

/// The highest number of certificates of one key, as in OPA's library.
const CERTIFICATES: usize = 10;

/// The algorithms that a key may name. Encryption algorithms never sign.
const ENCRYPTING: &[&str] = &[
    "RSA1_5",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "RSA-OAEP-384",
    "RSA-OAEP-512",
    "A128KW",
    "A192KW",
    "A256KW",
    "dir",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
    "A128GCMKW",
    "A192GCMKW",
    "A256GCMKW",
    "PBES2-HS256+A128KW",
    "PBES2-HS384+A192KW",
    "PBES2-HS512+A256KW",
    "A128CBC-HS256",
    "A192CBC-HS384",
    "A256CBC-HS512",
    "A128GCM",
    "A192GCM",
    "A256GCM",
    "none",
    "ES256K",
];

/// A key whose fields have been checked one by one.
struct Jwk {
    alg: String,
    kid: String,
    material: Material,
}

enum Material {
    Rsa(RsaPublic),
    RsaPrivate(RsaParts),
    Ec(EcPublic),
    EcPrivate(EcPrivate),
    Ed25519([u8; 32]),
    /// The seed, and the unchecked public key.
    Ed25519Private([u8; 32], [u8; 32]),
    /// A key of X25519.
    Agreement,
    AgreementPrivate,
    Secret(Vec<u8>),
}

/// A private RSA key whose parts were not checked together.
struct RsaParts {
    public: RsaPublic,
    d: BigUint,
    primes: Option<(BigUint, BigUint)>,
    crt: Option<Crt>,
}

/// The keys that tokens may be verified with. Keys that name an algorithm that OPA does not know are
/// left out.
pub(super) fn verification_keys(text: &str) -> Result<Vec<NamedKey>, Failure> {
    let keys = parse(text).map_err(|f| within("failed to parse a JWK key (set)", f))?;
    let mut named = Vec::new();
    for Jwk { alg, kid, material } in keys {
        let key = material.verification_key()?;
        if alg.is_empty() || Algorithm::is_known(&alg) {
            named.push(NamedKey { alg, kid, key });
        }
    }
    Ok(named)
}

/// The key that tokens are signed with: the first.
pub(super) fn signing_key(text: &str) -> Result<SigningKey, Failure> {
    let first = parse(text)?.into_iter().next();
    first.ok_or_else(|| failed("no keys found in JWK set"))?.material.signing_key()
}

impl Material {
    fn verification_key(self) -> Result<VerificationKey, Failure> {
        Ok(match self {
            Self::Rsa(key) => VerificationKey::Public(PublicKey::Rsa(key)),
            Self::RsaPrivate(key) => {
                if key.primes.is_none() {
                    return Err(missing_prime());
                }
                VerificationKey::OfPrivate(PublicKey::Rsa(key.public))
            }
            Self::Ec(key) => VerificationKey::Public(PublicKey::Ec(key)),
            Self::EcPrivate(key) => VerificationKey::OfPrivate(PublicKey::Ec(key.public)),
            Self::Ed25519(key) => VerificationKey::Public(PublicKey::Ed25519(key)),
            Self::Ed25519Private(seed, public) => {
                let key = ed25519(seed, public)?;
                VerificationKey::OfPrivate(PublicKey::Ed25519(key.public))
            }
            Self::Agreement => VerificationKey::Public(PublicKey::Agreement),
            Self::AgreementPrivate => VerificationKey::OfPrivate(PublicKey::Agreement),
            Self::Secret(secret) => VerificationKey::Secret(secret),
        })
    }

    fn signing_key(self) -> Result<SigningKey, Failure> {
        Ok(match self {
            Self::Rsa(_) | Self::Ec(_) | Self::Ed25519(_) => SigningKey::Public,
            Self::Agreement | Self::AgreementPrivate => SigningKey::Public,
            Self::RsaPrivate(RsaParts { public, d, primes, crt }) => {
                let (p, q) = primes.ok_or_else(missing_prime)?;
                SigningKey::Private(PrivateKey::Rsa(RsaPrivate::new(public, d, p, q, crt)?))
            }
            Self::EcPrivate(key) => SigningKey::Private(PrivateKey::Ec(key)),
            Self::Ed25519Private(seed, public) => {
                SigningKey::Private(PrivateKey::Ed25519(ed25519(seed, public)?))
            }
            Self::Secret(secret) => SigningKey::Secret(secret),
        })
    }
}

fn missing_prime() -> Failure {
    failed("jwk.Export: missing \"q\" value")
}

fn ed25519(seed: [u8; 32], public: [u8; 32]) -> Result<keys::Ed25519Private, Failure> {
    let key = keys::ed25519(seed);
    if key.public != public {
        return Err(failed("jwk.Export: ed25519: invalid x value given d value"));
    }
    Ok(key)
}

fn parse(text: &str) -> Result<Vec<Jwk>, Failure> {
    // The reader's message contains parts of the text.
    let silent = |failure| match failure {
        Failure::Builtin(_) => failed("the text is no JSON"),
        other => other,
    };
    let value = match read::parse(text) {
        Ok(value) => value,
        // OPA's library accepts a key, but not a set, with text after it.
        Err(Failure::Builtin(_)) => {
            return Ok(vec![key(&read::parse_first(text).map_err(silent)?)?]);
        }
        Err(other) => return Err(other),
    };
    match field(&value, "keys") {
        None => Ok(vec![key(&value)?]),
        Some(Value::Array(all)) => {
            if all.len() > KEYS {
                return Err(failed(&format!("too many keys in \"keys\" array: max {KEYS}")));
            }
            let each = |(i, one): (usize, &Value)| {
                key(one).map_err(|f| within(&format!("failed to decode key #{i} in \"keys\""), f))
            };
            all.iter().enumerate().map(each).collect()
        }
        Some(_) => Err(failed("failed to decode \"keys\": expected '['")),
    }
}

fn key(value: &Value) -> Result<Jwk, Failure> {
    let Value::Object(fields) = value else { return Err(failed("a key is an object")) };
    let fields = Fields(fields);
    let private = fields.0.contains_key(&Value::from("d"));
    let kind = fields.text("kty")?.unwrap_or_default();
    // Invalid fields make a key invalid even where they are not used.
    let alg = fields.algorithm()?;
    let kid = fields.text("kid")?.unwrap_or_default();
    for name in ["use", "x5t", "x5t#S256", "x5u"] {
        fields.text(name)?;
    }
    fields.operations()?;
    fields.certificates()?;
    let material = match kind.as_str() {
        "RSA" => rsa(&fields, private)?,
        "EC" => ec(&fields, private)?,
        "OKP" => okp(&fields, private)?,
        "oct" => {
            let secret = fields.bytes("k")?.filter(|secret| !secret.is_empty());
            Material::Secret(secret.ok_or_else(|| required("k"))?)
        }
        _ => return Err(failed("invalid key type from JSON")),
    };
    Ok(Jwk { alg, kid, material })
}

fn required(name: &str) -> Failure {
    failed(&format!("required field {name} is missing"))
}

fn rsa(fields: &Fields<'_>, private: bool) -> Result<Material, Failure> {
    let number = |name| fields.bytes(name).map(|b| b.map(|b| BigUint::from_bytes_be(&b)));
    let n = number("n")?.filter(|n| *n != BigUint::ZERO).ok_or_else(|| required("n"))?;
    let e = number("e")?.filter(|e| *e != BigUint::ZERO).ok_or_else(|| required("e"))?;
    if !e.bit(0) {
        return Err(failed("invalid rsa public exponent: must be a positive odd integer"));
    }
    let e = e.to_i64().and_then(|e| u64::try_from(e).ok());
    let e = e.ok_or_else(|| failed("rsa public exponent too large for this platform"))?;
    let public = RsaPublic::new(n, e)?;
    if !private {
        return Ok(Material::Rsa(public));
    }
    let (p, q) = (number("p")?, number("q")?);
    let crt = (number("dp")?, number("dq")?, number("qi")?);
    let d = fields.bytes("d")?.filter(|d| !d.is_empty()).ok_or_else(|| required("d"))?;
    Ok(Material::RsaPrivate(RsaParts {
        public,
        d: BigUint::from_bytes_be(&d),
        primes: p.zip(q),
        crt: match crt {
            (Some(dp), Some(dq), Some(qinv)) => Some(Crt { dp, dq, qinv }),
            _ => None,
        },
    }))
}

fn ec(fields: &Fields<'_>, private: bool) -> Result<Material, Failure> {
    let curve = match fields.curve()?.as_str() {
        "P-256" => Curve::P256,
        "P-384" => Curve::P384,
        "P-521" => Curve::P521,
        _ => return Err(failed("invalid curve algorithm")),
    };
    let coordinate = |name: &str| -> Result<Vec<u8>, Failure> {
        let bytes = fields.bytes(name)?.ok_or_else(|| required(name))?;
        if bytes.len() != curve.bytes() {
            return Err(failed(&format!("invalid \"{name}\" length ({})", bytes.len())));
        }
        Ok(bytes)
    };
    let public = EcPublic::new(curve, &coordinate("x")?, &coordinate("y")?);
    let public = public.ok_or_else(|| failed("invalid ECDSA public key"))?;
    if !private {
        return Ok(Material::Ec(public));
    }
    Ok(Material::EcPrivate(EcPrivate { public, d: coordinate("d")? }))
}

fn okp(fields: &Fields<'_>, private: bool) -> Result<Material, Failure> {
    let curve = fields.curve()?;
    let part = |name: &str| {
        let bytes = fields.bytes(name)?.filter(|bytes| !bytes.is_empty());
        bytes.ok_or_else(|| required(name))
    };
    let thirty_two = |bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| failed(&format!("{curve}: wrong key size")))
    };
    let x = part("x")?;
    let d = if private { Some(part("d")?) } else { None };
    match (curve.as_str(), d) {
        ("Ed25519", None) => Ok(Material::Ed25519(thirty_two(x)?)),
        ("Ed25519", Some(d)) => Ok(Material::Ed25519Private(thirty_two(d)?, thirty_two(x)?)),
        ("X25519", None) => thirty_two(x).map(|_| Material::Agreement),
        ("X25519", Some(d)) => {
            thirty_two(x).and_then(|_| thirty_two(d)).map(|_| Material::AgreementPrivate)
        }
        _ => Err(failed("jwk.Export: invalid curve algorithm")),
    }
}

/// The fields of a key, by their types. `null` is an empty text, as in OPA's library.
struct Fields<'a>(&'a Object);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&Value::from(name))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(String::new())),
            Some(Value::String(text)) => Ok(Some((**text).to_owned())),
            Some(_) => Err(failed(&format!("failed to decode value for key {name}"))),
        }
    }

    /// Bytes in any of the four forms of base64.
    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let text = bytes::of(&text);
        let url = !text.iter().any(|b| matches!(b, b'+' | b'/'));
        let alphabet = if url { base64::URL } else { base64::STANDARD };
        let decoded = if text.ends_with(b"=") {
            base64::decode(&text, alphabet)
        } else {
            let length = text.iter().filter(|b| !matches!(b, b'\n' | b'\r')).count();
            let mut padded = text.into_owned();
            padded.extend(std::iter::repeat_n(b'=', (4 - length % 4) % 4));
            base64::decode(&padded, alphabet)
        };
        decoded.map(Some).map_err(|_| failed(&format!("failed to decode value for key {name}")))
    }

    fn algorithm(&self) -> Result<String, Failure> {
        let Some(alg) = self.text("alg")? else { return Ok(String::new()) };
        if !Algorithm::is_known(&alg) && alg != "Ed25519" && !ENCRYPTING.contains(&alg.as_str()) {
            return Err(failed("failed to decode value for key alg: invalid key value"));
        }
        Ok(alg)
    }

    fn curve(&self) -> Result<String, Failure> {
        let curve = self.text("crv")?.ok_or_else(|| required("crv"))?;
        let known = ["P-256", "P-384", "P-521", "Ed25519", "Ed448", "X25519", "X448"];
        if !known.contains(&curve.as_str()) {
            return Err(failed("unknown EllipticCurveAlgorithm"));
        }
        Ok(curve)
    }

    fn operations(&self) -> Result<(), Failure> {
        let valid = match self.get("key_ops") {
            None | Some(Value::Null) => true,
            Some(Value::Array(all)) => {
                all.iter().all(|one| matches!(one, Value::String(_) | Value::Null))
            }
            Some(_) => false,
        };
        if valid { Ok(()) } else { Err(failed("failed to decode value for key key_ops")) }
    }

    fn certificates(&self) -> Result<(), Failure> {
        let wrong = || failed("failed to decode value for key x5c");
        let all = match self.get("x5c") {
            None => return Ok(()),
            Some(Value::Array(all)) if all.len() <= CERTIFICATES => all,
            Some(_) => return Err(wrong()),
        };
        for one in all.iter() {
            let Value::String(text) = one else { return Err(wrong()) };
            let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let der = base64::decode(text.as_bytes(), base64::STANDARD).map_err(|_| wrong())?;
            x509::public_key(&der)?;
        }
        Ok(())
    }
}

/// A private key as a JSON Web Key.
///
/// # Errors
/// When JSON Web Keys do not have its kind.
pub(in crate::builtins) fn of_private(key: &PrivateKey) -> Answer {
    let encoded = |bytes: &[u8]| base64::encode(bytes, base64::URL, false);
    let number = |n: &BigUint| encoded(&n.to_bytes_be());
    let fields: Vec<(&str, String)> = match key {
        PrivateKey::Rsa(key) => vec![
            ("kty", "RSA".to_owned()),
            ("n", number(&key.public.n)),
            ("e", number(&BigUint::from(key.public.e))),
            ("d", number(&key.d)),
            ("p", number(&key.p)),
            ("q", number(&key.q)),
            ("dp", number(&key.crt.dp)),
            ("dq", number(&key.crt.dq)),
            ("qi", number(&key.crt.qinv)),
        ],
        PrivateKey::Ec(key) => {
            let curve = key.public.curve.name();
            let curve = curve.ok_or_else(|| failed("jwk: there is no such curve"))?;
            vec![
                ("kty", "EC".to_owned()),
                ("crv", curve.to_owned()),
                ("x", encoded(&key.public.x)),
                ("y", encoded(&key.public.y)),
                ("d", encoded(&key.d)),
            ]
        }
        PrivateKey::Ed25519(key) => vec![
            ("kty", "OKP".to_owned()),
            ("crv", "Ed25519".to_owned()),
            ("x", encoded(&key.public)),
            ("d", encoded(&key.seed)),
        ],
        PrivateKey::Agreement(key) => vec![
            ("kty", "OKP".to_owned()),
            ("crv", "X25519".to_owned()),
            ("x", encoded(&keys::agreement_public(*key))),
            ("d", encoded(key)),
        ],
    };
    let fields = fields.into_iter().map(|(name, text)| (Value::from(name), Value::from(text)));
    Ok(Value::from(fields.collect::<std::collections::BTreeMap<_, _>>()))
}
