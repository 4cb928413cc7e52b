//! Tokens that OPA signed, and what is made of them by somebody without the key.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;
use crate::signatures::DigestAlgorithm;

/// For each algorithm: the public key or the secret, and what `opa sign` wrote for one bundle.
const SIGNED_BY_OPA: &str = include_str!("opa.jsonl");

struct Signed {
    algorithm: Algorithm,
    key: String,
    file: String,
}

fn signed_by_opa() -> Vec<Signed> {
    let rows = SIGNED_BY_OPA.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    rows.map(|row| Signed {
        algorithm: text(&row, "algorithm").parse().unwrap(),
        key: text(&row, "key"),
        file: text(&row, "signatures"),
    })
    .collect()
}

fn verify(file: &str, algorithm: Algorithm, key: &str) -> Result<SignedFiles, TokenError> {
    let key = VerifyingKey::parse(algorithm, key.as_bytes()).unwrap();
    Token::read(file.as_bytes())?.verify("k", &key, "")
}

/// The file with its token's parts replaced.
fn with_parts(file: &str, change: impl Fn(&mut Vec<String>)) -> String {
    let mut file: Value = serde_json::from_str(file).unwrap();
    let token = file["signatures"][0].as_str().unwrap();
    let mut parts = token.split('.').map(str::to_owned).collect();
    change(&mut parts);
    file["signatures"][0] = json!(parts.join("."));
    file.to_string()
}

/// A token with these header and claims, signed with a secret.
fn hs256(secret: &[u8], header: &str, claims: &str) -> String {
    let parts = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    let signed = parts.join(".");
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed);
    let signature = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
    json!({"signatures": [format!("{signed}.{signature}")]}).to_string()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn tokens_of_every_algorithm_of_opa_are_verified() {
    let signed = signed_by_opa();
    let algorithms: Vec<Algorithm> = signed.iter().map(|row| row.algorithm).collect();
    assert_eq!(algorithms, Algorithm::ALL);
    for Signed { algorithm, key, file } in signed {
        let files = verify(&file, algorithm, &key).unwrap();
        let names: Vec<&String> = files.keys().collect();
        assert_eq!(names, [".manifest", "README.md", "data.json", "policy.rego"], "{algorithm}");
        assert!(files.values().all(|file| file.algorithm == "SHA-256"));
    }
}

#[test]
fn the_digests_are_those_of_opa() {
    let row = &signed_by_opa()[0];
    let files = verify(&row.file, row.algorithm, &row.key).unwrap();
    let hexadecimal =
        |digest: Box<[u8]>| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of_json =
        |text: &str| hexadecimal(DigestAlgorithm::Sha256.of_json(text.as_bytes()).unwrap());
    let data = r#"{"b": [1.50, {"z": "\u00e9<&>", "a": null}], "a": 1e2}"#;
    assert_eq!(of_json(data), files["data.json"].hash);
    let manifest = r#"{"revision": "r1", "roots": ["tenants/acme", "a", "b"]}"#;
    assert_eq!(of_json(manifest), files[".manifest"].hash);
    let notes = [b"no".as_slice(), b"tes\n"];
    let digest = DigestAlgorithm::Sha256.of_bytes(notes.into_iter());
    assert_eq!(hexadecimal(digest), files["README.md"].hash);
}

