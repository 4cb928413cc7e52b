//! Promises of explanations. Every expectation of a trace, value or error is OPA 1.22.2's.

use std::time::{Duration, Instant};

use super::why::{RuleOutcome, StatementOutcome, Why};
use super::*;
use crate::json;
use crate::{DocumentQuery, EvaluationError, File, Moment, Policy, Settings, Value};

const POLICY: &str = r#"package t.a

default allow := false

allow if {
	input.user.role == "admin"
	trace(sprintf("asked by %v", [input.user.name]))
}

allow if {
	some x in data.nums
	x > 2
	f(x) == 4
	not deny
}

deny if input.user.role == "root"

f(x) := y if { y := x + 1 } else := 3
"#;

fn files(policy: &str, data: &str) -> Vec<File> {
    let file = |path: &str, text: &str| File { path: path.into(), content: text.into() };
    vec![file("p.rego", policy), file("data.json", data)]
}

fn explainer(policy: &str, data: &str) -> Explainer {
    Explainer::load(files(policy, data), &Settings::default()).unwrap()
}

fn path(path: &str) -> Vec<Value> {
    path.split('.').filter(|key| !key.is_empty()).map(Value::from).collect()
}

fn moment() -> Moment {
    Moment { now_ns: 1, deadline: Instant::now() + Duration::from_secs(60) }
}

fn question(input: &str) -> Question {
    let input = (!input.is_empty()).then(|| json::parse(input.as_bytes()).unwrap());
    Question { input, moment: moment(), strict_builtin_errors: None }
}

fn why(policy: &str, input: &str) -> Why {
    explainer(policy, "{\"nums\": [1, 3]}").why(&path("t.a.allow"), question(input)).1
}

fn lines(mode: Mode, input: &str) -> Vec<String> {
    let explainer = explainer(POLICY, "{\"nums\": [1, 3]}");
    let (_, trace) = explainer.trace(&path("t.a.allow"), question(input), mode, false);
    trace.lines()
}

fn document(path: &[Value]) -> DocumentQuery<'_> {
    DocumentQuery { path, strict_builtin_errors: false }
}

