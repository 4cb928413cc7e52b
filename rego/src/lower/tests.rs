//! Lowering, compared with values from OPA. Policies pass all stages before it.

use std::time::{Duration, Instant};

use regorus::Value;

use super::lower;
use crate::ast::RegoVersion;
use crate::builtins::{Context, Failure, compare, number};
use crate::compile::{Options, compile};
use crate::core::data::value_at;
use crate::core::evaluate::{Fault, evaluate};
use crate::core::{Found, Program};
use crate::json;
use crate::parse::parse_module;
use crate::source::Sources;

/// Lowers modules that all stages accept.
fn program(modules: &[&str]) -> Program {
    let mut sources = Sources::default();
    let modules: Vec<_> = modules
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let file = sources.add(&format!("{index}.rego"), text);
            parse_module(&sources, file, RegoVersion::V1).expect("the parser takes it")
        })
        .collect();
    let compiled = compile(&sources, modules, &Options::default()).expect("the stages take it");
    lower(&sources, &compiled).expect("it is lowered")
}

/// The value at a path as Rego text, `undefined`, or the code of the error.
fn ask(program: &Program, path: &str, data: &Value, input: Option<&Value>) -> String {
    let mut context = Context::new(0, Instant::now() + Duration::from_secs(60));
    let path: Vec<Value> = path.split('.').map(Value::from).collect();
    let (Found::Rule(rule, rest) | Found::Keyed { rule, rest, .. }) = program.documents.find(&path)
    else {
        return "undefined".to_owned();
    };
    let value = evaluate(program, rule, input.cloned(), data.clone(), &mut context);
    match value {
        Ok(value) => {
            let found = value
                .as_ref()
                .and_then(|value| rest.iter().try_fold(value, |value, key| value_at(value, key)));
            found.map_or("undefined".to_owned(), text)
        }
        Err(Fault::Conflict { .. } | Fault::Builtin(Failure::Conflict(_))) => {
            "eval_conflict_error".to_owned()
        }
        Err(other) => format!("{other:?}"),
    }
}

/// A value as Rego writes it.
fn text(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Array(all) => format!("[{}]", list(all.iter().map(text).collect())),
        Value::Set(all) if all.is_empty() => "set()".to_owned(),
        Value::Set(all) => {
            let mut all: Vec<_> = all.iter().collect();
            all.sort_by(|a, b| compare(a, b));
            format!("{{{}}}", list(all.into_iter().map(text).collect()))
        }
        Value::Object(all) => {
            let items = all.iter_sorted();
            let items = items.map(|(key, value)| format!("{}: {}", text(key), text(value)));
            format!("{{{}}}", list(items.collect()))
        }
        Value::Number(_) => number::text::of(value),
        other => other.to_json_str().expect("a scalar"),
    }
}

/// Compares the values at paths below `data` with OPA's answers.
fn check(modules: &[&str], data: &str, input: Option<&str>, expected: &[(&str, &str)]) {
    let program = program(modules);
    let data = json::parse(data.as_bytes()).expect("JSON");
    let input = input.map(|input| json::parse(input.as_bytes()).expect("JSON"));
    for (path, opa) in expected {
        assert_eq!(ask(&program, path, &data, input.as_ref()), *opa, "data.{path}");
    }
}

mod promises {
    use super::check;

