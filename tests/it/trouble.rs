//! No trouble looks green: what fails is counted, shown, told and logged, and says what to do.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};
use crate::http_client::Response;
use crate::stream_client::Consumer;

/// Fails where the input asks for it.
const FAILS: &str = "package tenants[TENANT]

allow := 1 if input.fail

allow := true if not input.fail

reason := \"fine\" if not input.fail
";

/// Ends its worker, in the hostile build, where the input asks for it.
const CRASHES: &str = "# crash";

fn fail(enforcer: &Enforcer, tenant_id: &str) -> Response {
    enforcer.decide(tenant_id, r#"{"input":{"fail":true}}"#)
}

#[test]
fn a_tenant_that_only_fails_is_failing_everywhere_until_it_decides() {
    let bundles = Bundles::new().tenant("bad", FAILS).tenant("good", ECHO);
    let enforcer = bundles.start();
    enforcer.wait_for_state("bad", "ready");
    let mut changes = Consumer::open(&enforcer, "?events=tenant,error&tenant_id=bad");
    for _ in 0..5 {
        assert_eq!(fail(&enforcer, "bad").status, 500);
    }
    let tenant = enforcer.wait_for_state("bad", "failing");
    assert_eq!(tenant["evaluation_errors"], json!({"total": 5, "by_code": {"internal_error": 5}}));
    let last = &tenant["last_evaluation_error"];
    assert_eq!((&last["code"], &last["status"]), (&json!("internal_error"), &json!(500)));
    assert_eq!((&last["count"], &last["consecutive"]), (&json!(5), &json!(5)));
    assert!(last["errors"][0]["location"].is_null() || last["errors"][0].is_object(), "{last}");
    assert_eq!(tenant["last_error"], Value::Null, "its bundle and its worker are fine");
    assert_eq!(
        enforcer.metric(r#"enforcer_errors_total{tenant="bad",code="internal_error"}"#),
        5.0
    );
    let state = r#"enforcer_tenant_state{tenant="bad",state="failing"}"#;
    assert_eq!(enforcer.metric(state), 1.0);
    assert_eq!(enforcer.metric(r#"enforcer_tenants{state="failing"}"#), 1.0);
    enforcer.wait_for_log("the warning", |line| {
        line["level"] == "WARN"
            && line["tenant_id"] == "bad"
            && line["message"].as_str().is_some_and(|text| text.starts_with("tenant is failing"))
    });
    // Errors are told one by one, and the change of the state among them.
    let mut kinds = Vec::new();
    while kinds.len() < 6 {
        let event = changes.next();
        if event["type"] == "error" {
            assert_eq!(event["data"]["code"], "internal_error", "{event}");
            assert_eq!(event["data"]["input"], json!({"fail": true}), "{event}");
        } else {
            assert_eq!(event["data"]["change"], "failing", "{event}");
        }
        kinds.push(event["type"].clone());
    }
    assert_eq!(kinds.iter().filter(|kind| **kind == "error").count(), 5);

    assert_eq!(enforcer.decide("bad", r#"{"input":{}}"#).status, 200);
    assert_eq!(enforcer.tenant("bad")["state"], "ready");
    let event = changes.next();
    assert_eq!((&event["type"], &event["data"]["change"]), (&json!("tenant"), &json!("recovered")));
    assert_eq!(enforcer.tenant("good")["evaluation_errors"]["total"], 0);
}

#[test]
fn mistakes_of_clients_are_counted_and_make_no_tenant_fail() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    enforcer.wait_for_state("a", "ready");
    for _ in 0..10 {
        assert_eq!(enforcer.decide("a", "nonsense").status, 400);
    }
    let tenant = enforcer.tenant("a");
    assert_eq!(tenant["state"], "ready");
    assert_eq!(tenant["evaluation_errors"]["by_code"], json!({"invalid_parameter": 10}));
    assert_eq!(tenant["last_evaluation_error"], Value::Null);
    assert_eq!(enforcer.metric(r#"enforcer_evaluation_seconds_count{tenant="a"}"#), 0.0);
}

#[test]
fn evaluations_that_time_out_are_part_of_the_latency() {
    let endless = "package tenants[TENANT]\nallow if { some x in numbers.range(1, 100000); some y in numbers.range(1, 100000); x + y < 0 }";
    let bundles = Bundles::new().tenant("slow", endless);
    let enforcer = bundles.start_with(&[("ENFORCER_EVAL_TIMEOUT_MS", "100")]);
    enforcer.wait_for_state("slow", "ready");
    enforcer.decide("slow", r#"{"input":{}}"#).assert_error(504, "evaluation_timeout");
    assert_eq!(enforcer.metric(r#"enforcer_evaluation_seconds_count{tenant="slow"}"#), 1.0);
    assert!(enforcer.metric(r#"enforcer_evaluation_seconds_sum{tenant="slow"}"#) >= 0.1);
}

#[test]
fn a_quarantine_says_why_until_when_and_how_to_end_it_and_a_touch_ends_it_for_one_tenant() {
    // The hostile worker of the second gives an answer too many, which is a quarantine at once.
    let bundles = Bundles::new().tenant("told", CRASHES).tenant("twice", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    let mut id = 0;
    wait_for("the quarantine", || {
        // Another input each time: one that has ended two workers is given to no other.
        id += 1;
        enforcer.decide("told", format!(r#"{{"input":{{"crash":true,"id":"{id}"}}}}"#));
        (enforcer.tenant("told")["state"] == "quarantined").then_some(())
    });
    enforcer.decide("twice", r#"{"input":{}}"#);
    enforcer.wait_for_state("twice", "quarantined");
    let tenant = enforcer.tenant("told");
    let quarantine = &tenant["quarantine"];
    assert!(quarantine["reason"].as_str().unwrap().starts_with("worker ended: "), "{quarantine}");
    assert!(quarantine["until"].as_str().unwrap() > tenant["since"].as_str().unwrap());
    assert!(quarantine["release"].as_str().unwrap().contains("touch"), "{quarantine}");
    let response = enforcer.decide("told", r#"{"input":{}}"#);
    response.assert_error(503, "tenant_unavailable");
    let seconds: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{response:?}");
    assert!(response.text.contains("quarantine"), "{response:?}");
    let line = enforcer.wait_for_log("the alert", |line| {
        line["tenant_id"] == "told"
            && line["message"].as_str().is_some_and(|text| text.starts_with("tenant quarantined"))
    });
    assert_eq!((&line["level"], &line["cause"]), (&json!("ERROR"), &json!("crash")), "{line}");
    assert!(line["until"].is_string(), "{line}");
    let until = r#"enforcer_quarantine_until_timestamp_seconds{tenant="told"}"#;
    assert!(enforcer.metric(until) > 1.7e9);

    // The content stays as it is.
    let policy = bundles.path().join("told/policy.rego");
    fs::write(&policy, fs::read(&policy).unwrap()).unwrap();
    enforcer.wait_for_state("told", "ready");
    assert_eq!(enforcer.tenant("told")["quarantine"], Value::Null);
    assert_eq!(enforcer.tenant("twice")["state"], "quarantined", "nobody touched its bundle");
    assert_eq!(enforcer.metric(until), 0.0);
}

#[test]
fn a_touch_has_a_rejected_bundle_tried_again() {
    let bundles = Bundles::new().tenant("a", "package tenants[TENANT]\nallow if undefined(1)");
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "rejected");
    let rejected = r#"enforcer_bundle_loads_total{tenant="a",result="rejected"}"#;
    assert_eq!(enforcer.metric(rejected), 1.0);
    let policy = bundles.path().join("a/policy.rego");
    fs::write(&policy, fs::read(&policy).unwrap()).unwrap();
    wait_for("another try", || (enforcer.metric(rejected) == 2.0).then_some(()));
    assert_eq!(before["quarantine"], Value::Null, "it waits for no time");
}

#[test]
fn an_older_revision_than_the_directory_s_is_stale_until_it_is_not() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start();
    let before = enforcer.wait_for_state("a", "ready");
    assert_eq!(before["stale"], Value::Null);
    assert!(before["revision_since"].is_string());
    let metric = r#"enforcer_bundle_stale_since_timestamp_seconds{tenant="a"}"#;
    for broken in ["nonsense", "package tenants[TENANT]\nallow if undefined(1)"] {
        bundles.write("a", "policy.rego", broken);
        let stale = wait_for("the staleness", || {
            let tenant = enforcer.tenant("a");
            tenant["stale"]["reason"]
                .as_str()
                .is_some_and(|why| why.contains("rejected"))
                .then_some(tenant)
        });
        assert_eq!((&stale["state"], &stale["revision"]), (&json!("ready"), &before["revision"]));
        assert!(stale["last_error"]["message"].is_string(), "{stale}");
        assert!(enforcer.metric(metric) > 1.7e9);
    }
    bundles.write("a", "policy.rego", ECHO);
    wait_for("the end of it", || (enforcer.tenant("a")["stale"] == Value::Null).then_some(()));
    assert_eq!(enforcer.tenant("a")["last_error"], Value::Null);
    assert_eq!(enforcer.metric(metric), 0.0);
}

#[test]
fn an_empty_directory_is_waited_for_and_is_no_error() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start();
    enforcer.wait_for_state("a", "ready");
    fs::create_dir(bundles.path().join("new")).unwrap();
    let tenant = wait_for("the tenant", || {
        let response = enforcer.get("/v1/tenants/new");
        (response.status == 200)
            .then(|| response.json()["result"].take())
            .filter(|tenant| tenant["state"] == "waiting")
    });
    assert_eq!(tenant["last_error"], Value::Null);
    enforcer.decide("new", r#"{"input":{}}"#).assert_error(503, "tenant_unavailable");
    bundles.write("new", "policy.rego", ECHO);
    enforcer.wait_for_state("new", "ready");
    let lines = enforcer.log();
    let of_new = lines.iter().filter(|line| line["tenant_id"] == "new");
    assert!(of_new.clone().any(|line| line["message"].as_str().unwrap().contains("waiting")));
    for line in of_new {
        let is_fine = line["level"] == "INFO" || line["message"].as_str().unwrap().contains("503");
        assert!(is_fine || line["code"] == "tenant_unavailable", "{line}");
    }
}

#[test]
fn a_bundle_that_changes_once_is_read_once() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let enforcer = bundles.start_with(&[("LOG_LEVEL", "debug")]);
    enforcer.wait_for_state("a", "ready");
    let reads = || {
        let lines = enforcer.log();
        lines.iter().filter(|line| line["message"] == "bundle read").count()
    };
    assert_eq!(reads(), 1);
    let changed = "package tenants[TENANT]\nreason := \"changed\"";
    bundles.write("a", "policy.rego", changed);
    enforcer.wait_for_reason("a", "changed");
    // Another change is seen by a later look, so that the looks in between have shown nothing.
    bundles.write("a", "policy.rego", "package tenants[TENANT]\nreason := \"again\"");
    enforcer.wait_for_reason("a", "again");
    assert!(reads() <= 3, "{} readings of three bundles", reads());
}

#[test]
fn one_event_is_one_line() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
    let mut enforcer = bundles.start();
    for tenant_id in ["a", "b"] {
        enforcer.wait_for_state(tenant_id, "ready");
    }
    crate::enforcer::send_signal(enforcer.workers()["a"], Signal::SIGKILL);
    wait_for("the worker's end", || (enforcer.tenant("a")["restarts"] == 1).then_some(()));
    enforcer.wait_for_state("a", "ready");
    enforcer.decide("b", r#"{"input":{"id":"why"}}"#);
    enforcer.signal(Signal::SIGTERM);
    enforcer.wait();
    let lines = wait_for("the last line", || {
        let lines = enforcer.log();
        lines.last().is_some_and(|line| line["message"] == "stopped").then_some(lines)
    });
    let of = |tenant_id: &str| -> Vec<String> {
        let own = lines.iter().filter(|line| line["tenant_id"] == tenant_id);
        own.map(|line| format!("{} {}", line["level"], line["message"]).replace('"', "")).collect()
    };
    let ended = "WARN worker ended: it closed its socket; its process was ended by SIGKILL";
    assert_eq!(of("a"), ["INFO tenant is ready", ended, "INFO tenant is ready again"]);
    assert_eq!(of("b"), ["INFO tenant is ready", "INFO decision"]);
    let decision = lines.iter().find(|line| line["message"] == "decision").unwrap();
    assert_eq!((&decision["reason"], &decision["allow"]), (&json!("why"), &json!(false)));
    assert_eq!(decision["revision"].as_str().unwrap().len(), 64);
    let listening = lines.iter().find(|line| line["message"] == "listening").unwrap();
    let dashboard = format!("http://{}/dashboard", enforcer.address);
    assert_eq!(listening["dashboard"], dashboard, "{listening}");
}

#[test]
fn the_door_leads_to_the_dashboard() {
    let enforcer = Bundles::new().start();
    let response = enforcer.get("/");
    assert_eq!(response.status, 307);
    assert_eq!(response.header("location"), Some("dashboard"));
    assert_eq!(enforcer.get("/dashboard").status, 200);
}
