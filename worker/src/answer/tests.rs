use super::*;

use enforcer_protocol::Namespace;
use enforcer_rego::File;

use crate::bundle::Bundle;

const MODULE: &str = r#"package envoy.authz
import rego.v1
default allow := false
allow if input.user == "ann"
reason := "only ann" if not allow
numbers := [1, [2.5, 100]]
mixed := {[1]: {"b", "a"}, "x y": "<&>"}
long := sprintf("%1000d", [1])
broken := 1 / input.zero
loop if {
    some x in data.base.many
    some y in data.base.many
    x + y < 0
}
told := count(input) if print("told", input)
"#;

fn policy() -> Policy {
    let many: Vec<u32> = (0..10_000).collect();
    let data = format!(r#"{{"base": {{"0": ["zero"], "many": {many:?}}}}}"#);
    let files = [("policy.rego", MODULE), ("data.json", data.as_str())];
    let files = files.map(|(path, content)| File { path: path.into(), content: content.into() });
    Policy::load(Bundle {
        tenant_id: "a".parse().unwrap(),
        namespace: Namespace::Open,
        entrypoint: ["envoy", "authz", "allow"].map(str::to_owned).to_vec(),
        evaluation_timeout: Duration::from_secs(5),
        bytecode: true,
        strict_builtin_errors: false,
        max_result: 512,
        tests: enforcer_protocol::TestGate::Ignored,
        files: files.to_vec(),
    })
    .unwrap()
}

fn query(path: &str) -> DocumentQuery {
    let path = path.split('/').map(str::to_owned).collect();
    DocumentQuery { path, strict_builtin_errors: false }
}

fn within(policy: &mut Policy, query: &Query, body: &str, time: Duration) -> Reply {
    let deadline = monotonic_micros() + u64::try_from(time.as_micros()).unwrap();
    answer(policy, query, body.as_bytes(), deadline).reply
}

fn ask(query: &Query, body: &str) -> Outcome {
    match within(&mut policy(), query, body, Duration::from_secs(5)) {
        Reply::One(outcome) => outcome,
        Reply::Batch(items) => panic!("{items:?}"),
    }
}

fn document(path: &str, body: &str) -> DocumentAnswer {
    let query = Query::Document(query(path), InputSource::Member(TextFormat::Json));
    match ask(&query, body) {
        Outcome::Document(document) => document,
        outcome => panic!("{outcome:?}"),
    }
}

fn value(path: &str, body: &str) -> Option<String> {
    document(path, body).value.map(|value| value.as_str().to_owned())
}

/// OPA 1.22.2's results.
#[test]
fn a_document_is_what_opa_s_data_api_answers() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(value("envoy/authz/allow", r#"{"input":{"user":"ann"}}"#), some("true"));
    assert_eq!(value("envoy/authz/reason", r#"{"input":{"user":"ann"}}"#), None);
    assert_eq!(value("envoy/authz/numbers", "{}"), some("[1,[2.5,100]]"));
    assert_eq!(value("envoy/authz/numbers/1/0", "{}"), some("2.5"));
    let mixed = r#"{"[1]":["a","b"],"x y":"\u003c\u0026\u003e"}"#;
    assert_eq!(value("envoy/authz/mixed", "{}"), some(mixed));
    assert_eq!(value("base/0/0", "{}"), some("\"zero\""));
    assert_eq!(value("nothing/here", "{}"), None);
}

#[test]
fn an_answer_says_whether_there_was_an_input_and_whether_a_rule_defines_the_document() {
    assert_eq!(document("envoy/authz/allow", "").input, Given::Nothing);
    assert_eq!(document("envoy/authz/allow", r#"{"input":null}"#).input, Given::Nothing);
    assert_eq!(document("envoy/authz/allow", r#"{"input":0}"#).input, Given::Input);
    assert!(document("envoy/authz/numbers/0", "{}").has_rules);
    for path in ["envoy/authz/other", "base/0", "nothing"] {
        assert!(!document(path, "{}").has_rules, "{path}");
    }
}

#[test]
fn the_entrypoint_s_value_is_a_decision_too() {
    let decided = |path, body| document(path, body).decision.map(|decision| decision.allow);
    assert_eq!(decided("envoy/authz/allow", r#"{"input":{"user":"ann"}}"#), Some(true));
    assert_eq!(decided("envoy/authz/allow", "{}"), Some(false));
    assert_eq!(decided("envoy/authz/numbers", "{}"), None);
    // The decision itself has the rules beside the entrypoint.
    let Outcome::Decision(decision) = ask(&Query::Decision, r#"{"input":{}}"#) else { panic!() };
    assert_eq!(decision.reason.as_deref(), Some("only ann"));
}

#[test]
fn inputs_are_taken_from_where_the_request_has_them() {
    let from = |source, body| {
        let outcome = ask(&Query::Document(query("envoy/authz/allow"), source), body);
        let Outcome::Document(answer) = outcome else { panic!("{outcome:?}") };
        answer.value.unwrap().as_str() == "true"
    };
    let (json, yaml) = (TextFormat::Json, TextFormat::Yaml);
    assert!(from(InputSource::Parameter, r#"{"user":"ann"}"#));
    assert!(from(InputSource::Body(json), r#"{"user":"ann"}"#));
    assert!(from(InputSource::Body(yaml), "user: ann"));
    assert!(from(InputSource::Member(yaml), "input: {user: ann}"));
    assert!(!from(InputSource::Absent, r#"{"input":{"user":"ann"}}"#));
}

#[test]
fn a_body_that_is_malformed_is_refused_in_opa_s_words() {
    let refused = |source, body| {
        let outcome = ask(&Query::Document(query("envoy/authz/allow"), source), body);
        let Outcome::InvalidRequest(message) = outcome else { panic!("{outcome:?}") };
        message
    };
    let key = "invalid character 'x' looking for beginning of object key string";
    assert_eq!(
        refused(InputSource::Member(TextFormat::Json), "{x"),
        format!("body contains malformed input document: {key}")
    );
    assert_eq!(
        refused(InputSource::Body(TextFormat::Json), "{x"),
        format!("unexpected parse error for input: body contains malformed input document: {key}")
    );
    assert_eq!(
        refused(InputSource::Parameter, "{x"),
        format!("parameter contains malformed input document: {key}")
    );
}

#[test]
fn a_result_over_its_limit_is_an_error() {
    let query = Query::Document(query("envoy/authz/long"), InputSource::Absent);
    let Outcome::Failed(diagnostic) = ask(&query, "") else { panic!() };
    assert!(diagnostic.message.contains("max_result_bytes"), "{diagnostic}");
}

#[test]
fn a_request_may_ask_for_strict_errors_of_builtins() {
    let asked = |strict_builtin_errors| {
        let query = DocumentQuery { strict_builtin_errors, ..query("envoy/authz/broken") };
        let source = InputSource::Member(TextFormat::Json);
        ask(&Query::Document(query, source), r#"{"input":{"zero":0}}"#)
    };
    assert!(matches!(asked(false), Outcome::Document(DocumentAnswer { value: None, .. })));
    let Outcome::Failed(diagnostic) = asked(true) else { panic!() };
    assert_eq!(diagnostic.code.as_str(), "eval_builtin_error");
}

fn batch(query: BatchQuery, body: &str) -> Result<Vec<(String, Outcome)>, String> {
    match within(&mut policy(), &Query::Batch(query, u32::MAX), body, Duration::from_secs(5)) {
        Reply::Batch(items) => Ok(items.into_iter().map(|item| (item.key, item.outcome)).collect()),
        Reply::One(Outcome::InvalidRequest(message)) => Err(message),
        Reply::One(outcome) => panic!("{outcome:?}"),
    }
}

#[test]
fn each_input_of_a_batch_has_an_answer_of_its_own() {
    let body = r#"{"inputs": {"b": {"user": "ann"}, "a": {"user": "bob"}, "c": null,
        "d": {"subject": {"tenant_id": "other"}}}}"#;
    let items = batch(BatchQuery::Decision, body).unwrap();
    let allows = |outcome: &Outcome| match outcome {
        Outcome::Decision(decision) => Some(decision.allow),
        _ => None,
    };
    let named: Vec<_> =
        items.iter().map(|(key, outcome)| (key.as_str(), allows(outcome))).collect();
    assert_eq!(named, [("a", Some(false)), ("b", Some(true)), ("c", None), ("d", None)]);
    assert!(matches!(items[2].1, Outcome::InvalidRequest(_)));
    assert_eq!(items[3].1, Outcome::TenantMismatch);
}

#[test]
fn inputs_of_a_batch_have_the_common_members_that_they_lack() {
    let body = r#"{"common_input": {"user": "ann", "zero": 0}, "inputs": {"a": {}, "b": {"user": "bob"}, "c": "text"}}"#;
    let query = BatchQuery::Document(query("envoy/authz/allow"));
    let items = batch(query, body).unwrap();
    let value = |outcome: &Outcome| match outcome {
        Outcome::Document(answer) => answer.value.as_ref().map(|text| text.as_str().to_owned()),
        outcome => panic!("{outcome:?}"),
    };
    let values: Vec<_> = items.iter().filter_map(|(_, outcome)| value(outcome)).collect();
    assert_eq!(values, ["true", "false", "false"]);
}

#[test]
fn a_batch_whose_inputs_are_missing_or_too_many_is_refused() {
    for body in ["{}", "[]", r#"{"inputs": []}"#] {
        assert!(batch(BatchQuery::Decision, body).unwrap_err().contains("inputs"), "{body}");
    }
    let many = |count: usize| {
        let inputs: Vec<String> = (0..count).map(|index| format!("\"{index}\":{{}}")).collect();
        batch(BatchQuery::Decision, &format!("{{\"inputs\":{{{}}}}}", inputs.join(",")))
    };
    assert_eq!(many(MAX_BATCH).unwrap().len(), MAX_BATCH);
    assert!(many(MAX_BATCH + 1).unwrap_err().contains("at most 1000"));
    let long = format!(r#"{{"inputs": {{"{}": {{}}}}}}"#, "x".repeat(MAX_BATCH_KEY + 1));
    assert!(batch(BatchQuery::Decision, &long).unwrap_err().contains("1024 bytes"));
}

#[test]
fn of_a_batch_with_more_inputs_than_its_question_allows_none_is_evaluated() {
    let body = r#"{"inputs": {"a": {"x": 1}, "b": {"y": 2}, "c": {"z": 3}}}"#;
    let mut policy = policy();
    let mut ask = |most| {
        let query = Query::Batch(BatchQuery::Document(query("envoy/authz/told")), most);
        let reply = within(&mut policy, &query, body, Duration::from_secs(5));
        (reply, policy.take_prints().len())
    };
    let (refused, printed) = ask(2);
    assert!(matches!(refused, Reply::One(Outcome::TooManyInputs(3))), "{refused:?}");
    assert_eq!(printed, 0);
    let (allowed, printed) = ask(3);
    assert!(matches!(allowed, Reply::Batch(items) if items.len() == 3));
    assert_eq!(printed, 3);
}

#[test]
fn a_batch_has_one_deadline() {
    let query = Query::Batch(BatchQuery::Document(query("envoy/authz/loop")), u32::MAX);
    let body = r#"{"inputs": {"a": {}, "b": {}, "c": {}}}"#;
    let start = Instant::now();
    let reply = within(&mut policy(), &query, body, Duration::from_millis(200));
    assert!(start.elapsed() < Duration::from_secs(5));
    let Reply::Batch(items) = reply else { panic!() };
    assert!(items.iter().all(|item| item.outcome == Outcome::TimedOut), "{items:?}");
}

#[test]
fn all_inputs_of_a_batch_print() {
    let mut policy = policy();
    let query = Query::Batch(BatchQuery::Document(query("envoy/authz/told")), u32::MAX);
    let body = r#"{"inputs": {"a": {"x": 1}, "b": {"y": 2}}}"#;
    within(&mut policy, &query, body, Duration::from_secs(5));
    assert_eq!(policy.take_prints().len(), 2);
}
