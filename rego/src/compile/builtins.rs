//! Calls of built-ins that are refused, and of those that OPA has deprecated.

use crate::ast::{ExprKind, Module, Term, TermValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

use super::Compiler;
use super::arity::builtin;
use super::heads::is_v1;
use super::visit::{Flow, Node, rules, walk};

/// Refuses built-ins that the operator does not offer, with the reason. OPA's `CheckUnsafeBuiltins`.
pub(crate) fn check_unsafe_builtins(compiler: &mut Compiler<'_>) {
    let mut found = Vec::new();
    for module in &compiler.modules {
        each_call(module, &mut |name, span, is_statement| {
            if let Some(reason) =
                compiler.options.refused_builtins.get(name).filter(|_| is_statement)
            {
                let message = format!("unsafe built-in function calls in expression: {name}");
                found.push(Diagnostic::new(Code::Type, message, span).with_help(reason.clone()));
            }
        });
    }
    compiler.errors.report_recoverable(found);
}

/// Refuses deprecated built-ins in v1 modules. OPA's `CheckDeprecatedBuiltins`.
pub(crate) fn check_deprecated_builtins(compiler: &mut Compiler<'_>) {
    let mut found = Vec::new();
    for module in compiler.modules.iter().filter(|module| is_v1(module)) {
        each_call(module, &mut |name, span, _| {
            if crate::builtins::table::declaration(name).is_some_and(|builtin| builtin.deprecated) {
                let message = format!("deprecated built-in function calls in expression: {name}");
                found.push(Diagnostic::new(Code::Type, message, span));
            }
        });
    }
    compiler.errors.report_recoverable(found);
}

/// Calls `see` with the name and place of every call of a built-in, and whether it is a statement.
fn each_call(module: &Module, see: &mut dyn FnMut(&str, Span, bool)) {
    let mut see = |terms: &[Term], span: Span, is_statement| {
        if let Some(Term { value: TermValue::Ref(operator), .. }) = terms.first()
            && let Some(builtin) = builtin(operator)
        {
            see(builtin.name, span, is_statement);
        }
    };
    for rule in rules(module) {
        let keys = rule.head.reference.iter().map(Node::Term);
        for node in keys.chain([Node::Head(&rule.head), Node::Body(&rule.body)]) {
            walk(node, &mut |node| {
                match node {
                    Node::Expr(expr) => {
                        if let ExprKind::Call(terms) = &expr.kind {
                            see(terms, expr.span, true);
                        }
                    }
                    Node::Term(Term { value: TermValue::Call(terms), span }) => {
                        let place = terms.first().map_or(*span, |operator| operator.span);
                        see(terms, place, false);
                    }
                    _ => {}
                }
                Flow::Into
            });
        }
    }
}
