//! The bytecode evaluates what it is known to evaluate as the interpreter does, and operators see
//! which of the two it is.

use std::fs;

use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};

/// Nothing that the bytecode is not known to do well.
const ORDINARY: &str = "package tenants[TENANT]
allow if input.user in {\"alice\", \"bob\"}
reason := \"ordinary\"";

/// What it does not know at all.
const UNUSUAL: &str = "package tenants[TENANT]
allow if named with input.user as lower(input.user)
named if input.user in {\"alice\", \"bob\"}
reason := \"unusual\"";

fn evaluator(enforcer: &Enforcer, tenant_id: &str) -> (Value, Value) {
    let tenant = enforcer.wait_for_state(tenant_id, "ready");
    (tenant["evaluator"].clone(), tenant["interpreted_because"].clone())
}

fn assert_decides(enforcer: &Enforcer, tenant_id: &str) {
    for (user, allow) in [("alice", true), ("carl", false)] {
        let body = format!(r#"{{"input":{{"user":{user:?}}}}}"#);
        let response = enforcer.decide(tenant_id, body);
        assert_eq!(response.json()["result"]["allow"], allow, "{user}: {response:?}");
    }
}

#[test]
fn a_tenant_says_what_evaluates_its_policy_and_why_not_the_bytecode() {
    let bundles = Bundles::new().tenant("ordinary", ORDINARY).tenant("unusual", UNUSUAL);
    let enforcer = bundles.start();
    assert_eq!(evaluator(&enforcer, "ordinary"), ("bytecode".into(), Value::Null));
    let (evaluator, because) = evaluator(&enforcer, "unusual");
    assert_eq!(evaluator, "interpreter");
    assert!(because.as_str().unwrap().starts_with("policy.rego:2:"), "{because}");
    let line = enforcer.wait_for_log("the worker that serves", |line| {
        line["message"] == "worker serves" && line["tenant_id"] == "unusual"
    });
    assert_eq!(line["interpreted_because"], because, "{line}");
    assert_decides(&enforcer, "ordinary");
    assert_decides(&enforcer, "unusual");
}

#[test]
fn the_bytecode_can_be_switched_off_for_all_tenants_and_for_one() {
    let bundles = Bundles::new().tenant("a", ORDINARY).tenant("b", ORDINARY);
    let off = ("interpreter".into(), "ENFORCER_EVALUATOR is interpreter".into());
    let enforcer = bundles.start_with(&[("ENFORCER_EVALUATOR", "interpreter")]);
    assert_eq!(evaluator(&enforcer, "a"), off);
    assert_decides(&enforcer, "a");

    let config = bundles.path().join(".enforcer.toml");
    fs::write(&config, "[tenants.b]\nevaluator = \"interpreter\"\n").unwrap();
    let enforcer = bundles.start_with(&[("ENFORCER_CONFIG", config.to_str().unwrap())]);
    assert_eq!(evaluator(&enforcer, "a").0, "bytecode");
    assert_eq!(evaluator(&enforcer, "b"), off);
    assert_decides(&enforcer, "b");
}

#[test]
fn a_reload_may_change_what_evaluates() {
    let bundles = Bundles::new().tenant("a", ORDINARY);
    let enforcer = bundles.start();
    assert_eq!(evaluator(&enforcer, "a").0, "bytecode");
    bundles.write("a", "policy.rego", &UNUSUAL.replace("[TENANT]", ".a"));
    enforcer.wait_for_reason("a", "unusual");
    assert_eq!(evaluator(&enforcer, "a").0, "interpreter");
}

/// A worker may say so as often as it likes: an alert is one line, and the count is its own
/// tenant's.
#[test]
fn a_difference_is_counted_and_told_and_ends_the_bytecode() {
    let bundles = Bundles::new().tenant("differs", ECHO).tenant("honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    assert_eq!(evaluator(&enforcer, "differs").0, "bytecode");
    for _ in 0..3 {
        let response = enforcer.decide("differs", r#"{"input":{}}"#);
        assert_eq!(response.json()["result"]["reason"], "differs", "{response:?}");
    }
    let (now, because) = evaluator(&enforcer, "differs");
    assert_eq!(now, "interpreter");
    assert!(because.as_str().unwrap().contains("another answer"), "{because}");
    assert_eq!(evaluator(&enforcer, "honest").0, "bytecode");
    let count = |tenant_id: &str| {
        let name = format!(r#"enforcer_bytecode_differences_total{{tenant="{tenant_id}"}}"#);
        enforcer.metric(&name)
    };
    assert_eq!((count("differs"), count("honest")), (3.0, 0.0));
    let is_alert = |line: &Value| line["level"] == "ERROR" && line["tenant_id"] == "differs";
    wait_for("the alert", || enforcer.log().iter().any(is_alert).then_some(()));
    assert_eq!(enforcer.log().iter().filter(|line| is_alert(line)).count(), 1);
}

/// A worker has one answer of its own before the first request, when it warms up.
#[test]
fn a_difference_before_the_first_request_is_told_too() {
    let bundles = Bundles::new().tenant("differed", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    enforcer.wait_for_state("differed", "ready");
    assert_eq!(evaluator(&enforcer, "differed").0, "interpreter");
    enforcer.decide("differed", r#"{"input":{}}"#);
    enforcer.wait_for_log("the alert", |line| {
        line["level"] == "ERROR" && line["tenant_id"] == "differed"
    });
}
