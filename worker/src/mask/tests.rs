use super::*;

use enforcer_protocol::{DocumentQuery, InputSource, Namespace, TestGate, TextFormat};
use enforcer_rego::File;

use crate::answer::{Reply, answer};
use crate::bundle::Bundle;

/// Long enough for any machine.
const TIMEOUT: Duration = Duration::from_secs(5);

const DECIDES: &str = "package tenants.a\nimport rego.v1\nallow := true\nreason := input.why\n";

fn policy_of(namespace: Namespace, modules: &[&str]) -> Policy {
    let file = |(index, module): (usize, &&str)| File {
        path: format!("{index}.rego"),
        content: (*module).into(),
    };
    Policy::load(Bundle {
        tenant_id: "a".parse().unwrap(),
        namespace,
        entrypoint: ["tenants", "a", "allow"].map(str::to_owned).to_vec(),
        evaluation_timeout: TIMEOUT,
        bytecode: true,
        strict_builtin_errors: false,
        max_result: 1024 * 1024,
        tests: TestGate::Ignored,
        files: modules.iter().enumerate().map(file).collect(),
    })
    .unwrap()
}

fn policy(mask: &str) -> Policy {
    policy_of(Namespace::Strict, &[&format!("{DECIDES}{mask}")])
}

fn masked_by(policy: &mut Policy, query: &Query, body: &str) -> Mask {
    let deadline = monotonic_micros() + u64::try_from(TIMEOUT.as_micros()).unwrap();
    let answered = answer(policy, query, body.as_bytes(), deadline);
    let Reply::One(outcome) = answered.reply else { panic!("{answered:?}") };
    let mut masker = Masker::new(policy, query, deadline);
    masker.try_mask(&outcome, answered.inputs[0].as_ref(), TIMEOUT).unwrap()
}

