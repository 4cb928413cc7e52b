//! A broken bundle affects only its own tenant: the error says what is wrong and where, and the
//! others serve.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::symlink;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};

const GOOD: &str = "package tenants[TENANT]\nallow := true";

/// Asserts that a tenant is rejected for this reason at this place, and that every interface says
/// so.
fn assert_rejected(enforcer: &Enforcer, tenant_id: &str, message: &str, location: Option<Value>) {
    let tenant = enforcer.wait_for_state(tenant_id, "rejected");
    let error = &tenant["last_error"]["errors"][0];
    assert!(error["message"].as_str().unwrap().contains(message), "{tenant_id}: {tenant}");
    assert_eq!(error.get("location"), location.as_ref(), "{tenant_id}: {tenant}");
    assert_eq!((&tenant["pid"], &tenant["revision"]), (&Value::Null, &Value::Null), "{tenant}");

    enforcer.decide(tenant_id, r#"{"input":{}}"#).assert_error(503, "tenant_unavailable");
    let line = enforcer.wait_for_log("the rejection's line", |line| {
        line["level"] == "ERROR" && line["tenant_id"] == tenant_id
    });
    assert!(line["message"].as_str().unwrap().contains(message), "{line}");
    let place = location.unwrap_or_default();
    for part in ["file", "row", "col"] {
        assert_eq!(
            line.get(part).unwrap_or(&Value::Null),
            place.get(part).unwrap_or(&Value::Null),
            "{line}"
        );
    }
}

#[test]
fn a_broken_bundle_is_rejected_with_its_place_and_the_others_serve() {
    let at = |file: &str, row: u32, col: u32| Some(json!({"file": file, "row": row, "col": col}));
    let bundles = Bundles::new()
        .tenant("innocent", ECHO)
        .tenant("syntax", "package tenants[TENANT]\n\nallow if {\n\tinput.x ==\n}\n")
        .tenant("unsafe", "package tenants[TENANT]\nallow if x == 1")
        .tenant("foreign", "# A comment before it.\npackage tenants.innocent\nallow := true")
        .tenant("outside", "package system.authz\nallow := true")
        .tenant("v0", "package tenants[TENANT]\nallow { true }")
        .tenant("empty", "")
        .file("no-policy", "data.json", "{}")
        .tenant("data-array", GOOD)
        .file("data-array", "data.json", "[1]")
        .tenant("data-tenants", GOOD)
        .file("data-tenants", "data.json", "{\"tenants\": {\"innocent\": {\"allow\": true}}}")
        .tenant("data-syntax", GOOD)
        .file("data-syntax", "data.json", "{\n  \"a\": 1,\n}")
        .tenant("data-deep", GOOD)
        .file("data-deep", "data.json", &"[".repeat(100_000))
        .tenant("nul", "package tenants[TENANT]\nallow := true\n\0\nallow := false")
        .tenant("defaults", "package tenants[TENANT]\ndefault allow := false")
        .file("defaults", "z.rego", "package tenants[TENANT]\n\ndefault allow := true")
        .tenant("overlap", GOOD)
        .file("overlap", "z.rego", "package tenants[TENANT].allow\nx := 1")
        .tenant("kinds", "package tenants[TENANT]\nallow := true\nallow(_) := true")
        .tenant("recursion", "package tenants[TENANT]\nallow if count(data) > 0")
        .tenant("typo", "package tenants[TENANT]\nallow if not startwith(input.x, \"a\")")
        .tenant("network", "package tenants[TENANT]\nallow if http.send(input).status_code == 200")
        .tenant("types", "package tenants[TENANT]\nallow if count(7) == 1")
        .tenant("late-unsafe", "package tenants[TENANT]\nallow := x if true")
        .tenant("data-number", GOOD)
        .file("data-number", "data.json", "{\"a\": 0.1234567890123456789}")
        .tenant("data-twice", GOOD)
        .file("data-twice", "data.json", "{\"a\": {\"b\": 1}}")
        .file("data-twice", "a/data.yaml", "b: 2")
        .tenant("metadata", GOOD)
        .file("metadata", "metadata.json", "{\"version\": 2}");
    let latin1 = bundles.path().join("latin1");
    fs::create_dir(&latin1).unwrap();
    fs::write(latin1.join("policy.rego"), b"package tenants.latin1\n# \xe9\n").unwrap();
    let link = bundles.path().join("link");
    fs::create_dir(&link).unwrap();
    symlink("../innocent/policy.rego", link.join("policy.rego")).unwrap();

    let enforcer = bundles.start();
    for (tenant_id, message, location) in [
        ("syntax", "unexpected } token", at("policy.rego", 5, 1)),
        ("unsafe", "var x is unsafe", at("policy.rego", 2, 10)),
        ("foreign", "must be tenants.foreign or below it", at("policy.rego", 2, 1)),
        ("outside", "must be tenants.outside or below it", at("policy.rego", 1, 1)),
        ("v0", "`if` keyword is required", at("policy.rego", 2, 1)),
        ("empty", "empty module", at("policy.rego", 1, 0)),
        ("no-policy", "no *.rego file", None),
        ("data-array", "must hold an object", at("data.json", 1, 1)),
        ("data-tenants", "must not define \"tenants\"", None),
        ("data-syntax", "trailing comma", at("data.json", 3, 1)),
        ("data-deep", "recursion limit exceeded", at("data.json", 1, 128)),
        ("nul", "illegal null character", at("policy.rego", 3, 0)),
        ("defaults", "multiple default rules data.tenants.defaults.allow", at("policy.rego", 1, 1)),
        ("overlap", "conflicts with rule", at("policy.rego", 1, 1)),
        ("kinds", "conflicting rules data.tenants.kinds.allow found", at("policy.rego", 2, 1)),
        ("recursion", "is recursive", at("policy.rego", 2, 1)),
        ("typo", "undefined function startwith", at("policy.rego", 2, 10)),
        ("network", "http.send", at("policy.rego", 2, 10)),
        ("types", "count: invalid argument(s)", at("policy.rego", 2, 10)),
        ("late-unsafe", "var x is unsafe", at("policy.rego", 2, 10)),
        ("data-number", "more digits than can be represented exactly", at("data.json", 1, 7)),
        ("data-twice", "defines data.a.b already", at("data.json", 1, 1)),
        ("metadata", "version must be a string", at("metadata.json", 1, 1)),
        ("latin1", "not UTF-8", at("policy.rego", 2, 3)),
        ("link", "leads out of the bundle's directory", None),
    ] {
        assert_rejected(&enforcer, tenant_id, message, location);
    }

    let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
    assert_eq!(enforcer.workers().into_keys().collect::<Vec<_>>(), ["innocent"]);
    let health = enforcer.get("/health?bundles");
    health.assert_error(500, "tenant_unavailable");
    assert!(health.text.contains("25 of 26 tenants"), "{health:?}");
}

#[test]
fn a_directory_that_is_no_tenant_is_reported_and_left_alone() {
    let bundles = Bundles::new()
        .tenant("innocent", ECHO)
        .tenant("no tenant", GOOD)
        .tenant("-x", GOOD)
        .tenant(&"x".repeat(64), GOOD)
        .tenant("tеnant", GOOD) // Cyrillic е
        .tenant(".hidden", GOOD);
    let enforcer = bundles.start();
    for name in ["no tenant", "-x", "tеnant"] {
        enforcer.wait_for_log(name, |line| {
            let message = line["message"].as_str().unwrap_or_default();
            line["level"] == "ERROR" && message.contains(&format!("\"{name}\""))
        });
    }
    enforcer.wait_for_state("innocent", "ready");
    let tenants = enforcer.get("/v1/tenants").json();
    assert_eq!(tenants["result"].as_array().unwrap().len(), 1, "{tenants}");
    assert_eq!(enforcer.metric("enforcer_ignored_directories_total"), 4.0);
    assert_eq!(enforcer.get("/health?bundles").status, 200);
}

#[test]
fn a_bundle_over_its_bounds_is_rejected() {
    let bundles = Bundles::new().tenant("innocent", ECHO).tenant("large", GOOD);
    let data = fs::File::create(bundles.path().join("large/data.json")).unwrap();
    data.set_len(300 * 1024 * 1024).unwrap(); // sparse
    let enforcer = bundles.start();
    assert_rejected(&enforcer, "large", "larger than", None);
    enforcer.wait_for_state("innocent", "ready");
}

#[test]
fn a_large_bundle_within_its_bounds_is_loaded() {
    let numbers: Vec<String> =
        (0..400_000).map(|number| format!("\"k{number}\":{number}")).collect();
    let bundles = Bundles::new()
        .tenant("large", "package tenants.large\nallow if data.k399999 == 399999")
        .file("large", "data.json", &format!("{{{}}}", numbers.join(",")));
    let enforcer = bundles.start_with(&[("ENFORCER_LOAD_TIMEOUT_MS", "60000")]);
    enforcer.wait_for_state("large", "ready");
    assert_eq!(enforcer.decide("large", r#"{"input":{}}"#).json()["result"]["allow"], true);
}

#[test]
fn a_bundle_that_loads_without_end_is_given_up() {
    let bundles = Bundles::new().tenant("innocent", ECHO).tenant("never-loads", GOOD);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[("ENFORCER_LOAD_TIMEOUT_MS", "1000")]);
    enforcer.wait_for_log("giving up", |line| {
        line["tenant_id"] == "never-loads"
            && line["message"]
                .as_str()
                .is_some_and(|text| text.contains("did not load its bundle within 1000 ms"))
    });
    assert_eq!(enforcer.decide("never-loads", r#"{"input":{}}"#).status, 503);
    // As often as a worker may crash, then not for a while, with the reason reported.
    let tenant = enforcer.wait_for_state("never-loads", "rejected");
    assert_eq!(tenant["restarts_by_cause"]["load_timeout"], 5, "{tenant}");
    let fault = &tenant["last_error"]["errors"][0];
    assert_eq!(fault["code"], "bundle_error", "{tenant}");
    assert!(fault["message"].as_str().unwrap().contains("within 1000 ms"), "{tenant}");
    assert!(fault["help"].as_str().unwrap().contains("load timeout"), "{tenant}");
    enforcer.decide("never-loads", r#"{"input":{}}"#).assert_error(503, "tenant_unavailable");
    let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn a_bundle_that_is_being_written_is_read_once_it_is_at_rest() {
    let bundles = Bundles::new().tenant("copied", GOOD).tenant("innocent", ECHO);
    let path = bundles.path().join("copied/data.json");
    let mut file = fs::File::create(&path).unwrap();
    // Long enough that the file changes while it is read, and valid at any time: the writer may
    // lose the CPU at any point.
    file.write_all(&[b"{}".as_slice(), &vec![b' '; 16 * 1024 * 1024]].concat()).unwrap();
    thread::scope(|scope| {
        let (writing, done) = mpsc::channel::<()>();
        scope.spawn(move || {
            while done.try_recv() == Err(TryRecvError::Empty) {
                file.rewind().unwrap();
                file.write_all(b"{}").unwrap();
            }
            fs::remove_file(path).unwrap();
        });
        let enforcer = bundles.start();
        enforcer.wait_for_log("the retry", |line| {
            line["tenant_id"] == "copied"
                && line["message"].as_str().is_some_and(|text| text.contains("kept changing"))
        });
        assert_ne!(enforcer.tenant("copied")["state"], "rejected");
        let response = enforcer.decide("innocent", r#"{"input":{"allow":true}}"#);
        assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
        drop(writing);
        enforcer.wait_for_state("copied", "ready");
    });
}

#[test]
fn a_bundle_that_fails_its_own_tests_is_rejected_and_the_last_good_one_serves() {
    let tests = "package tenants.a_test\nimport data.tenants.a\ntest_denies if not a.allow\n";
    let bundles = Bundles::new().tenant("a", ECHO).file("a", "policy_test.rego", tests);
    let enforcer = bundles.start_with(&[("ENFORCER_RUN_TESTS", "require")]);
    enforcer.wait_for_state("a", "ready");
    let revision = enforcer.tenant("a")["revision"].take();
    bundles.write("a", "policy.rego", "package tenants.a\nallow := true\n");
    let refused = wait_for("the bundle to be rejected", || {
        Some(enforcer.tenant("a")).filter(|tenant| !tenant["last_error"].is_null())
    });
    let error = &refused["last_error"]["errors"][0];
    let message = error["message"].as_str().unwrap();
    assert_eq!(message, "the bundle's own test data.tenants.a_test.test_denies failed");
    assert_eq!(error["location"]["file"], "policy_test.rego");
    assert_eq!((&refused["revision"], &refused["state"]), (&revision, &"ready".into()));
    let decision = enforcer.decide("a", r#"{"input":{}}"#);
    assert_eq!(decision.json()["result"]["allow"], false);
    // The repaired policy is loaded.
    bundles.write(
        "a",
        "policy.rego",
        "package tenants.a\nallow if input.allow\nreason := \"new\"\n",
    );
    enforcer.wait_for_reason("a", "new");
}
