//! Bodies that are rules: `p := 1`, `f(1) = 2`, `p.q[1]`.

use crate::ast::{Body, Expr, ExprKind, Head, Name, Rule, Term, TermValue};
use crate::builtins::table;
use crate::compile::text;
use crate::source::Span;

use super::rules::true_body;
use super::words;

/// Converts a body to a rule, or says why it is not a rule.
pub(super) fn rule(body: Body) -> Result<Rule, String> {
    let mut statements = body.into_iter();
    let (Some(only), None) = (statements.next(), statements.next()) else {
        return Err("multiple expressions cannot be used for rule head".to_owned());
    };
    let Expr { kind, negated, with, span, .. } = only;
    if !with.is_empty() {
        return Err("expressions using with keyword cannot be used for rule head".to_owned());
    }
    if negated {
        return Err("negated expressions cannot be used for rule head".to_owned());
    }
    match kind {
        ExprKind::Some(_) => Err("'some' declarations cannot be used for rule head".to_owned()),
        ExprKind::Term(Term { value: TermValue::Ref(reference), span }) => {
            from_reference(reference, span)
        }
        ExprKind::Term(term) => Err(no_name(&term.value)),
        ExprKind::Call(terms) => from_call(terms, span),
        ExprKind::Every(_) | ExprKind::Not(_) | ExprKind::And(_) | ExprKind::Or(_) => {
            Err("expression cannot be used for rule head".to_owned())
        }
    }
}

/// The variable that a body consists of.
pub(super) fn only_variable(body: &Body) -> Option<&str> {
    match body.as_slice() {
        [Expr { kind: ExprKind::Term(Term { value: TermValue::Var(name), .. }), .. }] => Some(name),
        _ => None,
    }
}

fn no_name(value: &TermValue) -> String {
    format!("{} cannot be used for rule name", text::kind(value))
}

fn begins_with_variable(reference: &[Term]) -> Result<(), String> {
    match reference.first().map(|root| &root.value) {
        Some(TermValue::Var(_)) => Ok(()),
        _ => Err(format!("invalid rule head: {}", words::reference(reference))),
    }
}

fn operator_name(terms: &[Term]) -> Option<Name> {
    match &terms.first()?.value {
        TermValue::Ref(operator) => match operator.as_slice() {
            [Term { value: TermValue::Var(name), .. }] => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// `p[1]` is an element of a set, `p.q.r` is true.
fn from_reference(reference: Vec<Term>, span: Span) -> Result<Rule, String> {
    if reference.len() == 1 {
        return Err("refs cannot be used for rule head".to_owned());
    }
    begins_with_variable(&reference)?;
    let mut head = new_head(reference, span);
    if head.reference.len() == 2 {
        head.key = head.reference.pop();
    } else {
        head.value = Some(Term { value: TermValue::Bool(true), span });
        head.generated_value = true;
    }
    Ok(new_rule(head, span, span))
}

fn from_call(terms: Vec<Term>, span: Span) -> Result<Rule, String> {
    let operator = operator_name(&terms);
    if let Some(operator @ ("eq" | "assign")) = operator.as_deref() {
        let assign = operator == "assign";
        let mut operands = terms.into_iter().skip(1);
        let (Some(left), Some(right)) = (operands.next(), operands.next()) else {
            return Err("assignment requires two operands".to_owned());
        };
        let mut rule = from_assignment(left, right, span)?;
        rule.head.assign = assign;
        return Ok(rule);
    }
    let mut terms = terms.into_iter();
    let Some(Term { value: TermValue::Ref(reference), span: at }) = terms.next() else {
        return Err("expression cannot be used for rule head".to_owned());
    };
    if table::declaration(&words::reference(&reference)).is_some() {
        return Err("rule name conflicts with built-in function".to_owned());
    }
    let args: Vec<Term> = terms.collect();
    if args.is_empty() {
        return Err("rule argument list must take at least one argument".to_owned());
    }
    begins_with_variable(&reference)?;
    let value = Some(Term { value: TermValue::Bool(true), span: at });
    Ok(new_rule(Head { args: Some(args), value, ..new_head(reference, at) }, at, at))
}

/// `left = right`
fn from_assignment(left: Term, right: Term, span: Span) -> Result<Rule, String> {
    let at = right.span;
    let mut head = match left.value {
        TermValue::Call(mut terms) => {
            let args = terms.split_off(1.min(terms.len()));
            match terms.pop().map(|operator| operator.value) {
                Some(TermValue::Ref(reference)) if begins_with_variable(&reference).is_ok() => {
                    Head { args: Some(args), ..new_head(reference, span) }
                }
                _ => return Err("call cannot be used for rule name".to_owned()),
            }
        }
        TermValue::Ref(reference) => {
            begins_with_variable(&reference)?;
            let mut head = new_head(reference, span);
            if let [_, key] = head.reference.as_slice() {
                head.key = Some(key.clone());
            }
            head
        }
        TermValue::Var(_) => new_head(vec![left], span),
        other => return Err(no_name(&other)),
    };
    head.value = Some(right);
    Ok(new_rule(head, span, at))
}

const fn new_head(reference: Vec<Term>, span: Span) -> Head {
    Head {
        reference,
        args: None,
        key: None,
        value: None,
        generated_value: false,
        assign: false,
        span,
    }
}

fn new_rule(head: Head, span: Span, body: Span) -> Rule {
    Rule {
        head,
        body: true_body(body),
        else_rule: None,
        is_default: false,
        generated_body: true,
        annotations: Vec::new(),
        span,
    }
}
