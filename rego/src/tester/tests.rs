//! Promises of the runner of tests. Expectations are those of `opa test` 1.22.2.

use std::time::Duration;

use super::*;
use crate::{File, Settings};

const POLICY: &str = r#"package a

allow if {
	input.role == "admin"
	count(input.list) > 1
}

f(x) := "a" if x == 1
f(x) := "b" if x == 2
"#;

const TESTS: &str = r#"package a_test
import data.a

test_allow if a.allow with input as {"role": "admin", "list": [1, 2]}
test_deny if a.allow with input as {"role": "admin", "list": [1]}
test_f if {
	print("in", "test")
	a.f(1) == "a"
}
test_f if a.f(2) == "a"
todo_test_later if false
test_conflict if {k: v | some v in [1, 2]; k := "a"}
test_cases[note] if {
	some note, tc in {"one": {"x": 1, "exp": "a"}, "two": {"x": 2, "exp": "c"}}
	a.f(tc.x) == tc.exp
}
"#;

fn suite(policy: &str, tests: &str) -> Suite {
    let file = |path: &str, text: &str| File { path: path.into(), content: text.into() };
    let files = vec![file("a.rego", policy), file("a_test.rego", tests)];
    Suite::load(files, &Settings::default()).unwrap()
}

fn run(suite: &mut Suite, options: &Options) -> Vec<TestResult> {
    suite.run(options).unwrap().results
}

fn result<'r>(results: &'r [TestResult], name: &str) -> &'r TestResult {
    results.iter().find(|result| result.name == name).unwrap()
}

#[test]
fn each_test_has_the_outcome_that_opa_gives_it() {
    let results = run(&mut suite(POLICY, TESTS), &Options::default());
    assert_eq!(result(&results, "test_allow").outcome, Outcome::Passed);
    assert!(matches!(result(&results, "test_deny").outcome, Outcome::Failed(_)));
    assert_eq!(result(&results, "todo_test_later").outcome, Outcome::Skipped);
    match &result(&results, "test_conflict").outcome {
        Outcome::Error { code, message, place } => {
            assert_eq!(code, "eval_conflict_error");
            assert_eq!(message, "object keys must be unique");
            assert_eq!(place.as_ref().unwrap().row, 12);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(results.len(), 7);
}

#[test]
fn a_second_test_of_a_name_has_a_name_of_its_own() {
    let results = run(&mut suite(POLICY, TESTS), &Options::default());
    assert_eq!(result(&results, "test_f").outcome, Outcome::Passed);
    assert!(matches!(result(&results, "test_f#01").outcome, Outcome::Failed(_)));
}

#[test]
fn a_case_that_has_no_value_failed() {
    let results = run(&mut suite(POLICY, TESTS), &Options::default());
    let result = result(&results, "test_cases");
    assert!(matches!(result.outcome, Outcome::Failed(_)));
    let cases: Vec<_> = result.cases.values().map(|case| (&*case.name, case.failed)).collect();
    assert_eq!(cases, [("one", false), ("two", true)]);
}

#[test]
fn a_failed_test_says_which_statement_failed_and_with_what() {
    let results = run(&mut suite(POLICY, TESTS), &Options::default());
    let Outcome::Failed(failure) = &result(&results, "test_deny").outcome else { panic!() };
    let why = failure.why.as_ref().unwrap();
    let lines: Vec<String> = why.lines().iter().map(crate::topdown::show::Line::plain).collect();
    assert!(lines.iter().any(|line| line.contains("failed  count(input.list) > 1")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("count(input.list) is 1")), "{lines:#?}");
}

#[test]
fn what_a_test_prints_is_kept_without_its_place() {
    let results = run(&mut suite(POLICY, TESTS), &Options::default());
    assert_eq!(result(&results, "test_f").output, ["in test"]);
}

#[test]
fn only_tests_whose_full_name_matches_run() {
    let mut suite = suite(POLICY, TESTS);
    let options = |pattern: &str| Options { run: Some(pattern.into()), ..Options::default() };
    let names = |results: Vec<TestResult>| {
        results.into_iter().map(|result| result.name).collect::<Vec<_>>()
    };
    // As in OPA, a second test of a name is `data.a_test["test_f#01"]`.
    let found = names(run(&mut suite, &options("a_test\\.test_f")));
    assert_eq!(found, ["test_f"]);
    assert_eq!(names(run(&mut suite, &options("test_f"))), ["test_f", "test_f#01"]);
    assert_eq!(names(run(&mut suite, &options("^test_f"))), [""; 0]);
    assert!(suite.run(&options("(")).is_err());
}

#[test]
fn a_test_that_takes_too_long_is_timed_out() {
    let slow = "package a_test\ntest_slow if { some x in numbers.range(1, 9000); some y in numbers.range(1, 9000); x + y == 0 }\n";
    let options = Options { timeout: Duration::from_millis(30), ..Options::default() };
    let results = run(&mut suite(POLICY, slow), &options);
    assert_eq!(results[0].outcome, Outcome::TimedOut);
}

#[test]
fn coverage_has_opas_numbers_and_ranges() {
    let tests = "package a_test\nimport data.a\n\ntest_f if a.f(1) == \"a\"\n";
    let options = Options { coverage: true, ..Options::default() };
    let coverage = suite(POLICY, tests).run(&options).unwrap().coverage.unwrap();
    let policy = &coverage.files["a.rego"];
    assert_eq!((policy.covered_lines, policy.not_covered_lines), (1, 4));
    assert_eq!(policy.coverage, 20.0);
    let last = policy.not_covered.last().unwrap();
    assert_eq!((last.start.row, last.start.col, last.end.col), (9, 16, 22));
    assert_eq!(last.kinds, [Kind::IndexExcluded]);
    let json = serde_json::to_value(&coverage).unwrap();
    assert_eq!(
        json["files"]["a_test.rego"]["covered"][0]["start"],
        serde_json::json!({"row": 4, "col": 1})
    );
}

#[test]
fn tests_are_part_of_the_bundle_only_for_the_runner() {
    let suite = suite(POLICY, TESTS);
    assert!(suite.names().any(|name| name == "data.a_test.test_allow"));
    assert_eq!(suite.names().count(), 7);
}
