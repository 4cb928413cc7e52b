//! Decisions of policies. Every expectation is OPA 1.22.2's answer.

use std::time::Duration;

use super::*;
use crate::json;

fn load(files: &[(&str, &str)]) -> Result<Policy, Vec<Report>> {
    load_for(files, false)
}

fn load_for(files: &[(&str, &str)], interpreter_only: bool) -> Result<Policy, Vec<Report>> {
    let files = files
        .iter()
        .map(|(path, content)| File { path: (*path).into(), content: (*content).into() })
        .collect();
    let decision = vec![vec!["tenants".to_owned(), "t".to_owned(), "allow".to_owned()]];
    let namespace = Namespace::Tenant("t".to_owned());
    Policy::load(files, &Settings { namespace, decision, interpreter_only, ..Settings::default() })
}

fn moment() -> Moment {
    Moment { now_ns: 0, deadline: Instant::now() + Duration::from_secs(30) }
}

/// The answer of both evaluators, which must not differ.
fn decide(files: &[(&str, &str)], input: &str) -> Result<Value, EvaluationError> {
    let input = json::parse(input.as_bytes()).unwrap();
    let [bytecode, interpreter] = [false, true].map(|interpreter_only| {
        let mut policy = match load_for(files, interpreter_only) {
            Ok(policy) => policy,
            Err(reports) => panic!("{files:?}: {reports:#?}"),
        };
        assert_eq!(policy.evaluator() == Evaluator::Bytecode, !interpreter_only);
        let values = policy.decide(input.clone(), moment()).result?;
        Ok(values.into_iter().next().unwrap())
    });
    assert_eq!(bytecode, interpreter, "{files:?}");
    bytecode
}

fn allows(files: &[(&str, &str)], input: &str) -> bool {
    match decide(files, input) {
        Ok(Value::Bool(allow)) => allow,
        Ok(Value::Undefined) => false,
        other => panic!("{files:?}: {other:?}"),
    }
}

/// Whether a module with these rules allows.
fn allows_with(rules: &str, input: &str) -> bool {
    allows(&[("policy.rego", &format!("package tenants.t\n{rules}\n"))], input)
}

fn refused(rules: &str) -> String {
    let module = format!("package tenants.t\n{rules}\n");
    load(&[("policy.rego", &module)]).unwrap_err()[0].to_string()
}

