//! The limits of bytecode: a program beyond them is refused, never truncated.

use regorus::Value;

use super::*;
use crate::core::{
    Body, Definition, Expr, Operand, Root, Rule, RuleKind, Statement, StatementKind, Var,
};
use crate::source::FileId;

fn span(start: u32) -> Option<Span> {
    Some(Span { file: FileId(0), start, end: start + 1 })
}

fn v(number: u32) -> Operand {
    Operand::Var(Var(number))
}

fn c(value: impl Into<Value>) -> Operand {
    Operand::Const(value.into())
}

fn bind(number: u32, expr: Expr) -> Statement {
    Statement { kind: StatementKind::Let(Var(number), expr), span: span(number) }
}

fn rule(block: Vec<Statement>, value: Operand) -> Rule {
    Rule {
        name: "data.rule".to_owned(),
        kind: RuleKind::Complete,
        default: None,
        definitions: vec![Definition {
            bodies: vec![Body { block, key: None, value, span: span(0) }],
        }],
        variables: u32::MAX,
        slot: None,
        span: span(0),
    }
}

fn program(rules: Vec<Rule>) -> Program {
    Program { rules, ..Program::default() }
}

fn ceiling(program: &Program) -> Option<(What, Option<Span>)> {
    match emit(program) {
        Err(Refusal::Ceiling { what, place, .. }) => Some((what, place)),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    }
}

fn constant() -> Expr {
    Expr::Operand(c(1))
}

#[test]
fn variables_that_are_needed_at_one_time_are_as_many_as_registers() {
    let block = |count: u32| {
        let mut block: Vec<Statement> = (0..count).map(|number| bind(number, constant())).collect();
        block.push(bind(count, Expr::Array((0..count).map(v).collect())));
        program(vec![rule(block, v(count))])
    };
    // The result and the array have one register each.
    assert_eq!(ceiling(&block(253)), None);
    assert_eq!(ceiling(&block(254)), Some((What::Registers, span(254))));
}

#[test]
fn variables_that_are_not_needed_any_more_take_no_register() {
    let mut block = vec![bind(0, constant())];
    block.extend((1..5_000).map(|number| bind(number, Expr::Operand(v(number - 1)))));
    assert_eq!(ceiling(&program(vec![rule(block, v(4_999))])), None);
}

#[test]
fn a_builtin_with_too_many_arguments_is_refused() {
    let call = Expr::Builtin("plus", (0..9).map(c).collect());
    let program = program(vec![rule(vec![bind(0, call)], v(0))]);
    assert_eq!(ceiling(&program), Some((What::Arguments, span(0))));
}

#[test]
fn constants_beyond_sixteen_bits_are_refused() {
    let numbers = |count: u32| {
        let block = (0..count).map(|number| bind(0, Expr::Operand(c(u64::from(number))))).collect();
        program(vec![rule(block, c(true))])
    };
    assert_eq!(ceiling(&numbers(65_000)), None);
    assert_eq!(ceiling(&numbers(66_000)).map(|(what, _)| what), Some(What::Literals));
}

/// A rule of this many instructions and one loop after them.
fn long(count: u32) -> Rule {
    let mut block: Vec<Statement> =
        (0..count).map(|_| bind(0, Expr::Path(Root::Input, vec![]))).collect();
    let each = StatementKind::Each {
        key: None,
        value: Var(1),
        collection: c(vec![Value::Null]),
        block: vec![],
    };
    block.push(Statement { kind: each, span: span(7) });
    rule(block, c(true))
}

#[test]
fn jumps_beyond_sixteen_bits_are_refused() {
    // A binding is two instructions, with its guard.
    assert_eq!(ceiling(&program(vec![long(30_000)])), None);
    assert_eq!(ceiling(&program(vec![long(33_000)])), Some((What::Instructions, span(7))));
}

#[test]
fn rules_without_jumps_have_room_beyond() {
    let straight = |number: u64| rule(vec![bind(0, Expr::Operand(c(number % 100)))], v(0));
    let mut rules: Vec<Rule> = (0..40_000).map(straight).collect();
    rules.push(long(10));
    let emitted = emit(&program(rules)).unwrap();
    assert!(emitted.bytecode.instructions.len() > 65_536);
    let mut machine = crate::machine::Machine::new(emitted, Value::new_object());
    let mut ask = |rule| {
        let context = builtins::Context::new(
            0,
            std::time::Instant::now() + std::time::Duration::from_secs(60),
        );
        let input = Some(Value::new_object());
        machine.evaluate(RuleId(rule), input, context, crate::machine::Strictness::Lenient).result
    };
    assert_eq!(ask(39_999), Ok(Value::from(99)));
    assert_eq!(ask(40_000), Ok(Value::from(true)));
}

#[test]
fn blocks_in_too_many_blocks_are_refused() {
    let test = Statement { kind: StatementKind::Test(constant()), span: None };
    let block = (0..2_000).fold(vec![test], |inner, _| {
        vec![Statement { kind: StatementKind::Not(inner), span: span(3) }]
    });
    assert_eq!(ceiling(&program(vec![rule(block, c(true))])), Some((What::Nesting, span(0))));
}

#[test]
fn what_is_no_core_is_refused() {
    let malformed = |rules: Vec<Rule>| match emit(&program(rules)) {
        Err(Refusal::Malformed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let uses = |number| rule(vec![bind(0, Expr::Rule(RuleId(number)))], v(0));
    assert_eq!(malformed(vec![uses(1), uses(0)]), "a rule uses itself");
    assert_eq!(malformed(vec![rule(vec![], v(3))]), "a variable is used where it is not bound");
    let called = Expr::Call(RuleId(0), vec![c(1)]);
    assert_eq!(
        malformed(vec![rule(vec![], c(1)), rule(vec![bind(0, called)], v(0))]),
        "the number of arguments differs from that of parameters"
    );
    let mut loops = long(0).definitions[0].bodies[0].block.clone();
    loops.push(bind(5, constant()));
    assert_eq!(malformed(vec![rule(loops, c(1))]), "a loop is not the last statement of its block");
}

#[test]
fn a_builtin_that_nobody_has_is_named() {
    let call = Expr::Builtin("no.such", vec![]);
    let refusal = emit(&program(vec![rule(vec![bind(4, call)], v(4))])).unwrap_err();
    assert_eq!(refusal, Refusal::Builtin { name: "no.such", place: span(4) });
    assert_eq!(refusal.to_string(), "no function for the built-in no.such");
}
