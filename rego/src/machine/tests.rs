//! Evaluations of the machine, and the errors that end them.

use std::time::{Duration, Instant};

use regorus::Value;

use super::*;
use crate::core::evaluate::{self, Fault};
use crate::core::random;
use crate::core::{
    Block, Body, Collection, Definition, Expr, Operand, Program, Replacement, Root, Rule, RuleKind,
    Slot, SlotId, Statement, StatementKind, Substitute, Target, Var,
};
use crate::emit::{Refusal, What, emit};
use crate::interpreter::Interpreter;
use crate::source::{FileId, Span};

/// A worker's stack.
const STACK: usize = 8 << 20;

fn span(start: u32) -> Option<Span> {
    Some(Span { file: FileId(0), start, end: start + 1 })
}

fn v(number: u32) -> Operand {
    Operand::Var(Var(number))
}

fn c(value: impl Into<Value>) -> Operand {
    Operand::Const(value.into())
}

fn at(start: u32, kind: StatementKind) -> Statement {
    Statement { kind, span: span(start) }
}

fn bind(number: u32, expr: Expr) -> Statement {
    at(900, StatementKind::Let(Var(number), expr))
}

fn test(expr: Expr) -> Statement {
    at(901, StatementKind::Test(expr))
}

fn each(value: u32, collection: Operand, block: Block) -> Statement {
    at(902, StatementKind::Each { key: None, value: Var(value), collection, block })
}

fn input(keys: &[&str]) -> Expr {
    Expr::Path(Root::Input, keys.iter().map(|key| c(*key)).collect())
}

fn body(start: u32, block: Block, value: Operand) -> Definition {
    Definition { bodies: vec![Body { block, key: None, value, span: span(start) }] }
}

fn rule(name: &str, kind: RuleKind, definitions: Vec<Definition>) -> Rule {
    Rule {
        name: name.to_owned(),
        kind,
        default: None,
        definitions,
        variables: 1000,
        slot: None,
        span: span(0),
    }
}

fn complete(block: Block, value: Operand) -> Rule {
    rule("data.rule", RuleKind::Complete, vec![body(1, block, value)])
}

fn program(rules: Vec<Rule>) -> Program {
    Program { rules, ..Program::default() }
}

fn last(program: &Program) -> RuleId {
    RuleId(u32::try_from(program.rules.len() - 1).unwrap())
}

fn context() -> Context {
    context_until(Duration::from_secs(60))
}

fn context_until(limit: Duration) -> Context {
    Context::new(0, Instant::now() + limit)
}

fn json(text: &str) -> Value {
    Value::from_json_str(text).unwrap()
}

fn machine(program: &Program) -> Machine {
    Machine::new(emit(program).unwrap(), Value::new_object())
}

fn ask(program: &Program, input: &str) -> Result<Value, EvaluationError> {
    machine(program)
        .evaluate(last(program), Some(json(input)), context(), Strictness::Lenient)
        .result
}

/// Runs with a worker's stack.
fn on_a_workers_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

/// The oracle's answer for a rule: a value, or the message and place of an error.
fn oracle(
    case: &random::Case,
    rule: RuleId,
    input: Option<Value>,
) -> Result<Value, (String, Option<Span>)> {
    match evaluate::evaluate(&case.program, rule, input, case.data.clone(), &mut context()) {
        Ok(value) => Ok(value.unwrap_or(Value::Undefined)),
        Err(Fault::Conflict { message, span }) => Err((message, span)),
        Err(fault) => Err((fault.to_string(), None)),
    }
}

#[test]
fn random_programs_mean_on_the_machine_what_core_says() {
    for seed in 0..300 {
        let case = random::case(seed);
        let mut machine = Machine::new(emit(&case.program).unwrap(), case.data.clone());
        for input in &case.inputs {
            for rule in case.rules() {
                let expected = oracle(&case, rule, input.clone());
                let found =
                    machine.evaluate(rule, input.clone(), context(), Strictness::Lenient).result;
                let found = found.map_err(|error| {
                    let span = error.place.and_then(|place| place.span);
                    // The oracle does not give the place of a failed built-in.
                    let place = expected.as_ref().err().and_then(|(_, place)| *place);
                    (error.message, place.and(span))
                });
                assert_eq!(found, expected, "seed {seed}, {rule:?} of {input:?}");
            }
        }
    }
}

