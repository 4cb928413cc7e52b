//! Changes places of syntax where OPA's differ from the text: copies of a head, short `else`
//! bodies.

use crate::ast::{Body, Expr, ExprKind, Head, TemplatePart, Term, TermValue, With};
use crate::source::Span;

/// A head's parameters, key and value; its reference keeps its place.
pub(super) fn head(head: &mut Head, span: Span) {
    terms(head.args.iter_mut().flatten(), span);
    terms(head.key.iter_mut().chain(&mut head.value), span);
}

/// A body and all its parts.
pub(super) fn body(body: &mut Body, span: Span) {
    body.iter_mut().for_each(|expr| self::expr(expr, span));
}

fn terms<'t>(terms: impl IntoIterator<Item = &'t mut Term>, span: Span) {
    terms.into_iter().for_each(|term| self::term(term, span));
}

fn expr(expr: &mut Expr, span: Span) {
    expr.span = span;
    match &mut expr.kind {
        ExprKind::Term(term) => self::term(term, span),
        ExprKind::Call(all) | ExprKind::Some(all) => terms(all, span),
        ExprKind::Every(every) => {
            every.span = span;
            terms(every.key.iter_mut().chain([&mut every.value, &mut every.domain]), span);
            body(&mut every.body, span);
        }
        ExprKind::Not(not) => body(&mut not.body, span),
        ExprKind::And(sides) | ExprKind::Or(sides) => {
            body(&mut sides.left, span);
            body(&mut sides.right, span);
        }
    }
    for With { target, value, span: own } in &mut expr.with {
        *own = span;
        terms([target, value], span);
    }
}

fn term(term: &mut Term, span: Span) {
    term.span = span;
    match &mut term.value {
        TermValue::Null
        | TermValue::Bool(_)
        | TermValue::Number(_)
        | TermValue::String(_)
        | TermValue::Var(_) => {}
        TermValue::Ref(all)
        | TermValue::Array(all)
        | TermValue::Set(all)
        | TermValue::Call(all) => terms(all, span),
        TermValue::Object(pairs) => {
            terms(pairs.iter_mut().flat_map(|(key, value)| [key, value]), span);
        }
        TermValue::ArrayComprehension { term, body }
        | TermValue::SetComprehension { term, body } => {
            self::term(term, span);
            self::body(body, span);
        }
        TermValue::ObjectComprehension { key, value, body } => {
            terms([&mut **key, &mut **value], span);
            self::body(body, span);
        }
        TermValue::TemplateString { parts, .. } => parts.iter_mut().for_each(|part| match part {
            TemplatePart::Text(term) => self::term(term, span),
            TemplatePart::Expr(expr) => self::expr(expr, span),
        }),
    }
}