#[test]
fn an_explained_value_is_the_served_one() {
    let policies = [
        (
            "p[0] := 1\np[true] := 2\np[null] := 3\nq if p[0] == 1\nr := p[true]\ns if p[null] > p[1.0e0] else := 4",
            "",
        ),
        (
            "p contains x if some x in input.xs\nq := {y | some y in p; y > 1}\nr[k] := v if some k, v in input.xs",
            "",
        ),
        (
            "p.q[x].r contains y if { some x in input.xs; some y in [1, x] }\nz := p.q[2].r\nw := p.q[_].r[_]",
            "",
        ),
        (
            "f(x) := 1 if x > 1 else := 2\np := [f(x) | some x in input.xs]\nq if every x in input.xs { f(x) < 3 }",
            "",
        ),
        (
            "p if input.a == 3 with input.a as 3\nq if data.b.c == 1 with data.b as {\"c\": 1}\nr := x if x := f(1) with f as 7\nf(x) := x",
            "",
        ),
        (
            "p := x if x := count(input.xs) with count as n\nn(_) := 9\nq := x if { [x, 2] = input.xs }",
            "",
        ),
        ("p := 1 if input.xs[0] == 1\np := 2 if input.xs[1] == 2", ""),
        (
            "p if not input.no\nq if { walk(input, [path, 2]); count(path) == 2 }\ns := data.nums[_] + 1",
            "",
        ),
        ("p := x / 0 if some x in input.xs\nq := [x | some x in input.xs; not x / 0 == 1]", ""),
    ];
    for (rules, _) in policies {
        let files = files(&format!("package t.a\n{rules}\n"), "{\"nums\": [5]}");
        let explainer = Explainer::load(files.clone(), &Settings::default()).unwrap();
        let mut policy = Policy::load(files, &Settings::default()).unwrap();
        for part in ["t.a", "t.a.p", "t.a.q", "t.a.z", "t.a.r", "", "nums.0"] {
            let question = question("{\"xs\": [1, 2], \"a\": 4}");
            let served = policy.evaluate(document(&path(part)), question.input.clone(), moment());
            let explained = explainer.evaluate(&path(part), question);
            match (&served.result, &explained.result) {
                (Ok(served), Ok(explained)) => assert_eq!(served, explained, "{rules} {part}"),
                (Err(served), Err(explained)) => assert_eq!(served, explained, "{rules} {part}"),
                other => panic!("{rules} {part}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_full_trace_is_opas_line_by_line() {
    let expected = r"query:1       Enter data.t.a.allow = _
query:1       | Eval data.t.a.allow = _
query:1       | Index data.t.a.allow (matched 1 rule, early exit)
p.rego:10     | Enter data.t.a.allow
p.rego:11     | | Eval x = data.nums[__local0__]
p.rego:12     | | Eval gt(x, 2)
p.rego:12     | | Fail gt(x, 2)
p.rego:11     | | Redo x = data.nums[__local0__]
p.rego:12     | | Eval gt(x, 2)
p.rego:13     | | Eval data.t.a.f(x, __local6__)
p.rego:13     | | Index data.t.a.f (matched 1 rule)
p.rego:19     | | Enter data.t.a.f
p.rego:19     | | | Eval plus(x, 1, __local7__)
p.rego:19     | | | Eval y = __local7__
p.rego:19     | | | Exit data.t.a.f
p.rego:13     | | Eval __local6__ = 4
p.rego:14     | | Eval not data.t.a.deny
p.rego:14     | | Enter data.t.a.deny
p.rego:14     | | | Eval data.t.a.deny
p.rego:14     | | | Index data.t.a.deny (matched 0 rules, early exit)
p.rego:14     | | | Fail data.t.a.deny
p.rego:10     | | Exit data.t.a.allow early
query:1       | Exit data.t.a.allow = _
query:1       Redo data.t.a.allow = _
query:1       | Redo data.t.a.allow = _
p.rego:10     | Redo data.t.a.allow
p.rego:13     | | Redo __local6__ = 4
p.rego:13     | | Redo data.t.a.f(x, __local6__)
p.rego:19     | | | Redo y = __local7__
p.rego:19     | | | Redo plus(x, 1, __local7__)
p.rego:12     | | Redo gt(x, 2)
p.rego:11     | | Redo x = data.nums[__local0__]";
    let lines = lines(Mode::Full, "{\"user\": {\"role\": \"viewer\"}}");
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn notes_come_with_the_queries_that_led_to_them_and_nothing_else() {
    let lines = lines(Mode::Notes, "{\"user\": {\"role\": \"admin\", \"name\": \"ada\"}}");
    let expected = [
        "query:1      Enter data.t.a.allow = _",
        "p.rego:5     | Enter data.t.a.allow",
        "p.rego:7     | | Note \"asked by ada\"",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn events_as_json_have_the_values_of_variables() {
    let explainer = explainer(POLICY, "{\"nums\": [1, 3]}");
    let input = "{\"user\": {\"role\": \"viewer\"}}";
    let (_, trace) = explainer.trace(&path("t.a.allow"), question(input), Mode::Fails, true);
    let events: serde_json::Value = serde_json::from_str(&trace.to_json()).unwrap();
    let fail = events.as_array().unwrap().iter().find(|event| event["op"] == "fail").unwrap();
    assert_eq!(fail["type"], "expr");
    assert_eq!(fail["query_id"], 1);
    let values: Vec<&serde_json::Value> =
        fail["locals"].as_array().unwrap().iter().map(|local| &local["value"]["value"]).collect();
    assert_eq!(values, [0, 1]);
}

#[test]
fn a_failed_statement_is_shown_with_the_values_that_it_read() {
    let policy = "package t.a\nallow if {\n\tlower(input.user.role) == \"admin\"\n\tinput.x\n}\n";
    let why = why(policy, "{\"user\": {\"role\": \"Viewer\"}}");
    assert_eq!(why.value, None);
    let [rule] = &why.rules[..] else { panic!("{why:?}") };
    assert_eq!((rule.outcome, rule.place.row), (RuleOutcome::Failed, 2));
    let [first, second] = &rule.statements[..] else { panic!("{rule:?}") };
    assert_eq!(first.source, "lower(input.user.role) == \"admin\"");
    assert_eq!(first.outcome, StatementOutcome::Failed);
    let values: Vec<_> = first.attempts[0]
        .values
        .iter()
        .map(|named| (named.name.as_str(), named.value.as_deref()))
        .collect();
    let read = ("input.user.role", Some("\"Viewer\""));
    assert_eq!(values, [read, ("lower(input.user.role)", Some("\"viewer\""))]);
    assert_eq!((&*second.source, second.outcome), ("input.x", StatementOutcome::NotReached));
}

#[test]
fn a_rule_that_opas_index_leaves_out_is_explained_too() {
    let why = why(POLICY, "{\"user\": {\"role\": \"root\"}}");
    let outcome = |row| why.rules.iter().find(|rule| rule.place.row == row).unwrap().outcome;
    assert_eq!(outcome(5), RuleOutcome::Failed);
    assert_eq!(outcome(10), RuleOutcome::Failed);
    assert_eq!(outcome(17), RuleOutcome::Held);
    let default = why.rules.iter().find(|rule| rule.is_default).unwrap();
    assert_eq!((default.outcome, default.value.as_deref()), (RuleOutcome::Held, Some("false")));
}

#[test]
fn a_statement_that_fails_for_some_elements_is_counted() {
    let why = why(POLICY, "{}");
    let rule = why.rules.iter().find(|rule| rule.place.row == 10).unwrap();
    let greater = rule.statements.iter().find(|statement| statement.source == "x > 2").unwrap();
    assert_eq!((greater.held, greater.failed), (1, 1));
    assert_eq!(greater.attempts.len(), 2);
}

#[test]
fn long_values_are_cut_and_an_explanation_is_bounded() {
    let policy = "package t.a\nallow if { x := input.long; x == 1 }\n";
    let long = format!("{{\"long\": \"{}\"}}", "a".repeat(10_000));
    let value = why(policy, &long).rules[0].statements[1].attempts[0].values[0].value.clone();
    assert_eq!(value.unwrap().chars().count(), why::MAX_VALUE + 1);
    let policy = "package t.a\nallow if { some x in numbers.range(1, 3000); x == input.long }\n";
    let why = why(policy, &long);
    assert!(serde_json::to_string(&why).unwrap().len() < why::MAX_TEXT);
    assert_eq!(why.rules[0].statements[1].attempts.len(), why::MAX_ATTEMPTS);
}

#[test]
fn lines_for_a_terminal_have_no_control_characters() {
    let policy = "package t.a\nallow if input.x == 1\nallow if { y := input.x; y == 2 }\n";
    let lines = why(policy, "{\"x\": \"\\u001b[31m\\n\\u0007\"}").lines();
    assert!(lines.iter().any(|line| line.plain().contains("y is ")), "{lines:?}");
    for line in lines {
        assert!(!line.plain().contains(char::is_control), "{line:?}");
    }
}

#[test]
fn the_lines_show_what_each_attempt_saw_where_some_held_and_no_operands_of_print() {
    let policy = "package t.a\nallow contains x if {\n\tsome x in [1, 2]\n\tprint(\"at\", x)\n\tx == input.y\n}";
    let lines = why(policy, "{\"y\": 2}").lines();
    let lines: Vec<String> = lines.iter().map(|line| line.plain().trim().to_owned()).collect();
    let has = |text: &str| lines.iter().any(|line| line == text);
    assert!(has("failed with x is 1, input.y is 2"), "{lines:#?}");
    assert!(has("held with x is 2, input.y is 2"), "{lines:#?}");
    let print = lines.iter().position(|line| line.contains("print(")).unwrap();
    assert!(lines[print + 1].contains("x == input.y"), "{lines:#?}");
}

#[test]
fn the_collection_of_a_membership_is_not_shown_as_its_value() {
    let policy = "package t.a\nallow if input.x in object.get({\"nums\": data.nums}, input.k, [])";
    let lines = why(policy, "{\"x\": 2, \"k\": \"nums\"}").lines();
    let lines: Vec<String> = lines.iter().map(show::Line::plain).collect();
    assert!(lines.iter().any(|line| line.contains("input.x is 2")), "{lines:#?}");
    assert!(
        !lines.iter().any(|line| line.contains("[]) is [1,3]") && line.contains("input.x in")),
        "{lines:#?}"
    );
}

#[test]
fn an_explanation_survives_serialization() {
    let explained = why(POLICY, "{\"user\": {\"role\": \"root\"}}");
    let text = serde_json::to_string(&explained).unwrap();
    assert_eq!(serde_json::from_str::<Why>(&text).unwrap(), explained);
}

#[test]
fn a_late_evaluation_ends() {
    let policy = "package t.a\nallow if { some x in numbers.range(1, 3000); some y in numbers.range(1, 3000); x + y == 0 }\n";
    let explainer = explainer(policy, "{}");
    let deadline = Instant::now() + Duration::from_millis(50);
    let question = Question { moment: Moment { now_ns: 0, deadline }, ..question("") };
    let result = explainer.evaluate(&path("t.a.allow"), question).result;
    assert_eq!(result, Err(EvaluationError::TimedOut));
}

#[test]
fn a_chain_of_rules_that_is_too_long_is_an_error_and_no_overflow_of_a_workers_stack() {
    let mut policy = "package t.a\nr0 := 1\n".to_owned();
    for rule in 1..3_000 {
        policy.push_str(&format!("r{rule} := r{}\n", rule - 1));
    }
    let run = move || {
        let explainer = explainer(&policy, "{}");
        explainer.evaluate(&path("t.a.r2999"), question("")).result
    };
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap();
    match thread.join().unwrap() {
        Err(EvaluationError::Failed { message, .. }) => {
            assert_eq!(message, "the evaluation is nested too deeply to be explained");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trace_with_too_many_events_says_so() {
    let policy = "package t.a\nallow if { some x in numbers.range(1, 60000); x == 0 }\n";
    let explainer = explainer(policy, "{}");
    let (evaluation, trace) = explainer.trace(&path("t.a.allow"), question(""), Mode::Full, false);
    assert_eq!(evaluation.result, Ok(Value::Undefined));
    assert!(trace.is_truncated() && trace.len() == MAX_EVENTS);
}

fn solutions(query: &str) -> String {
    let policy = "package t.a\ns contains x if some x in data.nums\n";
    let explainer = explainer(policy, "{\"nums\": [1, 3]}");
    let query = explainer.query(query).unwrap();
    let solutions = query.evaluate(question("{\"y\": 3}")).result.unwrap();
    let solution = |solution: &Solution| {
        let values = solution.iter().map(|(name, value)| format!("{name}={value}"));
        format!("{{{}}}", values.collect::<Vec<_>>().join(","))
    };
    solutions.iter().map(solution).collect()
}

#[test]
fn a_query_has_the_solutions_that_opa_finds() {
    assert_eq!(solutions("x := data.t.a.s[y]; y > 1; z = x"), "{x=3,y=3,z=3}");
    assert_eq!(solutions("x := data.nums[_]; input.y == x"), "{x=3}");
    assert_eq!(solutions("data.nums[i] = v"), "{i=0,v=1}{i=1,v=3}");
    assert_eq!(solutions("data.t.a.s; 1 == 1"), "{}");
    assert_eq!(solutions("1 == 2"), "{}");
    assert_eq!(solutions("1 == 2; true"), "");
    assert_eq!(solutions("data.nope"), "");
}

#[test]
fn a_bad_query_is_refused_with_opas_message_and_place() {
    let explainer = explainer(POLICY, "{}");
    let refused = |query: &str| explainer.query(query).unwrap_err().to_string();
    let compiling = "error(s) occurred while compiling query\n";
    let unsafe_variable = ":1:1: rego_unsafe_var_error: var y is unsafe";
    assert!(refused("x := y").starts_with(&format!("{compiling}{unsafe_variable}")));
    assert_eq!(
        refused("foo(1)"),
        format!("{compiling}:1:1: rego_type_error: undefined function foo")
    );
    assert!(refused("x = ; 1").starts_with("error(s) occurred while parsing query"));
    assert_eq!(refused(""), "cannot evaluate empty query");
    assert_eq!(refused("p if { true }"), "expected body but got *ast.Rule");
}

#[test]
fn a_query_cannot_leave_its_body() {
    let explainer = explainer(POLICY, "{}");
    for query in ["true }\nallow := true", "1 } else := 2 { 1", "package x\n1"] {
        assert!(explainer.query(query).is_err(), "{query}");
    }
    let query = explainer.query("x := data").unwrap();
    let solutions = query.evaluate(question("")).result.unwrap();
    assert!(!format!("{solutions:?}").contains("$query"), "{solutions:?}");
}
