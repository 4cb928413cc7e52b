use super::*;

use enforcer_protocol::{DiagnosticCode, Namespace, Query};
use enforcer_rego::File;

use crate::answer::{Reply, answer};
use crate::clock::monotonic_micros;

const TIMEOUT: Duration = Duration::from_secs(5);

fn load(files: &[(&str, &str)]) -> Result<Policy, Vec<String>> {
    load_as("a", files, false)
}

fn load_as(
    tenant_id: &str,
    files: &[(&str, &str)],
    strict_builtin_errors: bool,
) -> Result<Policy, Vec<String>> {
    let files = files
        .iter()
        .map(|(path, content)| File { path: (*path).into(), content: (*content).into() })
        .collect();
    let bundle = Bundle {
        tenant_id: tenant_id.parse().unwrap(),
        namespace: Namespace::Strict,
        entrypoint: ["tenants", tenant_id, "allow"].map(str::to_owned).to_vec(),
        evaluation_timeout: TIMEOUT,
        bytecode: true,
        strict_builtin_errors,
        max_result: 4096,
        tests: enforcer_protocol::TestGate::Ignored,
        files,
    };
    Policy::load(bundle).map_err(|faults| faults.iter().map(Diagnostic::to_string).collect())
}

fn value(json: &str) -> Value {
    enforcer_rego::json::parse(json.as_bytes()).unwrap()
}

fn ask(policy: &mut Policy, body: &str) -> Outcome {
    let deadline = monotonic_micros() + u64::try_from(TIMEOUT.as_micros()).unwrap();
    match answer(policy, &Query::Decision, body.as_bytes(), deadline).reply {
        Reply::One(outcome) => outcome,
        Reply::Batch(items) => panic!("{items:?}"),
    }
}

/// The answer of a tenant `a` with these rules to an empty input.
fn answer_of(rules: &str) -> Outcome {
    let module = format!("package tenants.a\n{rules}\n");
    ask(&mut load(&[("policy.rego", &module)]).unwrap(), r#"{"input":{}}"#)
}

fn decision(allow: bool, redact: &[&str], reason: Option<&str>) -> Outcome {
    let redact = redact.iter().map(|&name| name.to_owned()).collect();
    Outcome::Decision(Decision { allow, redact, reason: reason.map(str::to_owned) })
}

fn fault(outcome: Outcome) -> (DiagnosticCode, Option<(u32, u32)>) {
    let Outcome::Failed(diagnostic) = outcome else { panic!("{outcome:?}") };
    (diagnostic.code, diagnostic.location.map(|location| (location.row, location.col)))
}

#[test]
fn a_policy_may_answer_in_every_form_that_rego_has_for_it() {
    for rules in [
        "allow := true\nredact := {\"b\", \"a\"}\nreason := \"r\"",
        "default allow := false\nallow if 1 == 1\nredact contains \"b\"\nredact contains \"a\"\nreason := \"r\"",
        "allow := {\"allow\": true, \"redact\": [\"a\", \"b\"], \"reason\": \"r\"}",
        "allow.allow := true\nallow.redact := [\"a\", \"b\"]\nallow.reason := \"r\"",
    ] {
        assert_eq!(answer_of(rules), decision(true, &["a", "b"], Some("r")), "{rules}");
    }
    let module = "package tenants.a.allow\nallow := true";
    let mut policy = load(&[("policy.rego", module)]).unwrap();
    assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], None));
}

#[test]
fn an_undefined_allow_is_a_deny() {
    for rules in ["", "allow if input.never", "other := true", "allow(x) := true"] {
        assert_eq!(answer_of(rules), decision(false, &[], None), "{rules}");
    }
}

#[test]
fn a_bundle_without_a_rule_allow_loads_with_a_warning() {
    let policy = load(&[("policy.rego", "package tenants.a\nalow := true")]).unwrap();
    let warnings = policy.warnings();
    assert!(warnings[0].message.contains("data.tenants.a.allow"), "{warnings:?}");
    let policy = load(&[("policy.rego", "package tenants.a\nallow := true")]).unwrap();
    assert_eq!(policy.warnings(), []);
}

#[test]
fn rules_with_two_values_are_an_error_with_its_place() {
    for rules in [
        "allow := true\nallow := false",
        "allow if f(1)\nf(_) := 1\nf(_) := 2",
        "allow[x] := y if { some x in [1]; some y in [1, 2] }",
    ] {
        let (code, place) = fault(answer_of(rules));
        assert_eq!(code, DiagnosticCode::Conflict, "{rules}");
        assert!(place.is_some(), "{rules}");
    }
}