/// What the mask leaves of the decision about an input: the input, the reason, and the paths.
fn left(mask: &str, input: &str) -> (Option<String>, Option<String>, String, String) {
    let body = format!(r#"{{"input":{input}}}"#);
    match masked_by(&mut policy(mask), &Query::Decision, &body) {
        Mask::Applied(masked) => {
            let MaskedDecision { input, decision, erased, masked } = *masked;
            let input = input.map(|text| text.as_str().to_owned());
            (input, decision.reason, erased.join(" "), masked.join(" "))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_path_is_removed_or_replaced_and_told() {
    let some = |text: &str| Some(text.to_owned());
    let owned = str::to_owned;
    for (mask, input, expected) in [
        (
            r#"mask contains "/input/password""#,
            r#"{"password":"x","why":"y"}"#,
            (some(r#"{"why":"y"}"#), some("y"), owned("/input/password"), owned("")),
        ),
        (
            r#"mask := [{"op": "upsert", "path": "/input/a/b", "value": "*"}]"#,
            r#"{"a":{}}"#,
            (some(r#"{"a":{"b":"*"}}"#), None, owned(""), owned("/input/a/b")),
        ),
        (r#"mask := ["/input"]"#, r#"{"why":"y"}"#, (None, some("y"), owned("/input"), owned(""))),
        (
            r#"mask := [{"op": "upsert", "path": "/result/reason", "value": "*"}] if input.result.allow"#,
            r#"{"why":"y"}"#,
            (some(r#"{"why":"y"}"#), some("*"), owned(""), owned("/result/reason")),
        ),
        (
            r#"mask := ["/result"] if input.path == "tenants/a/allow""#,
            r#"{"why":"y"}"#,
            (some(r#"{"why":"y"}"#), None, owned("/result"), owned("")),
        ),
        (
            r#"mask := ["/input/0", "/input/nobody/x", "/nd_builtin_cache/x"]"#,
            r#"["p","q"]"#,
            (some(r#"["q"]"#), None, owned("/input/0"), owned("")),
        ),
        // No rule applies.
        (
            r#"mask contains "/input/x" if input.input.hide"#,
            r#"{"x":1,"x":2}"#,
            (some(r#"{"x":2}"#), None, owned(""), owned("")),
        ),
        (
            r#"mask := ["/input/x"] if input.input.hide"#,
            "[1]",
            (some("[1]"), None, owned(""), owned("")),
        ),
    ] {
        assert_eq!(left(mask, input), expected, "{mask}");
    }
}

#[test]
fn whether_a_decision_allows_is_no_secret() {
    let mask = r#"mask := ["/result/allow", {"op": "upsert", "path": "/result/redact", "value": [1, "a"]}]"#;
    let Mask::Applied(masked) = masked_by(&mut policy(mask), &Query::Decision, r#"{"input":{}}"#)
    else {
        panic!()
    };
    let redact = vec!["a".to_owned()];
    assert_eq!(masked.decision, Decision { allow: true, redact, reason: None });
    assert_eq!(masked.erased, ["/result/allow"]);
}

#[test]
fn a_mask_that_fails_says_why_and_shows_nothing() {
    for (mask, fault) in [
        (r#"mask := "/input/x""#, "unexpected rule format"),
        ("mask := [1]", "invalid mask rule format"),
        (r#"mask := ["input"]"#, "slash-prefixed"),
        (r#"mask := ["/labels/x"]"#, "prefix not allowed"),
        (r#"mask := [{"op": "upsert"}]"#, "non-empty"),
        (r#"mask := [{"op": "add", "path": "/input/x"}]"#, "not supported"),
        (r#"mask := [{"path": "/input/x"}]"#, "not supported"),
        (r#"mask := [{"op": 1, "path": "/input/x"}]"#, "invalid \"op\""),
        (r#"mask := [{"op": "remove", "path": ""}]"#, "invalid \"path\""),
        // The rules before it are no reason to show the rest.
        (r#"mask := ["/input/why", "/x"]"#, "prefix not allowed"),
        ("mask := 1 if true\nmask := 2 if input.input", "conflict"),
        (r#"mask := [sprintf("/input/%05000d", [x]) | some x in numbers.range(1, 5000)]"#, "limit"),
    ] {
        match masked_by(&mut policy(mask), &Query::Decision, r#"{"input":{"why":"y"}}"#) {
            Mask::Failed(reason) => assert!(reason.contains(fault), "{mask}: {reason}"),
            other => panic!("{mask}: {other:?}"),
        }
    }
}

#[test]
fn more_than_a_frame_has_room_for_is_not_shown() {
    let body = |bytes: usize| format!(r#"{{"input":"{}"}}"#, "x".repeat(bytes));
    let mut policy = policy("mask := []");
    let mut of = |bytes| masked_by(&mut policy, &Query::Decision, &body(bytes));
    assert!(matches!(of(MAX_MASKED - 2), Mask::Applied(_)));
    assert_eq!(of(MAX_MASKED - 1), Mask::TooLarge);
}

#[test]
fn the_masks_of_a_batch_have_the_room_together() {
    let mut policy = policy("mask := []");
    let body = format!(r#"{{"inputs":{{"a":"{0}","b":"{0}","c":1}}}}"#, "x".repeat(MAX_MASKED / 2));
    let query = Query::Batch(BatchQuery::Decision, 10);
    let deadline = monotonic_micros() + u64::try_from(TIMEOUT.as_micros()).unwrap();
    let answered = answer(&mut policy, &query, body.as_bytes(), deadline);
    let Reply::Batch(items) = answered.reply else { panic!() };
    let mut masker = Masker::new(&mut policy, &query, deadline);
    let masks: Vec<Mask> = items
        .iter()
        .zip(&answered.inputs)
        .map(|(item, input)| masker.try_mask(&item.outcome, input.as_ref(), TIMEOUT).unwrap())
        .collect();
    assert!(matches!(masks[0], Mask::Applied(_)));
    assert_eq!(masks[1], Mask::TooLarge);
    assert!(matches!(masks[2], Mask::Applied(_)));
}

#[test]
fn a_mask_that_loops_ends_in_its_time() {
    let mask = "mask := [\"/input\" | some x in numbers.range(1, 10000); some y in numbers.range(1, 10000); x + y < 0]";
    let mut policy = policy(mask);
    let outcome = Outcome::Decision(Decision::default());
    let deadline = monotonic_micros() + u64::try_from(TIMEOUT.as_micros()).unwrap();
    let mut masker = Masker::new(&mut policy, &Query::Decision, deadline);
    assert_eq!(masker.try_mask(&outcome, None, Duration::from_millis(1)), None);
    assert_eq!(
        masker.mask(&outcome, None),
        Mask::Failed("the mask did not end in time".to_owned())
    );
    // And with no time left it is not even begun.
    let mut masker = Masker::new(&mut policy, &Query::Decision, monotonic_micros());
    assert_eq!(masker.try_mask(&outcome, None, TIMEOUT), None);
}

#[test]
fn only_a_bundle_that_has_one_has_a_mask() {
    let has = |namespace, modules: &[&str]| policy_of(namespace, modules).has_mask();
    let system =
        "package system.log\nimport rego.v1\nmask contains \"/input/x\" if input.input.hide";
    assert!(!has(Namespace::Strict, &[DECIDES]));
    assert!(has(Namespace::Strict, &[&format!("{DECIDES}mask := [] if input.never")]));
    assert!(!has(Namespace::Open, &[DECIDES]));
    assert!(!has(Namespace::Open, &[&format!("{DECIDES}mask := []")]));
    assert!(has(Namespace::Open, &[DECIDES, system]));
    // No decision uses its rules, and yet they are used.
    let used = "hidden := [\"/input/x\"]\nmask contains path if some path in hidden";
    assert_eq!(policy(used).warnings(), []);
    // A package in its place is a mask that fails.
    let below = "package system.log.mask\nimport rego.v1\nx := 1";
    assert!(has(Namespace::Open, &[DECIDES, below]));
}

#[test]
fn a_document_s_mask_sees_its_value_and_only_decisions_are_masked() {
    let decides = "package tenants.a\nimport rego.v1\nallow := {\"allow\": true, \"reason\": \"r\", \"redact\": {\"b\", \"a\"}}\nother := 1\n";
    let mask = "package system.log\nimport rego.v1\nmask contains \"/result/redact/0\" if input.path == \"tenants/a/allow\"";
    let mut policy = policy_of(Namespace::Open, &[decides, mask]);
    let document = |path: &[&str]| {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        let query = DocumentQuery { path, strict_builtin_errors: false };
        Query::Document(query, InputSource::Member(TextFormat::Json))
    };
    let query = document(&["tenants", "a", "allow"]);
    let Mask::Applied(masked) = masked_by(&mut policy, &query, "{}") else { panic!() };
    assert_eq!(masked.input, None);
    assert_eq!(masked.erased, ["/result/redact/0"]);
    assert_eq!(masked.decision.redact, ["b"]);
    assert_eq!(masked.decision.reason.as_deref(), Some("r"));
    let query = document(&["tenants", "a", "other"]);
    assert_eq!(masked_by(&mut policy, &query, "{}"), Mask::Absent);
}
