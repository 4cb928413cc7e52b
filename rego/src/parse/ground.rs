//! Tests whether terms are ground or constants.

use crate::ast::{Body, Expr, ExprKind, TemplatePart, Term, TermValue};

/// OPA's `IsGround`: the variable that a reference begins with does not count.
pub(super) fn is_ground(term: &Term) -> bool {
    let all = |terms: &[Term]| terms.iter().all(is_ground);
    match &term.value {
        TermValue::Null | TermValue::Bool(_) | TermValue::Number(_) | TermValue::String(_) => true,
        TermValue::Var(_) | TermValue::TemplateString { .. } => false,
        TermValue::Ref(terms) => terms.iter().skip(1).all(is_ground),
        TermValue::Array(terms) | TermValue::Set(terms) | TermValue::Call(terms) => all(terms),
        TermValue::Object(pairs) => {
            pairs.iter().all(|(key, value)| is_ground(key) && is_ground(value))
        }
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => is_ground(term) && is_body_ground(body),
        TermValue::ObjectComprehension { key, value, body } => {
            is_ground(key) && is_ground(value) && is_body_ground(body)
        }
    }
}

fn is_body_ground(body: &Body) -> bool {
    body.iter().all(is_expr_ground)
}

fn is_expr_ground(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Term(term) => is_ground(term),
        ExprKind::Call(terms) => terms.iter().skip(1).all(is_ground),
        ExprKind::Some(_) | ExprKind::Every(_) => false,
        ExprKind::Not(not) => is_body_ground(&not.body),
        ExprKind::And(sides) | ExprKind::Or(sides) => {
            is_body_ground(&sides.left) && is_body_ground(&sides.right)
        }
    }
}

/// The kinds of terms in a value that prevent it from being a constant, without those in
/// comprehensions.
pub(super) fn not_constant(term: &Term, kinds: &mut Vec<&'static str>) {
    match &term.value {
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::ArrayComprehension { .. }
        | TermValue::SetComprehension { .. }
        | TermValue::ObjectComprehension { .. } => {}
        TermValue::Var(_) => kinds.push("var"),
        TermValue::Ref(_) => kinds.push("ref"),
        TermValue::Call(_) => kinds.push("call"),
        TermValue::Array(terms) | TermValue::Set(terms) => {
            terms.iter().for_each(|term| not_constant(term, kinds));
        }
        TermValue::Object(pairs) => pairs.iter().for_each(|(key, value)| {
            not_constant(key, kinds);
            not_constant(value, kinds);
        }),
        TermValue::TemplateString { parts, .. } => parts.iter().for_each(|part| match part {
            TemplatePart::Text(term) => not_constant(term, kinds),
            TemplatePart::Expr(expr) => not_constant_expr(expr, kinds),
        }),
    }
}

fn not_constant_expr(expr: &Expr, kinds: &mut Vec<&'static str>) {
    match &expr.kind {
        ExprKind::Term(term) => not_constant(term, kinds),
        ExprKind::Call(terms) | ExprKind::Some(terms) => {
            terms.iter().for_each(|term| not_constant(term, kinds));
        }
        ExprKind::Every(every) => {
            every.key.iter().chain([&every.value, &every.domain]).for_each(|term| {
                not_constant(term, kinds);
            });
            every.body.iter().for_each(|expr| not_constant_expr(expr, kinds));
        }
        ExprKind::Not(not) => not.body.iter().for_each(|expr| not_constant_expr(expr, kinds)),
        ExprKind::And(sides) | ExprKind::Or(sides) => {
            let both = sides.left.iter().chain(&sides.right);
            both.for_each(|expr| not_constant_expr(expr, kinds));
        }
    }
    for with in &expr.with {
        not_constant(&with.target, kinds);
        not_constant(&with.value, kinds);
    }
}
