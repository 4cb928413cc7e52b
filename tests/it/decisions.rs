//! Decisions are what the contract says, made by the tenant's own policy.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use crate::enforcer::{Bundles, ECHO, Enforcer};

#[test]
fn the_example_of_the_contract_is_answered_as_the_contract_says() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    let response = enforcer.decide(
        "tenant_a",
        r#"{"input":{"subject":{"tenant_id":"tenant_a","user_id":"user_123"},"action":"read","resource":{"type":"sensor_data","region":"EU"},"environment":{"time":"2025-10-16T14:30:00Z"}}}"#,
    );
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert!(response.text.ends_with("}\n"));
    let body = response.json();
    assert_eq!(
        body["result"],
        json!({"allow": true, "redact": ["pii.email"], "reason": "Allowed by data residency policy"})
    );
    assert_eq!(body["metrics"]["tenant_id"], "tenant_a");
    assert!(body["metrics"]["eval_duration_micros"].is_u64());
    assert_eq!(body["decision_id"].as_str().unwrap().parse::<Uuid>().unwrap().get_version_num(), 7);
    assert_eq!(body.as_object().unwrap().len(), 3);
}

#[test]
fn every_example_tenant_allows_and_denies_with_a_reason() {
    let enforcer = Enforcer::start("config/tenants.d".as_ref(), &[]);
    for (tenant_id, input, allow, reason) in [
        (
            "tenant_a",
            r#"{"action":"read","resource":{"type":"sensor_data","region":"US"}}"#,
            false,
            "sensor_data must not be read in region US",
        ),
        (
            "tenant_a",
            r#"{"action":"delete","resource":{"type":"sensor_data","region":"EU"}}"#,
            false,
            "Only reading is allowed",
        ),
        ("tenant_a", r#"{"action":"read"}"#, false, "The resource has no type or no region"),
        ("tenant_a", "{}", false, "Only reading is allowed"),
        (
            "tenant_b",
            r#"{"subject":{"user_id":"alice"},"action":"delete","resource":{"type":"device"}}"#,
            true,
            "Granted by role admin",
        ),
        (
            "tenant_b",
            r#"{"subject":{"user_id":"bob"},"action":"read","resource":{"type":"device"}}"#,
            true,
            "Granted by role auditor, operator",
        ),
        (
            "tenant_b",
            r#"{"subject":{"user_id":"carol"},"action":"restart","resource":{"type":"device"}}"#,
            false,
            "No role of carol grants restart on device",
        ),
        (
            "tenant_b",
            r#"{"subject":{"user_id":"bob"},"action":"*","resource":{"type":"device"}}"#,
            false,
            "No role of bob grants * on device",
        ),
        (
            "tenant_b",
            r#"{"subject":{"user_id":"nobody"},"action":"read","resource":{"type":"device"}}"#,
            false,
            "No role of nobody grants read on device",
        ),
        ("tenant_b", "{}", false, "The request names no user"),
        (
            "tenant-c",
            r#"{"environment":{"time":"2025-10-16T14:30:00Z"}}"#,
            true,
            "Within the maintenance window",
        ),
        (
            "tenant-c",
            r#"{"environment":{"time":"2025-10-16T18:00:00Z"}}"#,
            false,
            "Outside the maintenance window",
        ),
        (
            "tenant-c",
            r#"{"environment":{"time":"2025-10-18T14:30:00Z"}}"#,
            false,
            "Outside the maintenance window",
        ),
        (
            "tenant-c",
            r#"{"environment":{"time":"noon"}}"#,
            false,
            "The request has no valid environment.time",
        ),
        ("tenant-c", "{}", false, "The request has no valid environment.time"),
    ] {
        let response = enforcer.decide(tenant_id, format!("{{\"input\":{input}}}"));
        assert_eq!(response.status, 200, "{tenant_id} {input}: {response:?}");
        let result = response.json()["result"].take();
        assert_eq!(
            (&result["allow"], &result["reason"]),
            (&json!(allow), &json!(reason)),
            "{tenant_id} {input}"
        );
        assert_eq!(result["redact"], json!([]), "{tenant_id} {input}");
    }
}

#[test]
fn the_three_keys_are_always_there() {
    let enforcer = Bundles::new().tenant("a", "package tenants.a").start();
    let result = enforcer.decide("a", r#"{"input":{}}"#).json()["result"].take();
    assert_eq!(result, json!({"allow": false, "redact": [], "reason": null}));
}

#[test]
fn a_policy_in_another_shape_gets_the_contract_s_answer() {
    let enforcer = Bundles::new()
        .tenant("undefined", "package tenants[TENANT]\nallow if input.never")
        .tenant("object", "package tenants[TENANT]\nallow := {\"allow\": true, \"redact\": {\"b\", \"a\"}, \"reason\": \"r\"}")
        .tenant("string", "package tenants[TENANT]\nallow := \"true\"")
        .tenant("number", "package tenants[TENANT]\nallow := 1")
        .tenant("no-boolean", "package tenants[TENANT]\nallow := {\"allow\": \"yes\"}")
        .tenant("conflict", "package tenants[TENANT]\nallow := true\nallow := input.other")
        .tenant("redact", "package tenants[TENANT]\nallow := true\nredact := \"pii\"")
        .start();
    let ask = |tenant_id| enforcer.decide(tenant_id, r#"{"input":{"other":false}}"#);

    assert_eq!(ask("undefined").json()["result"]["allow"], false);
    assert_eq!(
        ask("object").json()["result"],
        json!({"allow": true, "redact": ["a", "b"], "reason": "r"})
    );
    for (tenant_id, code) in [
        ("string", "eval_type_error"),
        ("number", "eval_type_error"),
        ("no-boolean", "eval_type_error"),
        ("conflict", "eval_conflict_error"),
        ("redact", "eval_type_error"),
    ] {
        let response = ask(tenant_id);
        response.assert_error(500, "internal_error");
        assert_eq!(response.json()["errors"][0]["code"], code, "{response:?}");
    }
    let location = &ask("conflict").json()["errors"][0]["location"];
    assert_eq!(*location, json!({"file": "policy.rego", "row": 3, "col": 1}));
}

#[test]
fn each_decision_has_an_id_of_its_own_that_is_in_the_log() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let ids: BTreeSet<String> = (0..20)
        .map(|_| {
            let body = enforcer.decide("a", r#"{"input":{}}"#).json();
            body["decision_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 20);
    for id in &ids {
        let line = enforcer.wait_for_log("the decision's line", |line| line["decision_id"] == **id);
        assert_eq!((&line["tenant_id"], &line["allow"]), (&json!("a"), &json!(false)));
    }
}

#[test]
fn a_failed_decision_is_in_the_log_with_its_place() {
    let enforcer =
        Bundles::new().tenant("a", "package tenants.a\nallow := true\nallow := false").start();
    enforcer.decide("a", r#"{"input":{}}"#).assert_error(500, "internal_error");
    let line = enforcer.wait_for_log("the failure's line", |line| line["code"] == "internal_error");
    assert!(line["decision_id"].is_string(), "{line}");
    assert!(
        line["message"].as_str().unwrap().contains("policy.rego:3:1: eval_conflict_error"),
        "{line}"
    );
}

#[test]
fn decisions_are_not_logged_where_that_is_switched_off() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_DECISION_LOG", "false")]);
    assert_eq!(enforcer.decide("a", r#"{"input":{}}"#).status, 200);
    enforcer.decide("a", "").assert_error(400, "invalid_parameter");
    // A later line is waited for, so that the decisions' lines are known to be absent.
    enforcer.signal(nix::sys::signal::Signal::SIGTERM);
    enforcer.wait_for_log("the end", |line| line["message"] == "stopped");
    assert!(enforcer.log().iter().all(|line| line.get("decision_id").is_none()));
}

#[test]
fn the_content_type_does_not_matter() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let body = r#"{"input":{"allow":true}}"#;
    for header in [
        "",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Encoding: identity\r\n",
    ] {
        let mut connection = enforcer.connect();
        let request = format!(
            "POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request.as_bytes()).unwrap();
        assert_eq!(connection.response().unwrap().json()["result"]["allow"], true, "{header}");
    }
}

#[test]
fn a_body_in_chunks_is_taken() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    connection
        .send(b"POST /v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"input\":\r\n")
        .unwrap();
    connection.send(b"f\r\n{\"allow\": true}\r\n1\r\n}\r\n0\r\n\r\n").unwrap();
    let response = connection.response().unwrap();
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn a_client_that_has_nothing_more_to_say_gets_its_answer() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    let mut connection = enforcer.connect();
    connection.begin_to_decide("a", r#"{"input":{"allow":true}}"#);
    connection.finish_sending();
    let response = connection.response().unwrap();
    assert_eq!(response.json()["result"]["allow"], true, "{response:?}");
}

#[test]
fn a_built_in_that_fails_is_undefined_unless_the_operator_is_strict() {
    let policy = "package tenants[TENANT]
default allow := false
is_admin(user) if user == \"root\"
allow if is_admin(input.user)
fails(y) := [to_number(y)]
redact contains \"x\" if { x := fails(input.y)[_] with is_admin as true; x >= 0 }";
    let bundles = Bundles::new().tenant("lenient", policy).tenant("strict", policy);
    let config = bundles.path().join(".enforcer.toml");
    std::fs::write(&config, "[tenants.strict]\nstrict_builtin_errors = true\n").unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", config.to_str().unwrap())]);
    let mallory = |tenant_id: &str, y: &str| {
        enforcer.decide(tenant_id, format!(r#"{{"input":{{"user":"mallory","y":"{y}"}}}}"#))
    };
    for _ in 0..3 {
        assert_eq!(mallory("lenient", "x").json()["result"]["redact"], json!([]));
        let response = mallory("strict", "x");
        response.assert_error(500, "internal_error");
        assert_eq!(response.json()["errors"][0]["code"], "eval_builtin_error", "{response:?}");
        // The failure and the values replaced by `with` leave no trace.
        let response = mallory("strict", "1");
        assert_eq!(response.json()["result"]["allow"], false, "{response:?}");
    }
}

#[test]
fn what_a_failing_decision_printed_is_in_the_log_once() {
    let policy = "package tenants[TENANT]
allow if {
    print(\"before it failed\", input.value)
    conflict
}
conflict := 1
conflict := 2 if input.value == \"x\"";
    let enforcer = Bundles::new().tenant("a", policy).start();
    enforcer.decide("a", r#"{"input":{"value":"x"}}"#).assert_error(500, "internal_error");
    let is_print = |line: &serde_json::Value| line.to_string().contains("before it failed x");
    enforcer.wait_for_log("the print", is_print);
    enforcer.decide("a", r#"{"input":{"value":"1"}}"#);
    enforcer.wait_for_log("the next print", |line| line.to_string().contains("before it failed 1"));
    assert_eq!(enforcer.log().iter().filter(|line| is_print(line)).count(), 1);
}

#[test]
fn what_a_request_leaves_out_allows_nothing_through_a_not() {
    let policy = "package tenants[TENANT]
allow if {
    not input.subject.id in data.blocked
    not startswith(input.action, \"delete\")
    not input.subject.suspended
}";
    let enforcer = Bundles::new()
        .tenant("a", policy)
        .file("a", "data.json", r#"{"blocked": ["mallory"]}"#)
        .start();
    let allows = |input: &str| {
        let response = enforcer.decide("a", format!("{{\"input\":{input}}}"));
        response.json()["result"]["allow"].as_bool().unwrap()
    };
    assert!(allows(r#"{"subject":{"id":"alice"},"action":"read"}"#));
    assert!(!allows(r#"{"subject":{"id":"mallory"},"action":"read"}"#));
    assert!(!allows(r#"{"subject":{},"action":"read"}"#));
    assert!(!allows(r#"{"subject":{"id":"alice"}}"#));
    assert!(!allows("{}"));
}
