//! Inputs are private: those who watch decisions see only what the tenant's policy and the operator
//! leave of them, whatever goes wrong.

use std::io::Write;

use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};
use crate::stream_client::{Consumer, EventSource};

/// In every input, and never in an event.
const SECRET: &str = "the-secret";

/// Allows, and gives the secret as its reason. Masks the secret in the input and in the reason; fails
/// where the input says so.
const MASKS: &str = r#"package tenants[TENANT]
import rego.v1
default allow := false
allow if input.allow
reason := input.secret
fails := 1 if input.fail
fails := 2 if input.fail == true
mask contains "/input/secret"
mask contains {"op": "upsert", "path": "/result/reason", "value": "hidden"}
mask contains "/nowhere" if input.input.spoil
mask contains "/input" if {
    input.input.loop
    some x in numbers.range(1, 10000)
    some y in numbers.range(1, 10000)
    x + y < 0
}
"#;

/// An input with the secret and this member.
fn input(member: &str) -> String {
    format!(r#"{{"allow":true,"secret":"{SECRET}","{member}":true}}"#)
}

fn body(member: &str) -> String {
    format!(r#"{{"input":{}}}"#, input(member))
}

fn post(enforcer: &Enforcer, target: &str, body: &str) -> u16 {
    enforcer.connect().request("POST", target, body.as_bytes()).status
}

/// Asserts that none of these texts has the secret.
fn assert_private(texts: &[String]) {
    for text in texts {
        assert!(!text.contains(SECRET), "{text}");
    }
}

fn log_text(enforcer: &Enforcer) -> String {
    enforcer.log().iter().map(Value::to_string).collect()
}

#[test]
fn a_masked_decision_is_shown_masked_to_everybody_but_its_client() {
    let enforcer = Bundles::new().tenant("a", MASKS).start();
    enforcer.wait_for_state("a", "ready");
    let mut all = Consumer::open(&enforcer, "");
    let mut source = EventSource::open(&enforcer, "?tenant_id=a", None);
    let answer = enforcer.decide("a", body("x")).json();
    assert_eq!(answer["result"]["reason"], SECRET, "the client gets the whole decision");
    for data in [all.decision(), source.decision()] {
        assert_eq!(data["input"], json!({"allow": true, "x": true}));
        assert_eq!(data["decision"], json!({"allow": true, "redact": [], "reason": "hidden"}));
        assert_eq!(data["erased"], json!(["/input/secret"]));
        assert_eq!(data["masked"], json!(["/result/reason"]));
        assert!(data.get("input_omitted").is_none(), "{data}");
    }
    let history = enforcer.get("/v1/history").text;
    assert!(history.contains(r#""erased":["/input/secret"]"#), "{history}");
    assert_private(&[history, enforcer.get("/v1/overview").text, log_text(&enforcer)]);
}

#[test]
fn every_endpoint_s_decisions_are_masked() {
    let enforcer = Bundles::new().tenant("a", MASKS).start();
    enforcer.wait_for_state("a", "ready");
    let mut consumer = Consumer::open(&enforcer, "?events=decision,error");
    let input = input("x");
    let batch = format!(r#"{{"inputs":{{"m":{input},"n":{input}}}}}"#);
    for (target, body, events) in [
        ("/v1/data/tenants/a/allow", body("x"), 1),
        ("/v1/data/tenants/a/allow?pretty", body("x"), 1),
        ("/tenants/a/v1/data/tenants/a/allow", body("x"), 1),
        ("/tenants/a/v0/data/tenants/a/allow", input.clone(), 1),
        ("/v1/batch/data/tenants/a/allow", batch, 2),
        // An explanation is no decision.
        ("/tenants/a/v1/data/tenants/a/allow?explain=full", body("x"), 0),
    ] {
        assert_eq!(post(&enforcer, target, &body), 200, "{target}");
        for _ in 0..events {
            let text = consumer.text();
            assert_private(std::slice::from_ref(&text));
            let data = serde_json::from_str::<Value>(&text).unwrap()["data"].take();
            assert_eq!(data["decision"]["allow"], true, "{text}");
            assert_eq!(data["input"], json!({"allow": true, "x": true}), "{target}: {text}");
        }
    }
    // In YAML, and as a parameter.
    let yaml = format!("input: {{allow: true, secret: {SECRET}}}");
    let mut connection = enforcer.connect();
    let request = format!(
        "POST /tenants/a/v1/data/tenants/a/allow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\nContent-Length: {}\r\n\r\n{yaml}",
        yaml.len()
    );
    connection.send(request.as_bytes()).unwrap();
    assert_eq!(connection.response().unwrap().status, 200);
    assert_eq!(consumer.decision()["input"], json!({"allow": true}));
    let parameter = format!("%7B%22secret%22:%22{SECRET}%22%7D");
    let target = format!("/tenants/a/v1/data/tenants/a/allow?input={parameter}");
    assert_eq!(enforcer.get(&target).status, 200);
    assert_eq!(consumer.decision()["input"], json!({}));
    assert_private(&[enforcer.get("/v1/history").text, log_text(&enforcer)]);
}

#[test]
fn an_error_of_a_tenant_that_masks_shows_no_input() {
    let bundles = Bundles::new().tenant("a", MASKS).tenant("plain", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_MAX_BODY_BYTES", "2048")]);
    enforcer.wait_for_state("a", "ready");
    enforcer.wait_for_state("plain", "ready");
    let mut consumer = Consumer::open(&enforcer, "?events=error");
    let long = format!(r#"{{"input":{{"secret":"{SECRET}","x":"{}"}}}}"#, "x".repeat(2048));
    let other = format!(r#"{{"input":{{"secret":"{SECRET}","subject":{{"tenant_id":"b"}}}}}}"#);
    for (target, body, status, omitted) in [
        ("/v1/data/tenants/a/allow", other, 403, "mask"),
        ("/v1/data/tenants/a/allow", format!("{{{SECRET}"), 400, "mask"),
        ("/v1/data/tenants/a/allow", long, 413, "refused"),
        ("/tenants/a/v1/data/tenants/a/fails", body("fail"), 500, "mask"),
        ("/v1/batch/data/tenants/a/allow", format!(r#"{{"inputs":["{SECRET}"]}}"#), 400, "mask"),
    ] {
        assert_eq!(post(&enforcer, target, &body), status, "{target} {body}");
        let event = consumer.text();
        assert_private(std::slice::from_ref(&event));
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["data"]["input_omitted"], omitted, "{target}: {event}");
        assert_eq!(event["data"]["input"], Value::Null);
    }
    // A tenant without a mask hides nothing.
    let body = format!(r#"{{"input":{{"id":"{SECRET}","subject":{{"tenant_id":"b"}}}}}}"#);
    assert_eq!(post(&enforcer, "/v1/data/tenants/plain/allow", &body), 403);
    assert!(consumer.text().contains(SECRET));
}

#[test]
fn a_mask_that_fails_or_never_ends_costs_no_decision_and_shows_nothing() {
    let enforcer = Bundles::new().tenant("a", MASKS).start();
    enforcer.wait_for_state("a", "ready");
    let mut consumer = Consumer::open(&enforcer, "");
    for (member, reason) in
        [("spoil", "mask prefix not allowed"), ("loop", "the mask did not end in time")]
    {
        let answer = enforcer.decide("a", body(member));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["result"]["reason"], SECRET);
        let text = consumer.text();
        assert_private(std::slice::from_ref(&text));
        let data = serde_json::from_str::<Value>(&text).unwrap()["data"].take();
        assert_eq!(data["input_omitted"], "mask_failed", "{text}");
        assert_eq!(data["decision"], json!({"allow": true, "redact": [], "reason": null}));
        enforcer.wait_for_log("why the mask failed", |line| {
            line["level"] == "WARN" && line.to_string().contains(reason)
        });
    }
    assert_eq!(enforcer.metric(r#"enforcer_mask_failures_total{tenant="a"}"#), 2.0);
    assert_private(&[enforcer.get("/v1/history").text, log_text(&enforcer)]);
}

#[test]
fn a_bundle_that_begins_or_ceases_to_mask_is_obeyed_at_once() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start();
    let mut consumer = Consumer::open(&enforcer, "?events=decision,tenant");
    let mut decision = || loop {
        let message = consumer.next();
        if message["type"] == "decision" {
            break message["data"]["input"].clone();
        }
    };
    let body = body("x");
    assert_eq!(enforcer.decide("a", &body).status, 200);
    assert_eq!(decision()["secret"], SECRET);
    for (policy, reloads) in [(MASKS, 1), (ECHO, 2)] {
        bundles.write("a", "policy.rego", policy);
        wait_for("the reload", || (enforcer.tenant("a")["reloads"] == reloads).then_some(()));
        assert_eq!(enforcer.decide("a", &body).status, 200);
        let shown = decision();
        assert_eq!(shown["x"], true, "{shown}");
        assert_eq!(shown.get("secret").is_some(), reloads == 2, "{shown}");
    }
}

#[test]
fn an_open_tenant_s_mask_is_where_opa_has_it() {
    let mask = r#"package system.log
import rego.v1
mask contains "/input/secret" if input.path == "tenants/open/allow"
"#;
    let bundles = Bundles::new().tenant("open", ECHO).file("open", "mask.rego", mask);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[tenants.open]\nnamespace = \"open\"\n").unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", file.path().to_str().unwrap())]);
    enforcer.wait_for_state("open", "ready");
    let mut consumer = Consumer::open(&enforcer, "");
    assert_eq!(enforcer.decide("open", body("x")).status, 200);
    let data = consumer.decision();
    assert_eq!(data["input"], json!({"allow": true, "x": true}));
    assert_eq!(data["erased"], json!(["/input/secret"]));
}

#[test]
fn an_operator_may_leave_inputs_out() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).tenant("masks", MASKS);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        b"[tenants.a]\nstream_inputs = \"omit\"\n[tenants.masks]\nstream_inputs = \"omit\"\n",
    )
    .unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", file.path().to_str().unwrap())]);
    let mut consumer = Consumer::open(&enforcer, "?events=decision,error");
    let other = format!(r#"{{"input":{{"secret":"{SECRET}","subject":{{"tenant_id":"x"}}}}}}"#);
    for tenant_id in ["a", "masks"] {
        enforcer.wait_for_state(tenant_id, "ready");
        for body in [body("x"), other.clone()] {
            enforcer.decide(tenant_id, body);
            let text = consumer.text();
            assert_private(std::slice::from_ref(&text));
            assert!(text.contains(r#""input":null,"input_omitted":"operator""#), "{text}");
        }
    }
    assert_private(&[enforcer.get("/v1/history").text]);
    assert_eq!(enforcer.decide("b", body("x")).status, 200);
    assert_eq!(consumer.decision()["input"]["secret"], SECRET);
}

#[test]
fn a_worker_s_mask_cannot_write_the_rest_of_an_event() {
    for manner in [
        "mask-splices",
        "mask-goes-on",
        "mask-duplicates",
        "mask-hides-duplicates",
        "mask-unsorted",
        "mask-surrogates",
        "mask-deep",
        "mask-nothing",
        "mask-long",
        "mask-unannounced",
    ] {
        let bundles = Bundles::new().tenant(manner, ECHO).tenant("innocent", ECHO);
        let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
        enforcer.wait_for_state(manner, "ready");
        let mut consumer = Consumer::open(&enforcer, "?events=error");
        enforcer.decide(manner, body("x")).assert_error(503, "worker_unavailable");
        let event = consumer.text();
        assert_eq!(event.contains(SECRET), manner == "mask-unannounced", "{manner}: {event}");
        wait_for("the breach to be told", || {
            (enforcer.tenant(manner)["restarts_by_cause"]["protocol_breach"] == 1).then_some(())
        });
        assert_eq!(enforcer.reason("innocent"), Value::Null, "{manner}");
    }
}

#[test]
fn a_worker_s_mask_tells_of_its_own_tenant_and_no_more() {
    for (manner, omitted) in [
        ("mask-honest", None),
        ("mask-denies", None),
        ("mask-absent", Some("mask")),
        ("mask-fails", Some("mask_failed")),
        ("mask-too-large", Some("too_large")),
    ] {
        let bundles = Bundles::new().tenant(manner, ECHO);
        let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
        enforcer.wait_for_state(manner, "ready");
        let mut consumer = Consumer::open(&enforcer, "");
        assert_eq!(enforcer.decide(manner, body("x")).status, 200);
        let text = consumer.text();
        assert!(!text.contains(SECRET) && !text.contains("a secret"), "{text}");
        let data = serde_json::from_str::<Value>(&text).unwrap()["data"].take();
        assert_eq!(data["decision"]["allow"], true, "{manner}: the policy's, not the mask's");
        assert_eq!(data.get("input_omitted").and_then(Value::as_str), omitted, "{text}");
        if omitted.is_none() {
            assert_eq!(data["input"], json!({"a": [1, "<"]}));
            assert_eq!(data["erased"], json!(["/input/\"},\n"]));
        }
        let log = enforcer.log();
        assert!(log.iter().all(|line| !line.to_string().contains("\\u001b")), "{manner}");
    }
}
