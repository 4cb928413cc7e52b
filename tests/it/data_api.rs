//! A tenant's documents are answered as OPA answers them, and only to who asks for that tenant.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};
use crate::http_client::Response;
use crate::stream_client::Consumer;

/// Documents of several kinds.
const DOCUMENTS: &str = "package tenants[TENANT]

default allow := false

allow if input.user == \"ann\"

names := {\"b\", \"a\"}

nested := {\"x y\": {\"0\": [\"zero\", input.user]}}

failing := 1 if input.fail

failing := 2 if input.fail

secret := data.secret

long := concat(\",\", [sprintf(\"%d\", [n]) | some n in numbers.range(1, 2000)])
";

fn tenants() -> Enforcer {
    Bundles::new()
        .tenant("a", DOCUMENTS)
        .file("a", "data.json", r#"{"secret": "of a", "list": [10, 20]}"#)
        .tenant("b", DOCUMENTS)
        .file("b", "data.json", r#"{"secret": "of b"}"#)
        .start()
}

/// The answer without its decision id.
fn answer(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    let mut body = response.json();
    let id = body.as_object_mut().unwrap().remove("decision_id");
    assert!(id.is_some_and(|id| id.is_string()), "{response:?}");
    body
}

#[test]
fn a_document_is_the_same_below_data_and_below_the_tenant_s_root() {
    let enforcer = tenants();
    let mut connection = enforcer.connect();
    for (path, body, expected) in [
        ("names", r#"{"input":{}}"#, json!({"result": ["a", "b"]})),
        ("nested/x%20y", r#"{"input":{"user":1}}"#, json!({"result": {"0": ["zero", 1]}})),
        ("nope", r#"{"input":{}}"#, json!({})),
        ("secret", r#"{"input":{}}"#, json!({"result": "of a"})),
    ] {
        for base in ["/v1/data/tenants/a", "/tenants/a/v1/data/tenants/a"] {
            let response = connection.request("POST", &format!("{base}/{path}"), body.as_bytes());
            assert_eq!(answer(&response), expected, "{base}/{path}");
        }
    }
    // Base data is the root of the tenant's own data, as OPA has it.
    let response = connection.get_with("/tenants/a/v1/data/list/1", &[]);
    assert_eq!(answer(&response), json!({"result": 20}));
}

#[test]
fn a_tenant_s_root_has_nothing_of_another_tenant() {
    let enforcer = tenants();
    let mut connection = enforcer.connect();
    for path in [
        "/tenants/a/v1/data/tenants/b/secret",
        "/tenants/a/v1/data/../../b/v1/data/secret",
        "/tenants/a/v1/data/..%2F..%2Fb/secret",
        "/v1/data/tenants/a/../b/secret",
        "/v1/data/tenants/a%2F..%2Fb/secret",
    ] {
        let response = connection.get_with(path, &[]);
        assert!(!response.text.contains("of b"), "{path}: {response:?}");
    }
    connection.get_with("/tenants/c/v1/data", &[]).assert_error(404, "resource_not_found");
    connection.get_with("/tenants/%2e%2e/v1/data", &[]).assert_error(400, "invalid_parameter");
}

/// CVE-2025-46569 of OPA: a path was part of the text of a query.
#[test]
fn nothing_of_a_path_is_evaluated() {
    let enforcer = tenants();
    let mut connection = enforcer.connect();
    for segment in [
        "names%22%5D;true;data.tenants.a%5B%22secret",
        "names;data.tenants.a.secret",
        "names%0Adata.tenants.a.secret",
        "%5B%5D",
        "names%5B_%5D",
        "allow%20with%20input.user%20as%20%60ann%60",
        "names%23",
        "x%7C%7Cy",
    ] {
        for base in ["/v1/data/tenants/a", "/tenants/a/v1/data/tenants/a"] {
            let response = connection.get_with(&format!("{base}/{segment}"), &[]);
            match response.status {
                200 => assert_eq!(answer(&response), json!({}), "{segment}"),
                _ => response.assert_error(400, "invalid_parameter"),
            }
        }
    }
}

#[test]
fn an_input_may_come_as_a_parameter_as_yaml_and_compressed() {
    let enforcer = tenants();
    let mut connection = enforcer.connect();
    let allows = |response: &Response| response.json()["result"] == true;
    let target = "/tenants/a/v1/data/tenants/a/allow";
    let parameter = format!("{target}?input=%7B%22user%22:%22ann%22%7D");
    assert!(allows(&connection.get_with(&parameter, &[])));
    assert!(!allows(&connection.get_with(target, &[])));
    let mut send = |headers: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        connection.send(&[head.as_bytes(), body].concat()).unwrap();
        connection.response().unwrap()
    };
    assert!(allows(&send("Content-Type: application/x-yaml\r\n", b"input:\n  user: ann\n")));
    let gzip = "Content-Encoding: gzip\r\n";
    assert!(allows(&send(gzip, &compressed(br#"{"input":{"user":"ann"}}"#))));
    send(gzip, br#"{"input":{"user":"ann"}}"#).assert_error(400, "invalid_parameter");
    // A body that grows beyond the limit ends there.
    let bomb = compressed(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 100_000);
    send(gzip, &bomb).assert_error(413, "request_too_large");
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_long_answer_is_compressed_for_who_takes_it() {
    let enforcer = tenants();
    let target = "/tenants/a/v1/data/tenants/a/long";
    let plain = enforcer.connect().get_with(target, &[]);
    assert_eq!(
        (plain.header("content-encoding"), plain.header("vary")),
        (None, Some("Accept-Encoding"))
    );
    let mut connection = enforcer.connect();
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n");
    connection.send(request.as_bytes()).unwrap();
    let (head, body) = connection.response_bytes().unwrap();
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert!(body.len() * 2 < plain.text.len(), "{} {}", body.len(), plain.text.len());
    let mut text = String::new();
    GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    let text: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text["result"], plain.json()["result"]);
}

#[test]
fn a_policy_that_fails_is_an_error_with_its_place() {
    let enforcer = tenants();
    let body = br#"{"input":{"fail":true}}"#;
    let response = enforcer.connect().request("POST", "/v1/data/tenants/a/failing", body);
    response.assert_error(500, "internal_error");
    let error = response.json()["errors"][0].take();
    assert_eq!(error["code"], "eval_conflict_error");
    assert_eq!(error["location"]["file"], "policy.rego");
    assert_eq!(enforcer.tenant("a")["evaluation_errors"]["by_code"]["internal_error"], 1);
}

#[test]
fn the_entrypoint_s_value_is_a_decision_for_those_who_watch() {
    let enforcer = tenants();
    let mut stream = Consumer::open(&enforcer, "?tenant_id=a");
    let mut connection = enforcer.connect();
    let asked = |response: Response| response.json()["decision_id"].take();
    connection.request("POST", "/v1/data/tenants/a/names", br#"{"input":{"user":"bob"}}"#);
    let target = "/tenants/a/v1/data/tenants/a/allow?input=%7B%22user%22:%22ann%22%7D";
    let id = asked(connection.get_with(target, &[]));
    let event = stream.decision();
    assert_eq!(event["event_id"], id);
    assert_eq!(event["decision"]["allow"], true);
    assert_eq!(event["input"], json!({"user": "ann"}));
    assert_eq!(enforcer.metric("enforcer_decisions_total{tenant=\"a\",decision=\"allow\"}"), 1.0);
    assert_eq!(enforcer.metric("enforcer_documents_total{tenant=\"a\"}"), 1.0);
}

#[test]
fn a_batch_decides_about_each_input_and_tells_each() {
    let enforcer = tenants();
    let mut stream = Consumer::open(&enforcer, "?tenant_id=a");
    let target = "/v1/batch/data/tenants/a/allow";
    let body = br#"{"inputs":{"one":{"user":"ann"},"two":{"user":"bob"}},"common_input":{"x":1}}"#;
    let response = enforcer.connect().request("POST", target, body);
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    let allow = |name: &str| body["responses"][name]["result"]["allow"].clone();
    assert_eq!((allow("one"), allow("two")), (json!(true), json!(false)));
    assert!(body["batch_decision_id"].is_string());
    let event = stream.decision();
    assert_eq!(event["event_id"], body["responses"]["one"]["decision_id"]);
    assert_eq!(event["input"], json!({"user": "ann"}));
    assert_eq!(stream.decision()["decision"]["allow"], false);
}

#[test]
fn a_batch_tells_errors_beside_answers() {
    let enforcer = tenants();
    let mut connection = enforcer.connect();
    let some = br#"{"inputs":{"good":{},"bad":{"subject":{"tenant_id":"b"}}}}"#;
    let response = connection.request("POST", "/v1/batch/data/tenants/a/allow", some);
    assert_eq!(response.status, 207, "{response:?}");
    let responses = response.json()["responses"].take();
    assert_eq!(responses["good"]["http_status_code"], "200");
    assert_eq!(responses["bad"]["http_status_code"], "403");
    assert_eq!(responses["bad"]["code"], "tenant_mismatch");
    let all = br#"{"inputs":{"a":{"fail":true},"b":{"fail":true}}}"#;
    let response = connection.request("POST", "/tenants/a/v1/batch/data/tenants/a/failing", all);
    assert_eq!(response.status, 500, "{response:?}");
    assert_eq!(response.json()["responses"]["a"]["errors"][0]["code"], "eval_conflict_error");
    let inputs: Vec<String> = (0..1001).map(|index| format!("\"{index}\":1")).collect();
    let many = format!("{{\"inputs\":{{{}}}}}", inputs.join(","));
    let response = connection.request("POST", "/v1/batch/data/tenants/a/allow", many.as_bytes());
    response.assert_error(400, "invalid_parameter");
}

/// A bundle as opa-envoy-plugin's users have it.
const ENVOY: &str = "package envoy.authz

default allow := false

allow if input.attributes.request.http.method == \"GET\"

reason := \"only GET\" if not allow
";

#[test]
fn an_open_tenant_brings_packages_of_its_own() {
    let bundles = Bundles::new().tenant("open", ENVOY).tenant("strict", ENVOY);
    let config = bundles.path().join("enforcer.toml");
    let text = "[tenants.open]\nnamespace = \"open\"\nentrypoint = \"envoy/authz/allow\"\n";
    std::fs::write(&config, text).unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", config.to_str().unwrap())]);
    enforcer.wait_for_state("open", "ready");
    let get = r#"{"input":{"attributes":{"request":{"http":{"method":"GET"}}}}}"#;
    let decided = |body: &str| enforcer.decide("open", body).json()["result"].take();
    assert_eq!(decided(get)["allow"], true);
    assert_eq!(
        decided(r#"{"input":{}}"#),
        json!({"allow": false, "redact": [], "reason": "only GET"})
    );
    let mut connection = enforcer.connect();
    for target in [
        "/tenants/open/v1/data/envoy/authz/allow",
        "/v1/data/tenants/open/envoy/authz/allow",
        "/tenants/open/v0/data/envoy/authz/allow",
        "/tenants/open/",
    ] {
        let body = match target.contains("/v1/") {
            true => get.to_owned(),
            false => get.replace("{\"input\":", "").replace("}}}}}", "}}}}"),
        };
        let response = connection.request("POST", target, body.as_bytes());
        assert_eq!(response.status, 200, "{target}: {response:?}");
        let result = response.json();
        assert!(result == true || result["result"] == true, "{target}: {response:?}");
    }
    // Without the setting, the same bundle is refused.
    let refused = enforcer.wait_for_state("strict", "rejected");
    let message = refused["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("tenants.strict"), "{message}");
}

#[test]
fn a_worker_cannot_write_the_rest_of_an_answer() {
    for manner in [
        "result-splices",
        "result-closes",
        "result-goes-on",
        "result-duplicates",
        "result-hides-duplicates",
        "result-unsorted",
        "result-surrogates",
        "result-deep",
        "result-control",
        "result-nothing",
        "result-not-json",
        "result-long",
        "many-for-one",
        "honest",
    ] {
        let bundles = Bundles::new().tenant(manner, ECHO).tenant("innocent", ECHO);
        let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
        enforcer.wait_for_state(manner, "ready");
        let target = format!("/v1/data/tenants/{manner}/document");
        let response = enforcer.connect().request("POST", &target, br#"{"input":{}}"#);
        response.assert_error(503, "worker_unavailable");
        assert!(!response.text.contains("forged"), "{manner}");
        wait_for("the breach to be told", || {
            (enforcer.tenant(manner)["restarts_by_cause"]["protocol_breach"] == 1).then_some(())
        });
        assert_eq!(enforcer.reason("innocent"), Value::Null, "{manner}");
    }
}

#[test]
fn a_result_is_no_decision() {
    let bundles = Bundles::new().tenant("result-honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("result-honest", "ready");
    let target = "/v1/data/tenants/result-honest/document";
    let response = enforcer.connect().request("POST", target, br#"{"input":{}}"#);
    assert_eq!(answer(&response), json!({"result": {"a": [1, "<"]}}));
    enforcer.decide("result-honest", r#"{"input":{}}"#).assert_error(503, "worker_unavailable");
}

#[test]
fn a_tenant_says_how_it_is_as_opa_does() {
    let enforcer = tenants();
    enforcer.wait_for_state("a", "ready");
    let mut connection = enforcer.connect();
    let mut get = |path: &str| {
        let response = connection.get_with(&format!("/tenants/a/{path}"), &[]);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        response.json()
    };
    assert_eq!(get("health?bundles"), json!({}));
    let config = get("v1/config");
    assert_eq!(config["result"]["default_decision"], "/tenants/a/allow");
    let status = get("v1/status");
    let bundle = &status["result"]["bundles"]["a"];
    assert_eq!(bundle["active_revision"], enforcer.tenant("a")["revision"]);
    assert_eq!(status["result"]["plugins"]["bundle"]["state"], "OK");
}
