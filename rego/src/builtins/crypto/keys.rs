//! Keys, with separate types for each kind: a signature algorithm accepts only its own kinds.
//!
//! No error message contains a part of a key, and types with a private key or secret never print
//! it.

use num_bigint::{BigInt, BigUint};
use num_traits::One as _;
use regorus::Value;

use super::der::{self, Der, Oid};
use super::{curves, failed};
use crate::builtins::{Failure, limits};

/// Bits of the modulus of an RSA key: the time of a signature grows with the third power of them,
/// and longer keys are not in use.
const MODULUS_BITS: u64 = 16_384;

/// The same of a private key, with which each operation takes as many multiplications as it has bits.
const PRIVATE_MODULUS_BITS: u64 = 8192;

pub(super) const RSA: &[u32] = &[1, 2, 840, 113_549, 1, 1, 1];
const DSA: &[u32] = &[1, 2, 840, 10_040, 4, 1];
pub(super) const EC: &[u32] = &[1, 2, 840, 10_045, 2, 1];
pub(super) const X25519: &[u32] = &[1, 3, 101, 110];
pub(super) const ED25519: &[u32] = &[1, 3, 101, 112];

/// Go's numbers of the kinds of keys in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtins) enum KeyKind {
    Unknown,
    Rsa,
    Dsa,
    Ec,
    Ed25519,
}

impl KeyKind {
    pub(super) fn of(oid: &Oid) -> Self {
        match oid.parts() {
            RSA => Self::Rsa,
            DSA => Self::Dsa,
            EC => Self::Ec,
            ED25519 => Self::Ed25519,
            _ => Self::Unknown,
        }
    }

    pub(super) fn number(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Rsa => 1,
            Self::Dsa => 2,
            Self::Ec => 3,
            Self::Ed25519 => 4,
        }
    }
}

/// The curves of NIST that Go has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtins) enum Curve {
    P224,
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) fn of(oid: &Oid) -> Option<Self> {
        match oid.parts() {
            [1, 3, 132, 0, 33] => Some(Self::P224),
            [1, 2, 840, 10_045, 3, 1, 7] => Some(Self::P256),
            [1, 3, 132, 0, 34] => Some(Self::P384),
            [1, 3, 132, 0, 35] => Some(Self::P521),
            _ => None,
        }
    }

    /// Bytes of a coordinate, and of a private key.
    pub(in crate::builtins) fn bytes(self) -> usize {
        match self {
            Self::P224 => 28,
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The name of JSON Web Keys, which have no P-224.
    pub(in crate::builtins) fn name(self) -> Option<&'static str> {
        match self {
            Self::P224 => None,
            Self::P256 => Some("P-256"),
            Self::P384 => Some("P-384"),
            Self::P521 => Some("P-521"),
        }
    }
}

/// A public RSA key, unchecked: it may be unusable for verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::builtins) struct RsaPublic {
    pub(in crate::builtins) n: BigUint,
    pub(in crate::builtins) e: u64,
}

/// A point of a curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::builtins) struct EcPublic {
    pub(in crate::builtins) curve: Curve,
    /// The two coordinates, each with the curve's number of bytes.
    pub(in crate::builtins) x: Vec<u8>,
    pub(in crate::builtins) y: Vec<u8>,
}

/// A public key of DSA, which is never used to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::builtins) struct DsaPublic {
    p: BigUint,
    q: BigUint,
    g: BigUint,
    y: BigUint,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::builtins) enum PublicKey {
    Rsa(RsaPublic),
    Ec(EcPublic),
    Ed25519([u8; 32]),
    Dsa(DsaPublic),
    /// A key of X25519, which is never used to sign.
    Agreement,
}

/// A private RSA key of two primes.
pub(in crate::builtins) struct RsaPrivate {
    pub(in crate::builtins) public: RsaPublic,
    pub(in crate::builtins) d: BigUint,
    pub(in crate::builtins) p: BigUint,
    pub(in crate::builtins) q: BigUint,
    pub(in crate::builtins) crt: Crt,
}

/// Precomputed values for operations with a private RSA key.
pub(in crate::builtins) struct Crt {
    pub(in crate::builtins) dp: BigUint,
    pub(in crate::builtins) dq: BigUint,
    pub(in crate::builtins) qinv: BigUint,
}

