//! An archive of OPA's form is a bundle as a directory is. One that is hostile, or not signed as
//! the operator says, is refused with the reason, and the last good revision serves.

use std::fs;
use std::io::Write;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::enforcer::{Bundles, Enforcer, wait_for};

/// For each algorithm a public key or a secret, and what `opa sign` wrote with it for [`SIGNED`].
const SIGNED_BY_OPA: &str = include_str!("../../supervisor/src/signatures/token/opa.jsonl");

/// The bundle that OPA signed.
const SIGNED: [(&str, &str); 4] = [
    (".manifest", "{\"revision\": \"r1\", \"roots\": [\"tenants/acme\", \"a\", \"b\"]}\n"),
    ("README.md", "notes\n"),
    ("data.json", "{\"b\": [1.50, {\"z\": \"\\u00e9<&>\", \"a\": null}], \"a\": 1e2}\n"),
    ("policy.rego", "package tenants.acme\n\nallow := true\n"),
];

/// A tar file that is written entry by entry, with any name and kind.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, content.as_bytes())
    }

    fn entry(mut self, kind: EntryType, name: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn files(mut self, files: &[(&str, &str)]) -> Self {
        for (name, content) in files {
            self = self.file(&format!("/{name}"), content);
        }
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    fn archive(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A policy whose decisions give this reason.
fn policy(tenant_id: &str, reason: &str) -> String {
    format!("package tenants[{tenant_id:?}]\n\nallow := true\n\nreason := {reason:?}\n")
}

fn good(tenant_id: &str, reason: &str) -> Tar {
    Tar::default().file("/data.json", "{}").file("/policy.rego", &policy(tenant_id, reason))
}

/// Replaces a tenant's archive at once, as an operator should.
fn put(bundles: &Path, tenant_id: &str, archive: &[u8]) {
    let new = bundles.join(format!(".{tenant_id}.new"));
    fs::write(&new, archive).unwrap();
    fs::rename(new, bundles.join(format!("{tenant_id}.tar.gz"))).unwrap();
}

/// Waits until a tenant's newest bundle is refused for this reason. An older revision serves.
#[track_caller]
fn wait_for_refusal(enforcer: &Enforcer, tenant_id: &str, reason: &str, expected: &str) {
    let tenant = wait_for(&format!("{tenant_id} to be refused: {expected}"), || {
        let tenant = enforcer.tenant(tenant_id);
        let message = tenant["last_error"]["errors"][0]["message"].as_str().unwrap_or_default();
        message.contains(expected).then_some(tenant)
    });
    assert_eq!(tenant["state"], "ready", "{tenant}");
    let stale = tenant["stale"]["reason"].as_str().unwrap_or_default();
    assert!(stale.contains("was rejected"), "{tenant}");
    assert_eq!(enforcer.reason(tenant_id), reason, "{tenant}");
}

#[test]
fn an_archive_is_found_reloaded_and_removed_as_a_directory_is() {
    let bundles = Bundles::new();
    let put = |id: &str, archive: &[u8]| put(bundles.path(), id, archive);
    put("acme", &good("acme", "first").file(".manifest", r#"{"revision":"v1.0"}"#).archive());
    let enforcer = bundles.start();
    enforcer.wait_for_reason("acme", "first");
    let tenant = enforcer.tenant("acme");
    assert_eq!(tenant["bundle_revision"], "v1.0", "{tenant}");
    assert_eq!(enforcer.get("/v1/tenants").json()["result"][0]["bundle_revision"], "v1.0");

    put("acme", &good("acme", "second").archive());
    enforcer.wait_for_reason("acme", "second");
    assert_eq!(enforcer.tenant("acme")["bundle_revision"], Value::Null);
    put("late", &good("late", "later").archive());
    wait_for("the tenant that came later", || {
        (enforcer.get("/v1/tenants/late").status == 200).then_some(())
    });
    enforcer.wait_for_reason("late", "later");

    fs::remove_file(bundles.path().join("acme.tar.gz")).unwrap();
    wait_for("the tenant to be removed", || {
        (enforcer.get("/v1/tenants/acme").status == 404).then_some(())
    });
    assert_eq!(enforcer.reason("late"), "later");
}

#[test]
fn the_same_files_are_the_same_revision_in_a_directory_and_in_an_archive() {
    let files = good("acme", "same");
    let bundles =
        Bundles::new().tenant("acme", &policy("acme", "same")).file("acme", "data.json", "{}");
    let enforcer = bundles.start();
    enforcer.wait_for_reason("acme", "same");
    let before = enforcer.tenant("acme");

    // Both at once: nobody knows which is meant.
    put(bundles.path(), "acme", &files.archive());
    wait_for_refusal(
        &enforcer,
        "acme",
        "same",
        "there is a directory and an archive of this tenant",
    );
    fs::remove_dir_all(bundles.path().join("acme")).unwrap();
    let after = wait_for("the archive to be read", || {
        Some(enforcer.tenant("acme")).filter(|tenant| tenant["stale"] == Value::Null)
    });
    assert_eq!(after["revision"], before["revision"]);
    // It is loaded already.
    assert_eq!((&after["pid"], &after["reloads"]), (&before["pid"], &before["reloads"]));
}

#[test]
fn an_archive_that_is_being_written_is_read_once_it_is_whole() {
    let archive = good("acme", "whole").archive();
    let bundles = Bundles::new();
    let path = bundles.path().join("acme.tar.gz");
    let mut file = fs::File::create(&path).unwrap();
    let (first, rest) = archive.split_at(archive.len() / 2);
    file.write_all(first).unwrap();
    let enforcer = bundles.start();
    enforcer.wait_for_log("that it is being written", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["tenant_id"] == "acme" && message.contains("the archive is being written")
    });
    assert_ne!(enforcer.tenant("acme")["state"], "rejected");
    file.write_all(rest).unwrap();
    drop(file);
    enforcer.wait_for_reason("acme", "whole");

    // One that stays truncated is refused.
    fs::write(&path, first).unwrap();
    wait_for_refusal(&enforcer, "acme", "whole", "the archive is truncated");
    fs::write(&path, &archive).unwrap();
    wait_for("the repaired archive", || {
        (enforcer.tenant("acme")["stale"] == Value::Null).then_some(())
    });
}

#[test]
fn a_large_archive_within_its_bounds_is_loaded() {
    let numbers: Vec<String> =
        (0..700_000).map(|number| format!("\"k{number}\":{number}")).collect();
    let tar = Tar::default()
        .file("data.json", &format!("{{{}}}", numbers.join(",")))
        .file("policy.rego", "package tenants.large\nallow if data.k699999 == 699999");
    // Larger than what is read at once, and its archive is not.
    assert!(tar.0.len() > 9 * 1024 * 1024);
    let archive = tar.archive();
    assert!(archive.len() < 8 * 1024 * 1024);
    let bundles = Bundles::new();
    put(bundles.path(), "large", &archive);
    let enforcer = bundles.start_with(&[("ENFORCER_LOAD_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_state("large", "ready");
    assert_eq!(enforcer.decide("large", r#"{"input":{}}"#).json()["result"]["allow"], true);
}

/// Archives that are refused, and what is said of each.
fn hostile() -> Vec<(Vec<u8>, &'static str)> {
    let whole = || good("acme", "hostile");
    let archive = whole().archive();
    let mut wrong_sum = archive.clone();
    let checksum = wrong_sum.len() - 8;
    wrong_sum[checksum] ^= 1;
    let pax = |record: &str| {
        let record = format!("{} {record}\n", record.len() + 4);
        assert!((10..100).contains(&record.len()));
        Tar::default().entry(EntryType::XHeader, "x", record.as_bytes()).file("a.rego", "")
    };
    let mut entries = Tar::default();
    for index in 0..100_000 {
        entries = entries.entry(EntryType::Directory, &format!("d{index}"), b"");
    }
    let spaces = "x".repeat(64 * 1024 * 1024);
    let name = "x".repeat(90);
    let deep = "d/".repeat(40) + "x.rego";
    let long_name = format!("{}.rego", "x".repeat(600));
    let mut many_files = Tar::default();
    for index in 0..4097 {
        many_files = many_files.file(&format!("{index}.rego"), "");
    }
    vec![
        (archive[..archive.len() / 2].to_vec(), "the archive is truncated"),
        (wrong_sum, "the archive is damaged"),
        (b"this is no archive".to_vec(), "the archive is damaged"),
        (whole().end(), "the archive is damaged"),
        ([archive.clone(), b"trailing garbage".to_vec()].concat(), "the archive is damaged"),
        ([archive.clone(), archive.clone()].concat(), "the archive goes on behind its end"),
        (
            Tar::default().file("data.json", &spaces).archive(),
            "unpacks to more than 250 times its size",
        ),
        (entries.archive(), "more than 16384 entries"),
        (many_files.archive(), "more than 4096 files"),
        (
            whole().file("../../outside.rego", "").archive(),
            "../../outside.rego: the name has . or ..",
        ),
        (
            whole().file("//absolute.rego", "").archive(),
            "//absolute.rego: the name has an empty part",
        ),
        (whole().file("a/../b.rego", "").archive(), "a/../b.rego: the name has . or .."),
        (whole().file("a\nb.rego", "").archive(), "holds control characters"),
        (whole().entry(EntryType::Symlink, "s.rego", b"").archive(), "s.rego: is a symbolic link"),
        (whole().entry(EntryType::Link, "h.rego", b"").archive(), "h.rego: is a hard link"),
        (whole().entry(EntryType::Char, "c", b"").archive(), "c: is a device"),
        (whole().entry(EntryType::Block, "b", b"").archive(), "b: is a device"),
        (whole().entry(EntryType::Fifo, "f", b"").archive(), "f: is a FIFO"),
        (whole().entry(EntryType::GNUSparse, "sp", b"").archive(), "sp: is a sparse file"),
        (whole().file("policy.rego", "").archive(), "policy.rego: comes twice"),
        (whole().file("data.json/x.rego", "").archive(), "data.json: is a file and a directory"),
        (pax("size=0").archive(), "the record size is not supported"),
        (pax("path=/../x.rego").archive(), "/../x.rego: the name has . or .."),
        (pax("GNU.sparse.map=0,1").archive(), "the record GNU.sparse.map is not supported"),
        (
            Tar::default()
                .entry(EntryType::GNULongName, "L", long_name.as_bytes())
                .file("x", "")
                .archive(),
            "longer than 512 bytes",
        ),
        (
            Tar::default().entry(EntryType::XHeader, "x", name.repeat(100).as_bytes()).archive(),
            "larger than 8192 bytes",
        ),
        (whole().file(&deep, "").archive(), "more than 16 directories deep"),
        (whole().file("patch.json", "{}").archive(), "delta bundles are not supported"),
        (whole().file(".manifest.pb", "").archive(), "a manifest in Protocol Buffers"),
        (
            whole().file("lib/.signatures.json", "{}").archive(),
            "the signature must be in the bundle's root",
        ),
        (whole().file(".signatures.json", "{}").archive(), "no key is configured to verify it"),
        (
            whole().file(".manifest", r#"{"roots":["a"]}"#).archive(),
            "manifest roots [a] do not permit 'package tenants.acme' in module 'policy.rego'",
        ),
        (whole().file(".manifest", r#"{"wasm":[{"entrypoint":"a"}]}"#).archive(), "WebAssembly"),
        (
            whole().file("other.rego", "package tenants.other").archive(),
            "must be tenants.acme or below it",
        ),
    ]
}

#[test]
fn a_hostile_archive_is_refused_and_the_last_good_revision_serves() {
    let bundles = Bundles::new();
    put(bundles.path(), "acme", &good("acme", "good").archive());
    put(bundles.path(), "innocent", &good("innocent", "untouched").archive());
    let enforcer = bundles.start();
    enforcer.wait_for_reason("acme", "good");
    enforcer.wait_for_reason("innocent", "untouched");
    let innocent = enforcer.tenant("innocent");
    for (archive, expected) in hostile() {
        put(bundles.path(), "acme", &archive);
        wait_for_refusal(&enforcer, "acme", "good", expected);
    }
    let after = enforcer.tenant("innocent");
    assert_eq!((&after["pid"], &after["restarts"]), (&innocent["pid"], &innocent["restarts"]));
    put(bundles.path(), "acme", &good("acme", "repaired").archive());
    enforcer.wait_for_reason("acme", "repaired");
}

#[test]
fn files_that_decide_nothing_are_named_and_not_loaded() {
    let bundles = Bundles::new();
    let tar = good("acme", "good")
        .file("/policy.wasm", "\0asm")
        .file("/plan.json", "{}")
        .file("/.git/hook.rego", "not Rego")
        .entry(EntryType::XGlobalHeader, "pax_global_header", b"16 comment=5f3a\n");
    put(bundles.path(), "acme", &tar.archive());
    let enforcer = bundles.start();
    enforcer.wait_for_reason("acme", "good");
    let ignored = json!([".git/hook.rego", "plan.json", "policy.wasm"]);
    assert_eq!(enforcer.tenant("acme")["ignored_files"], ignored);
}

#[test]
fn an_archive_whose_name_is_no_tenant_is_reported_and_left_alone() {
    let bundles = Bundles::new();
    put(bundles.path(), "acme", &good("acme", "good").archive());
    put(bundles.path(), "no tenant", &good("acme", "good").archive());
    let enforcer = bundles.start();
    enforcer.wait_for_log("the report", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "ERROR" && message.contains("\"no tenant.tar.gz\"")
    });
    enforcer.wait_for_reason("acme", "good");
    assert_eq!(enforcer.get("/v1/tenants").json()["result"].as_array().unwrap().len(), 1);
}

/// What OPA signed with an algorithm: the key's text, and `.signatures.json`.
pub(crate) fn signed_by_opa(algorithm: &str) -> (String, String) {
    let rows = SIGNED_BY_OPA.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let row = rows.into_iter().find(|row| row["algorithm"] == algorithm).unwrap();
    let text = |field: &str| row[field].as_str().unwrap().to_owned();
    (text("key"), text("signatures"))
}

/// A configuration file with keys, in a directory of its own.
fn configured(settings: &str, keys: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut text = settings.to_owned();
    for (algorithm, key) in keys {
        let table = format!(
            "\n[bundle_keys.{algorithm}]\nalgorithm = {algorithm:?}\nkey = \"{algorithm}.key\"\n"
        );
        text.push_str(&table);
        fs::write(directory.path().join(format!("{algorithm}.key")), key).unwrap();
    }
    fs::write(directory.path().join("enforcer.toml"), text).unwrap();
    directory
}

fn start_configured(bundles: &Bundles, config: &tempfile::TempDir) -> Enforcer {
    let path = config.path().join("enforcer.toml");
    bundles.start_with(&[("ENFORCER_CONFIG", path.to_str().unwrap())])
}

fn signed_archive(signatures: &str) -> Vec<u8> {
    Tar::default().files(&SIGNED).file("/.signatures.json", signatures).archive()
}

#[test]
fn bundles_that_opa_signed_are_accepted_with_every_algorithm() {
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256",
        "HS384", "HS512",
    ];
    for algorithm in algorithms {
        let (key, signatures) = signed_by_opa(algorithm);
        let config = configured("bundle_signature = \"required\"\n", &[(algorithm, &key)]);
        let bundles = Bundles::new();
        put(bundles.path(), "acme", &signed_archive(&signatures));
        let enforcer = start_configured(&bundles, &config);
        let tenant = enforcer.wait_for_state("acme", "ready");
        assert_eq!(tenant["bundle_revision"], "r1", "{algorithm}: {tenant}");
        assert_eq!(tenant["ignored_files"], json!(["README.md"]), "{algorithm}: {tenant}");
        assert_eq!(enforcer.decide("acme", r#"{"input":{}}"#).json()["result"]["allow"], true);
    }
}

#[test]
fn a_signed_directory_is_verified_too() {
    let (key, signatures) = signed_by_opa("ES256");
    let config = configured("bundle_signature = \"required\"\n", &[("ES256", &key)]);
    let mut bundles = Bundles::new();
    for (path, content) in SIGNED {
        bundles = bundles.file("acme", path, content);
    }
    let bundles = bundles.file("acme", ".signatures.json", &signatures);
    let enforcer = start_configured(&bundles, &config);
    enforcer.wait_for_state("acme", "ready");
    let refused = |expected: &str| {
        let refused = || {
            let tenant = enforcer.tenant("acme");
            let message = tenant["last_error"]["errors"][0]["message"].as_str()?.to_owned();
            message.contains(expected).then_some(())
        };
        wait_for(expected, refused);
        assert_eq!(enforcer.decide("acme", r#"{"input":{}}"#).json()["result"]["allow"], true);
    };
    bundles.write("acme", "README.md", "other notes");
    refused("README.md: differs from the file that was signed");
    bundles.write("acme", "README.md", SIGNED[1].1);
    bundles.write("acme", ".hidden", "");
    refused(".hidden: the signature does not list this file");
    fs::remove_file(bundles.path().join("acme/.hidden")).unwrap();
    bundles.write("acme", "extra.rego", "package tenants.acme\nallow := true");
    refused("extra.rego: the signature does not list this file");
    fs::remove_file(bundles.path().join("acme/extra.rego")).unwrap();
    fs::remove_file(bundles.path().join("acme/.signatures.json")).unwrap();
    refused("the bundle is not signed");
    bundles.write("acme", ".signatures.json", &signatures);
    wait_for("the repaired bundle", || {
        (enforcer.tenant("acme")["stale"] == Value::Null).then_some(())
    });
}

/// `.signatures.json` for files, by an HMAC with a secret under any header.
fn forged(secret: &[u8], header: &Value, claims: &Value) -> String {
    let parts = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
    let signed = parts.join(".");
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed);
    let signature = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
    json!({"signatures": [format!("{signed}.{signature}")]}).to_string()
}

/// The claims for files, with their digests as bytes.
fn claims(files: &[(&str, &str)]) -> Value {
    let hexadecimal = |text: &str| -> String {
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let file = |(name, content): &(&str, &str)| json!({"name": name, "hash": hexadecimal(content), "algorithm": "SHA-256"});
    json!({"files": files.iter().map(file).collect::<Vec<_>>()})
}

#[test]
fn a_bundle_whose_signature_is_not_right_is_refused_and_the_last_good_revision_serves() {
    let (rsa, signatures) = signed_by_opa("RS256");
    let (secret, by_secret) = signed_by_opa("HS256");
    let (_, by_other_key) = signed_by_opa("ES256");
    let settings = "bundle_signature = \"required\"\n[tenants.acme]\nbundle_key = \"RS256\"\n";
    let config = configured(settings, &[("RS256", &rsa), ("HS256", &secret)]);
    let bundles = Bundles::new();
    put(bundles.path(), "acme", &signed_archive(&signatures));
    let enforcer = start_configured(&bundles, &config);
    enforcer.wait_for_state("acme", "ready");
    let revision = enforcer.tenant("acme")["revision"].clone();

    let token: Value = serde_json::from_str(&signatures).unwrap();
    let token = token["signatures"][0].as_str().unwrap().to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    let two = json!({"signatures": [token, token]}).to_string();
    let unsigned = json!({"signatures": [format!("{none}.{}.", parts[1])]}).to_string();
    let other_claims = BASE64URL_NOPAD.encode(claims(&SIGNED).to_string().as_bytes());
    let other_claims =
        json!({"signatures": [format!("{}.{other_claims}.{}", parts[0], parts[2])]}).to_string();
    let with_public_key = |header| forged(rsa.as_bytes(), &header, &claims(&SIGNED));
    let with = |files: &[(&str, &str)]| {
        Tar::default().files(files).file(".signatures.json", &signatures).archive()
    };
    let mut extra = SIGNED.to_vec();
    extra.push(("extra.rego", "package tenants.acme\nallow := false"));
    let mut ignored = SIGNED.to_vec();
    ignored.push(("notes.txt", ""));
    let mut changed = SIGNED;
    changed[3].1 = "package tenants.acme\n\nallow := false\n";
    let mut data = SIGNED;
    data[2].1 = r#"{"b": [1.5, {"z": "é<&>", "a": null}], "a": 1e2}"#;
    for (archive, expected) in [
        (Tar::default().files(&SIGNED).archive(), "the bundle is not signed"),
        (signed_archive(&by_other_key), "the key is for RS256, and the token says \"ES256\""),
        (signed_archive(&by_secret), "the key is for RS256, and the token says \"HS256\""),
        (signed_archive(&unsigned), "the key is for RS256, and the token says \"none\""),
        (signed_archive(&with_public_key(json!({"alg": "HS256"}))), "the token says \"HS256\""),
        (
            signed_archive(&with_public_key(json!({"alg": "RS256"}))),
            "the signature is not by the key \"RS256\"",
        ),
        (signed_archive(&other_claims), "the signature is not by the key \"RS256\""),
        (signed_archive(&two), "must have exactly one token, and has 2"),
        (signed_archive("{}"), "must have exactly one token, and has 0"),
        (signed_archive("no JSON"), ".signatures.json: cannot be read"),
        (with(&extra), "extra.rego: the signature does not list this file"),
        (with(&ignored), "notes.txt: the signature does not list this file"),
        (
            with(&SIGNED[..3]),
            "policy.rego: the signature lists this file, and it is not in the bundle",
        ),
        (with(&changed), "policy.rego: differs from the file that was signed"),
        (with(&data), "data.json: differs from the file that was signed"),
    ] {
        put(bundles.path(), "acme", &archive);
        let tenant = wait_for(expected, || {
            let tenant = enforcer.tenant("acme");
            let message = tenant["last_error"]["errors"][0]["message"].as_str()?.to_owned();
            message.contains(expected).then_some(tenant)
        });
        assert_eq!((&tenant["state"], &tenant["revision"]), (&json!("ready"), &revision));
        assert_eq!(enforcer.decide("acme", r#"{"input":{}}"#).json()["result"]["allow"], true);
    }
}

#[test]
fn a_signature_for_another_scope_is_refused() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = configured("bundle_scope = \"write\"\n", &[("HS256", secret)]);
    let signed = |scope: &str| {
        let policy = policy("acme", scope);
        let files = [("policy.rego", policy.as_str())];
        let mut claims = claims(&files);
        claims["scope"] = json!(scope);
        claims["keyid"] = json!("HS256");
        let signatures = forged(secret.as_bytes(), &json!({"alg": "HS256"}), &claims);
        Tar::default().files(&files).file(".signatures.json", &signatures).archive()
    };
    let bundles = Bundles::new();
    put(bundles.path(), "acme", &signed("write"));
    let enforcer = start_configured(&bundles, &config);
    enforcer.wait_for_reason("acme", "write");
    put(bundles.path(), "acme", &signed("read"));
    wait_for_refusal(&enforcer, "acme", "write", "the scope must be \"write\", and is \"read\"");
}
