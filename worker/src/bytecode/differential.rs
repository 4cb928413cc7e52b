//! The bytecode beside the interpreter.

#![allow(clippy::print_stdout, reason = "how many there were of what is the result of a long run")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::{Bytecode, Refused};
use crate::contradictions::contradictions;
use crate::engine::{ENTRY_POINT, compile, new_engine, put_in_place};
use crate::rewriting::rewrite;

mod chance;
mod compliance;
mod generator;
mod names;
mod runs;

fn timer() -> ExecutionTimerConfig {
    ExecutionTimerConfig {
        limit: Duration::from_secs(5),
        check_interval: std::num::NonZeroU32::new(16).unwrap(),
    }
}

/// An engine that was given a tenant's policy as the worker does it, or what is wrong with that.
fn prepared(tenant: &str, modules: &[(String, String)], data: &Value) -> Result<Engine, String> {
    let mut engine = new_engine();
    for (path, text) in modules {
        engine.add_policy(path.clone(), text.clone()).map_err(|error| error.to_string())?;
    }
    if let Some(fault) = contradictions(engine.get_modules()).first() {
        return Err(fault.to_string());
    }
    let texts = rewrite(engine.get_modules()).map_err(|faults| faults[0].to_string())?.texts;
    put_in_place(&mut engine, data.clone(), texts)
        .and_then(|()| compile(&mut engine, &tenant.parse().unwrap()))
        .map_err(|fault| fault.to_string())?;
    Ok(engine)
}

/// What the interpreter says; a panic is an error.
fn interpreted(pristine: &Engine, input: &Value, rule: &str) -> Result<Value, String> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut engine = pristine.clone();
        engine.set_execution_timer_config(timer());
        engine.set_input(input.clone());
        engine.eval_rule(rule.to_owned()).map_err(|error| error.to_string())
    }))
    .unwrap_or_else(|_| Err("panic".to_owned()))
}

fn asked(bytecode: &mut Bytecode, input: &Value) -> Option<Value> {
    let answer = catch_unwind(AssertUnwindSafe(|| bytecode.ask(input.clone(), timer()).ok()));
    let answer = answer.unwrap_or(None);
    if answer.is_none() {
        bytecode.renew().unwrap();
    }
    answer
}

/// How it went.
#[derive(Debug, Default, Clone)]
struct Counts {
    policies: usize,
    unloadable: usize,
    refused: usize,
    inside: usize,
    evaluations: usize,
    equal: usize,
    both_failed: usize,
    left_to_interpreter: usize,
    allowed: usize,
    denied: usize,
    undefined: usize,
    different: Vec<String>,
}

impl Counts {
    fn compare(
        &mut self,
        bytecode: &mut Bytecode,
        engine: &Engine,
        input: &Value,
        rule: &str,
        name: impl Fn() -> String,
    ) {
        self.evaluations += 1;
        let expected = interpreted(engine, input, rule);
        match (asked(bytecode, input), expected) {
            (Some(found), Ok(expected)) if same(&found, &expected) => {
                self.equal += 1;
                let allow = crate::value::element(&expected, 0);
                match crate::value::element(allow, 0) {
                    Value::Bool(true) => self.allowed += 1,
                    Value::Undefined => self.undefined += 1,
                    _ => self.denied += 1,
                }
            }
            (Some(found), expected) => {
                let difference = format!(
                    "{}\ninput: {input}\nbytecode: {found:?}\ninterpreter: {expected:?}\n",
                    name()
                );
                self.different.push(difference);
            }
            (None, Ok(_)) => self.left_to_interpreter += 1,
            (None, Err(_)) => self.both_failed += 1,
        }
    }

    fn report(&self) -> String {
        format!(
            "policies {}, unloadable {}, refused {}, inside {}; evaluations {}, equal {} (allow true {}, other {}, undefined {}), left to the interpreter {}, both failed {}, DIFFERENT {}",
            self.policies,
            self.unloadable,
            self.refused,
            self.inside,
            self.evaluations,
            self.equal,
            self.allowed,
            self.denied,
            self.undefined,
            self.left_to_interpreter,
            self.both_failed,
            self.different.len()
        )
    }
}