/// A private key of a curve.
pub(in crate::builtins) struct EcPrivate {
    pub(in crate::builtins) public: EcPublic,
    /// With the number of bytes of a coordinate.
    pub(in crate::builtins) d: Vec<u8>,
}

/// A private key of Ed25519.
pub(in crate::builtins) struct Ed25519Private {
    pub(in crate::builtins) seed: [u8; 32],
    pub(in crate::builtins) public: [u8; 32],
}

/// A private key.
pub(in crate::builtins) enum PrivateKey {
    Rsa(RsaPrivate),
    Ec(EcPrivate),
    Ed25519(Ed25519Private),
    /// A key of X25519, which is never used to sign.
    Agreement([u8; 32]),
}

impl RsaPublic {
    /// A key whose size is bounded.
    ///
    /// # Errors
    /// When the modulus has more than [`MODULUS_BITS`] bits, which ends the evaluation.
    pub(in crate::builtins) fn new(n: BigUint, e: u64) -> Result<Self, Failure> {
        if n.bits() > MODULUS_BITS {
            return Err(limits::exceeded("the modulus of an RSA key is too long"));
        }
        Ok(Self { n, e })
    }

    /// Go's check of a key before its use.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if !self.n.bit(0) {
            return Err(failed("crypto/rsa: public modulus is even"));
        }
        if self.e < 2 {
            return Err(failed("crypto/rsa: public exponent too small or negative"));
        }
        if self.e & 1 == 0 {
            return Err(failed("crypto/rsa: public exponent is even"));
        }
        if self.e > (1 << 31) - 1 {
            return Err(failed("crypto/rsa: public exponent too large"));
        }
        Ok(())
    }
}

impl RsaPrivate {
    /// A key from its parts, checked as in Go. The last three are used where all are present;
    /// otherwise they are computed.
    ///
    /// # Errors
    /// When the parts do not fit together; a modulus that is too long ends the evaluation.
    pub(in crate::builtins) fn new(
        public: RsaPublic,
        d: BigUint,
        p: BigUint,
        q: BigUint,
        crt: Option<Crt>,
    ) -> Result<Self, Failure> {
        if public.n.bits() > PRIVATE_MODULUS_BITS {
            return Err(limits::exceeded("the modulus of a private RSA key is too long"));
        }
        let one = BigUint::one();
        if p <= one || q <= one || d >= public.n {
            return Err(failed("crypto/rsa: invalid private key"));
        }
        let (p1, q1) = (&p - &one, &q - &one);
        let crt = match crt {
            Some(crt) => crt,
            None => {
                let qinv = (&q % &p).modinv(&p);
                let qinv = qinv.ok_or_else(|| failed("crypto/rsa: invalid CRT coefficient"))?;
                Crt { dp: &d % &p1, dq: &d % &q1, qinv }
            }
        };
        public.check()?;
        if &p * &q != public.n {
            return Err(failed("crypto/rsa: p * q != n"));
        }
        let e = BigUint::from(public.e);
        let exponents = crt.dp < p1
            && crt.dq < q1
            && (&crt.dp * &e) % &p1 == one
            && (&crt.dq * &e) % &q1 == one;
        if !exponents {
            return Err(failed("crypto/rsa: invalid CRT exponent"));
        }
        if crt.qinv >= p || (&crt.qinv * &q) % &p != one {
            return Err(failed("crypto/rsa: invalid CRT coefficient"));
        }
        for (prime, exponent, name) in [(&p1, &crt.dp, "dP"), (&q1, &crt.dq, "dQ")] {
            if &d % prime != *exponent {
                return Err(failed(&format!("crypto/rsa: d does not match {name}")));
            }
        }
        let half = public.n.bits() / 2;
        let difference = if p > q { &p - &q } else { &q - &p };
        if difference.bits() <= half.saturating_sub(100) {
            return Err(failed("crypto/rsa: |p - q| too small"));
        }
        if d.bits() <= half {
            return Err(failed("crypto/rsa: d too small"));
        }
        Ok(Self { public, d, p, q, crt })
    }
}

