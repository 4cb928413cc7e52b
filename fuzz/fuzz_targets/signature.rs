//! Any bytes as a bundle's signature, as the claims of one, and as a signed document: nothing verifies
//! that the key did not sign, and a document's digest is that of its meaning.

#![no_main]

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use enforcer_supervisor::fuzzing::{canonical, verify};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use sha2::Sha256;

/// A key that signed one bundle, and its signature.
struct Signed {
    algorithm: String,
    key: String,
    files: Vec<(String, String, String)>,
}

/// What `opa sign` wrote, once with each algorithm.
static SIGNED: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let rows = include_str!("../../supervisor/src/signatures/token/opa.jsonl").lines();
    rows.map(|row| {
        let row: Value = serde_json::from_str(row).expect("the row is JSON");
        let text = |field: &str| row[field].as_str().expect("the field is a text").to_owned();
        let (algorithm, key) = (text("algorithm"), text("key"));
        let files = verify(&algorithm, key.as_bytes(), text("signatures").as_bytes());
        Signed { algorithm, key, files: files.expect("OPA signed it") }
    })
    .collect()
});

/// A secret that signs whatever the input claims, and one that nobody trusts.
const SECRETS: [&str; 2] = ["1123456789abcdef0123456789abcdef", "2123456789abcdef0123456789abcdef"];

fuzz_target!(|input: &[u8]| {
    a_token_is_from_its_key(input);
    claims_are_read_only_with_a_signature(input);
    if let Ok(text) = std::str::from_utf8(input) {
        a_digest_is_of_the_meaning(text);
    }
});

/// Keys that signed one token each verify only what that one says.
fn a_token_is_from_its_key(file: &[u8]) {
    for Signed { algorithm, key, files } in SIGNED.iter() {
        if let Ok(verified) = verify(algorithm, key.as_bytes(), file) {
            assert_eq!(&verified, files, "{algorithm}: nobody signed this");
        }
    }
}

fn claims_are_read_only_with_a_signature(claims: &[u8]) {
    let [trusted, other] = SECRETS.map(|secret| secret.as_bytes());
    let signed = hs256(trusted, claims);
    if let Ok(files) = verify("HS256", trusted, &signed) {
        let names: Vec<&String> = files.iter().map(|(name, ..)| name).collect();
        assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
    }
    assert!(verify("HS256", trusted, &hs256(other, claims)).is_err());
    // One key for each input: reading a key takes long.
    if let Some(Signed { algorithm, key, .. }) = SIGNED.get(claims.len() % SIGNED.len()) {
        // A public key is no secret, whatever the token's header says.
        let forged = hs256(key.as_bytes(), claims);
        let is_secret = algorithm == "HS256";
        assert!(is_secret || verify(algorithm, key.as_bytes(), &forged).is_err(), "{algorithm}");
    }
}

/// `.signatures.json` with these claims.
fn hs256(secret: &[u8], claims: &[u8]) -> Vec<u8> {
    let parts = [br#"{"alg":"HS256"}"#.as_slice(), claims].map(|part| BASE64URL_NOPAD.encode(part));
    let signed = parts.join(".");
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is allowed");
    let signature = BASE64URL_NOPAD.encode(&mac.chain_update(&signed).finalize().into_bytes());
    json!({"signatures": [format!("{signed}.{signature}")]}).to_string().into_bytes()
}

fn a_digest_is_of_the_meaning(text: &str) {
    let Ok(digested) = canonical(text.as_bytes()) else { return };
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    assert_eq!(value(&digested), value(text.as_bytes()), "another meaning is digested: {text}");
    let same = |other: String| {
        assert_eq!(canonical(other.as_bytes()).as_ref(), Ok(&digested), "{text}\n{other}");
    };
    same(String::from_utf8_lossy(&digested).into_owned());
    same(rewritten(text, |structure| format!(" \n{structure}\t\r"), str::to_owned));
    same(rewritten(text, str::to_owned, escaped));
    // The order of members counts as little, nor do members that another one replaces.
    let [one, two] = [
        format!(r#"{{"b":{text},"a":[{text},0]}}"#),
        format!(r#"{{"a":1,"a":[{text},0],"b":{text}}}"#),
    ]
    .map(|json| canonical(json.as_bytes()));
    // A document at the limit of depth is over it here.
    assert_eq!(one, two);
}

/// Valid JSON with its structure and the characters of its strings written in another way.
fn rewritten(
    text: &str,
    structure: impl Fn(&str) -> String,
    character: impl Fn(&str) -> String,
) -> String {
    let mut out = String::new();
    let mut is_string = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // An escape is not changed: its digits are not characters of the string.
        let length = match (is_string, first) {
            (true, '\\') if rest.as_bytes().get(1) == Some(&b'u') => 6,
            (true, '\\') => 2,
            _ => first.len_utf8(),
        };
        let (piece, behind) = rest.split_at(length);
        match first {
            '"' => {
                is_string = !is_string;
                out.push('"');
            }
            '\\' => out.push_str(piece),
            _ if is_string => out.push_str(&character(piece)),
            '{' | '}' | '[' | ']' | ',' | ':' => out.push_str(&structure(piece)),
            _ => out.push(first),
        }
        rest = behind;
    }
    out
}

/// A character as JSON's escape.
fn escaped(character: &str) -> String {
    character.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}
