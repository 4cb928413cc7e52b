//! Keys, and tokens that they sign, for tests.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use p521::ecdsa::signature::Signer as _;
use ring::rand::SystemRandom;
use ring::signature::{self as ring_signature, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use super::algorithm::JwtAlgorithm;
use super::claims::{AllTenants, ClaimPath, ClaimRules};
use super::issuer::{Issuer, Issuers};
use super::keys::KeySet;
use super::source::{KeyLocation, KeySource};
use crate::access::principal::{Principal, Refusal};
use crate::access::token::TokenHash;

pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const AUDIENCE: &str = "edge-policy-enforcer";

/// Some time, in seconds since 1970.
pub(super) const NOW: i64 = 1_800_000_000;

/// A private key with its id, for one algorithm.
pub(super) struct Signer {
    pub(super) id: &'static str,
    pub(super) algorithm: JwtAlgorithm,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(rsa::PrivateKey),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(Box<p521::ecdsa::SigningKey>),
    Ed25519(Ed25519KeyPair),
}

/// An RSA key of 2048 bits. Making one takes a while, so all tests share it.
fn rsa_key() -> rsa::PrivateKey {
    static KEY: OnceLock<rsa::PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| rsa::PrivateKey::new(&mut getrandom::SysRng, 2048).unwrap()).clone()
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// The JWK of an RSA key.
pub(super) fn rsa_jwk(id: &str, key: &rsa::PublicKey) -> Value {
    let (n, e) = (key.n().to_be_bytes_trimmed_vartime(), key.e().to_be_bytes_trimmed_vartime());
    json!({"kty": "RSA", "kid": id, "n": encoded(n), "e": encoded(e)})
}

impl Signer {
    pub(super) fn new(id: &'static str, algorithm: JwtAlgorithm) -> Self {
        let random = SystemRandom::new();
        let ecdsa = |algorithm| {
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()
        };
        let key = match algorithm {
            JwtAlgorithm::Es256 => {
                PrivateKey::P256(ecdsa(&ring_signature::ECDSA_P256_SHA256_FIXED_SIGNING))
            }
            JwtAlgorithm::Es384 => {
                PrivateKey::P384(ecdsa(&ring_signature::ECDSA_P384_SHA384_FIXED_SIGNING))
            }
            JwtAlgorithm::Es512 => {
                let mut secret = [0; 66];
                getrandom::fill(&mut secret[1..]).unwrap();
                PrivateKey::P521(Box::new(p521::ecdsa::SigningKey::from_slice(&secret).unwrap()))
            }
            JwtAlgorithm::EdDsa => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                PrivateKey::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
            }
            _ => PrivateKey::Rsa(rsa_key()),
        };
        Self { id, algorithm, key }
    }

    /// The public key, as an issuer publishes it.
    pub(super) fn jwk(&self) -> Value {
        let (id, alg) = (self.id, self.algorithm.name());
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (encoded(x), encoded(y));
            json!({"kty": "EC", "crv": curve, "x": x, "y": y, "kid": id, "alg": alg, "use": "sig"})
        };
        match &self.key {
            PrivateKey::Rsa(key) => rsa_jwk(id, key.as_public_key()),
            PrivateKey::P256(key) => point("P-256", key.public_key().as_ref()),
            PrivateKey::P384(key) => point("P-384", key.public_key().as_ref()),
            PrivateKey::P521(key) => {
                point("P-521", key.verifying_key().to_sec1_point(false).as_bytes())
            }
            PrivateKey::Ed25519(key) => {
                let x = encoded(key.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id})
            }
        }
    }

    pub(super) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            PrivateKey::Rsa(key) => {
                let padding: &dyn ring_signature::RsaEncoding = match self.algorithm {
                    JwtAlgorithm::Rs256 => &ring_signature::RSA_PKCS1_SHA256,
                    JwtAlgorithm::Rs384 => &ring_signature::RSA_PKCS1_SHA384,
                    JwtAlgorithm::Rs512 => &ring_signature::RSA_PKCS1_SHA512,
                    JwtAlgorithm::Ps256 => &ring_signature::RSA_PSS_SHA256,
                    JwtAlgorithm::Ps384 => &ring_signature::RSA_PSS_SHA384,
                    _ => &ring_signature::RSA_PSS_SHA512,
                };
                let key = RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            PrivateKey::P256(key) | PrivateKey::P384(key) => {
                key.sign(&random, message).unwrap().as_ref().to_vec()
            }
            PrivateKey::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            PrivateKey::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims, as they are written.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", encoded(signature))
    }

    pub(super) fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "kid": self.id, "typ": "JWT"})
    }

    /// A token as issuers make them, with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }
}

/// The claims of a token that is accepted.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW - 10, "nbf": NOW - 10,
        "exp": NOW + 300, "roles": ["decide"], "tenants": ["tenant_a"],
    })
}

/// The same with one of them replaced, or removed by `null`.
pub(super) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

pub(super) fn rules() -> ClaimRules {
    ClaimRules {
        audiences: vec![AUDIENCE.to_owned()],
        roles: ClaimPath::Name("roles".to_owned()),
        tenants: ClaimPath::Name("tenants".to_owned()),
        subject: ClaimPath::Name("sub".to_owned()),
        all_tenants: AllTenants::Ignored,
        leeway: std::time::Duration::from_secs(30),
    }
}

pub(super) fn set(jwks: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": jwks }).to_string().as_bytes()).unwrap()
}

pub(super) fn source(jwks: &[Value]) -> Arc<KeySource> {
    let location = KeyLocation::File("jwks.json".into());
    Arc::new(KeySource::new(ISSUER.to_owned(), location, set(jwks)))
}

/// An issuer with these keys, of which every algorithm is accepted.
pub(super) fn issuer(keys: &Arc<KeySource>, rules: ClaimRules) -> Issuers {
    let algorithms = JwtAlgorithm::ALL.to_vec();
    let issuer = Issuer::new(ISSUER.to_owned(), algorithms, rules, Arc::clone(keys));
    Issuers(vec![Arc::new(issuer)])
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

pub(super) fn verify(issuers: &Issuers, token: &str) -> Result<Arc<Principal>, Refusal> {
    verify_at(issuers, token, NOW)
}

pub(super) fn verify_at(
    issuers: &Issuers,
    token: &str,
    seconds: i64,
) -> Result<Arc<Principal>, Refusal> {
    issuers.principal(TokenHash::of(token), token, at(seconds))
}
