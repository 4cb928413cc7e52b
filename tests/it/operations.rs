//! The operators' interface answers, and its answers are true.

use serde_json::{Value, json};

use crate::enforcer::{Bundles, ECHO};

#[test]
fn health_is_that_the_supervisor_answers() {
    let enforcer = Bundles::new().tenant("broken", "nonsense").start();
    enforcer.wait_for_state("broken", "rejected");
    let response = enforcer.get("/health");
    assert_eq!((response.status, response.json()), (200, json!({})));
    enforcer.get("/health?bundles").assert_error(503, "tenant_unavailable");
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
        (r#"enforcer_evaluation_seconds_count{tenant="a"}"#, 4.0),
        ("enforcer_dropped_log_lines_total", 0.0),
    ] {
        assert_eq!(enforcer.metric(metric), value, "{metric}");
    }
    let response = enforcer.get("/metrics");
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(response.text.ends_with("# EOF\n"));
}
