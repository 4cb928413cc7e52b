use std::time::{Duration, Instant};

use regorus::Value;

use crate::builtins::tests::table;
use crate::builtins::{Context, Failure, function};

/// The certificates and keys of the table were made with OpenSSL, the answers by OPA.
#[test]
fn hashes_keys_and_certificates_are_what_they_are_to_opa() {
    table(include_str!("tests.jsonl"));
}

fn call(name: &str, args: &[Value]) -> Result<Value, Failure> {
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    function(name).unwrap()(&mut context, args)
}

#[test]
fn a_key_of_too_many_bits_ends_the_evaluation() {
    // An RSA key whose modulus has 2^17 bits, as a JSON Web Key.
    let key = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, "_".repeat(21_848));
    let answer = call("io.jwt.verify_rs256", &[Value::from("e30.e30."), Value::from(key)]);
    assert!(matches!(answer, Err(Failure::Halt(_))), "{answer:?}");
}

#[test]
fn too_many_certificates_end_the_evaluation() {
    let text = Value::from("A".repeat(2 << 20));
    let answer = call("crypto.x509.parse_certificates", &[text]);
    assert!(matches!(answer, Err(Failure::Halt(_))), "{answer:?}");
}

#[test]
fn no_error_has_a_part_of_a_key_in_it() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let keys = [
        format!(r#"{{"kty":"RSA","n":"{secret}","e":"{secret}","d":"{secret}!"}}"#),
        format!(r#"{{"kty":"{secret}"}}"#),
        format!(r#"{{"kty":"oct","k":"{secret}!"}}"#),
        format!(r#"{{"kty":"oct","k":"{secret}" {secret}}}"#),
        format!(r#"{{"kty":"oct","k":"{secret}","alg":"{secret}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"{secret}","d":"{secret}","x":"{secret}"}}"#),
        secret.to_owned(),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
    ];
    for key in keys {
        let key = Value::from(key);
        let (header, token) = (Value::from(r#"{"alg":"RS256"}"#), Value::from("e30.e30."));
        for (name, args) in [
            ("io.jwt.encode_sign_raw", vec![header, Value::from("{}"), key.clone()]),
            ("io.jwt.verify_rs256", vec![token, key.clone()]),
            ("crypto.parse_private_keys", vec![key.clone()]),
            ("crypto.x509.parse_rsa_private_key", vec![key.clone()]),
            ("crypto.x509.parse_keypair", vec![Value::from(""), key.clone()]),
        ] {
            let text = match call(name, &args) {
                Err(failure) => failure.to_string(),
                Ok(_) => continue,
            };
            assert!(!text.contains("c2Vjc"), "{name}: {text}");
        }
    }
}
