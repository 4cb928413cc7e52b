//! The variables that a body declares: those left of `:=`, and those of `some`.

use crate::ast::{Expr, ExprKind, TermValue};

use super::text::is_operator;
use super::vars::{Collector, Skip, VarSet};
use super::visit::{Flow, Node, is_comprehension, walk};

/// Whether a statement is a call of `:=`, with any number of operands.
pub(crate) fn is_assignment(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(terms) if terms.first().is_some_and(|operator| is_operator(operator, "assign")))
}

/// The variables that a body declares, bodies of comprehensions left out.
pub(crate) fn declared_in_body(body: &[Expr]) -> VarSet {
    let mut declared = Collector::new(Skip::default());
    for expr in body {
        declare(expr, &mut declared);
    }
    declared.vars
}

/// The variables that a statement declares, bodies of comprehensions left out.
pub(crate) fn declared_in_expr(expr: &Expr) -> VarSet {
    let mut declared = Collector::new(Skip::default());
    declare(expr, &mut declared);
    declared.vars
}

fn declare(expr: &Expr, declared: &mut Collector<'_>) {
    walk(Node::Expr(expr), &mut |node| match node {
        Node::Expr(expr) => {
            declare_here(expr, declared);
            Flow::Into
        }
        Node::Term(term) if is_comprehension(&term.value) => Flow::Over,
        _ => Flow::Into,
    });
}

fn declare_here(expr: &Expr, declared: &mut Collector<'_>) {
    match &expr.kind {
        ExprKind::Call(terms) if is_assignment(expr) => {
            if let [_, left, _] = terms.as_slice() {
                declared.term(left);
            }
        }
        ExprKind::Some(symbols) => {
            for symbol in symbols {
                match &symbol.value {
                    TermValue::Var(name) => declared.vars.add(name),
                    TermValue::Call(terms) => match terms.as_slice() {
                        [_, value, _] => declared.term(value),
                        [_, key, value, _] => {
                            declared.term(key);
                            declared.term(value);
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
        _ => {}
    }
}
