//! Each policy with OPA's faults: row and column in a file that begins with `package t` and an empty
//! line, and the message.

use crate::ast::RegoVersion;
use crate::compile::{Options, compile};
use crate::parse::parse_module;
use crate::source::Sources;

use super::check;

fn faults(rules: &[&str]) -> Vec<String> {
    let text = format!("package t\n\n{}\n", rules.join("\n"));
    let mut sources = Sources::default();
    let file = sources.add("a.rego", &text);
    let module = parse_module(&sources, file, RegoVersion::V1).unwrap();
    let compiled = compile(&sources, vec![module], &Options::default()).unwrap();
    check(&sources, &compiled)
        .faults
        .into_iter()
        .map(|fault| {
            let place = sources.location(fault.span.unwrap());
            format!("{}:{} {}", place.row, place.col, fault.message)
        })
        .collect()
}

fn each(cases: &[(&[&str], &[&str])]) {
    for (rules, expected) in cases {
        assert_eq!(faults(rules), *expected, "{}", rules.join("\n"));
    }
}

#[test]
fn a_builtin_takes_values_of_its_types_only() {
    each(&[
        (&["p if count(1)"], &["3:6 count: invalid argument(s)"]),
        (&[r#"p if upper(["a"])"#], &["3:6 upper: invalid argument(s)"]),
        (&[r#"p := sum(["a", "b"])"#], &["3:6 sum: invalid argument(s)"]),
        (&[r#"p := 1 + "a""#], &["3:6 plus: invalid argument(s)"]),
        (&[r#"p := concat(", ", [1])"#], &["3:6 concat: invalid argument(s)"]),
        (&["p := {1} & [1]"], &["3:6 and: invalid argument(s)"]),
        (&[r#"p if startswith("a", null)"#], &["3:6 startswith: invalid argument(s)"]),
        (
            &[r#"p := json.patch({}, [{"op": 1, "path": "a"}])"#],
            &["3:6 json.patch: invalid argument(s)"],
        ),
        (&[r#"p := object.get({}, "a", 1) + "x""#], &["3:6 plus: invalid argument(s)"]),
        (&[r#"p := max({"a": 1})"#], &["3:6 max: invalid argument(s)"]),
    ]);
}

#[test]
fn what_is_not_known_before_evaluation_is_taken() {
    each(&[
        (&["p if count(input.x)"], &[]),
        (&["p := input.x + data.other.y"], &[]),
        (&["p := upper(input.names[_])"], &[]),
        (&["p := max([input.x, 1])"], &[]),
        (&["p := json.unmarshal(input.x) + 1"], &[]),
    ]);
}

#[test]
fn an_equation_whose_sides_never_meet_is_refused() {
    each(&[
        (&[r#"p if 1 == "a""#], &["3:6 match error"]),
        (&["p if [1, 2] == [1]"], &["3:6 match error"]),
        (&[r#"p if {"a": 1} == {"b": 1}"#], &["3:6 match error"]),
        (&[r#"p if { x := {"a": 1}; x == [1] }"#], &["3:23 match error"]),
        (&[r#"p if { [x, y] = [1, input.x]; x == "a" }"#], &["3:31 match error"]),
        (&[r#"p if { x := 1; x == "a" }"#], &["3:16 match error"]),
        (&[r#"p if count([]) == "a""#], &["3:6 match error"]),
        (&[r#"p if { [x, "a"] = [1, y]; y == 1 }"#], &["3:27 match error"]),
    ]);
}

#[test]
fn an_equation_whose_sides_may_meet_is_taken() {
    each(&[
        (&[r#"p if input.x == "a""#], &[]),
        (&[r#"p if { some x in [1, "a"]; x == "a" }"#], &[]),
        (&["p if set() == {1}"], &[]),
        (&[r#"p if {"a": input.x} == {"a": 1}"#], &[]),
        (&["p if 1 == 2"], &[]),
    ]);
}

#[test]
fn a_key_that_a_known_document_never_has_is_refused() {
    each(&[
        (&[r#"o := {"a": 1}"#, "p if o.b"], &["4:6 undefined ref: data.t.o.b"]),
        (&[r#"o := {"a": {"b": 1}}"#, "p if o.a.c"], &["4:6 undefined ref: data.t.o.a.c"]),
        (&["o := [1, 2]", "p if o[2]"], &["4:6 undefined ref: data.t.o[2]"]),
        (&["o := {1, 2}", "p if o.a"], &["4:6 undefined ref: data.t.o.a"]),
        (&[r#"o := "x""#, "p if o.a"], &["4:6 undefined ref: data.t.o.a"]),
        (&["o := {}", "p if o.a"], &["4:6 undefined ref: data.t.o.a"]),
        (&["o := []", r#"p if { i := "a"; o[i] }"#], &["4:18 undefined ref: data.t.o[i]"]),
        (&["o contains 1", r#"p if o["a"]"#], &["4:6 undefined ref: data.t.o.a"]),
        (
            &[r#"o := {"a": 1} if input.x"#, r#"o := {"b": 2} if input.y"#, "p if o.c"],
            &["5:6 undefined ref: data.t.o.c"],
        ),
        (&["o.a.b := 1", "p if o.a.b.c"], &["4:6 undefined ref: data.t.o.a.b.c"]),
        (&[r#"p if { x := {"a": 1}; x.b }"#], &["3:23 undefined ref: x.b"]),
        (&["p if { [1, 2][_].a }"], &["3:8 undefined ref: [1, 2][_].a"]),
        (&[r#"p := {"a": 1}["b"]"#], &[r#"3:6 undefined ref: {"a": 1}.b"#]),
        (&[r#"f(x) := {"a": x}"#, "p := f(1)[0]"], &["4:6 undefined ref: data.t.f(1)[0]"]),
    ]);
}

#[test]
fn a_key_that_a_document_may_have_is_taken() {
    each(&[
        (&[r#"o := {"a": 1} if input.x"#, r#"o := {"b": 2} if input.y"#, "p if o.b"], &[]),
        (&["o[x] := 1 if x := input.x", "p if o.anything"], &[]),
        (&["o := {}", "p if o[_]"], &[]),
        (&["o.a := 1", "o[x] := 2 if x := input.x", "p if o.b"], &[]),
        (&["p if data.base.anything[_].b"], &[]),
        (&["o := input", "p if o.a.b"], &[]),
        (&["o contains x if x := input.x", "p if o.a"], &[]),
    ]);
}

#[test]
fn a_variable_as_a_key_has_the_type_of_the_keys() {
    each(&[
        (&[r#"o := {"a": 1}"#, "p if { some k; o[k]; k == 1 }"], &["4:22 match error"]),
        (&[r#"o := ["a"]"#, r#"p if { some i; o[i]; i == "a" }"#], &["4:22 match error"]),
        (&[r#"o := ["a"]"#, "p if { some i, x in o; x == i }"], &["4:24 match error"]),
        (&[r#"o := {"a": 1}"#, "p if { i := 1; o[i] }"], &["4:16 undefined ref: data.t.o[i]"]),
    ]);
}

#[test]
fn a_function_returns_what_its_bodies_return() {
    each(&[
        (&["f(x) := 1", r#"p if f(input.x) == "a""#], &["4:6 match error"]),
        (&["f(x) := 1 if x", r#"f(x) := "a" if not x"#, r#"p if f(input.x) == "a""#], &[]),
        (&["f(x) := x + 1", r#"p if f("a")"#], &["4:6 data.t.f: invalid argument(s)"]),
        (&["f([x, y]) := x + y", "p if f([1])"], &["4:6 data.t.f: invalid argument(s)"]),
        (&["f(x) := y if { y := count(x) }", "p if f(1)"], &["4:6 data.t.f: invalid argument(s)"]),
        (
            &["f(1) := 2", r#"f("a") := 3"#, r#"p if f("b")"#, "q if f(null)"],
            &["6:6 data.t.f: invalid argument(s)"],
        ),
    ]);
}

#[test]
fn a_function_is_no_value() {
    each(&[
        (&["f(x) := x", "p := f"], &["4:6 function data.t.f used as reference, not called"]),
        (
            &["f(x) := x", "p if { x := data.t.f; x }"],
            &["4:13 function data.t.f used as reference, not called"],
        ),
        (&["f(x) := x", "p if f.a"], &["4:6 function data.t.f.a used as reference, not called"]),
    ]);
}

#[test]
fn what_is_looked_for_must_be_able_to_be_in_the_collection() {
    each(&[
        (&[r#"p if 1 in ["a"]"#], &["3:6 match error"]),
        (&[r#"p if "a" in {"k": 1}"#], &["3:6 match error"]),
        (&[r#"p if 1, "a" in ["a"]"#], &[]),
        (&[r#"p if "k", 1 in ["a"]"#], &["3:6 match error"]),
        (&[r#"p if { x := "a"; x in {1, 2} }"#], &["3:18 match error"]),
        (&["p if 1 in input.x"], &[]),
        (&[r#"p if 1 in "a""#], &[]),
    ]);
}

#[test]
fn comprehensions_have_types() {
    each(&[
        (&["p := [x | x := input.x[_]] + 1"], &["3:6 plus: invalid argument(s)"]),
        (&[r#"p if {x | x := 1} == {"a"}"#], &["3:6 match error"]),
        (&[r#"p := sum([x | x := "a"])"#], &["3:6 sum: invalid argument(s)"]),
        (&[r#"p if { o := {k: 1 | k := "a"}; o.b == "x" }"#], &["3:32 match error"]),
        (&["p := [x | count(1); x := 1]"], &["3:11 count: invalid argument(s)"]),
        (
            &["p := [x | some y in [z | z := upper(1)]; x := y]"],
            &["3:31 upper: invalid argument(s)"],
        ),
    ]);
}

#[test]
fn references_in_every_and_not_are_checked_and_calls_are_not() {
    each(&[
        (
            &[r#"o := {"a": 1}"#, "p if every x in [1] { o.b == x }"],
            &["4:23 undefined ref: data.t.o.b"],
        ),
        (&["p if every x in [1] { count(1) == x }"], &[]),
        (&[r#"o := {"a": 1}"#, "p if not o.b"], &["4:10 undefined ref: data.t.o.b"]),
        (&["p if not count(1)"], &["3:6 count: invalid argument(s)"]),
    ]);
}

#[test]
fn with_makes_a_document_also_of_the_replacements_type() {
    each(&[
        (&[r#"o := {"a": 1}"#, r#"p if o.b with data.t.o as {"b": 1}"#], &[]),
        (
            &[r#"o := {"a": 1}"#, r#"p if o.b with data.t.o as {"c": 1}"#],
            &["4:6 undefined ref: data.t.o.b"],
        ),
        (&[r#"o := {"a": 1}"#, "q := o", r#"p if q.b with data.t.o as {"b": 1}"#], &[]),
        (&[r#"p if input.x == 1 with input as {"x": "a"}"#], &[]),
        (&["f(x) := x", "p if f(1) with data.t.f as count"], &[]),
        (
            &["f(x) := 1", "g(x, y) := 2", "p if f(1) with data.t.f as g"],
            &["5:11 data.t.f: arity mismatch"],
        ),
        (&[r#"p if count("a") with count as object.get"#], &["3:17 count: arity mismatch"]),
    ]);
}

#[test]
fn a_rule_with_faults_gives_no_faults_elsewhere() {
    each(&[
        (&["o := count(1)", "p if o.a.b", r#"q if o == "x""#], &["3:6 count: invalid argument(s)"]),
        (&["f(x) := count(1)", r#"p if f(1) == "a""#], &["3:9 count: invalid argument(s)"]),
    ]);
}

#[test]
fn all_faults_are_told_in_order_of_their_places() {
    each(&[(
        &["p if {\n\tcount(1)\n\tupper(2)\n}\n\nq if 1 == \"a\"\n\nr := {\"a\": 1}.b"],
        &[
            "4:2 count: invalid argument(s)",
            "5:2 upper: invalid argument(s)",
            "8:6 match error",
            r#"10:6 undefined ref: {"a": 1}.b"#,
        ],
    )]);
}

#[test]
fn names_in_messages_are_those_of_the_policy() {
    each(&[
        (&[r#"p if { x := {"a": 1}; i := "b"; x[i].c }"#], &["3:33 undefined ref: x[i].c"]),
        (
            &["p if { x := [[1]]; x[0][count(input.y)].z }"],
            &["3:20 undefined ref: x[0][count(input.y)].z"],
        ),
        (&["p := opa.runtime()[0].foo"], &["3:6 undefined ref: opa.runtime()[0].foo"]),
        (&["p := [1, 2][input.i].a"], &["3:6 undefined ref: [1, 2][input.i].a"]),
    ]);
}

#[test]
fn template_strings_are_strings() {
    each(&[
        (&[r#"p := $"{input.x}" + 1"#], &["3:6 plus: invalid argument(s)"]),
        (&[r#"p if $"{1}" == 1"#], &["3:6 match error"]),
        (&[r#"p := upper($"a{input.x}")"#], &[]),
    ]);
}

#[test]
fn help_says_what_there_is_and_what_is_wanted() {
    let help = |rules: &[&str]| {
        let text = format!("package t\n\n{}\n", rules.join("\n"));
        let mut sources = Sources::default();
        let file = sources.add("a.rego", &text);
        let module = parse_module(&sources, file, RegoVersion::V1).unwrap();
        let compiled = compile(&sources, vec![module], &Options::default()).unwrap();
        check(&sources, &compiled).faults.remove(0).help.unwrap()
    };
    assert_eq!(help(&["p := upper([1])"]), "have: (array<number>), want: (x: string)");
    assert_eq!(help(&["p if 1 == \"a\""]), "left: number, right: string");
    assert_eq!(help(&[r#"o := {"a": 1, "c": 2}"#, "p if o.b"]), r#"have: "b", want: one of a, c"#);
    assert_eq!(help(&["o := [1]", "p if o.b"]), r#"have: "b", want: number"#);
    assert_eq!(help(&["o := 1", "p if o.b"]), "have: number, which has no keys");
}

#[test]
fn types_that_double_from_rule_to_rule_are_checked_in_bounded_time() {
    // Compared part by part, two such types would take 2^60 steps: they share nothing.
    let chain = |name: &str| {
        let next = |i| format!("{name}{i} := [data.t.{name}{0}, data.t.{name}{0}]", i - 1);
        std::iter::once(format!("{name}0 := [1]")).chain((1..=60).map(next)).collect::<Vec<_>>()
    };
    let mut rules = [chain("r"), chain("s")].concat();
    rules.extend(["p if r60 == s60", "q if {r60} == {s60}", "u if r60 == 1"].map(String::from));
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    assert_eq!(faults(&rules), ["127:6 match error"]);
}

#[test]
fn comprehensions_nested_too_deep_to_be_checked_are_refused() {
    let nested = (0..40).fold("input.x".to_owned(), |inner, _| format!("[x | x := {inner}]"));
    let rule = format!("p := {nested}");
    assert_eq!(faults(&[&rule]), ["3:1 types are too complex to be checked"]);
}