impl EcPublic {
    /// A point, which must be on the curve and not at infinity.
    pub(in crate::builtins) fn new(curve: Curve, x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y) = (fixed(x, curve.bytes())?, fixed(y, curve.bytes())?);
        let on_curve = match curve {
            Curve::P224 => curves::is_on_p224(&x, &y),
            Curve::P256 => curves::p256_key::is_point(&x, &y),
            Curve::P384 => curves::p384_key::is_point(&x, &y),
            Curve::P521 => curves::p521_key::is_point(&x, &y),
        };
        on_curve.then_some(Self { curve, x, y })
    }

    /// The uncompressed form.
    fn of_bytes(curve: Curve, bytes: &[u8]) -> Option<Self> {
        let (x, y) = bytes.strip_prefix(&[4])?.split_at_checked(curve.bytes())?;
        (y.len() == x.len()).then(|| Self::new(curve, x, y)).flatten()
    }
}

/// A number in a requested number of bytes: leading zeros are removed or added.
pub(in crate::builtins) fn fixed(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let excess = bytes.len().saturating_sub(length);
    let (zeros, rest) = bytes.split_at_checked(excess)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut fixed = vec![0; length - rest.len()];
    fixed.extend_from_slice(rest);
    Some(fixed)
}

/// An algorithm and its parameters.
#[derive(Debug, Clone)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: Oid,
    /// With their header; empty where there are none.
    pub(super) parameters: &'a [u8],
}

impl<'a> Algorithm<'a> {
    /// The content of an `AlgorithmIdentifier`.
    pub(super) fn of(mut content: Der<'a>) -> Result<Self, Failure> {
        let oid = content.oid().ok_or_else(|| failed("x509: malformed OID"))?;
        let parameters = if content.is_empty() {
            &[]
        } else {
            content.any().ok_or_else(|| failed("x509: malformed parameters"))?.whole
        };
        Ok(Self { oid, parameters })
    }
}

/// A `SubjectPublicKeyInfo`: its kind, and the key where Go knows the kind. With `strict`, an unknown
/// kind is an error.
pub(super) fn public_key_info(
    mut info: Der<'_>,
    strict: bool,
) -> Result<(KeyKind, Option<PublicKey>), Failure> {
    let algorithm = info.read(der::SEQUENCE);
    let algorithm =
        algorithm.ok_or_else(|| failed("x509: malformed public key algorithm identifier"))?;
    let algorithm = Algorithm::of(algorithm)?;
    let kind = KeyKind::of(&algorithm.oid);
    let bits = info.bit_string().ok_or_else(|| failed("x509: malformed subjectPublicKey"))?;
    if kind == KeyKind::Unknown && !strict {
        return Ok((kind, None));
    }
    Ok((kind, Some(public_key(&algorithm, &bits.right_aligned())?)))
}

/// A public key in PEM, of the label `PUBLIC KEY`.
pub(in crate::builtins) fn public_key_of_der(bytes: &[u8]) -> Result<PublicKey, Failure> {
    let mut rest = Der::new(bytes);
    let info = rest.read(der::SEQUENCE).ok_or_else(|| failed("asn1: structure error"))?;
    if !rest.is_empty() {
        return Err(failed("x509: trailing data after ASN.1 of public-key"));
    }
    let (_, key) = public_key_info(info, true)?;
    key.ok_or_else(|| failed("x509: unknown public key algorithm"))
}

