//! Adds the place of each `print` as its first operand, because evaluators do not know it.

use crate::ast::{ExprKind, Module, Term, TermValue};
use crate::compile::arity::builtin;
use crate::compile::visit::{Flow, NodeMut, walk_mut};
use crate::source::{Sources, Span};

/// Inserts file and row before the operands.
pub(super) fn locate(sources: &Sources, modules: &mut [Module]) {
    for rule in modules.iter_mut().flat_map(|module| &mut module.rules) {
        walk_mut(NodeMut::Rule(rule), &mut |node| {
            if let NodeMut::Expr(expr) = node
                && let ExprKind::Call(terms) = &mut expr.kind
                && let [operator, operands] = terms.as_mut_slice()
                && let TermValue::Ref(name) = &operator.value
                && builtin(name).is_some_and(|builtin| builtin.name == "internal.print")
                && let TermValue::Array(operands) = &mut operands.value
            {
                operands.insert(0, place(sources, expr.span));
            }
            Flow::Into
        });
    }
}

fn place(sources: &Sources, span: Span) -> Term {
    let location = sources.location(span);
    let text = format!("{}:{}:", location.file, location.row);
    Term { value: TermValue::String(text.into()), span }
}