    #[test]
    fn undefined_head_terms_leave_out_one_solution() {
        check(
            &[r#"package a
s contains input.xs[i].id if some i in [0, 1, 2]
o[k] := input.xs[k].id if some k in [0, 1, 2]
c := [input.xs[i].id | some i in [0, 1, 2]]
v := input.missing if true"#],
            "{}",
            Some(r#"{"xs": [{"id": "x"}, {}, {"id": "z"}]}"#),
            &[
                ("a.s", r#"{"x", "z"}"#),
                ("a.o", r#"{0: "x", 2: "z"}"#),
                ("a.c", r#"["x", "z"]"#),
                ("a.v", "undefined"),
            ],
        );
    }

    #[test]
    fn patterns_bind_in_whatever_order_they_can() {
        check(
            &[r#"package a
alias := [x, y] if [x, y] = [y, 1]
nested := [x, y, z] if {"a": [x, {"b": y}], "c": z} = {"a": [1, {"b": [2]}], "c": {"d": 3}}
from_input := [x, y] if {"p": [x, _, {"q": y}]} = input.o
other_length if [_, _] = input.o.p
other_keys if {"p": _, "extra": _} = input.o
found_keys := x if { k := "p"; {k: [x, _, _]} = input.o }
both := x if { k := "p"; {k: x, "q": 2} = {"q": 2, k: 7} }
sets if { x := 1; {x, 2} = {2, 1} }
same[x] if [x, x] = input.pairs[_]
self := x if x = input.ids[x]"#],
            "{}",
            Some(
                r#"{"o": {"p": [1, 2, {"q": 3}]}, "pairs": [[1, 1], [1, 2], ["x", "x"]], "ids": ["b", 1, 0]}"#,
            ),
            &[
                ("a.alias", "[1, 1]"),
                ("a.nested", r#"[1, [2], {"d": 3}]"#),
                ("a.from_input", "[1, 3]"),
                ("a.other_length", "undefined"),
                ("a.other_keys", "undefined"),
                ("a.found_keys", "1"),
                ("a.both", "7"),
                ("a.sets", "true"),
                ("a.same", r#"{1: true, "x": true}"#),
                ("a.self", "1"),
            ],
        );
    }

    #[test]
    fn references_go_through_all_unbound_keys_in_order() {
        check(
            &[
                r#"package a
all := [[i, k, v] | v := input.xs[i][k]]
again := [i | input.xs[i][i]]
base := [[k, i] | data.base[k][i] > 1]
by_composite := x if data.sets.pairs[["a", x]]
elements := [x | data.sets.pairs[x]]"#,
                r#"package sets
pairs contains ["a", 1]
pairs contains ["b", 2]"#,
            ],
            r#"{"base": {"x": [1, 2], "y": [3]}}"#,
            Some(r#"{"xs": [{"a": 1}, [5, 6]]}"#),
            &[
                ("a.all", r#"[[0, "a", 1], [1, 0, 5], [1, 1, 6]]"#),
                ("a.again", "[1]"),
                ("a.base", r#"[["x", 1], ["y", 0]]"#),
                ("a.by_composite", "1"),
                ("a.elements", r#"[["a", 1], ["b", 2]]"#),
            ],
        );
    }

    #[test]
    fn base_data_has_keys_of_text() {
        check(
            &[r#"package a
number_for_text := data.ports[8080]
found_number := x if { n := 8080; x := data.ports[n] }
text_for_index := data.list["1"]
boolean := x if { b := true; x := data.ports[b] }
replaced := x if { n := 8080; x := data.ports[n] with data.ports as {"8080": 1, 8080: 2} }"#],
            r#"{"ports": {"8080": "http", "true": 1}, "list": ["a", "b"]}"#,
            None,
            &[
                ("a.number_for_text", r#""http""#),
                ("a.found_number", r#""http""#),
                ("a.text_for_index", r#""b""#),
                ("a.boolean", "undefined"),
                ("a.replaced", "2"),
            ],
        );
    }

    #[test]
    fn a_document_is_what_rules_below_make_and_base_data() {
        check(
            &[
                r#"package t.one
p := 1
q if input.never
f(x) := x
s contains 2"#,
                r#"package t.two.deep
r[k] := v if some k, v in {"a": 1}"#,
                r#"package t.empty
never if false"#,
                r#"package ask
whole := data.t
one := data.t.one
keys := [k | data.t[k]]
rules := [[k, r] | data.t[k][r]]
empty := data.t.empty"#,
            ],
            r#"{"t": {"one": {"p": {"x": 1}, "b": {"c": 1}}, "base": {"z": 0}}}"#,
            None,
            &[
                (
                    "ask.whole",
                    r#"{"base": {"z": 0}, "empty": {}, "one": {"b": {"c": 1}, "p": {"x": 1}, "s": {2}}, "two": {"deep": {"r": {"a": 1}}}}"#,
                ),
                ("ask.one", r#"{"b": {"c": 1}, "p": {"x": 1}, "s": {2}}"#),
                ("ask.keys", r#"["base", "one", "empty", "two"]"#),
                (
                    "ask.rules",
                    r#"[["base", "z"], ["one", "b"], ["one", "p"], ["one", "s"], ["two", "deep"]]"#,
                ),
                ("ask.empty", "{}"),
            ],
        );
    }

    #[test]
    fn a_key_that_is_found_at_run_time_leads_to_one_rule() {
        check(
            &[
                r#"package t.one
allow if input.x == 1
broken := 1
broken := 2"#,
                r#"package t.two
allow := "two"
set contains "e"
object["k"] := 5"#,
                r#"package ask
allow := data.t[input.t].allow
missing := data.t[input.none].allow
base := data.t[input.b].x
element := data.t[input.two].set[e] if e := "e"
value := data.t[input.two][input.o].k
found := [[t, x] | x := data.t[t].allow]
document := data.t[input.two]"#,
            ],
            r#"{"t": {"base": {"x": 9}}}"#,
            Some(
                r#"{"x": 1, "t": "one", "none": "zzz", "b": "base", "two": "two", "o": "object"}"#,
            ),
            &[
                ("ask.allow", "true"),
                ("ask.missing", "undefined"),
                ("ask.base", "9"),
                ("ask.element", r#""e""#),
                ("ask.value", "5"),
                ("ask.found", r#"[["one", true], ["two", "two"]]"#),
                ("ask.document", r#"{"allow": "two", "object": {"k": 5}, "set": {"e"}}"#),
            ],
        );
    }

    #[test]
    fn heads_with_variables_make_one_document() {
        check(
            &[r#"package a
p[x].q[y] := x + y if { some x in [1, 2]; some y in [3, 4] }
p.ground := "g"
p[9] := "leaf"
m[x] contains y if { some x in ["a", "b"]; some y in [1, 2]; x != "b" }
m.c contains 3
none[x].y := 1 if { some x in [] }
ask_q := p[1].q[3]
ask_ground := p.ground
ask_found := [k | p[k]]
ask_member := m.a[2]"#],
            "{}",
            None,
            &[
                (
                    "a.p",
                    r#"{1: {"q": {3: 4, 4: 5}}, 2: {"q": {3: 5, 4: 6}}, 9: "leaf", "ground": "g"}"#,
                ),
                ("a.m", r#"{"a": {1, 2}, "c": {3}}"#),
                ("a.none", "{}"),
                ("a.ask_q", "4"),
                ("a.ask_ground", r#""g""#),
                ("a.ask_found", r#"[1, 2, 9, "ground"]"#),
                ("a.ask_member", "2"),
            ],
        );
    }

    #[test]
    fn a_conflict_is_raised_at_the_key_that_has_it() {
        check(
            &[r#"package a
o[k] := v if some [k, v] in [["a", 1], ["b", 1], ["b", 2]]
a := o.a
b := o.b
whole := o
g[k].x := v if some [k, v] in [["a", 1], ["b", 1], ["b", 2]]
ga := g.a
gb := g.b
below["k"].x := 1
below[k] := {"y": 1} if k := "k"
f(x) := 1
f(x) := 2 if x == 1
f1 := f(1)
f2 := f(2)
comprehension := {k: v | some [k, v] in [["a", 1], ["a", 2]]}"#],
            "{}",
            None,
            &[
                ("a.a", "1"),
                ("a.b", "eval_conflict_error"),
                ("a.whole", "eval_conflict_error"),
                ("a.ga", r#"{"x": 1}"#),
                ("a.gb", "eval_conflict_error"),
                ("a.g", "eval_conflict_error"),
                ("a.below", "eval_conflict_error"),
                ("a.f1", "eval_conflict_error"),
                ("a.f2", "1"),
                ("a.comprehension", "eval_conflict_error"),
            ],
        );
    }

    #[test]
    fn rules_that_yield_one_constant_stop_at_the_first_solution() {
        check(
            &[r#"package a
import future.keywords.not
conflict := 1
conflict := 2
early if { some x in [1, 2]; later(x) }
early if conflict == 1
later(1)
later(2) if conflict == 1
late := x if { some x in [1, 2]; later(x) }
negated if not {some x in [1, 2]; later(x)}
element contains 1 if { some x in [1, 2]; later(x) }"#],
            "{}",
            None,
            &[
                ("a.early", "true"),
                ("a.late", "eval_conflict_error"),
                ("a.negated", "eval_conflict_error"),
                ("a.element", "eval_conflict_error"),
            ],
        );
    }

    #[test]
    fn what_the_index_asks_is_asked_first() {
        check(
            &[r#"package a
import future.keywords.or
conflict := 1
conflict := 2
p := 1 if { conflict == 1; input.kind == "other" }
q := 1 if { conflict == 1; x := input.missing; x > 1 }
r := 1 if { conflict == 1; input.kind == "this" }
f(x) := 1 if { conflict == 1; x == 2 }
g := f(1)
h := 1 if { conflict == 1; not input.kind == "this" }
off := 1 if { conflict == 1; input.off }
gone := 1 if { conflict == 1; input.gone }
array := 1 if { conflict == 1; input.list == [2] }
either := 1 if { conflict == 1; input.gone or input.missing }
alike := 1 if { conflict == 1; input.kind == "a" or input.kind == "b" }"#],
            "{}",
            Some(r#"{"kind": "this", "off": false, "list": [1]}"#),
            &[
                ("a.p", "undefined"),
                ("a.q", "undefined"),
                ("a.r", "eval_conflict_error"),
                ("a.g", "undefined"),
                ("a.h", "eval_conflict_error"),
                ("a.off", "eval_conflict_error"),
                ("a.gone", "undefined"),
                ("a.array", "undefined"),
                ("a.either", "eval_conflict_error"),
                ("a.alike", "undefined"),
            ],
        );
    }

    #[test]
    fn functions_take_patterns_and_repeated_variables() {
        check(
            &[r#"package a
f(x, [y, z]) := [x, y, z]
f(x, {"k": y}) := [x, y]
f(x, x) := "same"
g(1) := "one"
g("a") := "letter"
default g(_) := "other"
h(x) := "big" if { x > 10 } else := "small" if { x > 0 } else := "none"
i(x) if x
s({v}) := v if v = 1
a1 := f(1, [2, 3])
a2 := f(1, {"k": 2})
a3 := f(1, 1)
a4 := f(1, 2)
b := [g(1), g("a"), g(2)]
c := [h(11), h(1), h(0)]
d1 if i(false)
d2 := i(true)
e := s({1})
called := x if { i(true, x) }"#],
            "{}",
            None,
            &[
                ("a.a1", "[1, 2, 3]"),
                ("a.a2", "[1, 2]"),
                ("a.a3", r#""same""#),
                ("a.a4", "undefined"),
                ("a.b", r#"["one", "letter", "other"]"#),
                ("a.c", r#"["big", "small", "none"]"#),
                ("a.d1", "undefined"),
                ("a.d2", "true"),
                ("a.e", "undefined"),
                ("a.called", "true"),
            ],
        );
    }

    #[test]
    fn defaults_and_else_are_tried_in_turn() {
        check(
            &[r#"package a
default p := "d"
p := 1 if input.one
p := 1 if input.uno
default q := [x | some x in input.xs]
q := 2 if input.two
r := 1 if { input.one } else := 2 if { input.two } else := 3
u := 1 if { input.never } else := x if { some x in [] }"#],
            "{}",
            Some(r#"{"xs": [5, 6], "two": true}"#),
            &[("a.p", r#""d""#), ("a.q", "2"), ("a.r", "2"), ("a.u", "undefined")],
        );
    }

    #[test]
    fn negation_every_and_logic_are_closures() {
        check(
            &[r#"package a
import future.keywords.and
import future.keywords.not
import future.keywords.or
n1 if not input.missing
n2 if not input.false
n3 if not {some x in input.xs; x > 2}
n4 if not {some x in input.xs; x > 5}
e1 if every x in input.xs { x > 0 }
e2 if every i, x in input.xs { x > i; x < 3 }
e3 if every x in [] { x == 1 }
e4 if every x in input.missing { x == 1 }
e5 if every x in 5 { x == 1 }
o1 if input.missing or input.xs
o2 if {some x in input.xs; x == 9} or {x := 1; x == 2}
a1 if input.xs and not input.missing
a2 if {x := 1; x == 1} and {x := 2; x == 2}
twice := [1 | {some x in input.xs; x > 0} or true]"#],
            "{}",
            Some(r#"{"xs": [1, 2, 3], "false": false}"#),
            &[
                ("a.n1", "true"),
                ("a.n2", "true"),
                ("a.n3", "undefined"),
                ("a.n4", "true"),
                ("a.e1", "true"),
                ("a.e2", "undefined"),
                ("a.e3", "true"),
                ("a.e4", "undefined"),
                ("a.e5", "undefined"),
                ("a.o1", "true"),
                ("a.o2", "undefined"),
                ("a.a1", "true"),
                ("a.a2", "true"),
                ("a.twice", "[1]"),
            ],
        );
    }

    #[test]
    fn comprehensions_are_closures_in_closures() {
        check(
            &[r#"package a
nested := [{x: [y | some y in input.xs; y > x]} | some x in input.xs]
outer := [y | some x in input.xs; y := {z | some z in input.xs; z != x}]
of_object := {k: count([1 | some v in input.o[k]]) | input.o[k]}
names := [a, b] if { a := [x | x = input.xs[_]]; b := [x | x = input.o.a[_]] }
empty := [[x | x := 1; x == 2], {x | x := 1; x == 2}, {x: 1 | x := 1; x == 2}]"#],
            "{}",
            Some(r#"{"xs": [1, 2], "o": {"a": [1, 2], "b": []}}"#),
            &[
                ("a.nested", "[{1: [2]}, {2: []}]"),
                ("a.outer", "[{2}, {1}]"),
                ("a.of_object", r#"{"a": 2, "b": 0}"#),
                ("a.names", "[[1, 2], [1, 2]]"),
                ("a.empty", "[[], set(), {}]"),
            ],
        );
    }

    #[test]
    fn with_replaces_the_input_and_what_depends_on_it() {
        check(
            &[r#"package a
p := input.x
q := p + 1
r := [x | x := q with input.x as data.xs[_]]
whole := x if x := input with input as {"y": 1}
path := x if x := input with input.a.b as 1 with input.a.c as 2
over := x if x := input with input.x.y as 1
outside := [x, y] if { x := p with input.x as 5; y := p }
undefined_value if { true with input.x as input.missing }
loops := [[x, y] | x := input.zs[y] with input.zs as ["a", "b"]]
negated if not p == 1 with input.x as 2
many := x if { a1 := 1; a2 := input.x; a3 := input.xs[0]; a4 := input.xs[1]; a5 := p; a6 := q; a7 := "7"; a8 := input.a; x := [a1, a2, a3, a4, a5, a6, a7, a8, p] with input.x as 0 }"#],
            r#"{"xs": [10, 20]}"#,
            Some(r#"{"x": 1, "a": {"z": 0}, "xs": [[], {}]}"#),
            &[
                ("a.r", "[11, 21]"),
                ("a.whole", r#"{"y": 1}"#),
                ("a.path", r#"{"a": {"b": 1, "c": 2, "z": 0}, "x": 1, "xs": [[], {}]}"#),
                ("a.over", r#"{"a": {"z": 0}, "x": {"y": 1}, "xs": [[], {}]}"#),
                ("a.outside", "[5, 1]"),
                ("a.undefined_value", "undefined"),
                ("a.loops", r#"[["a", 0], ["b", 1]]"#),
                ("a.negated", "true"),
                ("a.many", r#"[1, 1, [], {}, 1, 2, "7", {"z": 0}, 0]"#),
            ],
        );
    }

    #[test]
    fn with_replaces_data_rules_and_packages() {
        check(
            &[
                r#"package p
r := 1
s contains "e"
o[k] := 1 if some k in ["a"]
g[k].x := 1 if some k in ["a"]
f(x) := r + x"#,
                r#"package p.inner
t := 3"#,
                r#"package ask
rule := x if x := data.p.r with data.p.r as 2
below := x if x := data.p.f(1) with data.p.r as 2
set := x if x := data.p.s with data.p.s as {"z"}
element if data.p.s.e with data.p.s as {"z"}
entry := x if x := data.p.o.b with data.p.o as {"b": 7}
general := x if x := data.p.g.b with data.p.g as {"b": {"x": 7}}
package_ := x if x := data.p with data.p as {"r": 5}
rule_of_package := x if x := data.p.r with data.p as {"r": 5}
gone if data.p.inner.t with data.p as {"r": 5}
function_stays := x if x := data.p.f(1) with data.p as {"r": 5}
above := x if x := data.p with data.p.inner as {"u": 1}
found := [k | data.p[k] with data.p as {"r": 5, "q": 6}]
base := x if x := data.base with data.base.x as {"new": 1}
base_at := x if x := data.base.x with data.base.x as {"new": 1}
base_new := x if x := data.fresh.y with data.fresh.y as 1
twice := x if x := data.base.x with data.base.x as 1 with data.base.x as 2
nested := x if x := outer with data.base as {"x": 1}
outer := x if x := data.base with data.base.y as 2"#,
            ],
            r#"{"base": {"x": {"old": 1}, "z": 0}}"#,
            None,
            &[
                ("ask.rule", "2"),
                ("ask.below", "3"),
                ("ask.set", r#"{"z"}"#),
                ("ask.element", "undefined"),
                ("ask.entry", "7"),
                ("ask.general", r#"{"x": 7}"#),
                ("ask.package_", r#"{"r": 5}"#),
                ("ask.rule_of_package", "5"),
                ("ask.gone", "undefined"),
                ("ask.function_stays", "6"),
                (
                    "ask.above",
                    r#"{"g": {"a": {"x": 1}}, "inner": {"u": 1}, "o": {"a": 1}, "r": 1, "s": {"e"}}"#,
                ),
                ("ask.found", r#"["q", "r"]"#),
                ("ask.base", r#"{"x": {"new": 1, "old": 1}, "z": 0}"#),
                ("ask.base_at", r#"{"new": 1}"#),
                ("ask.base_new", "1"),
                ("ask.twice", "2"),
                ("ask.nested", r#"{"x": 1, "y": 2}"#),
            ],
        );
    }

    #[test]
    fn with_replaces_functions_and_built_ins() {
        check(
            &[r#"package a
f(x) := x
g(x) := x + 100
h(x) := f(x) + 1
plus_one(x, y) := x
by_function := x if x := f(1) with f as g
by_value := x if x := f(1) with f as 7
deep := x if x := h(1) with f as g
self := x if x := f(1) with f as h
built_in := x if x := count([1, 2]) with count as 5
size(xs) := [xs, "size"]
built_in_by_function := x if x := count([3]) with count as size
built_in_by_built_in := x if x := abs(-3) with abs as round
infix := x if x := 1 + 2 with plus as plus_one
counted(x) := count(x)
below := x if x := counted([1]) with count as 9
false_value if f(1) with f as false
last := x if x := f(1) with f as 1 with f as 2"#],
            "{}",
            None,
            &[
                ("a.by_function", "101"),
                ("a.by_value", "7"),
                ("a.deep", "102"),
                ("a.self", "2"),
                ("a.built_in", "5"),
                ("a.built_in_by_function", r#"[[3], "size"]"#),
                ("a.built_in_by_built_in", "-3"),
                ("a.infix", "1"),
                ("a.below", "9"),
                ("a.false_value", "undefined"),
                ("a.last", "2"),
            ],
        );
    }

    #[test]
    fn walk_has_many_outputs() {
        check(
            &[r#"package a
all := [[p, v] | walk(input, [p, v])]
values := [v | walk(input.a, [_, v])]
at := v if walk(input, [["a", 0], v])
count_ := count([1 | walk(input.a)])"#],
            "{}",
            Some(r#"{"a": ["x", {"b": 1}]}"#),
            &[
                (
                    "a.all",
                    r#"[[[], {"a": ["x", {"b": 1}]}], [["a"], ["x", {"b": 1}]], [["a", 0], "x"], [["a", 1], {"b": 1}], [["a", 1, "b"], 1]]"#,
                ),
                ("a.values", r#"[["x", {"b": 1}], "x", {"b": 1}, 1]"#),
                ("a.at", r#""x""#),
                ("a.count_", "4"),
            ],
        );
    }

    #[test]
    fn numbers_are_exact() {
        check(
            &[r#"package a
big := 123456789012345678901234567890
decimal := [0.1, -1.5, 1e3 == 1000]
object := {"a": 1, "b": [2, {3}]}
pattern if [1, 2.5] = input"#],
            "{}",
            Some("[1, 2.5]"),
            &[
                ("a.big", "123456789012345678901234567890"),
                ("a.decimal", "[0.1, -1.5, true]"),
                ("a.object", r#"{"a": 1, "b": [2, {3}]}"#),
                ("a.pattern", "true"),
            ],
        );
    }

    #[test]
    fn a_rule_is_called_without_arguments() {
        check(
            &[r#"package a
limit := input.limit
ok if limit() == 3
replaced := x if x := limit() with data.a.limit as 9"#],
            "{}",
            Some(r#"{"limit": 3}"#),
            &[("a.ok", "true"), ("a.replaced", "3")],
        );
    }

    #[test]
    fn a_reference_by_a_variable_uses_only_what_its_keys_allow() {
        check(
            &[
                r#"package test
p := data[first].allow.see.else_where if first := "primary"
q if { some name in ["a", "b"]; data.named[name].value == 1 }
value := 7
r := data[input.package].value
o[x] := y if { some x in ["a", "b"]; y := 1 }
o.c := 1
o.d := o.c + 1
g[x].foo := 1 if some x in ["a", "b"]
g.z.foo := 2
g.z.bar := data.test.g.a.foo"#,
                r#"package primary
allow[action].something if action := "show"
allow.see.else_where if true"#,
                r#"package named.a
value := 1"#,
                r#"package named.c
value := data.test.q"#,
            ],
            "{}",
            Some(r#"{"package": "primary"}"#),
            &[
                ("test.p", "true"),
                ("test.q", "true"),
                ("test.r", "undefined"),
                ("test.o.d", "2"),
                ("test.g.z", r#"{"bar": 1, "foo": 2}"#),
                ("named.c.value", "true"),
            ],
        );
    }

    #[test]
    fn the_documents_of_a_package_are_evaluated_one_after_the_other() {
        check(
            &[
                r#"package t
first if some document in data.lib[key]
one if data.lib[key] == 1
stored if data.lib[key] == "stored"
nested if data.lib[key].deep.one
all := [document | document := data.lib[key]]
none if data.lib[key] == 99
below if data.lib[key][other] == 2
keys := [[x, y, z] | z := data.other[x][y]]"#,
                "package lib\na := 1\na2.deep.one := 1\nb := 1 if true\nb := 2 if true\nc := 1",
                r#"package other
s contains x if some x in ["z", "y"]
o[x] := 1 if some x in ["k", "j"]
a := [7, 8]
f(x) := x
undefined_here if false"#,
            ],
            r#"{"lib": {"z": "stored"}}"#,
            None,
            &[
                ("t.first", "true"),
                ("t.one", "true"),
                ("t.stored", "true"),
                ("t.nested", "true"),
                ("t.all", "eval_conflict_error"),
                ("t.none", "eval_conflict_error"),
                ("t.below", "eval_conflict_error"),
                (
                    "t.keys",
                    r#"[["a", 0, 7], ["a", 1, 8], ["o", "j", 1], ["o", "k", 1], ["s", "y", "y"], ["s", "z", "z"]]"#,
                ),
            ],
        );
    }

    #[test]
    fn only_definitions_that_fit_all_known_keys_are_evaluated() {
        check(
            &[r#"package t
p[x].foo := 1 if some x in ["a", "b"]
p[x].bar := y if { some x in ["a", "b"]; y := [1, 2][_] }
m[x].foo contains y if { x := "a"; y := [1, 2, 3][_] }
known := p.a.foo
given := data.t.p[input.key].foo
conflict := p.a.bar
found := [x | p[x].foo]
member := m.a.foo[2]
members := [x | m[input.key].foo[x]]"#],
            "{}",
            Some(r#"{"key": "a"}"#),
            &[
                ("t.known", "1"),
                ("t.given", "1"),
                ("t.conflict", "eval_conflict_error"),
                ("t.found", "eval_conflict_error"),
                ("t.member", "2"),
                ("t.members", "[1, 2, 3]"),
            ],
        );
    }

    #[test]
    fn a_key_that_is_asked_for_is_compared_where_the_body_binds_it() {
        check(
            &[r#"package t
r[input] := 1 if x := f(1)
f(_) := true
f(_) := input
other := r.x
same := r.q"#],
            "{}",
            Some(r#""q""#),
            &[("t.other", "eval_conflict_error"), ("t.same", "eval_conflict_error")],
        );
    }

    #[test]
    fn what_has_no_parameters_is_a_document() {
        check(
            &[r#"package t
f() := 1
g() := 1
g := 2 if input.x
default h() := 3
h() := 4 if input.y
of_f := f
of_h := x if x := h with input.y as 1"#],
            "{}",
            Some(r#"{"x": 1}"#),
            &[
                ("t.f", "1"),
                ("t.g", "eval_conflict_error"),
                ("t.h", "3"),
                ("t.of_f", "1"),
                ("t.of_h", "4"),
            ],
        );
    }

    #[test]
    fn an_output_that_is_known_is_unified_before_a_body() {
        check(
            &[r#"package t
plus_(x, y) := z if z := x + y
g(x) := 1 if x > 3 else := 2 if x > 1 else := 3
default h(_) := 6
h(x) := x if x > 3
right if plus_(1, 6, 7)
wrong if plus_(1, 6, 8)
bound := x if g(2, x)
later if g(2, 3)
fallen if h(9, 6)
fallen_too if h(9, 7)
default_ if h(1, 6)"#],
            "{}",
            None,
            &[
                ("t.right", "true"),
                ("t.wrong", "undefined"),
                ("t.bound", "2"),
                ("t.later", "true"),
                ("t.fallen", "true"),
                ("t.fallen_too", "undefined"),
                ("t.default_", "true"),
            ],
        );
    }

    #[test]
    fn a_set_pattern_with_variables_is_equal_to_no_set() {
        check(
            &[r#"package t
k({a}, 1) := 5
k({a}, 2) := a
last(a, {a}) := 7
first_ := k({1}, 1)
second := k({1}, 2)
bound := last(3, {3})"#],
            "{}",
            None,
            &[("t.first_", "undefined"), ("t.second", "undefined"), ("t.bound", "7")],
        );
    }
}
