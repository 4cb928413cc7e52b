//! The curves of NIST: their points, and ECDSA on them.

use num_bigint::BigUint;

/// A curve's functions; the curves' crates have the same names.
macro_rules! curve {
    ($name:ident, $curve:ident) => {
        pub(super) mod $name {
            use $curve::PublicKey;
            use $curve::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
            use $curve::ecdsa::{Signature, SigningKey, VerifyingKey};

            fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
                [&[4], x, y].concat()
            }

            /// Whether these are the coordinates of a point.
            pub(in super::super) fn is_point(x: &[u8], y: &[u8]) -> bool {
                PublicKey::from_sec1_bytes(&uncompressed(x, y)).is_ok()
            }

            /// The coordinates of the public key of a private one.
            pub(in super::super) fn public(d: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
                let key = SigningKey::from_slice(d).ok()?;
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes().get(1..)?.split_at_checked(d.len())?;
                Some((x.to_vec(), y.to_vec()))
            }

            pub(in super::super) fn verify(
                x: &[u8],
                y: &[u8],
                digest: &[u8],
                signature: &[u8],
            ) -> bool {
                let Ok(key) = VerifyingKey::from_sec1_bytes(&uncompressed(x, y)) else {
                    return false;
                };
                let Ok(signature) = Signature::from_slice(signature) else { return false };
                key.verify_prehash(digest, &signature).is_ok()
            }

            pub(in super::super) fn sign(d: &[u8], digest: &[u8]) -> Option<Vec<u8>> {
                let key = SigningKey::from_slice(d).ok()?;
                let signature: Signature = key.sign_prehash(digest).ok()?;
                Some(signature.to_bytes().to_vec())
            }
        }
    };
}
curve!(p256_key, p256);
curve!(p384_key, p384);
curve!(p521_key, p521);

/// Whether these are the coordinates of a point of P-224. Certificates may have such keys; they are
/// never used for computations.
pub(super) fn is_on_p224(x: &[u8], y: &[u8]) -> bool {
    let p = (BigUint::from(1_u8) << 224) - (BigUint::from(1_u8) << 96) + 1_u8;
    let b = BigUint::parse_bytes(b"b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4", 16);
    let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
    if x >= p || y >= p {
        return false;
    }
    let minus_three_x = (&p - (3_u8 * &x) % &p) % &p;
    (&y * &y) % &p == (&x * &x * &x + minus_three_x + b.unwrap_or_default()) % &p
}