fn public_key(algorithm: &Algorithm<'_>, bytes: &[u8]) -> Result<PublicKey, Failure> {
    let mut content = Der::new(bytes);
    match algorithm.oid.parts() {
        RSA => {
            if algorithm.parameters != der::NULL {
                return Err(failed("x509: RSA key missing NULL parameters"));
            }
            let mut numbers = content
                .read(der::SEQUENCE)
                .ok_or_else(|| failed("x509: invalid RSA public key"))?;
            let n = numbers.integer().ok_or_else(|| failed("x509: invalid RSA modulus"))?;
            let e = numbers.word(der::INTEGER);
            let e = e.ok_or_else(|| failed("x509: invalid RSA public exponent"))?;
            let n = above_zero(n)
                .ok_or_else(|| failed("x509: RSA modulus is not a positive number"))?;
            let e = u64::try_from(e).ok().filter(|e| *e > 0);
            let e =
                e.ok_or_else(|| failed("x509: RSA public exponent is not a positive number"))?;
            Ok(PublicKey::Rsa(RsaPublic::new(n, e)?))
        }
        EC => {
            let curve = Der::new(algorithm.parameters)
                .oid()
                .ok_or_else(|| failed("x509: invalid ECDSA parameters"))?;
            let curve =
                Curve::of(&curve).ok_or_else(|| failed("x509: unsupported elliptic curve"))?;
            let key = EcPublic::of_bytes(curve, bytes);
            key.map(PublicKey::Ec).ok_or_else(|| failed(&format!("{curve:?} point not on curve")))
        }
        ED25519 | X25519 => {
            let name = if algorithm.oid.is(ED25519) { "Ed25519" } else { "X25519" };
            if !algorithm.parameters.is_empty() {
                return Err(failed(&format!("x509: {name} key encoded with illegal parameters")));
            }
            let key = <[u8; 32]>::try_from(bytes)
                .map_err(|_| failed(&format!("x509: wrong {name} public key size")))?;
            Ok(if name == "Ed25519" { PublicKey::Ed25519(key) } else { PublicKey::Agreement })
        }
        DSA => {
            let y = content.integer().ok_or_else(|| failed("x509: invalid DSA public key"))?;
            let numbers = || {
                let mut parameters = Der::new(algorithm.parameters).read(der::SEQUENCE)?;
                Some((parameters.integer()?, parameters.integer()?, parameters.integer()?))
            };
            let (p, q, g) = numbers().ok_or_else(|| failed("x509: invalid DSA parameters"))?;
            let key = || {
                let (p, q, g) = (above_zero(p)?, above_zero(q)?, above_zero(g)?);
                Some(DsaPublic { p, q, g, y: above_zero(y)? })
            };
            let key = key().ok_or_else(|| failed("x509: zero or negative DSA parameter"))?;
            Ok(PublicKey::Dsa(key))
        }
        _ => Err(failed("x509: unknown public key algorithm")),
    }
}

/// The number, where it is above zero.
pub(super) fn above_zero(n: BigInt) -> Option<BigUint> {
    n.to_biguint().filter(|n| *n != BigUint::ZERO)
}

/// The key from a seed.
pub(in crate::builtins) fn ed25519(seed: [u8; 32]) -> Ed25519Private {
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    Ed25519Private { seed, public }
}

/// The public key of a private one of X25519.
pub(in crate::builtins) fn agreement_public(key: [u8; 32]) -> [u8; 32] {
    curve25519_dalek::MontgomeryPoint::mul_base_clamped(key).to_bytes()
}

/// As Go writes a public key in JSON.
pub(super) fn public_value(key: &PublicKey) -> Value {
    match key {
        PublicKey::Rsa(key) => super::object([("N", number(&key.n)), ("E", Value::from(key.e))]),
        PublicKey::Ec(key) => super::object([
            ("Curve", super::object([])),
            ("X", number(&BigUint::from_bytes_be(&key.x))),
            ("Y", number(&BigUint::from_bytes_be(&key.y))),
        ]),
        PublicKey::Ed25519(key) => super::base64_value(key),
        PublicKey::Dsa(key) => super::object([
            ("P", number(&key.p)),
            ("Q", number(&key.q)),
            ("G", number(&key.g)),
            ("Y", number(&key.y)),
        ]),
        PublicKey::Agreement => super::object([]),
    }
}

/// As Go writes a private key in JSON.
pub(super) fn private_value(key: &PrivateKey) -> Value {
    match key {
        PrivateKey::Rsa(key) => super::object([
            ("N", number(&key.public.n)),
            ("E", Value::from(key.public.e)),
            ("D", number(&key.d)),
            ("Primes", Value::from(vec![number(&key.p), number(&key.q)])),
            (
                "Precomputed",
                super::object([
                    ("Dp", number(&key.crt.dp)),
                    ("Dq", number(&key.crt.dq)),
                    ("Qinv", number(&key.crt.qinv)),
                    ("CRTValues", Value::from(Vec::<Value>::new())),
                ]),
            ),
        ]),
        PrivateKey::Ec(key) => super::object([
            ("Curve", super::object([])),
            ("X", number(&BigUint::from_bytes_be(&key.public.x))),
            ("Y", number(&BigUint::from_bytes_be(&key.public.y))),
            ("D", number(&BigUint::from_bytes_be(&key.d))),
        ]),
        PrivateKey::Ed25519(key) => {
            super::base64_value(&[key.seed.as_slice(), key.public.as_slice()].concat())
        }
        PrivateKey::Agreement(_) => super::object([]),
    }
}

fn number(n: &BigUint) -> Value {
    crate::builtins::number::integer(BigInt::from(n.clone()))
}
