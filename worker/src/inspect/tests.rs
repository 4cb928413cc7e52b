use super::*;

use enforcer_protocol::Namespace;
use enforcer_rego::File;
use serde_json::{Value as Json, json};

use crate::clock::monotonic_micros;

const MODULE: &str = "package tenants.a

default allow := false

allow if {
    input.user == \"ann\"
    trace(\"asked\")
}
";

const TEST: &str = "package tenants.a_test

import data.tenants.a

test_ann if a.allow with input.user as \"ann\"

test_bob if a.allow with input.user as \"bob\"
";

fn bundle(files: &[(&str, &str)]) -> Bundle {
    let files = files.iter().map(|(path, content)| File {
        path: (*path).to_owned(),
        content: content.as_bytes().to_vec(),
    });
    Bundle {
        tenant_id: "a".parse().unwrap(),
        namespace: Namespace::Open,
        entrypoint: ["tenants", "a", "allow"].map(str::to_owned).to_vec(),
        evaluation_timeout: Duration::from_secs(5),
        bytecode: true,
        strict_builtin_errors: false,
        max_result: 1 << 20,
        tests: enforcer_protocol::TestGate::Ignored,
        files: files.collect(),
    }
}

fn ask(inspection: &Inspection, body: &str) -> Findings {
    let files = [("policy.rego", MODULE), ("policy_test.rego", TEST)];
    let deadline = monotonic_micros() + 10_000_000;
    inspect(bundle(&files), inspection, body.as_bytes(), deadline)
}

fn report_of(findings: Findings) -> Json {
    match findings {
        Findings::Report(report) => serde_json::from_str(report.as_str()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn allow() -> DocumentQuery {
    let path = ["tenants", "a", "allow"].map(str::to_owned).to_vec();
    DocumentQuery { path, strict_builtin_errors: false }
}

const MEMBER: InputSource = InputSource::Member(enforcer_protocol::TextFormat::Json);

#[test]
fn a_bundle_is_checked_without_being_served() {
    assert!(matches!(ask(&Inspection::Check, ""), Findings::Usable { .. }));
    let broken = [("policy.rego", "package tenants.a\nallow if {")];
    let findings = inspect(bundle(&broken), &Inspection::Check, b"", u64::MAX);
    let Findings::Unusable(diagnostics) = findings else { panic!("{findings:?}") };
    assert_eq!(diagnostics[0].code.as_str(), "rego_parse_error");
}

#[test]
fn a_document_comes_with_the_events_of_its_evaluation() {
    let asked = |mode, form, body| {
        let inspection = Inspection::Document(allow(), MEMBER, Explain { mode, form });
        let Findings::Document(outcome, explanation) = ask(&inspection, body) else { panic!() };
        let Outcome::Document(answer) = outcome else { panic!("{outcome:?}") };
        let explanation: Json = serde_json::from_str(explanation.unwrap().as_str()).unwrap();
        (answer.value.unwrap().as_str().to_owned(), explanation)
    };
    let ann = r#"{"input":{"user":"ann"}}"#;
    let (value, lines) = asked(ExplainMode::Notes, ExplainForm::Lines, ann);
    assert_eq!(value, "true");
    assert!(lines.as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("asked")));
    let (_, events) = asked(ExplainMode::Notes, ExplainForm::Events, ann);
    let note = events.as_array().unwrap().iter().find(|event| event["op"] == "note").unwrap();
    assert_eq!(note["message"], "asked");
    let (value, lines) = asked(ExplainMode::Notes, ExplainForm::Lines, "{}");
    assert_eq!((value.as_str(), lines), ("false", json!([""])));
}

#[test]
fn it_is_told_why_a_decision_is_as_it_is() {
    let why = report_of(ask(&Inspection::Why(allow(), MEMBER), r#"{"input":{"user":"bob"}}"#));
    assert_eq!(why["value"], "false");
    let rule = why["rules"].as_array().unwrap().iter().find(|rule| rule["is_default"] == false);
    let statement = &rule.unwrap()["statements"][0];
    assert_eq!(statement["outcome"], "failed");
    assert_eq!(
        statement["attempts"][0]["values"][0],
        json!({"name": "input.user", "value": "\"bob\""})
    );
}

#[test]
fn a_query_has_solutions_or_is_refused_in_opa_s_words() {
    let asked = |query: &str| {
        let body = json!({"query": query, "input": {"user": "ann"}}).to_string();
        ask(&Inspection::Query(QuerySource::Body, None), &body)
    };
    let Findings::Solutions { result, .. } = asked("x := input.user; data.tenants.a.allow") else {
        panic!()
    };
    assert_eq!(result.as_str(), r#"[{"x":"ann"}]"#);
    let Findings::Refused(message, diagnostics) = asked("x = y") else { panic!() };
    assert_eq!(message, "error(s) occurred while compiling query");
    assert_eq!(diagnostics[0].code.as_str(), "rego_unsafe_var_error");
    let Findings::Refused(message, _) = asked(")(") else { panic!() };
    assert_eq!(message, "error(s) occurred while parsing query");
    let Findings::Unanswerable(message) = asked("") else { panic!() };
    assert_eq!(message, "cannot evaluate empty query");
    let findings = ask(&Inspection::Query(QuerySource::Body, None), "[]");
    let Findings::Failed(Outcome::InvalidRequest(message)) = findings else { panic!() };
    assert!(message.ends_with("into Go value of type types.QueryRequestV1"), "{message}");
}

#[test]
fn the_modules_are_shown_with_their_text_and_tree() {
    let policies = report_of(ask(&Inspection::Policies(None), ""));
    assert_eq!(policies[0]["id"], "policy.rego");
    assert_eq!(policies[0]["raw"], MODULE);
    assert!(policies[0]["ast"]["rules"].is_array());
    let one = report_of(ask(&Inspection::Policies(Some("policy.rego".to_owned())), ""));
    assert_eq!(one, policies[0]);
    let missing = ask(&Inspection::Policies(Some("other.rego".to_owned())), "");
    assert_eq!(missing, Findings::NotFound);
}

#[test]
fn the_tests_of_a_bundle_run() {
    let settings = |run: Option<&str>| TestSettings {
        run: run.map(str::to_owned),
        coverage: true,
        timeout_micros: 1_000_000,
    };
    let tests = report_of(ask(&Inspection::Tests(settings(None)), ""));
    let outcomes: Vec<&Json> =
        tests["results"].as_array().unwrap().iter().map(|test| &test["outcome"]).collect();
    assert_eq!(*outcomes[0], "passed");
    assert!(outcomes[1]["failed"].is_object(), "{outcomes:?}");
    assert!(tests["coverage"].is_object());
    let one = report_of(ask(&Inspection::Tests(settings(Some("ann"))), ""));
    assert_eq!(one["results"].as_array().unwrap().len(), 1);
    let findings = ask(&Inspection::Tests(settings(Some("("))), "");
    assert!(matches!(findings, Findings::Failed(Outcome::InvalidRequest(_))), "{findings:?}");
}

#[test]
fn an_inspection_without_time_has_no_result() {
    let files = [("policy.rego", MODULE)];
    let inspection = Inspection::Why(allow(), MEMBER);
    let findings = inspect(bundle(&files), &inspection, br#"{"input":{}}"#, 0);
    assert_eq!(findings, Findings::Failed(Outcome::TimedOut));
}

#[test]
fn a_mistake_in_a_test_is_found_by_a_check_and_keeps_no_bundle_from_being_evaluated() {
    let files = [("policy.rego", MODULE), ("policy_test.rego", "package a_test\ntest_a if {")];
    let findings = inspect(bundle(&files), &Inspection::Check, b"", u64::MAX);
    let Findings::Unusable(diagnostics) = findings else { panic!("{findings:?}") };
    assert_eq!(diagnostics[0].location.as_ref().unwrap().file, "policy_test.rego");
    let inspection = Inspection::Evaluate(allow(), InputSource::Absent);
    let findings = inspect(bundle(&files), &inspection, b"", monotonic_micros() + 10_000_000);
    assert!(matches!(findings, Findings::Evaluated(Outcome::Document(_), _)), "{findings:?}");
}

#[test]
fn a_document_comes_with_the_lines_that_it_printed_up_to_a_bound() {
    let policy = "package tenants.a\n\nallow if {\n\tsome i in numbers.range(1, 2000)\n\tprint(i)\n\ti < 0\n}\n";
    let inspection = Inspection::Evaluate(allow(), InputSource::Absent);
    let bundle = bundle(&[("policy.rego", policy)]);
    let findings = inspect(bundle, &inspection, b"", monotonic_micros() + 10_000_000);
    let Findings::Evaluated(Outcome::Document(answer), printed) = findings else { panic!() };
    assert_eq!(answer.value, None);
    assert_eq!((printed.len(), printed[0].as_str()), (MAX_PRINTED_LINES, "policy.rego:5: 1"));
}

#[test]
fn a_bundle_without_an_entrypoint_has_no_warning_that_no_rule_decides() {
    let policy = [("policy.rego", "package app\n\nx := 1\n")];
    let warnings = |entrypoint: &[&str]| {
        let entrypoint = entrypoint.iter().map(|&key| key.to_owned()).collect();
        let bundle = Bundle { entrypoint, ..bundle(&policy) };
        match inspect(bundle, &Inspection::Check, b"", u64::MAX) {
            Findings::Usable { warnings, .. } => warnings.len(),
            findings => panic!("{findings:?}"),
        }
    };
    assert_eq!(warnings(&[]), 0);
    assert_eq!(warnings(&["tenants", "a", "allow"]), 1);
}
