//! Bundles and their signatures, over a shared secret.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::bundles::bundle::BundleFile;
use crate::bundles::names::role;
use crate::config::BundleKey;
use crate::signatures::{Algorithm, VerifyingKey};

const SECRETS: [(&str, &str); 2] =
    [("one", "1123456789abcdef0123456789abcdef"), ("two", "2123456789abcdef0123456789abcdef")];

const FILES: [(&str, &str); 3] = [
    (".manifest", r#"{"revision":"r"}"#),
    ("data.json", r#"{"a":1}"#),
    ("policy.rego", "package a"),
];

fn verification(requirement: SignatureRequirement, allowed: Option<&[&str]>) -> BundleVerification {
    let keys = SECRETS.map(|(id, secret)| {
        let key = VerifyingKey::parse(Algorithm::Hs256, secret.as_bytes()).unwrap();
        (id.to_owned(), BundleKey { key, scope: String::new() })
    });
    let allowed = allowed.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    BundleVerification { requirement, keys: Arc::new(keys.into()), allowed, scope: None }
}

fn hexadecimal(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(files: &[(&str, &str)]) -> Vec<Value> {
    let file = |(name, content): &(&str, &str)| json!({"name": name, "hash": hexadecimal(content), "algorithm": "SHA-256"});
    files.iter().map(file).collect()
}

/// `.signatures.json` for these files, with the secret of a key that it names or not.
fn signatures(secret: &str, kid: Option<&str>, files: &[Value]) -> String {
    let mut header = json!({"alg": "HS256"});
    if let Some(kid) = kid {
        header["kid"] = json!(kid);
    }
    let parts = [header, json!({"files": files})];
    let signed = parts.map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed);
    let signature = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
    json!({"signatures": [format!("{signed}.{signature}")]}).to_string()
}

fn read(files: &[(&str, &str)]) -> Vec<ReadFile> {
    let file = |(path, content): &(&str, &str)| {
        let content = vec![content.as_bytes().into()];
        ReadFile {
            file: BundleFile { path: (*path).to_owned(), content },
            role: role(path).unwrap(),
        }
    };
    files.iter().map(file).collect()
}

/// Verifies files with a signature that lists others.
fn check(files: &[(&str, &str)], list: &[Value]) -> Result<(), String> {
    let signatures = signatures(SECRETS[0].1, Some("one"), list);
    let mut all = files.to_vec();
    all.push((".signatures.json", &signatures));
    let verification = verification(SignatureRequirement::Required, None);
    verify(&read(&all), None, &verification).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(files: &[(&str, &str)], list: &[Value], expected: &str) {
    let error = check(files, list).unwrap_err();
    assert!(error.contains(expected), "expected {expected:?}: {error}");
}

#[test]
fn a_signed_bundle_has_exactly_the_files_that_were_signed() {
    assert_eq!(check(&FILES, &listed(&FILES)), Ok(()));
    refused(&FILES, &listed(&FILES[1..]), ".manifest: the signature does not list this file");
    refused(&FILES[..2], &listed(&FILES), "policy.rego: the signature lists this file");
    let mut files = FILES.to_vec();
    files.push(("README.md", "not loaded, and still signed"));
    refused(&files, &listed(&FILES), "README.md: the signature does not list");
    for (index, (path, _)) in FILES.iter().enumerate() {
        let mut changed = FILES;
        changed[index].1 = "{\"b\":2}";
        refused(
            &changed,
            &listed(&FILES),
            &format!("{path}: differs from the file that was signed"),
        );
    }
    // White space in JSON is not signed; in policies it is.
    let mut spaced = FILES;
    spaced[1].1 = "\u{feff}{ \"a\" : 1 }\n";
    assert_eq!(check(&spaced, &listed(&FILES)), Ok(()));
    spaced[2].1 = "package  a";
    refused(&spaced, &listed(&FILES), "policy.rego: differs");
}

#[test]
fn digests_that_are_weak_or_unknown_are_refused() {
    for (algorithm, is_known) in [
        ("SHA-384", true),
        ("SHA-512", true),
        ("SHA-512-256", true),
        ("MD5", false),
        ("SHA-1", false),
        ("SHA-224", false),
        ("sha-256", false),
        ("", false),
    ] {
        let mut list = listed(&FILES);
        list[2]["algorithm"] = json!(algorithm);
        let expected = if is_known { "policy.rego: differs" } else { "must be SHA-256, SHA-384" };
        refused(&FILES, &list, expected);
    }
}

#[test]
fn signed_data_is_json() {
    let mut files = FILES.to_vec();
    files[1] = ("a/data.yaml", "a: 1");
    refused(&files, &listed(&files), "a/data.yaml: signed data must be JSON");
    files[1] = ("a/data.yml", r#"{"a":1}"#);
    assert_eq!(check(&files, &listed(&files)), Ok(()));
    files[1] = ("data.json", r#"{"a":}"#);
    refused(&files, &listed(&files), "data.json: cannot be read as JSON");
}

#[test]
fn an_unsigned_bundle_is_accepted_unless_it_must_be_signed() {
    let files = read(&FILES);
    assert_eq!(verify(&files, None, &verification(SignatureRequirement::Optional, None)), Ok(()));
    let required = verification(SignatureRequirement::Required, None);
    assert_eq!(verify(&files, None, &required), Err(SignatureError::Missing));
}

#[test]
fn a_signature_is_verified_also_where_it_is_optional() {
    let good = signatures(SECRETS[0].1, Some("one"), &listed(&FILES));
    let mut files = FILES.to_vec();
    files.push((".signatures.json", &good));
    files[2].1 = "package b";
    let optional = verification(SignatureRequirement::Optional, None);
    let changed = SignatureError::Differs { path: "policy.rego".into() };
    assert_eq!(verify(&read(&files), None, &optional), Err(changed));
    let nobody = BundleVerification::none();
    assert_eq!(verify(&read(&files), None, &nobody), Err(SignatureError::NoKeys));
}

#[test]
fn only_a_key_that_may_sign_the_bundle_counts() {
    let check = |secret: usize, kid, allowed| {
        let signatures = signatures(SECRETS[secret].1, kid, &listed(&FILES));
        let mut files = FILES.to_vec();
        files.push((".signatures.json", &signatures));
        verify(&read(&files), None, &verification(SignatureRequirement::Required, allowed))
    };
    let unknown = |id: &str| Err(TokenError::UnknownKey(id.into()).into());
    let wrong = |id: &str| Err(TokenError::Signature(id.into()).into());
    assert_eq!(check(0, Some("one"), None), Ok(()));
    assert_eq!(check(1, Some("two"), None), Ok(()));
    assert_eq!(check(0, Some("two"), None), wrong("two"));
    assert_eq!(check(0, Some("three"), None), unknown("three"));
    assert_eq!(check(0, None, None), Err(TokenError::NoKey.into()));
    // One key for the bundle: its name in the token does not count.
    assert_eq!(check(0, None, Some(&["one"])), Ok(()));
    assert_eq!(check(0, Some("two"), Some(&["one"])), Ok(()));
    assert_eq!(check(1, Some("two"), Some(&["one"])), wrong("one"));
    // While keys are exchanged, more than one may sign.
    assert_eq!(check(1, Some("two"), Some(&["one", "two"])), Ok(()));
    assert_eq!(check(1, None, Some(&["one", "two"])), Err(TokenError::NoKey.into()));
}

#[test]
fn a_directory_may_be_signed_by_its_name() {
    let check = |prefix: &str, directory| {
        let mut list = listed(&FILES);
        for file in &mut list {
            file["name"] = json!(format!("{prefix}{}", file["name"].as_str().unwrap()));
        }
        let signatures = signatures(SECRETS[0].1, Some("one"), &list);
        let mut files = FILES.to_vec();
        files.push((".signatures.json", &signatures));
        verify(&read(&files), directory, &verification(SignatureRequirement::Required, None))
    };
    assert_eq!(check("", Some("acme")), Ok(()));
    assert_eq!(check("acme/", Some("acme")), Ok(()));
    for (prefix, directory) in
        [("acme/", None), ("acm", Some("acme")), ("other/", Some("acme")), ("acme//", Some("acme"))]
    {
        let error = check(prefix, directory).unwrap_err();
        assert!(matches!(error, SignatureError::NotListed { .. }), "{prefix}: {error}");
    }
}
