//! Which keys are used, and what a token costs.

use serde_json::{Value, json};

use crate::access::jwt::algorithm::JwtAlgorithm;
use crate::access::jwt::keys::{KeySet, KeySetError, MAX_KEY_SET};
use crate::access::jwt::testing::*;

#[test]
fn a_key_that_is_not_for_verifying_is_not_used() {
    let [ec, rsa] =
        [JwtAlgorithm::Es256, JwtAlgorithm::Rs256].map(|it| Signer::new("k1", it).jwk());
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let small = rsa::PrivateKey::new(&mut getrandom::SysRng, 1024).unwrap();
    for (key, why) in [
        (with(&ec, "use", json!("enc")), "\"use\""),
        (with(&ec, "key_ops", json!(["sign"])), "\"key_ops\""),
        (with(&ec, "alg", json!("ES384")), "no key for its \"alg\""),
        (with(&ec, "alg", json!("HS256")), "\"alg\" is not one of"),
        (with(&rsa, "alg", json!("RSA-OAEP")), "\"alg\" is not one of"),
        (with(&ec, "d", json!("AAAA")), "private key"),
        (with(&ec, "x", json!("AAAA")), "3 bytes"),
        (with(&ec, "y", json!(null)), "has no \"y\""),
        (with(&ec, "crv", json!("secp256k1")), "is not RSA"),
        (with(&rsa, "e", json!("AQ")), "exponent"),
        (with(&rsa, "e", json!("AAAB")), "exponent"),
        (with(&rsa, "e", json!("AQAA")), "exponent"),
        (with(&rsa, "e", json!("AQAAAAE")), "exponent"),
        (with(&rsa, "n", json!("AQAB+/==")), "Base64"),
        (rsa_jwk("k1", small.as_public_key()), "1024 bits"),
        (json!({"kty": "oct", "kid": "k1", "k": "AAAA"}), "shared secret"),
        (json!({"kty": "OKP", "crv": "X25519", "x": "AAAA"}), "is not RSA"),
        (json!({"kid": "k1"}), "kty"),
        (json!("k1"), "invalid type"),
    ] {
        let set = set(std::slice::from_ref(&key));
        assert_eq!(set.len(), 0, "{key}");
        assert!(set.unused()[0].contains(why), "{key}: {:?}", set.unused());
    }
    for key in [
        with(&ec, "use", json!("sig")),
        with(&ec, "key_ops", json!(["verify"])),
        with(&rsa, "alg", json!("PS512")),
        with(&rsa, "x5c", json!(["AAAA"])),
    ] {
        assert_eq!(set(std::slice::from_ref(&key)).len(), 1, "{key}");
    }
}

#[test]
fn a_key_set_is_bounded() {
    let set = |keys: usize| {
        let key = Signer::new("k1", JwtAlgorithm::Es256).jwk();
        KeySet::parse(json!({"keys": vec![key; keys]}).to_string().as_bytes())
    };
    assert_eq!(set(100).unwrap().len(), 100);
    assert_eq!(set(101), Err(KeySetError::TooMany));
    assert_eq!(KeySet::parse(&vec![b' '; MAX_KEY_SET + 1]), Err(KeySetError::TooLarge));
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":1}"#, "<html>"] {
        let parsed = KeySet::parse(document.as_bytes());
        assert!(matches!(parsed, Err(KeySetError::NotASet(_))), "{document}: {parsed:?}");
    }
}

/// The time that a token takes the first time, and from then on. Run it in the release profile:
/// `cargo test --release -p enforcer-supervisor --lib -- --ignored --nocapture cost_of_a_token`.
#[test]
#[ignore = "it measures"]
#[expect(clippy::print_stderr, reason = "the figures are its result")]
fn the_cost_of_a_token() {
    use std::time::Instant;
    const ROUNDS: u32 = 500;
    let roles: Vec<String> =
        (0..20).map(|index| format!("role-of-another-service-{index}")).collect();
    for algorithm in JwtAlgorithm::ALL {
        let signer = Signer::new("k1", algorithm);
        let (keys, token) =
            (source(&[signer.jwk()]), signer.token(&claims_with("groups", json!(roles))));
        let issuers = issuer(&keys, rules());
        let began = Instant::now();
        for round in 0..ROUNDS {
            // Other keys, so that nothing is remembered.
            let id = format!("other-{round}");
            let mut other = signer.jwk();
            other["kid"] = json!(id);
            assert!(keys.replace(set(&[signer.jwk(), other]), at(NOW)));
        }
        let replacing = began.elapsed();
        let began = Instant::now();
        for round in 0..ROUNDS {
            let mut other = signer.jwk();
            other["kid"] = json!(format!("again-{round}"));
            assert!(keys.replace(set(&[signer.jwk(), other]), at(NOW)));
            verify(&issuers, &token).unwrap();
        }
        let first = began.elapsed().saturating_sub(replacing) / ROUNDS;
        let began = Instant::now();
        for _ in 0..ROUNDS {
            verify(&issuers, &token).unwrap();
        }
        let again = began.elapsed() / ROUNDS;
        eprintln!(
            "{}: {first:?} the first time, {again:?} again, {} bytes",
            algorithm.name(),
            token.len()
        );
    }
}