#[test]
fn a_solution_whose_head_is_undefined_is_left_out_alone() {
    for rules in [
        "bad contains host.id if { some host in input.hosts; host.down }",
        "bad[host.id] := true if { some host in input.hosts; host.down }",
        "bad[id] := host.id if { some id, host in input.hosts; host.down }",
        "bad contains {\"id\": host.id} if { some host in input.hosts; host.down }",
        "bad contains sprintf(\"%v\", [host.id]) if { some host in input.hosts; host.down }",
        "bad[host.id] contains 1 if { some host in input.hosts; host.down }",
    ] {
        let rules = format!("{rules}\nallow if count(bad) == 0");
        for hosts in [
            r#"[{"id": "a", "down": true}, {"down": true}]"#,
            r#"[{"down": true}, {"id": "a", "down": true}]"#,
        ] {
            assert!(!allows_with(&rules, &format!(r#"{{"hosts": {hosts}}}"#)), "{rules}");
        }
        assert!(allows_with(&rules, r#"{"hosts": [{"down": true}]}"#), "{rules}");
    }
    let rules = "expelled := m.out if { some m in input.members; m.id == input.id }
allow if not expelled";
    let input = r#"{"id": 1, "members": [{"id": 1, "out": true}, {"id": 1}]}"#;
    assert!(!allows_with(rules, input));
    assert!(allows_with("v contains input.l[_]\nallow if count(v) == 0", "{}"));
}

#[test]
fn a_package_read_as_a_whole_has_the_rules_of_all_its_modules() {
    let files = [
        ("policy.rego", "package tenants.t\nallow if { p := data.tenants.t.app[input.app]; p.ok }"),
        ("one.rego", "package tenants.t.app.web\nok if input.root"),
        (
            "two.rego",
            "package tenants.t.app.web\nok if not banned\nbanned if input.user == \"eve\"",
        ),
    ];
    assert!(!allows(&files, r#"{"app": "web", "user": "eve"}"#));
    assert!(allows(&files, r#"{"app": "web", "user": "ann"}"#));
    assert!(allows(&files, r#"{"app": "web", "user": "eve", "root": true}"#));
    assert!(!allows(&files, r#"{"app": "other", "user": "ann"}"#));
}

#[test]
fn values_of_with_are_found_outside_of_it() {
    let rules = "banned := {\"eve\"}
is_banned if input.user in banned
fine if not is_banned
allow if fine with input.names as banned";
    assert!(!allows_with(rules, r#"{"user": "eve"}"#));
    assert!(allows_with(rules, r#"{"user": "ann"}"#));
}

#[test]
fn what_is_no_collection_has_no_elements() {
    let rules = "allow if input.open
allow if { some role in input.roles; role == \"root\" }";
    for roles in ["null", "\"root\"", "7", "true"] {
        assert!(allows_with(rules, &format!(r#"{{"open": true, "roles": {roles}}}"#)), "{roles}");
        assert!(!allows_with(rules, &format!(r#"{{"roles": {roles}}}"#)), "{roles}");
    }
}

#[test]
fn statements_may_stand_in_any_form_that_the_grammar_has() {
    for (rules, input) in [
        (
            "allow if {\n\tx := input.l[_]\n\tsome i\n\tx.m[i] == input.u\n}",
            r#"{"u": 2, "l": [{"m": [1]}, {"m": [2]}]}"#,
        ),
        ("allow if {\n\ta := input.x - 1\n\tb := input.y\n\t(a * 2) > b\n}", r#"{"x": 9, "y": 5}"#),
        ("allow if {\n\ta := input.x\n\t[1, a][_] == 7\n}", r#"{"x": 7}"#),
        ("import input.user\nallow if { some user in input.l; user == 1 }", r#"{"l": [1]}"#),
        (
            "may(\"root\", _)\n\nmay(_, \"read\")\n\nallow if may(input.r, input.a)",
            r#"{"r": "x", "a": "read"}"#,
        ),
        ("allow if $\"{input.a}/{input.b}\" == \"x/<undefined>\"", r#"{"a": "x"}"#),
        ("allow if count(d) == 1\nd contains e if { w = input.u; e = {\"u\": w} }", r#"{"u": 1}"#),
        (
            "found contains {\"k\": 1, \"n\": n} if some n in input.l\nallow if found[{\"k\": 1, \"n\": x}]",
            r#"{"l": ["a"]}"#,
        ),
        ("import data.tenants.t\nallow if t.granted\ngranted if input.u == 1", r#"{"u": 1}"#),
        (
            "h[\"a\"] := 1 if input.a\nh[k] := v if some k, v in input.m\nallow if count(h) == 2",
            r#"{"a": 1, "m": {"b": 2}}"#,
        ),
        (
            "l := {\"a\", \"b\"}\np contains n if { input.on; n = l[n] }\nallow if count(p) == 2",
            r#"{"on": true}"#,
        ),
        ("limit := v if v := input.l\nallow if limit() == 3", r#"{"l": 3}"#),
        (
            "f := [input.m[k] | n = k; startswith(n, \"a\")]\nallow if count(f) == 1",
            r#"{"m": {"ab": 1, "b": 2}}"#,
        ),
        (
            "kind(m) := m.k\nby[kind(m)][i] := m if some i, m in input.l\nallow if by.a[0].ok",
            r#"{"l": [{"k": "a", "ok": true}]}"#,
        ),
        ("import future.keywords.or\nallow if { input.a or input.b }", r#"{"b": true}"#),
        (
            "names contains x if { x := [x | some x in input.a] }\nallow if count(names) == 1",
            r#"{"a": [1, 2]}"#,
        ),
        ("allow if { gt(input.n, 1); x := plus(input.n, 1); x == 3 }", r#"{"n": 2}"#),
        ("allow if { [_, v] := walk(input.d); v == \"x\" }", r#"{"d": {"a": {"b": "x"}}}"#),
        ("allow if data.tenants.t.if.contains\nif.contains := true", "{}"),
    ] {
        assert!(allows_with(rules, input), "{rules}");
    }
    let marked = "\u{feff}package tenants.t\r\n\r\nallow if {\r\n\tinput.x\r\n}\r\n";
    assert!(allows(&[("policy.rego", marked)], r#"{"x": 1}"#));
}

#[test]
fn a_document_of_which_no_part_holds_is_an_empty_object() {
    let rules = "m.a := true if input.x\nallow if not m";
    assert!(!allows_with(rules, "{}"));
}

#[test]
fn not_with_its_future_keyword_takes_undefined_operands_for_no_solution() {
    let rules = "limited if not root(input.u)\nroot(u) if u == 1\nallow if not limited";
    assert!(!allows_with(&format!("import future.keywords.not\n{rules}"), "{}"));
    assert!(allows_with(rules, "{}"));
}

#[test]
fn a_function_with_a_default_alone_has_that_value() {
    let rules = "check(_) := 1
default strict(_) := 2
verdict := check(input.x)
denied if { v := verdict with check as strict; v == 2 }
allow if not denied";
    assert!(!allows_with(rules, r#"{"x": 1}"#));
}

#[test]
fn data_lies_where_its_directory_says() {
    let files = [
        (
            "policy.rego",
            "package tenants.t\nallow if not banned\nbanned if input.u in data.banned.users",
        ),
        ("banned/data.json", r#"{"users": ["eve"]}"#),
    ];
    assert!(!allows(&files, r#"{"u": "eve"}"#));
    assert!(allows(&files, r#"{"u": "ann"}"#));
}

#[test]
fn what_opa_refuses_is_refused_with_its_code_and_place() {
    for (rules, expected) in [
        (
            "allow if not is_baned(input.u)\nis_banned(u) if u == 1",
            "policy.rego:2:10: rego_type_error: undefined function is_baned",
        ),
        (
            "import future.keywords.nonsense\nallow := true",
            "policy.rego:2:8: rego_parse_error: unexpected keyword, must be one of",
        ),
        (
            "allow if b\nb if allow",
            "policy.rego:2:1: rego_recursion_error: rule data.tenants.t.allow is recursive",
        ),
        ("allow := x if input.u", "policy.rego:2:10: rego_unsafe_var_error: var x is unsafe"),
        ("allow if count(1) == 1", "policy.rego:2:10: rego_type_error: count: invalid argument(s)"),
        (
            "allow { true }",
            "policy.rego:2:1: rego_parse_error: `if` keyword is required before rule body",
        ),
    ] {
        assert!(refused(rules).starts_with(expected), "{} and not {expected}", refused(rules));
    }
}

#[test]
fn decimals_are_decimals() {
    assert!(allows_with("allow if input.a + input.b == 0.3", r#"{"a": 0.1, "b": 0.2}"#));
    assert!(allows_with("allow if 12345678901234567890123 + 1 == 12345678901234567890124", "{}"));
    assert!(refused("allow if input.x == 0.12345678901234567890123").contains("17 significant"));
}

#[test]
fn prints_and_tests_have_their_place() {
    let files = [
        (
            "policy.rego",
            "package tenants.t\nallow if {\n\tprint(\"u\", input.u)\n\tx := [y | some y in input.u; print(y)]\n\tcount(x) == 2\n}",
        ),
        ("policy_test.rego", "package tenants.t_test\nthis is no Rego"),
    ];
    let mut policy = load(&files).unwrap();
    let evaluation = policy.decide(json::parse(br#"{"u": [1, 2]}"#).unwrap(), moment());
    let printed = ["policy.rego:3: u [1, 2]", "policy.rego:4: 1", "policy.rego:4: 2"];
    assert_eq!(evaluation.prints, printed);
}

#[test]
fn a_document_is_found_by_its_path() {
    let files = [
        ("policy.rego", "package tenants.t\np.q := {\"a\": [1, 2]}\nf(x) := x\ns contains 1"),
        ("data.json", r#"{"base": {"x": "y"}}"#),
    ];
    let mut policy = load(&files).unwrap();
    let mut at = |path: &str| {
        let path: Vec<Value> = path.split('/').map(Value::from).collect();
        policy.evaluate(document(&path), None, moment()).result.unwrap()
    };
    assert_eq!(at("tenants/t/p/q/a"), json::parse(b"[1, 2]").unwrap());
    assert_eq!(at("base/x"), Value::from("y"));
    assert_eq!(at("tenants/t/none"), Value::Undefined);
    assert_eq!(at("tenants/t/f"), Value::Undefined);
    assert!(matches!(at("tenants/t"), Value::Object(object) if object.len() == 2));
}

/// A query of a document, lenient where the policy's settings are.
fn document(path: &[Value]) -> DocumentQuery<'_> {
    DocumentQuery { path, strict_builtin_errors: false }
}

const NEGATED_RULES: &str = "f(x) := x == \"bob\"
g(x) := x
names contains \"bob\"
name := input.user
deny if input.user == \"bob\"
k([x, y]) if { not g(x) == y.z }
q(x) if { not f(x.user) }
mock(_, _) := false";

/// Whether a policy with [`NEGATED_RULES`] and this body of `allow` allows.
fn answer_negated(allow: &str, input: &str) -> bool {
    let module = format!("package tenants.t\nallow if {allow}\n{NEGATED_RULES}");
    let data = r#"{"blocked": ["bob"], "m": {"bob": true}, "pol": [{"deny": false}]}"#;
    allows(&[("policy.rego", &module), ("data.json", data)], input)
}

/// These and the next are OPA 1.22.2's answers.
#[test]
fn an_undefined_operand_of_a_not_allows_nothing() {
    for body in [
        "not input.subject.id in data.blocked",
        "not data.m[input.user]",
        "not data.m[lower(input.user)]",
        "not data.m[data.blocked[input.n]]",
        "not data.pol[input.n].deny",
        "not names[input.user]",
        "not f(input.user)",
        "not f(name)",
        "not f(input.user) == true",
        "not f(g(input.user))",
        "not g(input.user)[0]",
        "not {\"bob\": true}[input.user]",
        "not input.age >= 18",
        "not input.age != 18",
        "not input.age + 1 == 18",
        "not startswith(input.user, \"b\")",
        "not \"b\" == substring(input.user, 0, 1)",
        "not count(input.roles) == 0",
        "not \"a\" in input.roles",
        "not 0, \"a\" in input.roles",
        "not (input.user in data.blocked)",
        "not {\"a\": input.user} == {\"a\": 1}",
        "not {input.user}",
        "not [input.user]",
        "not true == (input.a == 1)",
        "not ({\"a\"} & {input.user}) == set()",
        "not startswith(\n    input.user, # a comment\n    `b`\n)",
        "not f(input.user) with data.blocked as []",
        "not f(input.user) with input as {\"other\": 1}",
        "not f(\"carl\") with input as input.other",
        "not input.a with data.blocked as input.other with data.m as {}",
        "every x in [1, 2] { not g(input.user) == x }",
        "count([1 | not f(input.user)]) == 1",
        "count({x | some x in [1]; not g(input.user) == x}) == 1",
        "q(input)",
        "false } else if { not f(input.user)",
    ] {
        let mut forms = vec![format!("{{ {body} }}")];
        if body.starts_with("not") {
            forms.push(body.to_owned());
            forms.push(format!("false else := true if {body} # a comment"));
        }
        for form in forms {
            assert!(!answer_negated(&form, "{}"), "{form}");
        }
    }
}

#[test]
fn a_not_of_what_is_undefined_or_false_itself_is_true() {
    for (body, input) in [
        ("not input.a.b", "{}"),
        ("not input.a == input.b", "{}"),
        ("not input.a == 1", "{}"),
        ("not 1 = input.a[0].b", "{}"),
        ("not name == \"bob\"", "{}"),
        ("not (input.a == 1)", "{}"),
        ("not deny", "{}"),
        ("not data.tenants.t.deny", "{}"),
        ("not object.get(input, \"a\", false)", "{}"),
        ("not [1 | input.user] == [1]", "{}"),
        ("not count({x | x := input.xs[_]}) == 1", "{}"),
        ("not input.a == 1 with data.blocked as []", "{}"),
        ("not deny with input as {\"user\": \"carl\"}", r#"{"user":"bob"}"#),
        ("not f(input.user) with input.user as \"carl\"", r#"{"user":"bob"}"#),
        ("not f(input.user) with f as false", r#"{"user":"bob"}"#),
        ("not startswith(input.user, \"b\") with startswith as mock", r#"{"user":"bob"}"#),
        ("not input.user in data.blocked", r#"{"user":"carl"}"#),
        ("not data.m[input.user]", r#"{"user":"carl"}"#),
        ("not names[input.user]", r#"{"user":"carl"}"#),
        ("not data.pol[input.n].deny", r#"{"n":0}"#),
        ("not input.age >= 18", r#"{"age":17}"#),
        ("not f(g(input.user))", r#"{"user":"carl"}"#),
        ("not count(input.roles) == 0", r#"{"roles":["a"]}"#),
        ("every x in input.roles { not f(x) }", r#"{"roles":["a"]}"#),
        ("{ some [x, y] in input.pairs; not g(x) == y }", r#"{"pairs":[[1,1],[1,2]]}"#),
        ("{ input.xs[i]; not startswith(input.ys[i], \"b\") }", r#"{"xs":[1],"ys":["a"]}"#),
        ("{ not startswith(x, \"c\"); x = input.user }", r#"{"user":"bob"}"#),
        ("not count(input.lists[_]) == 0", r#"{"lists":[[],[1]]}"#),
        ("k([1, {}])", "{}"),
        ("q(input)", r#"{"user":"carl"}"#),
    ] {
        assert!(answer_negated(body, input), "{body}");
    }
}

#[test]
fn an_undefined_operand_of_in_makes_it_undefined() {
    for rules in [
        "allow if { v := input.user in data.blocked; v == false }",
        "v := input.user in data.blocked\nallow if v == false",
        "allow if (input.user in [\"bob\"]) == false",
        "allow if { v := [\"bob\" in input.roles]; v == [false] }",
        "allow if input.k, input.v in {\"a\": 1}",
        "v(x) := x.user in [1]\nallow if v(input) == false",
        "v contains (input.user in [1])\nallow if v[false]",
        "v := true if { false } else := input.user in [1]\nallow if v == false",
        "allow if { v := input.user in [1] with input.user as input.other; v == false }",
    ] {
        assert!(!allows_with(rules, "{}"), "{rules}");
    }
}

#[test]
fn an_undefined_value_of_any_modifier_fails_its_statement() {
    for rules in [
        "allow if true with input.user as input.other with data.x as 1",
        "allow if { some x in [1] with input as input.other with data.x as 1; x == 1 }",
        "allow if f(1) with f as input.other with data.x as 1\nf(_) := true",
        "allow if true with data.x as {\"y\": input.other} with data.y as 1",
    ] {
        assert!(!allows_with(rules, "{}"), "{rules}");
    }
    let rules = "allow if f(2) with f as g with data.x as 1\nf(x) := x == 1\ng(x) := x == 2";
    assert!(allows_with(rules, "{}"));
}

#[test]
fn what_the_evaluators_disagree_about_has_no_answer() {
    let rules = |allow: &str| format!("package tenants.t\nallow := {allow}");
    let mut policy = load(&[("policy.rego", &rules("true"))]).unwrap();
    let other = load(&[("policy.rego", &rules("false"))]).unwrap();
    let Evaluators::Machine { check: wrong, .. } = other.evaluators else { panic!() };
    let Evaluators::Machine { check, .. } = &mut policy.evaluators else { panic!() };
    *check = wrong;
    // One of the first thousand answers is compared, and the next one much later.
    let answers = (0..1_100).map(|_| policy.decide(Value::new_object(), moment()).result);
    let (right, others): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
    assert!(right.iter().all(|answer| *answer == Ok(vec![Value::Bool(true)])));
    assert!(!others.is_empty());
    assert!(others.iter().all(|answer| *answer == Err(EvaluationError::Differed)), "{others:?}");
}

#[test]
fn a_policy_that_is_too_large_for_bytecode_is_interpreted() {
    // More variables in use at one time than the VM has registers.
    let names: Vec<String> = (0..300).map(|index| format!("x{index}")).collect();
    let bound = names.iter().map(|name| format!("\t{name} := object.get(input, {name:?}, 1)\n"));
    let module = format!(
        "package tenants.t\nallow if {{\n{}\tsum([{}]) == 307\n}}",
        bound.collect::<String>(),
        names.join(", ")
    );
    let mut policy = load(&[("policy.rego", &module)]).unwrap();
    let Evaluator::Interpreter(because) = policy.evaluator() else { panic!() };
    assert!(because.contains("bytecode has room for"), "{because}");
    let input = json::parse(br#"{"x7": 8}"#).unwrap();
    assert_eq!(policy.decide(input, moment()).result, Ok(vec![Value::Bool(true)]));
}

#[test]
fn a_document_that_is_asked_at_a_key_evaluates_nothing_else() {
    let module = r#"package tenants.t
p[x] := y if { x := "a"; y := [1, 2][_] }
p[x] := 3 if x := "c"
q[x].foo := y if { x := "a"; y := [1, 2][_] }
q[x].bar := 4 if x := "a"
"#;
    for interpreter_only in [false, true] {
        let mut policy = load_for(&[("policy.rego", module)], interpreter_only).unwrap();
        let mut ask = |path: &str| {
            let path: Vec<Value> = path.split('.').map(Value::from).collect();
            policy.evaluate(document(&path), None, moment()).result
        };
        let conflict = |result: Result<Value, EvaluationError>| {
            matches!(result, Err(EvaluationError::Failed { kind: FailureKind::Conflict, .. }))
        };
        assert_eq!(ask("tenants.t.p.c"), Ok(Value::from(3)));
        assert_eq!(ask("tenants.t.p.b"), Ok(Value::Undefined));
        assert_eq!(ask("tenants.t.q.a.bar"), Ok(Value::from(4)));
        assert!(conflict(ask("tenants.t.p.a")));
        assert!(conflict(ask("tenants.t.p")));
        assert!(conflict(ask("tenants.t.q.a")));
        assert!(conflict(ask("tenants.t.q.a.foo")));
    }
}

#[test]
fn an_object_pattern_has_all_keys_of_what_it_matches() {
    let input = r#"{"one": {"k": 1}, "more": {"k": 1, "l": 2}, "all": [{"k": 1, "l": 2}]}"#;
    for (rules, expected) in [
        ("allow if { {\"k\": x} = input.one; x == 1 }", true),
        ("allow if { {\"k\": x} = input.more; x == 1 }", false),
        ("allow if { some {\"k\": x} in input.all; x == 1 }", false),
        ("allow if f(input.one) == 1\nf({\"k\": x}) := x", true),
        ("allow if f(input.more) == 1\nf({\"k\": x}) := x", false),
    ] {
        assert_eq!(allows_with(rules, input), expected, "{rules}");
    }
}

#[test]
fn a_function_is_evaluated_once_for_the_same_arguments() {
    let levels = (1..40).map(|level| {
        let below = level - 1;
        format!("f{level}(x) := f{below}(x) + f{below}(x)\n")
    });
    let rules =
        format!("f0(x) := x\n{}allow := f39(1) == 549755813888", levels.collect::<String>());
    let module = format!("package tenants.t\n{rules}\n");
    let mut policy = load(&[("policy.rego", &module)]).unwrap();
    assert_eq!(policy.evaluator(), Evaluator::Bytecode);
    let values = policy.decide(json::parse(b"{}").unwrap(), moment()).result.unwrap();
    assert_eq!(values, [Value::Bool(true)]);
}

#[test]
fn what_is_known_of_a_function_is_so_in_one_evaluation_and_environment() {
    let rules = "# Functions with loops are worth it.
holder(role) := user if { some user, roles in input.roles; role in roles }
allow if {
    holder(\"admin\") == \"ann\"
    not holder(\"cook\")
    not holder(\"cook\")
    holder(\"admin\") == \"bob\" with input.roles as {\"bob\": [\"admin\"]}
    not holder(\"admin\") with input.roles as {}
    holder(\"admin\") == \"eve\" with holder as \"eve\"
    holder(\"cook\") == \"cook\" with holder as same
    holder(\"admin\") == \"ann\"
}
same(x) := x";
    let module = format!("package tenants.t\n{rules}\n");
    let mut policy = load(&[("policy.rego", &module)]).unwrap();
    for (input, expected) in [
        (r#"{"roles": {"ann": ["admin"]}}"#, true),
        (r#"{"roles": {"cat": ["admin"]}}"#, false),
        (r#"{"roles": {"ann": ["admin", "cook"]}}"#, false),
        (r#"{"roles": {"ann": ["admin"]}}"#, true),
    ] {
        let values = policy.decide(json::parse(input.as_bytes()).unwrap(), moment()).result;
        let allowed = values.unwrap() == [Value::Bool(true)];
        assert_eq!(allowed, expected, "{input}");
    }
}

#[test]
fn a_collection_as_written_is_gone_through_term_by_term() {
    let input = r#"{"a": 1, "b": 2, "c": 1}"#;
    for (solutions, expected) in [
        ("x | some x in {input.b, input.a, input.c, 3}", "[3, 1, 2, 1]"),
        ("x | s := {input.b, input.c, 3, input.a}; s[x]", "[3, 1, 2, 1]"),
        ("x | y := input.b; z := input.a; some x in {z, y, 9}", "[9, 2, 1]"),
        ("x | some {\"k\": x} in {{\"k\": input.b}, {\"k\": 7}}", "[7, 2]"),
        ("x | some x in {input.b, input.a} | {0}", "[0, 1, 2]"),
        ("[k, v] | some k, v in {input.b: 5, 3: 6, input.a: 7}", "[[3, 6], [1, 7], [2, 5]]"),
        ("k | some k, _ in {\"y\": input.b, \"x\": input.a}", r#"["x", "y"]"#),
    ] {
        let rules = format!("allow := [{solutions}] == {expected}");
        assert!(allows_with(&rules, input), "{rules}");
    }
}

#[test]
fn the_interpreter_stops_at_the_first_solution_as_bytecode_does() {
    let rules =
        "allow if some document in data.tenants.t.lib[_]\nlib.a contains 1\nlib.b := 1\nlib.b := 2";
    assert!(allows_with(rules, "{}"));
    let rules = "allow if not none_\nnone_ if data.tenants.t.lib[_] == 1\nlib.a := 2\nlib.b := 1\nlib.c := 1\nlib.c := 2";
    assert!(!allows_with(rules, "{}"));
    let rules = "allow if not all_\nall_ if every x in [1, 2] { f(x) == 0 }\nf(1) := 1\nf(2) := 1\nf(2) := 2";
    assert!(allows_with(rules, "{}"));
}

/// The warnings about these files, each with its help.
fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    let warnings = load(files).unwrap().warnings;
    let text = |report: &Report| {
        let place = report.location.as_ref().map(|place| format!("{}:{}: ", place.file, place.row));
        let help = report.help.as_ref().map(|help| format!(" ({help})"));
        format!("{}{}{}", place.unwrap_or_default(), report.message, help.unwrap_or_default())
    };
    warnings.iter().map(text).collect()
}

#[test]
fn a_rule_that_no_decision_uses_is_warned_about_once() {
    let policy = "package tenants.t
allow if helper(input.x)
helper(x) if limits.low < x
limits := {\"low\": 1}
old if input.x == 1
old if older
older if input.x == 2";
    let test = "package tenants.t_test
import data.tenants.t
test_old if t.old";
    assert_eq!(
        warnings(&[("policy.rego", policy), ("policy_test.rego", test)]),
        [
            "policy.rego:5: no decision uses the rule data.tenants.t.old (use it in allow, or remove it)",
            "policy.rego:7: no decision uses the rule data.tenants.t.older (use it in allow, or remove it)",
        ]
    );
}

#[test]
fn a_package_that_no_decision_uses_is_one_warning() {
    let files = [
        ("policy.rego", "package tenants.t\nallow if data.tenants.t.used.a"),
        ("used.rego", "package tenants.t.used\na if input.a"),
        ("lib/one.rego", "package tenants.t.lib\na := 1\nb := 2"),
        ("lib/two.rego", "package tenants.t.lib\nc := data.tenants.t.lib.a"),
    ];
    assert_eq!(
        warnings(&files),
        [
            "lib/one.rego:2: no decision uses a rule of the package data.tenants.t.lib (use them in allow, or leave the package out of the bundle)"
        ]
    );
}

#[test]
fn a_reference_with_a_variable_uses_whatever_it_may_reach() {
    let checks = "package tenants.t.checks\na if input.a\nb if input.b";
    for allow in [
        "allow if data.tenants.t.checks[input.check]",
        "allow if { some check in data.tenants.t.checks; check }",
        "allow if count(data.tenants.t.checks) == 2",
    ] {
        let policy = format!("package tenants.t\n{allow}");
        assert_eq!(warnings(&[("policy.rego", &policy), ("checks.rego", checks)]), [""; 0]);
    }
}

#[test]
fn there_are_few_warnings_however_much_is_unused() {
    let unused: String = (0..100).map(|number| format!("unused_{number:02} := 1\n")).collect();
    let policy = format!("package tenants.t\nallow if input.x\n{unused}");
    let found = warnings(&[("policy.rego", &policy)]);
    assert_eq!(found.len(), 9);
    assert_eq!(found.last().unwrap(), "no decision uses 92 further rules");
    let without_allow = format!("package tenants.t\n{unused}");
    assert_eq!(
        warnings(&[("policy.rego", &without_allow)]),
        ["no rule defines data.tenants.t.allow, so every request is denied"]
    );
}

/// OPA 1.22.2's messages.
#[test]
fn a_path_that_no_value_can_have_is_refused_in_opa_s_words() {
    let module = r#"package tenants.t
array := [10, 20]
object := {"a": 1, "b c": {"d": 2}}
text := "x"
double(x) := x * 2
set contains input.x
open[k] := v if some k, v in input
base := data.base
"#;
    let policy = load(&[("policy.rego", module), ("data.json", r#"{"base": {"x": 1}}"#)]).unwrap();
    let check = |path: &str| {
        let path: Vec<Value> = path.split('/').map(crate::request::path_key).collect();
        policy.check_path(&path)
    };
    for path in [
        "tenants/t/array/1",
        "tenants/t/object/b c/d",
        "tenants/t/set/q",
        "tenants/t/open/q/r",
        "tenants/t/base/x/y",
        "tenants/t/nothing/at/all",
        "base/x/y/0",
        "nothing",
    ] {
        assert_eq!(check(path), Ok(()), "{path}");
    }
    let refused = |path: &str, lines: &[&str]| {
        let message = format!("1 error occurred: 1:1: rego_type_error: {}", lines.join("\n\t"));
        assert_eq!(check(path), Err(message), "{path}");
    };
    refused(
        "tenants/t/array/9",
        &[
            "undefined ref: data.tenants.t.array[9]",
            "data.tenants.t.array[9]",
            "                     ^",
            "                     have: 9",
            "                     want (type): number",
        ],
    );
    refused(
        "tenants/t/object/zz",
        &[
            "undefined ref: data.tenants.t.object.zz",
            "data.tenants.t.object.zz",
            "                      ^",
            "                      have: \"zz\"",
            "                      want (one of): [\"a\" \"b c\"]",
        ],
    );
    refused(
        "tenants/t/text/x",
        &[
            "undefined ref: data.tenants.t.text.x",
            "data.tenants.t.text.x",
            "^^^^^^^^^^^^^^^^^^^",
            "have: string",
        ],
    );
    for path in ["tenants/t/double", "tenants/t/double/1"] {
        let keys: Vec<Value> = path.split('/').map(crate::request::path_key).collect();
        let written = crate::request::reference(&keys);
        let what = format!("function {written} used as reference, not called");
        refused(path, &[&what, &written, "^^^^^^^^^^^^^^^^^^^^^", "have: (number) => number"]);
    }
}
