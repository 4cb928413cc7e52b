//! The operators' interface answers, and its answers are true.

use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO, wait_for};

#[test]
fn health_is_that_the_supervisor_answers() {
    let enforcer = Bundles::new().tenant("broken", "nonsense").start();
    enforcer.wait_for_state("broken", "rejected");
    let response = enforcer.get("/health");
    assert_eq!((response.status, response.json()), (200, json!({})));
    let response = enforcer.get("/health?bundles");
    response.assert_error(500, "tenant_unavailable");
    assert_eq!(response.json()["error"], "one or more bundles are not activated");
    // One bad tenant takes no host out of service.
    assert_eq!(enforcer.get("/health?ready").status, 200);
    assert_eq!(enforcer.get("/health?plugins").status, 200);
    enforcer.get("/health?bundles=maybe").assert_error(400, "invalid_parameter");
}

#[test]
fn health_with_bundles_is_that_every_tenant_has_a_good_revision() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    enforcer.wait_for_state("a", "ready");
    enforcer.wait_for_state("b", "ready");
    let response = enforcer.get("/health?bundles");
    assert_eq!((response.status, response.json()), (200, json!({})));
}

#[test]
fn a_tenant_s_state_is_shown() {
    let enforcer = Bundles::new()
        .tenant("a", ECHO)
        .file("a", "metadata.json", r#"{"version": "1.2.3"}"#)
        .start();
    let tenant = enforcer.wait_for_state("a", "ready");
    assert_eq!(tenant["tenant_id"], "a");
    assert_eq!(tenant["pid"], enforcer.workers()["a"]);
    assert_eq!(tenant["version"], "1.2.3");
    assert_eq!(tenant["revision"].as_str().unwrap().len(), 64);
    assert_eq!((&tenant["restarts"], &tenant["last_error"]), (&json!(0), &Value::Null));
    assert!(tenant["memory_bytes"].as_u64().unwrap() > 0);
    assert!(tenant["cpu_millis"].is_u64());
    let sandbox = tenant["sandbox"].as_array().unwrap();
    assert!(sandbox.contains(&json!("parent_death_signal")), "{tenant}");
}

#[test]
fn all_tenants_are_listed() {
    let enforcer = Bundles::new().tenant("b", ECHO).tenant("a", ECHO).start();
    let list = enforcer.get("/v1/tenants").json();
    let ids: Vec<&Value> =
        list["result"].as_array().unwrap().iter().map(|tenant| &tenant["tenant_id"]).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn equal_bundles_have_equal_revisions_across_restarts() {
    let bundles = Bundles::new().tenant("a", ECHO);
    let revision = || bundles.start().wait_for_state("a", "ready")["revision"].clone();
    assert_eq!(revision(), revision());
}

#[test]
fn metrics_count_decisions_and_errors() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    enforcer.decide("a", r#"{"input":{"allow":true}}"#);
    enforcer.decide("a", r#"{"input":{}}"#);
    enforcer.decide("a", r#"{"input":{}}"#);
    enforcer.decide("a", "nonsense");
    for (metric, value) in [
        (r#"enforcer_decisions_total{tenant="a",decision="allow"}"#, 1.0),
        (r#"enforcer_decisions_total{tenant="a",decision="deny"}"#, 2.0),
        (r#"enforcer_errors_total{tenant="a",code="invalid_parameter"}"#, 1.0),
        (r#"enforcer_worker_ready{tenant="a"}"#, 1.0),
        (r#"enforcer_worker_restarts_total{tenant="a"}"#, 0.0),
        // What is no request is not evaluated.
        (r#"enforcer_evaluation_seconds_count{tenant="a"}"#, 3.0),
        ("enforcer_dropped_log_lines_total", 0.0),
    ] {
        assert_eq!(enforcer.metric(metric), value, "{metric}");
    }
    let response = enforcer.get("/metrics");
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(response.text.contains("# TYPE enforcer_decisions_total counter\n"));
    let accept = ("Accept", "application/openmetrics-text; version=1.0.0");
    let response = enforcer.connect().get_with("/metrics", &[accept]);
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(response.text.ends_with("# EOF\n"));
}

#[test]
fn a_tenant_that_is_asleep_costs_no_series() {
    let bundles = Bundles::new().tenant("a", ECHO).tenant("b", ECHO);
    let enforcer = bundles.start_with(&[("ENFORCER_ACTIVATION", "lazy")]);
    enforcer.decide("a", r#"{"input":{}}"#);
    let text = enforcer.get("/metrics").text;
    assert!(text.contains("tenant=\"a\"") && !text.contains("tenant=\"b\""), "{text}");
    assert!(text.contains("enforcer_tenants{state=\"asleep\"} 1\n"), "{text}");
    for name in ["enforcer_build_info{version=", "process_start_time_seconds ", "process_open_fds "]
    {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} in {text}");
    }
}

#[test]
fn the_overview_and_the_history_show_what_happened_before_anybody_looked() {
    let enforcer = Bundles::new().tenant("a", ECHO).start();
    enforcer.wait_for_state("a", "ready");
    let decided = enforcer.decide("a", r#"{"input":{"allow":true,"id":"early"}}"#).json();
    enforcer.decide("a", "nonsense");
    let overview = enforcer.get("/v1/overview").json()["result"].take();
    assert_eq!(overview["states"], json!({"ready": 1}));
    let tenant = &overview["tenants"]["a"];
    assert_eq!((&tenant["allowed"], &tenant["denied"]), (&json!(1), &json!(0)));
    assert_eq!(tenant["errors"], json!({"invalid_parameter": 1}));
    assert_eq!(tenant["evaluations"]["count"], 1);
    let bounds = overview["evaluation_bounds_micros"].as_array().unwrap().len();
    assert_eq!(tenant["evaluations"]["buckets"].as_array().unwrap().len(), bounds + 1);
    assert!(overview["uptime_seconds"].is_u64() && overview["is_ready"] == true, "{overview}");

    let response = enforcer.get("/v1/history");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let history = response.json()["result"].take();
    assert_eq!(history["interval_seconds"], 5);
    let events = history["events"].as_array().unwrap();
    let kinds: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["tenant", "tenant", "decision", "error"], "{history}");
    assert_eq!(events[1]["data"]["change"], "ready");
    assert_eq!(events[2]["data"]["event_id"], decided["decision_id"]);
    assert_eq!(events[2]["data"]["input"]["id"], "early");
    assert_eq!(events[3]["data"]["code"], "invalid_parameter");
}

#[test]
fn the_history_has_samples_of_every_tenant_that_was_asked() {
    let enforcer = Bundles::new().tenant("a", ECHO).tenant("b", ECHO).start();
    enforcer.decide("a", r#"{"input":{"allow":true}}"#);
    let history = wait_for("a sample", || {
        let history = enforcer.get("/v1/history").json()["result"].take();
        // A sample may have been taken before the decision.
        history["tenants"]["a"].is_object().then_some(history)
    });
    let allowed = history["host"]["allowed"].as_array().unwrap();
    assert_eq!(allowed.iter().filter_map(Value::as_u64).sum::<u64>(), 1);
    assert_eq!(history["tenants"]["a"]["allowed"], history["host"]["allowed"]);
    assert_eq!(history["tenants"]["b"], Value::Null);
}
