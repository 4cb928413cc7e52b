//! Bytecode evaluates every policy that is not too large for it, and operators see the evaluator.

use std::fs;

use serde_json::Value;

use crate::enforcer::{Bundles, ECHO, Enforcer, hostile_binary, wait_for};

const ORDINARY: &str = "package tenants[TENANT]
allow if input.user in {\"alice\", \"bob\"}
reason := \"ordinary\"";

/// A rule with more variables in use at one time than the VM has registers.
fn large(package: &str) -> String {
    let names: Vec<String> = (0..300).map(|index| format!("x{index}")).collect();
    let bound = names.iter().map(|name| format!("\t{name} := object.get(input, {name:?}, 1)\n"));
    format!(
        "{}\nwide if {{\n{}\tsum([{}]) == 300\n}}",
        ORDINARY.replace("[TENANT]", package).replace("ordinary", "large"),
        bound.collect::<String>(),
        names.join(", ")
    )
}

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
    let bundles = Bundles::new().tenant("ordinary", ORDINARY).tenant("large", &large(".large"));
    let enforcer = bundles.start();
    assert_eq!(evaluator(&enforcer, "ordinary"), ("bytecode".into(), Value::Null));
    let (evaluator, because) = evaluator(&enforcer, "large");
    assert_eq!(evaluator, "interpreter");
    assert!(because.as_str().unwrap().contains("bytecode has room for"), "{because}");
    let line = enforcer.wait_for_log("the worker that serves", |line| {
        line["message"] == "tenant is ready" && line["tenant_id"] == "large"
    });
    assert_eq!(line["interpreted_because"], because, "{line}");
    assert_decides(&enforcer, "ordinary");
    assert_decides(&enforcer, "large");
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

/// A worker may report this as often as it likes: an alert is one line, and only its own tenant's
/// count grows.
#[test]
fn a_difference_between_the_evaluators_is_counted_told_and_kept_with_a_digest() {
    let bundles = Bundles::new().tenant("differs", ECHO).tenant("honest", ECHO);
    let enforcer = bundles.start_as(&mut hostile_binary(), &[]);
    assert_eq!(evaluator(&enforcer, "differs").0, "bytecode");
    for _ in 0..3 {
        enforcer.decide("differs", r#"{"input":{}}"#);
    }
    let count = |tenant_id: &str| {
        let name = format!(r#"enforcer_evaluator_differences_total{{tenant="{tenant_id}"}}"#);
        enforcer.metric(&name)
    };
    assert_eq!((count("differs"), count("honest")), (3.0, 0.0));
    let tenant = enforcer.wait_for_state("differs", "ready");
    // sha256sum of the body
    let digest = "2ee71518fa57cadce964961f1cf04d9ffb68f7016ee332a6d2ba8d5b4f825d24";
    assert_eq!(tenant["last_difference"]["request_sha256"], digest, "{tenant}");
    assert_eq!(enforcer.wait_for_state("honest", "ready")["last_difference"], Value::Null);
    let is_alert = |line: &Value| line["level"] == "ERROR" && line["tenant_id"] == "differs";
    wait_for("the alert", || enforcer.log().iter().any(is_alert).then_some(()));
    assert_eq!(enforcer.log().iter().filter(|line| is_alert(line)).count(), 1);
}
