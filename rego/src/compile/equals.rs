//! `==` becomes `=`: once it is known to bind nothing, both are the same. OPA's `RewriteEquals`.

use crate::ast::{Expr, ExprKind, Name, TermValue};

use super::Compiler;
use super::order::sort_collections;
use super::text::is_operator;
use super::visit::{Flow, NodeMut, walk_mut};

/// Rewrites every `==`.
pub(crate) fn rewrite_equals(compiler: &mut Compiler<'_>) {
    for module in &mut compiler.modules {
        let mut changed = false;
        for rule in &mut module.rules {
            walk_mut(NodeMut::Rule(rule), &mut |node| {
                if let NodeMut::Expr(expr) = node {
                    changed |= rewrite(expr);
                }
                Flow::Into
            });
        }
        if changed {
            sort_collections(module);
        }
    }
}

fn rewrite(expr: &mut Expr) -> bool {
    let ExprKind::Call(terms) = &mut expr.kind else { return false };
    let [operator, _, _] = terms.as_mut_slice() else { return false };
    if !is_operator(operator, "equal") {
        return false;
    }
    if let TermValue::Ref(name) = &mut operator.value
        && let Some(head) = name.first_mut()
    {
        head.value = TermValue::Var(Name::from("eq"));
    }
    true
}