#[test]
fn a_failed_built_in_is_undefined_unless_the_operator_says_otherwise() {
    for rules in ["allow if to_number(input.x) == 1", "allow if 1 / input.zero == 1"] {
        let module = format!("package tenants.a\n{rules}");
        let body = r#"{"input":{"x":"no number","zero":0}}"#;
        let mut policy = load(&[("policy.rego", &module)]).unwrap();
        assert_eq!(ask(&mut policy, body), decision(false, &[], None), "{rules}");
        let mut policy = load_as("a", &[("policy.rego", &module)], true).unwrap();
        assert_eq!(fault(ask(&mut policy, body)).0, DiagnosticCode::Builtin, "{rules}");
    }
}

#[test]
fn a_policy_that_calls_the_network_or_an_unknown_function_is_refused_with_its_place() {
    for (rules, expected) in [
        ("allow if http.send({})", "policy.rego:2:10: rego_type_error"),
        ("allow if startwith(input.x, \"a\")", "policy.rego:2:10: rego_type_error"),
        ("allow if allow", "policy.rego:2:1: rego_recursion_error"),
        ("allow if x == 1", "policy.rego:2:10: rego_unsafe_var_error"),
        ("allow if {", "policy.rego:3:0: rego_parse_error"),
    ] {
        let faults =
            load(&[("policy.rego", &format!("package tenants.a\n{rules}\n"))]).unwrap_err();
        assert!(faults[0].starts_with(expected), "{faults:?}");
    }
}

#[test]
fn an_evaluation_without_end_ends_at_its_deadline_and_leaves_nothing_for_the_next() {
    let module = "package tenants.a
default allow := false
is_admin(user) if user == \"root\"
allow if is_admin(input.user)
slow(go) := [z | go; some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); some z in numbers.range(1, 1000); x + y + z < 0]
redact contains \"x\" if { x := slow(input.go)[_] with is_admin as true; x >= 0 }";
    let mut policy = load(&[("policy.rego", module)]).unwrap();
    let deadline = monotonic_micros() + 20_000;
    let stopped = policy.decide(&value(r#"{"user":"mallory","go":true}"#), deadline);
    assert_eq!(stopped, Outcome::TimedOut);
    let after = ask(&mut policy, r#"{"input":{"user":"mallory","go":false}}"#);
    assert_eq!(after, decision(false, &[], None));
    assert_eq!(policy.decide(&Value::new_object(), 0), Outcome::TimedOut);
}

#[test]
fn nothing_of_one_request_is_left_for_the_next() {
    let module = "package tenants.a\nallow if input.x\nreason := input.reason";
    let mut policy = load(&[("policy.rego", module)]).unwrap();
    let first = ask(&mut policy, r#"{"input":{"x":true,"reason":"r"}}"#);
    assert_eq!(first, decision(true, &[], Some("r")));
    assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(false, &[], None));
}

#[test]
fn what_an_evaluation_prints_is_kept_once() {
    let module = "package tenants.a\nallow if { print(\"begins\", input.n); input.go }";
    let mut policy = load(&[("policy.rego", module)]).unwrap();
    assert_eq!(policy.take_prints(), [""; 0]);
    ask(&mut policy, r#"{"input":{"n":1}}"#);
    assert_eq!(policy.take_prints(), ["policy.rego:2: begins 1"]);
    assert_eq!(policy.take_prints(), [""; 0]);
}

#[test]
fn a_request_without_input_is_not_put_to_the_policy() {
    let mut policy = load(&[("policy.rego", "package tenants.a\nallow := true")]).unwrap();
    for body in ["", "[]", "{}", "null", r#"{"input":null}"#, r#""input""#, "{\"input\":{}"] {
        let outcome = ask(&mut policy, body);
        assert!(matches!(outcome, Outcome::InvalidRequest(_)), "{body}: {outcome:?}");
    }
    for body in [r#"{"input":false}"#, r#"{"input":[]}"#, r#"{"input":{},"other":1}"#] {
        assert_eq!(ask(&mut policy, body), decision(true, &[], None), "{body}");
    }
}

#[test]
fn a_subject_of_another_tenant_is_not_put_to_the_policy() {
    let mut policy = load(&[("policy.rego", "package tenants.a\nallow := true")]).unwrap();
    for tenant in [r#""b""#, r#""A""#, r#""""#, "null", "1", r#"["a"]"#] {
        let body = format!("{{\"input\":{{\"subject\":{{\"tenant_id\":{tenant}}}}}}}");
        assert_eq!(ask(&mut policy, &body), Outcome::TenantMismatch, "{tenant}");
    }
    // The policy sees the last of equal keys, so that one is checked.
    let twice = r#"{"input":{"subject":{"tenant_id":"a"},"subject":{"tenant_id":"b"}}}"#;
    assert_eq!(ask(&mut policy, twice), Outcome::TenantMismatch);
    let own = r#"{"input":{"subject":{"tenant_id":"a"}}}"#;
    assert_eq!(ask(&mut policy, own), decision(true, &[], None));
}

#[test]
fn data_of_the_bundle_is_the_root_of_data() {
    let module = "package tenants.a\nallow if data.enforcer.on\nreason := data.name";
    let data = r#"{"enforcer": {"on": true}, "name": "n"}"#;
    let mut policy = load(&[("policy.rego", module), ("data.json", data)]).unwrap();
    assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], Some("n")));
}