#[test]
fn random_programs_mean_in_the_interpreter_what_core_says() {
    for seed in 0..40 {
        let case = random::case(seed);
        let mut interpreter = Interpreter::new(&case.program, case.data.clone()).unwrap();
        for input in &case.inputs {
            for rule in case.rules() {
                let expected = oracle(&case, rule, input.clone());
                let found =
                    interpreter.evaluate(rule, input.clone(), context(), Strictness::Lenient);
                match (found.result, expected) {
                    // It may reach a different error first.
                    (Err(_), Err(_)) => {}
                    (found, expected) => {
                        assert_eq!(found.ok(), expected.ok(), "seed {seed}, {rule:?} of {input:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_conflict_ends_the_evaluation_where_it_is() {
    let definitions = vec![
        body(10, vec![bind(0, input(&["a"]))], v(0)),
        body(20, vec![bind(0, input(&["b"]))], v(0)),
    ];
    let conflicting = rule("data.t.both", RuleKind::Complete, definitions);
    let not = at(30, StatementKind::Not(vec![test(Expr::Rule(RuleId(0)))]));
    let program = program(vec![conflicting, complete(vec![not], c(true))]);
    assert_eq!(ask(&program, r#"{"a": true, "b": true}"#), Ok(Value::Undefined));
    assert_eq!(ask(&program, r#"{"a": false}"#), Ok(Value::from(true)));
    // It is not an undefined value, not even behind `not`.
    let error = ask(&program, r#"{"a": 1, "b": 2}"#).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(error.message, "rule data.t.both produced conflicting values");
    assert_eq!(error.place, Some(Place { rule: RuleId(0), span: span(20) }));
}

#[test]
fn a_key_with_two_values_is_a_conflict_of_keys() {
    let collect = StatementKind::Collect {
        var: Var(1),
        kind: Collection::Object,
        block: vec![each(2, c(vec![Value::from(1), Value::from(2)]), vec![])],
        key: Some(c("k")),
        value: v(2),
    };
    let program = program(vec![complete(vec![at(40, collect)], v(1))]);
    let error = ask(&program, "{}").unwrap_err();
    assert_eq!(error.message, "object keys must be unique");
    assert_eq!(error.place.unwrap().span, span(40));
}

#[test]
fn a_builtin_that_fails_is_undefined_or_the_end_as_the_operator_wants() {
    let sum = Expr::Builtin("plus", vec![c("a"), c(1)]);
    let program = program(vec![complete(vec![at(50, StatementKind::Let(Var(0), sum))], v(0))]);
    let mut machine = machine(&program);
    let message = "plus: operand 1 must be number but got string";
    let lenient = machine.evaluate(RuleId(0), None, context(), Strictness::Lenient);
    assert_eq!(lenient.result, Ok(Value::Undefined));
    assert_eq!(lenient.errors, [Failure::Type(message.to_owned())]);
    let strict = machine.evaluate(RuleId(0), None, context(), Strictness::Strict);
    let error = strict.result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Type);
    assert_eq!(error.message, message);
    assert_eq!(error.place, Some(Place { rule: RuleId(0), span: span(50) }));
}

#[test]
fn errors_of_builtins_are_kept_up_to_a_bound() {
    let numbers: Vec<Value> = (0..1000).map(Value::from).collect();
    let sum = test(Expr::Builtin("plus", vec![c("a"), v(0)]));
    let program = program(vec![complete(vec![each(0, c(numbers), vec![sum])], c(true))]);
    let evaluation = machine(&program).evaluate(RuleId(0), None, context(), Strictness::Lenient);
    assert_eq!(evaluation.errors.len(), running::ERRORS);
}

/// Nested loops over a thousand elements, without a solution.
fn endless(depth: u32, inside: Block) -> Block {
    let numbers: Vec<Value> = (0..1000).map(Value::from).collect();
    (0..depth).fold(inside, |inner, number| vec![each(number, c(numbers.clone()), inner)])
}

#[test]
fn an_evaluation_ends_at_its_deadline() {
    let fails = vec![test(Expr::Builtin("equal", vec![v(0), c("none")]))];
    let program = program(vec![complete(endless(5, fails), c(true))]);
    let start = Instant::now();
    let context = context_until(Duration::from_millis(50));
    let error = machine(&program)
        .evaluate(RuleId(0), None, context, Strictness::Lenient)
        .result
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Deadline);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_evaluation_in_an_environment_ends_at_the_same_deadline() {
    let fails = vec![test(Expr::Builtin("equal", vec![v(0), c("none")]))];
    let looping = rule("data.f", RuleKind::Function(0), vec![body(1, endless(5, fails), c(true))]);
    let with = Expr::With {
        function: RuleId(0),
        args: vec![],
        replacements: vec![Replacement {
            target: Target::Input(vec![]),
            value: Substitute::Value(c(1)),
        }],
    };
    let program = program(vec![looping, complete(vec![test(with)], c(true))]);
    let context = context_until(Duration::from_millis(50));
    let evaluation = machine(&program).evaluate(RuleId(1), None, context, Strictness::Lenient);
    assert_eq!(evaluation.result.unwrap_err().kind, ErrorKind::Deadline);
}

#[test]
fn a_deadline_that_has_passed_is_not_evaluated_for() {
    let program = program(vec![complete(vec![], c(true))]);
    let context = context_until(Duration::ZERO);
    let evaluation = machine(&program).evaluate(RuleId(0), None, context, Strictness::Lenient);
    assert_eq!(evaluation.result.unwrap_err().kind, ErrorKind::Deadline);
}

#[test]
fn the_next_evaluation_sees_nothing_of_the_last() {
    let set = rule(
        "data.names",
        RuleKind::Set,
        vec![body(1, vec![bind(0, input(&["names"])), each(1, v(0), vec![])], v(1))],
    );
    let program = program(vec![set]);
    let mut machine = machine(&program);
    let mut ask = |input: Option<Value>| {
        machine.evaluate(RuleId(0), input, context(), Strictness::Lenient).result.unwrap()
    };
    let names = |names: &[&str]| names.iter().map(|name| Value::from(*name)).collect();
    let set_of = |values: regorus::value::Set| values.into_value();
    assert_eq!(ask(Some(json(r#"{"names": ["a", "b"]}"#))), set_of(names(&["a", "b"])));
    assert_eq!(ask(Some(json(r#"{"names": ["c"]}"#))), set_of(names(&["c"])));
    assert_eq!(ask(None), set_of(names(&[])));
}

#[test]
fn the_machine_goes_on_after_an_error() {
    let definitions = vec![
        body(10, vec![bind(0, input(&["a"]))], v(0)),
        body(20, vec![bind(0, input(&["b"]))], v(0)),
    ];
    let program = program(vec![rule("data.t.both", RuleKind::Complete, definitions)]);
    let mut machine = machine(&program);
    for _ in 0..3 {
        let mut ask = |input| {
            machine.evaluate(RuleId(0), Some(json(input)), context(), Strictness::Lenient).result
        };
        assert!(ask(r#"{"a": 1, "b": 2}"#).is_err());
        assert_eq!(ask(r#"{"a": 1}"#), Ok(Value::from(1)));
        machine.release();
    }
}

#[test]
fn a_panic_is_the_error_of_one_evaluation() {
    let asked = bind(0, input(&["fails"]));
    let calls = vec![asked, bind(1, Expr::Builtin("count", vec![v(0)]))];
    let mut emitted = emit(&program(vec![complete(calls, v(1))])).unwrap();
    for call in &mut emitted.calls {
        if let crate::emit::Call::Builtin { function, .. } = call {
            *function = |_, args| match args {
                [Value::Bool(true)] => panic!("a fault"),
                _ => Ok(Value::from(7)),
            };
        }
    }
    let mut machine = Machine::new(emitted, Value::new_object());
    for _ in 0..2 {
        let mut ask = |input| {
            machine.evaluate(RuleId(0), Some(json(input)), context(), Strictness::Lenient).result
        };
        let failed = ask(r#"{"fails": true}"#).unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Internal);
        assert!(failed.message.ends_with("a fault"), "{failed}");
        assert_eq!(ask(r#"{"fails": false}"#), Ok(Value::from(7)));
        assert!(running::with(|_| Ok(())).is_err());
    }
}

#[test]
fn a_function_with_many_parameters_gets_them_all() {
    let all: Vec<Operand> = (0..20).map(v).collect();
    let array = vec![bind(20, Expr::Array(all))];
    let function = rule("data.f", RuleKind::Function(20), vec![body(1, array, v(20))]);
    let args: Vec<Operand> = (0..20).map(c).collect();
    let expected = Value::from((0..20).map(Value::from).collect::<Vec<_>>());
    let called = complete(vec![bind(0, Expr::Call(RuleId(0), args.clone()))], v(0));
    let alone = Expr::With { function: RuleId(0), args, replacements: vec![] };
    let in_environment = complete(vec![bind(0, alone)], v(0));
    for caller in [called, in_environment] {
        assert_eq!(ask(&program(vec![function.clone(), caller]), "{}"), Ok(expected.clone()));
    }
}

#[test]
fn what_replaces_a_function_sees_the_function_itself() {
    let slot = SlotId(0);
    let original = rule("data.f", RuleKind::Function(1), vec![body(1, vec![], c("f"))]);
    let original = Rule { slot: Some(slot), ..original };
    // Calls what it replaces.
    let calls = vec![bind(1, Expr::Call(RuleId(0), vec![v(0)])), bind(2, Expr::Array(vec![v(1)]))];
    let candidate = rule("data.g", RuleKind::Function(1), vec![body(2, calls, v(2))]);
    let user = vec![bind(0, Expr::Call(RuleId(0), vec![c(1)]))];
    let user = rule("data.h", RuleKind::Function(0), vec![body(3, user, v(0))]);
    let with = Expr::With {
        function: RuleId(2),
        args: vec![],
        replacements: vec![Replacement {
            target: Target::Function(slot),
            value: Substitute::Function(RuleId(1)),
        }],
    };
    let mut program = program(vec![original, candidate, user, complete(vec![bind(0, with)], v(0))]);
    program.slots = vec![Slot::Function { rule: RuleId(0), candidates: vec![RuleId(1)] }];
    assert_eq!(ask(&program, "{}"), Ok(json(r#"["f"]"#)));
}

/// A chain of rules, each of which uses the one before.
fn chain(length: u32, make: impl Fn(Option<RuleId>, bool) -> Rule) -> Program {
    let rules =
        (0..length).map(|number| make(number.checked_sub(1).map(RuleId), number + 1 == length));
    program(rules.collect())
}

fn chain_of_rules(length: u32) -> Program {
    chain(length, |before, _| {
        complete(before.map(|before| test(Expr::Rule(before))).into_iter().collect(), c(true))
    })
}

fn chain_of_environments(length: u32) -> Program {
    chain(length, |before, is_last| {
        let with = |function| Expr::With {
            function,
            args: vec![],
            replacements: vec![Replacement {
                target: Target::Input(vec![Value::from("a")]),
                value: Substitute::Value(c(1)),
            }],
        };
        let kind = if is_last { RuleKind::Complete } else { RuleKind::Function(0) };
        let block = before.map(|before| test(with(before))).into_iter().collect();
        rule("data.chain", kind, vec![body(1, block, c(true))])
    })
}

fn is_too_deep(program: &Program) -> bool {
    matches!(emit(program), Err(Refusal::Ceiling { what: What::Depth, .. }))
}

/// The longest chain that has bytecode.
fn longest(make: impl Fn(u32) -> Program) -> u32 {
    let (mut fits, mut too_long) = (1, 100_000);
    while too_long - fits > 1 {
        let middle = (fits + too_long) / 2;
        if is_too_deep(&make(middle)) { too_long = middle } else { fits = middle }
    }
    fits
}

#[test]
fn the_longest_chain_that_is_taken_leaves_half_of_a_workers_stack() {
    for make in [chain_of_rules, chain_of_environments] {
        let program = make(longest(make));
        let run = move || assert_eq!(ask(&program, "{}"), Ok(Value::from(true)));
        std::thread::Builder::new()
            .stack_size(STACK / 2 + (512 << 10))
            .spawn(run)
            .unwrap()
            .join()
            .unwrap();
    }
}

#[test]
fn the_longest_chain_that_the_interpreter_takes_leaves_half_of_a_workers_stack() {
    for make in [chain_of_rules, chain_of_environments] {
        let taken = |length| Interpreter::new(&make(length), Value::new_object());
        let (mut fits, mut too_long) = (1, 1_000);
        while too_long - fits > 1 {
            let middle = (fits + too_long) / 2;
            if taken(middle).is_err() { too_long = middle } else { fits = middle }
        }
        let mut interpreter = taken(fits).unwrap();
        let run = move || {
            let rule = RuleId(fits - 1);
            let evaluation = interpreter.evaluate(rule, None, context(), Strictness::Lenient);
            assert_eq!(evaluation.result, Ok(Value::from(true)));
        };
        std::thread::Builder::new()
            .stack_size(STACK / 2 + (512 << 10))
            .spawn(run)
            .unwrap()
            .join()
            .unwrap();
    }
}

#[test]
fn the_highest_value_that_is_made_is_compared_and_dropped_on_a_workers_stack() {
    let nested = |height: u32| {
        let mut block = vec![bind(0, Expr::Operand(c(1)))];
        block.extend((1..=height).map(|number| bind(number, Expr::Array(vec![v(number - 1)]))));
        block.push(test(Expr::Builtin("equal", vec![v(height), v(height)])));
        program(vec![complete(block, v(height))])
    };
    let limit = u32::try_from(crate::core::depth::HEIGHT).unwrap();
    let refused = emit(&nested(limit + 1)).unwrap_err();
    assert!(matches!(refused, Refusal::Ceiling { what: What::Height, .. }));
    on_a_workers_stack(move || {
        let program = nested(limit);
        let [first, second] = [ask(&program, "{}").unwrap(), ask(&program, "{}").unwrap()];
        assert_eq!(first.cmp(&second), std::cmp::Ordering::Equal);
    });
}
