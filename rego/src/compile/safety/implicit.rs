//! Variables that operands without braces take from the body around them.

use std::collections::BTreeMap;

use crate::ast::{Expr, ExprKind, Name, TermValue};
use crate::compile::arity::Functions;
use crate::compile::outputs::{is_equality, outputs_of_equality};
use crate::compile::vars::{Skip, VarSet, vars_of_expr, vars_of_terms};

/// Adds the variables that a statement's operands without braces (`not x`, `x and y`) share with it
/// to its needs, and returns whether it has any operands with bodies.
pub(crate) fn promote(functions: Functions<'_>, vars: &mut VarSet, kind: &ExprKind) -> bool {
    let mut promote = |body: &[Expr], explicit: bool| {
        if !explicit {
            vars.update(&needed(functions, body));
        }
    };
    match kind {
        ExprKind::Not(not) => promote(&not.body, not.explicit),
        ExprKind::And(logical) | ExprKind::Or(logical) => {
            promote(&logical.left, logical.explicit_left);
            promote(&logical.right, logical.explicit_right);
        }
        ExprKind::Term(_) | ExprKind::Call(_) | ExprKind::Some(_) | ExprKind::Every(_) => {
            return false;
        }
    }
    true
}

/// The variables of an operand that it does not bind for itself: of a body of one statement all; of
/// a longer one (the compiler made it) those that no statement binds, and those that only one
/// statement has.
fn needed(functions: Functions<'_>, body: &[Expr]) -> VarSet {
    let mut occurrences: BTreeMap<Name, usize> = BTreeMap::new();
    for expr in body {
        for var in vars_of_expr(expr, Skip::SAFETY).iter() {
            *occurrences.entry(Name::clone(var)).or_default() += 1;
        }
    }
    if body.len() == 1 {
        return occurrences.into_keys().collect();
    }
    let bound = bound(functions, body, &occurrences);
    occurrences
        .into_iter()
        .filter(|(var, count)| !bound.contains(var) || *count == 1)
        .map(|(var, _)| var)
        .collect()
}

/// The variables that the statements of an operand bind.
fn bound(functions: Functions<'_>, body: &[Expr], occurrences: &BTreeMap<Name, usize>) -> VarSet {
    // Variables that are not a side of an equality are taken from outside.
    let mut safe = VarSet::reserved();
    occurrences.keys().for_each(|var| safe.add(var));
    let equalities = || body.iter().filter(|expr| is_equality(expr));
    for expr in equalities() {
        if let ExprKind::Call(terms) = &expr.kind {
            for side in terms.iter().skip(1).take(2) {
                if let TermValue::Var(var) = &side.value {
                    safe.remove(var);
                }
            }
        }
    }
    let mut bound = VarSet::default();
    let mut changed = true;
    while changed {
        changed = false;
        for expr in equalities() {
            for var in outputs_of_equality(expr, &safe).iter() {
                if !bound.contains(var) {
                    bound.add(var);
                    safe.add(var);
                    changed = true;
                }
            }
        }
    }
    for expr in body.iter().filter(|expr| !is_equality(expr)) {
        let ExprKind::Call(terms) = &expr.kind else { continue };
        let Some((operator, operands)) = terms.split_first() else { continue };
        let TermValue::Ref(reference) = &operator.value else { continue };
        let Some(arity) = functions.arity(reference) else { continue };
        let outputs = operands.iter().skip(arity);
        bound.update(&vars_of_terms(outputs, Skip { sets: true, ..Skip::PATTERN }));
    }
    bound
}