/// Also written the same: 1 and 1.0 are equal, and printed otherwise.
fn same(one: &Value, other: &Value) -> bool {
    one == other && format!("{one:?}") == format!("{other:?}")
}

fn json(text: &str) -> Value {
    Value::from_json_str(text).unwrap()
}

/// What the bytecode and the interpreter make of a tenant's rules.
fn both(
    rules: &str,
    input: &str,
    data: &str,
) -> (Result<Option<Value>, Refused>, Result<Value, String>) {
    let modules = [("p.rego".to_owned(), format!("package tenants.a\n{rules}\n"))];
    let data = json(data);
    let engine = prepared("a", &modules, &data).unwrap_or_else(|fault| panic!("{fault}: {rules}"));
    let input = json(input);
    let expected = interpreted(&engine, &input, ENTRY_POINT);
    let found = Bytecode::compile(&engine, data, ENTRY_POINT)
        .map(|mut bytecode| asked(&mut bytecode, &input));
    (found, expected)
}

#[test]
fn the_bytecode_answers_what_a_policy_of_every_day_asks() {
    for (rules, input) in [
        ("allow := true", "{}"),
        ("default allow := false\nallow if input.a == 1", r#"{"a":1}"#),
        (
            "allow if not input.a\nredact contains x if some x in input.xs\nreason := \"r\"",
            r#"{"xs":["a"]}"#,
        ),
        ("allow if { x := input.a; true }", "{}"),
        ("allow if { count([1 | false]) == 0; true }", "{}"),
        ("allow if { some x in [1, 2]; count([1 | x > 1]) == 0 }", "{}"),
        ("reason := 1 if { some y in [1]; y > 5 } else := 2", "{}"),
        ("allow if { count([1 | some x in []; input.a == x]) == 0; input.b == 1 }", r#"{"b":1}"#),
        ("reason := \"r\" if f(input.a)\nf(_) := true", "{}"),
        ("allow if 1 < \"a\"", "{}"),
        ("reason := {k: v | some k, v in {\"a\": 1}}", "{}"),
        ("allow if every x in input.xs { x > 1; some y in [x]; y > 2 }", r#"{"xs":[3,4]}"#),
        ("allow if input.xs[_].a == 1", r#"{"xs":[{"b":1},{"a":1}]}"#),
        ("reason := sprintf(\"%v %s\", [input.n, \"x\"])", r#"{"n":1.5}"#),
    ] {
        let (found, expected) = both(rules, input, "{}");
        let found = found.unwrap_or_else(|refused| panic!("{refused:?}: {rules}"));
        assert_eq!(found, Some(expected.unwrap()), "{rules}");
    }
}

#[test]
fn what_the_bytecode_cannot_do_right_is_left_to_the_interpreter() {
    for (rules, input, data) in [
        ("allow if not startswith(input.a, \"x\")", r#"{"a":1}"#, "{}"),
        ("allow if not f\nf if input.a + 1 == 2", r#"{"a":"x"}"#, "{}"),
        ("allow if not f\nf if input.a / 0 == 2", r#"{"a":1}"#, "{}"),
        ("allow := x if some x in [1, 2]", "{}", "{}"),
        ("reason := {x: y | some x in [1]; some y in [1, 2]}", "{}", "{}"),
        ("reason[x] := y if { some x in [1]; some y in [1, 2] }", "{}", "{}"),
        ("allow if not f\nf if some x in input.a", r#"{"a":1}"#, "{}"),
        ("allow if data.m[input.a]", r#"{"a":1}"#, r#"{"m":{"1":true}}"#),
        ("allow if true\nallow if startswith(input.a, \"x\")", r#"{"a":1}"#, "{}"),
        // They are equal, and the machine would keep the other one.
        ("reason := x if some x in input.xs", r#"{"xs":[0,-0.0]}"#, "{}"),
        ("reason[k] := x if { k := \"k\"; some x in input.xs }", r#"{"xs":[0,-0.0]}"#, "{}"),
    ] {
        let (found, _) = both(rules, input, data);
        assert_eq!(found, Ok(None), "{rules}");
    }
}

#[test]
fn what_the_compiler_gets_wrong_is_not_let_through() {
    for (rules, input) in [
        // Without its checks, what is in a `not` finds more than the interpreter: a wrong allow.
        ("allow if not [1 | input.n = 1] == []", r#"{"n":2}"#),
        ("allow if not [x | [1, x] := input.p] == []", r#"{"p":[2,3]}"#),
        ("allow if not f([x | some [1, x] in input.p])\nf(x) if count(x) == 0", r#"{"p":[[2,3]]}"#),
        // The interpreter goes through the key that it has already.
        ("reason := [y | input.x[i]; y := [i | some i; input.z[i]]]", r#"{"x":{"a":1},"z":[1]}"#),
        (
            "reason := [y | some i; input.x[i]; y := [i | some i; input.z[i]]]",
            r#"{"x":[1],"z":[1,2]}"#,
        ),
        ("reason := [y | y := [i | some i; input.z[i]]; input.x[i]]", r#"{"x":[1],"z":[1,2]}"#),
        // It has no order for the statements there.
        ("reason[[y | y := x]] := x if x := input.x", r#"{"x":1}"#),
    ] {
        let (found, expected) = both(rules, input, "{}");
        assert!(found.is_err(), "{rules}: {found:?}, {expected:?}");
    }
}

#[test]
fn a_name_is_never_taken_for_another_thing_than_the_interpreter_takes_it_for() {
    let data = json(r#"{"m":{"x":2}}"#);
    for (rules, package, there, is_let_through) in [
        ("allow := lib.ok if input.x", "lib", "ok := true", false),
        ("import data.m as lib\nallow if lib.x", "lib", "x if data.tenants.a.allow", false),
        (
            "import data.tenants.a.x.json\nallow if json.marshal(1, 2)",
            "x.json",
            "marshal(a, b) if a < b",
            false,
        ),
        (
            "import data.tenants.a.x.f as count\nallow if count(1, 2)",
            "x",
            "f(a, b) if a < b",
            false,
        ),
        ("f(a, b) if a < b\nallow if data.tenants.a.f(1, 2)", "data.tenants.a", "f(a) := a", false),
        ("import data.tenants.a.lib\nallow if lib.f(1, 2)", "lib", "f(a, b) if a < b", true),
        ("allow if lib.f(1, 2)", "lib", "f(a, b) if a < b", true),
        ("import data.tenants.a.lib.ok\nallow := ok", "lib", "ok if input.x", true),
    ] {
        let modules = [
            ("p.rego".to_owned(), format!("package tenants.a\n{rules}\n")),
            ("q.rego".to_owned(), format!("package tenants.a.{package}\n{there}\n")),
        ];
        let engine = prepared("a", &modules, &data).unwrap();
        let input = json(r#"{"x":1}"#);
        let mut counts = Counts::default();
        let compiled = Bytecode::compile(&engine, data.clone(), ENTRY_POINT);
        assert_eq!(compiled.is_ok(), is_let_through, "{rules}");
        if let Ok(mut bytecode) = compiled {
            counts.compare(&mut bytecode, &engine, &input, ENTRY_POINT, || rules.to_owned());
            assert_eq!(counts.equal, 1, "{rules}: {:?}", counts.different);
        }
    }
}

#[test]
fn rules_that_need_one_another_are_answered_down_to_the_last() {
    let chain = |count: usize| {
        let mut rules = "allow if r0\n".to_owned();
        for number in 0..count {
            rules.push_str(&format!("r{number} if {{ f{number}([x | some x in input.l]) }}\n"));
            rules.push_str(&format!("f{number}(x) if {{ count(x) == 1; r{} }}\n", number + 1));
        }
        format!("{rules}r{count} if input.x")
    };
    let (found, expected) = both(&chain(23), r#"{"l":[1],"x":true}"#, "{}");
    assert_eq!(found.unwrap(), Some(expected.unwrap()));
    let (found, _) = both(&chain(24), "{}", "{}");
    assert!(found.is_err());
}
