//! The variables that a statement binds, for the safety check and for closures.

use crate::ast::{Expr, ExprKind, Term, TermValue};

use super::arity::Functions;
use super::text::is_operator;
use super::unify::{is_safe, unify};
use super::vars::{Bound, Changed, Collector, Skip, VarSet, all_vars, vars_of_terms};
use super::visit::{Flow, Node, is_comprehension, is_ground, walk_terms};

/// The variables that a body binds beyond those of `safe`.
pub(crate) fn outputs_of_body<'a>(
    body: impl IntoIterator<Item = &'a Expr>,
    functions: Functions<'_>,
    safe: &dyn Bound,
) -> VarSet {
    let mut bound = Changed::new(safe);
    let mut scratch = VarSet::default();
    for expr in body {
        let outputs = outputs_of_expr(expr, functions, &bound, &mut scratch);
        bound.add(&outputs);
    }
    bound.added()
}

/// The variables that a statement binds where those of `safe` are bound.
///
/// `scratch` is empty before the first statement of a body and handed on from one to the next.
/// Variables that a call leaves in it also count as outputs of an `every` that follows: OPA does
/// that, and which bodies are safe depends on it.
pub(crate) fn outputs_of_expr(
    expr: &Expr,
    functions: Functions<'_>,
    safe: &dyn Bound,
    scratch: &mut VarSet,
) -> VarSet {
    if expr.negated || matches!(expr.kind, ExprKind::Not(_)) {
        return VarSet::default();
    }
    for with in &expr.with {
        let mut collector = Collector::new(Skip::SAFETY);
        collector.with(with);
        if !safe.has_all(&collector.vars) {
            return VarSet::default();
        }
    }
    match &expr.kind {
        ExprKind::Term(_) => {
            let mut outputs = VarSet::default();
            outputs_of_refs(Node::Expr(expr), safe, &mut outputs);
            outputs
        }
        ExprKind::Call(terms) => {
            if is_equality(expr) {
                if terms.len() == 3 {
                    scratch.clear();
                }
                return outputs_of_equality(expr, safe);
            }
            let Some((operator, _)) = terms.split_first() else { return VarSet::default() };
            let TermValue::Ref(name) = &operator.value else { return VarSet::default() };
            let Some(arity) = functions.arity(name) else { return VarSet::default() };
            scratch.clear();
            outputs_of_call(expr, terms, arity, safe, scratch)
        }
        ExprKind::Every(every) => {
            outputs_of_refs(Node::Term(&every.domain), safe, scratch);
            scratch.clone()
        }
        ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) | ExprKind::Some(_) => {
            VarSet::default()
        }
    }
}

/// Whether a statement is a call of `=`, with any number of operands.
pub(crate) fn is_equality(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(terms) if terms.first().is_some_and(|operator| is_operator(operator, "eq")))
}

/// The variables that an equality binds, without regard to `with`.
pub(crate) fn outputs_of_equality(expr: &Expr, safe: &dyn Bound) -> VarSet {
    let ExprKind::Call(terms) = &expr.kind else { return VarSet::default() };
    // For a different number of operands OPA returns all that was bound before, which adds nothing.
    let [_, left, right] = terms.as_slice() else { return VarSet::default() };
    let mut bound = Changed::new(safe);
    let mut found = VarSet::default();
    outputs_of_refs(Node::Expr(expr), safe, &mut found);
    bound.add(&found);
    if expr.from_assignment {
        // It only binds its left side: the left side never binds variables on the right.
        for var in all_vars(left).iter() {
            bound.remove(var);
        }
    }
    let unified = unify(&bound, left, right);
    bound.add(&unified);
    bound.added()
}

fn outputs_of_call(
    expr: &Expr,
    terms: &[Term],
    arity: usize,
    safe: &dyn Bound,
    outputs: &mut VarSet,
) -> VarSet {
    outputs_of_refs(Node::Expr(expr), safe, outputs);
    let Some((inputs, output)) = terms.split_at_checked(arity + 1) else { return outputs.clone() };
    if output.is_empty() {
        return outputs.clone();
    }
    let skip = Skip { sets: true, ..Skip::PATTERN };
    if !safe.has_all(&vars_of_terms(inputs, skip).diff(outputs)) {
        return VarSet::default();
    }
    outputs.update(&vars_of_terms(output, skip));
    outputs.clone()
}

/// Variables in keys of references that can be evaluated: each is bound by iterating over them.
fn outputs_of_refs(node: Node<'_>, safe: &dyn Bound, outputs: &mut VarSet) {
    walk_terms(node, &mut |term| match &term.value {
        TermValue::TemplateString { .. } => Flow::Over,
        value if is_comprehension(value) => Flow::Over,
        TermValue::Ref(terms) => {
            if !is_safe(term, safe) {
                return Flow::Over;
            }
            if !is_ground(&term.value) {
                let keys = terms.iter().skip(1);
                outputs.update(&vars_of_terms(keys, Skip { ref_head: true, ..Skip::default() }));
            }
            Flow::Into
        }
        _ => Flow::Into,
    });
}