#[test]
fn identifiers_of_any_length_stay_apart() {
    let module = "package tenants.a\nallow if input.id == data.id";
    let data = r#"{"id": 12345678901234567890123}"#;
    let mut policy = load(&[("policy.rego", module), ("data.json", data)]).unwrap();
    for (id, allow) in [("12345678901234567890123", true), ("12345678901234567890124", false)] {
        let body = format!(r#"{{"input":{{"id":{id}}}}}"#);
        assert_eq!(ask(&mut policy, &body), decision(allow, &[], None), "{id}");
    }
}

#[test]
fn a_tenant_whose_id_is_no_identifier_has_a_bracketed_package() {
    let module = "package tenants[\"tenant-c\"]\nallow := true";
    let mut policy = load_as("tenant-c", &[("policy.rego", module)], false).unwrap();
    assert_eq!(ask(&mut policy, r#"{"input":{}}"#), decision(true, &[], None));
}

#[test]
fn metadata_names_the_version() {
    let module = ("policy.rego", "package tenants.a");
    let versioned = load(&[module, ("metadata.json", r#"{"version":"1.2","x":[]}"#)]).unwrap();
    assert_eq!(versioned.version().as_deref(), Some("1.2"));
    let unversioned = load(&[module, ("metadata.json", "{}")]).unwrap();
    assert_eq!(unversioned.version(), None);
}

#[test]
fn a_broken_bundle_says_what_is_wrong_and_where() {
    let good = ("policy.rego", "package tenants.a\nallow := true");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "bundle_error: the bundle holds no *.rego file"),
        (
            &[("p.rego", "# c\n\n  package tenants.b\n")],
            "p.rego:3:3: bundle_error: every package of this bundle must be tenants.a or below it",
        ),
        (&[("p.rego", "package tenants")], "p.rego:1:1: bundle_error: every package"),
        (&[("p.rego", "package a.tenants.a")], "p.rego:1:1: bundle_error: every package"),
        (&[("p.rego", "package tenants.ab")], "p.rego:1:1: bundle_error: every package"),
        (&[good, ("data.json", "[]")], "data.json:1:1: bundle_error: the file must hold an object"),
        (
            &[good, ("data.json", "{\n\"a\": }")],
            "data.json:2:6: bundle_error: the file cannot be read as JSON: expected value",
        ),
        (
            &[good, ("data.json", "{\"tenants\":{}}")],
            "bundle_error: the bundle's data must not define \"tenants\"",
        ),
        (
            &[good, ("data.json", "{\n\"é\": 1.23456789012345678901}")],
            "data.json:2:6: bundle_error: the file cannot be read as JSON: this number",
        ),
        (
            &[good, ("metadata.json", "{\"version\":1}")],
            "metadata.json:1:1: bundle_error: version must be a string",
        ),
    ];
    for (files, expected) in cases {
        let faults = load(files).unwrap_err();
        assert!(faults[0].starts_with(expected), "{faults:?} and not {expected:?}");
    }
}

#[test]
fn every_broken_file_is_reported_up_to_a_bound() {
    let names: Vec<String> = (0..40).map(|index| format!("{index}.rego")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "nonsense")).collect();
    assert_eq!(load(&files).unwrap_err().len(), MAX_DIAGNOSTICS);
}

#[test]
fn a_chain_of_rules_of_any_length_is_decided_or_refused_and_never_ends_the_worker() {
    for length in [100, 2_000, 20_000] {
        let mut module = "package tenants.a\nallow if r0\n".to_owned();
        for index in 0..length {
            module += &format!("r{index} if r{}\n", index + 1);
        }
        module += &format!("r{length} := input.ok\n");
        match load(&[("policy.rego", &module)]) {
            Ok(mut policy) => {
                let outcome = ask(&mut policy, r#"{"input":{"ok":true}}"#);
                assert!(
                    outcome == decision(true, &[], None) || matches!(outcome, Outcome::Failed(_)),
                    "{length}: {outcome:?}"
                );
            }
            Err(faults) => assert!(length > 1_000, "{length}: {faults:?}"),
        }
    }
}
