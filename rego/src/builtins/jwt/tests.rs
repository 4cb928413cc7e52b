use std::time::{Duration, Instant};

use regorus::Value;

use crate::builtins::tests::table;
use crate::builtins::{Context, Failure, function};

/// The keys of the table were made with OpenSSL, the tokens and answers by OPA.
#[test]
fn tokens_are_verified_decoded_and_signed_as_opa_does() {
    table(include_str!("tests.jsonl"));
}

fn call(name: &str, args: &[Value]) -> Result<Value, Failure> {
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    function(name).unwrap()(&mut context, args)
}

fn key(text: &str) -> Value {
    let lines = include_str!("tests.jsonl").lines();
    let mut texts = lines.map(|line| crate::json::parse(line.as_bytes()).unwrap());
    let wanted = Some(Value::from(text));
    let field =
        |line: &Value, name: &str| line.as_object().unwrap().get(&Value::from(name)).cloned();
    texts.find(|line| field(line, "text") == wanted).and_then(|line| field(&line, "is")).unwrap()
}

/// Signatures of OPA with random numbers are verified by OPA and by this crate.
#[test]
fn what_is_signed_verifies_with_its_own_algorithm_alone() {
    let private = |name: &str| {
        let jwk = call("crypto.x509.parse_rsa_private_key", &[pem(name)]).unwrap();
        Value::from(crate::builtins::json::write::marshal(&jwk, None).unwrap())
    };
    for (alg, name) in [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("ES256", "root"),
        ("ES256", "p521"),
        ("ES512", "p521"),
        ("EdDSA", "leaf"),
    ] {
        let header = Value::from(format!(r#"{{"alg":"{alg}"}}"#));
        let args = [header, Value::from("{}"), private(name)];
        let token = call("io.jwt.encode_sign_raw", &args).unwrap();
        for other in [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
            "EdDSA",
        ] {
            let verify = format!("io.jwt.verify_{}", other.to_lowercase());
            let valid = call(&verify, &[token.clone(), key(&format!("{name}.pub"))]);
            assert_eq!(valid, Ok(Value::from(other == alg)), "{alg} by {verify}");
        }
    }
}

fn pem(name: &str) -> Value {
    let lines = include_str!("../crypto/tests.jsonl").lines();
    let mut texts = lines.map(|line| crate::json::parse(line.as_bytes()).unwrap());
    let wanted = Some(Value::from(format!("{name}.key")));
    let field =
        |line: &Value, name: &str| line.as_object().unwrap().get(&Value::from(name)).cloned();
    texts.find(|line| field(line, "text") == wanted).and_then(|line| field(&line, "is")).unwrap()
}

#[test]
fn a_key_signs_with_the_algorithms_of_its_kind_alone() {
    let jwk = call("crypto.x509.parse_rsa_private_key", &[pem("leaf")]).unwrap();
    let jwk = Value::from(crate::builtins::json::write::marshal(&jwk, None).unwrap());
    for alg in ["HS256", "RS256", "ES256", "none"] {
        let header = Value::from(format!(r#"{{"alg":"{alg}"}}"#));
        let answer = call("io.jwt.encode_sign_raw", &[header, Value::from("{}"), jwk.clone()]);
        assert!(matches!(answer, Err(Failure::Builtin(_))), "{alg}: {answer:?}");
    }
}

#[test]
fn a_huge_token_ends_the_evaluation() {
    let token = Value::from(format!("e30.{}.", "A".repeat(1 << 20)));
    for (name, args) in [
        ("io.jwt.decode", vec![token.clone()]),
        ("io.jwt.verify_hs256", vec![token.clone(), Value::from("secret")]),
    ] {
        assert!(matches!(call(name, &args), Err(Failure::Halt(_))), "{name}");
    }
}

#[test]
fn verification_ends_with_the_deadline() {
    let mut context = Context::new(0, Instant::now());
    let args = [Value::from("e30.e30."), key("rsa.pub")];
    let answer = function("io.jwt.verify_rs256").unwrap()(&mut context, &args);
    assert!(matches!(answer, Err(Failure::Halt(_))), "{answer:?}");
}

#[test]
fn a_token_is_signed_the_same_way_throughout_an_evaluation() {
    let jwk = call("crypto.x509.parse_rsa_private_key", &[pem("rsa")]).unwrap();
    let args = [Value::from(r#"{"alg":"PS256"}"#), Value::from("{}")];
    let jwk = Value::from(crate::builtins::json::write::marshal(&jwk, None).unwrap());
    let args = [args.as_slice(), &[jwk]].concat();
    let sign = function("io.jwt.encode_sign_raw").unwrap();
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    let (first, second) = (sign(&mut context, &args), sign(&mut context, &args));
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(first, second);
    assert_ne!(first, call("io.jwt.encode_sign_raw", &args));
}