#[test]
fn a_token_that_somebody_changed_is_refused() {
    for Signed { algorithm, key, file } in signed_by_opa() {
        let claims = BASE64URL_NOPAD.encode(br#"{"files":[]}"#);
        let other_claims = with_parts(&file, |parts| parts[1].clone_from(&claims));
        let expected = Err(TokenError::Signature("k".into()));
        assert_eq!(verify(&other_claims, algorithm, &key), expected, "{algorithm}");
        for signature in ["", "AAAA"] {
            let file = with_parts(&file, |parts| signature.clone_into(&mut parts[2]));
            assert_eq!(verify(&file, algorithm, &key), expected, "{algorithm}");
        }
        let none = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
        let unsigned = with_parts(&file, |parts| {
            parts[0].clone_from(&none);
            parts[2].clear();
        });
        let error = verify(&unsigned, algorithm, &key).unwrap_err();
        assert_eq!(error, TokenError::Algorithm { key: algorithm, token: "none".into() });
    }
}

#[test]
fn the_key_decides_the_algorithm_and_not_the_token() {
    let rows = signed_by_opa();
    let rsa = rows.iter().find(|row| row.algorithm == Algorithm::Rs256).unwrap();
    // The public key, which everybody may know, as the secret of an HMAC.
    let file = hs256(rsa.key.as_bytes(), r#"{"alg":"HS256"}"#, r#"{"files":[]}"#);
    let error = verify(&file, Algorithm::Rs256, &rsa.key).unwrap_err();
    let expected = TokenError::Algorithm { key: Algorithm::Rs256, token: "HS256".into() };
    assert_eq!(error, expected);
    // The same header as the key's algorithm does not help either.
    let file = hs256(rsa.key.as_bytes(), r#"{"alg":"RS256"}"#, r#"{"files":[]}"#);
    let error = verify(&file, Algorithm::Rs256, &rsa.key).unwrap_err();
    assert_eq!(error, TokenError::Signature("k".into()));
    // No algorithm's tokens are accepted by a key for another one.
    for row in &rows {
        for other in rows.iter().filter(|other| other.algorithm != row.algorithm) {
            assert!(verify(&row.file, other.algorithm, &other.key).is_err());
        }
    }
}

#[test]
fn the_scope_must_be_the_key_s() {
    let key = VerifyingKey::parse(Algorithm::Hs256, SECRET.as_bytes()).unwrap();
    let scoped = |claims: &str, scope: &str| {
        let file = hs256(SECRET.as_bytes(), r#"{"alg":"HS256"}"#, claims);
        Token::read(file.as_bytes()).unwrap().verify("k", &key, scope).map(|_| ())
    };
    assert_eq!(scoped(r#"{"files":[],"scope":"write"}"#, "write"), Ok(()));
    assert_eq!(scoped(r#"{"files":[]}"#, ""), Ok(()));
    for (claims, scope) in [
        (r#"{"files":[],"scope":"read"}"#, "write"),
        (r#"{"files":[],"scope":"write"}"#, ""),
        (r#"{"files":[]}"#, "write"),
    ] {
        assert!(matches!(scoped(claims, scope), Err(TokenError::Scope { .. })), "{claims}");
    }
}

#[test]
fn a_token_in_another_form_is_refused() {
    let token = |header: &str, claims: &str| {
        verify(&hs256(SECRET.as_bytes(), header, claims), Algorithm::Hs256, SECRET).unwrap_err()
    };
    let good = r#"{"alg":"HS256"}"#;
    let error = token(r#"{"alg":"HS256","crit":["exp"]}"#, r#"{"files":[]}"#);
    assert_eq!(error, TokenError::Critical);
    for header in
        ["", "{}", "[]", r#"["HS256"]"#, r#"{"alg":1}"#, r#"{"alg":"HS256","alg":"none"}"#]
    {
        assert!(matches!(token(header, "{}"), TokenError::Header(_)), "{header}");
    }
    for claims in [
        "",
        "[]",
        r#"{"files":{}}"#,
        r#"{"files":[{"name":"a"}]}"#,
        r#"{"files":[],"files":[]}"#,
        r#"{"files":[],"scope":1}"#,
    ] {
        assert!(matches!(token(good, claims), TokenError::Claims(_)), "{claims}");
    }
    let file = json!({"name": "a", "hash": "", "algorithm": "SHA-256"});
    let twice = json!({"files": [file, file]}).to_string();
    assert_eq!(token(good, &twice), TokenError::Twice("a".into()));
    let many: Vec<Value> = (0..=MAX_LISTED_FILES)
        .map(|name| json!({"name": name.to_string(), "hash": "", "algorithm": "SHA-256"}))
        .collect();
    assert_eq!(token(good, &json!({"files": many}).to_string()), TokenError::TooManyFiles);
    // Unknown claims are skipped at any depth, without recursion.
    let deep = format!("{{\"files\":[],\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        verify(&hs256(SECRET.as_bytes(), good, &deep), Algorithm::Hs256, SECRET),
        Ok(SignedFiles::new())
    );

    let read = |file: &str| Token::read(file.as_bytes()).unwrap_err();
    assert!(matches!(read("not JSON"), TokenError::NotJson(_)));
    assert_eq!(read("{}"), TokenError::Count(0));
    assert_eq!(read(r#"{"signatures":[]}"#), TokenError::Count(0));
    assert_eq!(read(r#"{"signatures":["a.b.c","a.b.c"]}"#), TokenError::Count(2));
    let plugin = r#"{"signatures":["a.b.c"],"plugin":"custom"}"#;
    assert_eq!(read(plugin), TokenError::Plugin("custom".into()));
    for parts in ["", "a", "a.b", "a.b.c.d", "*.b.c", "YQ==.YQ.YQ"] {
        let file = json!({"signatures": [parts]}).to_string();
        assert!(matches!(read(&file), TokenError::NotCompact | TokenError::Header(_)), "{parts}");
    }
    let large = vec![b' '; usize::try_from(MAX_SIGNATURES_FILE).unwrap() + 1];
    assert_eq!(Token::read(&large).unwrap_err(), TokenError::TooLarge);
}

#[test]
fn a_token_names_its_key_in_the_header_or_in_the_older_claim() {
    let key = |header: &str, claims: &str| {
        let file = hs256(SECRET.as_bytes(), header, claims);
        Token::read(file.as_bytes()).unwrap().key().map(str::to_owned)
    };
    let in_header = r#"{"alg":"HS256","kid":"a"}"#;
    assert_eq!(key(in_header, r#"{"keyid":"b"}"#).as_deref(), Some("a"));
    assert_eq!(key(r#"{"alg":"HS256","kid":""}"#, r#"{"keyid":"b"}"#).as_deref(), Some("b"));
    assert_eq!(key(r#"{"alg":"HS256"}"#, "{}"), None);
}

#[test]
fn keys_that_are_none_for_their_algorithm_are_refused() {
    let rows = signed_by_opa();
    let key_of = |algorithm| &rows.iter().find(|row| row.algorithm == algorithm).unwrap().key;
    for (algorithm, content, expected) in [
        (Algorithm::Rs256, "secret", "a public key in PEM"),
        (
            Algorithm::Rs256,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "private key",
        ),
        (
            Algorithm::Rs256,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "certificate",
        ),
        (Algorithm::Rs256, key_of(Algorithm::Es256), "a public RSA key"),
        (Algorithm::Ps512, key_of(Algorithm::Es256), "a public RSA key"),
        (Algorithm::Es256, key_of(Algorithm::Rs256), "a public P-256 key"),
        (Algorithm::Es384, key_of(Algorithm::Es256), "a public P-384 key"),
        (Algorithm::Es512, key_of(Algorithm::Es384), "a public P-521 key"),
        (Algorithm::Hs256, &SECRET[1..], "at least 32 bytes"),
        (Algorithm::Hs384, SECRET, "at least 48 bytes"),
        (Algorithm::Hs512, SECRET, "at least 64 bytes"),
    ] {
        let error = VerifyingKey::parse(algorithm, content.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{algorithm}: {error}");
    }
}

#[test]
fn a_short_rsa_key_is_refused() {
    let key = include_str!("rsa1024.pem");
    let error = VerifyingKey::parse(Algorithm::Rs256, key.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("at least 2048 bits"), "{error}");
}

#[test]
fn a_key_is_not_printed() {
    let key = VerifyingKey::parse(Algorithm::Hs256, SECRET.as_bytes()).unwrap();
    assert!(!format!("{key:?}").contains("0123"));
}
