//! OPA's total order of terms, and collections sorted by it.
//!
//! OPA keeps objects and sets sorted, and the order shows: in the order of generated statements and
//! in messages. [`sort_collections`] brings a tree as written into that form; a stage that changes
//! members brings it back with [`sort_set`] and [`sort_object`].

use std::cmp::Ordering;

use crate::ast::{Every, Expr, ExprKind, Module, TemplatePart, Term, TermValue, With};

use super::visit::{Flow, NodeMut, walk_mut};

/// Compares terms.
pub(crate) fn compare(left: &Term, right: &Term) -> Ordering {
    compare_values(&left.value, &right.value)
}

/// Whether terms are the same value or expression.
pub(crate) fn equal(left: &Term, right: &Term) -> bool {
    compare(left, right).is_eq()
}

/// Whether references, arrays or calls are the same.
pub(crate) fn equal_terms(left: &[Term], right: &[Term]) -> bool {
    left.len() == right.len() && compare_terms(left, right).is_eq()
}

/// Compares terms one by one; a prefix is less.
pub(crate) fn compare_terms(left: &[Term], right: &[Term]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(left, right)| compare(left, right))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

const fn rank(value: &TermValue) -> u8 {
    match value {
        TermValue::Null => 0,
        TermValue::Bool(_) => 1,
        TermValue::Number(_) => 2,
        TermValue::String(_) => 3,
        TermValue::TemplateString { .. } => 4,
        TermValue::Var(_) => 5,
        TermValue::Ref(_) => 6,
        TermValue::Array(_) => 7,
        TermValue::Object(_) => 8,
        TermValue::Set(_) => 9,
        TermValue::ArrayComprehension { .. } => 10,
        TermValue::ObjectComprehension { .. } => 11,
        TermValue::SetComprehension { .. } => 12,
        TermValue::Call(_) => 13,
    }
}

/// Compares values and expressions as OPA's `Compare`.
pub(crate) fn compare_values(left: &TermValue, right: &TermValue) -> Ordering {
    match (left, right) {
        (TermValue::Bool(left), TermValue::Bool(right)) => left.cmp(right),
        (TermValue::Number(left), TermValue::Number(right)) => compare_numbers(left, right),
        (TermValue::String(left), TermValue::String(right))
        | (TermValue::Var(left), TermValue::Var(right)) => left.cmp(right),
        (TermValue::Ref(left), TermValue::Ref(right))
        | (TermValue::Array(left), TermValue::Array(right))
        | (TermValue::Set(left), TermValue::Set(right))
        | (TermValue::Call(left), TermValue::Call(right)) => compare_terms(left, right),
        (TermValue::Object(left), TermValue::Object(right)) => compare_pairs(left, right),
        (
            TermValue::ArrayComprehension { term: left, body: left_body },
            TermValue::ArrayComprehension { term: right, body: right_body },
        )
        | (
            TermValue::SetComprehension { term: left, body: left_body },
            TermValue::SetComprehension { term: right, body: right_body },
        ) => compare(left, right).then_with(|| compare_bodies(left_body, right_body)),
        (
            TermValue::ObjectComprehension { key: left_key, value: left, body: left_body },
            TermValue::ObjectComprehension { key: right_key, value: right, body: right_body },
        ) => compare(left_key, right_key)
            .then_with(|| compare(left, right))
            .then_with(|| compare_bodies(left_body, right_body)),
        (
            TermValue::TemplateString { parts: left, multi_line: left_lines },
            TermValue::TemplateString { parts: right, multi_line: right_lines },
        ) => left_lines
            .cmp(right_lines)
            .then_with(|| left.len().cmp(&right.len()))
            .then_with(|| compare_parts(left, right)),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn compare_pairs(left: &[(Term, Term)], right: &[(Term, Term)]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|((left_key, left), (right_key, right))| {
            compare(left_key, right_key).then_with(|| compare(left, right))
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn compare_parts(left: &[TemplatePart], right: &[TemplatePart]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|parts| match parts {
            (TemplatePart::Text(left), TemplatePart::Text(right)) => compare(left, right),
            (TemplatePart::Expr(left), TemplatePart::Expr(right)) => compare_exprs(left, right),
            (TemplatePart::Text(_), TemplatePart::Expr(_)) => Ordering::Less,
            (TemplatePart::Expr(_), TemplatePart::Text(_)) => Ordering::Greater,
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares bodies; a prefix is less. OPA compares the positions of statements before their contents,
/// and in two bodies these are the same.
pub(crate) fn compare_bodies(left: &[Expr], right: &[Expr]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(left, right)| compare_exprs(left, right))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

const fn expr_rank(kind: &ExprKind) -> u8 {
    match kind {
        ExprKind::Some(_) => 0,
        ExprKind::Term(_) => 1,
        ExprKind::Call(_) => 2,
        ExprKind::Every(_) => 3,
        ExprKind::Not(_) => 4,
        ExprKind::And(_) => 5,
        ExprKind::Or(_) => 6,
    }
}

/// Compares statements without their places.
pub(crate) fn compare_exprs(left: &Expr, right: &Expr) -> Ordering {
    expr_rank(&left.kind)
        .cmp(&expr_rank(&right.kind))
        .then_with(|| left.negated.cmp(&right.negated))
        .then_with(|| match (&left.kind, &right.kind) {
            (ExprKind::Term(left), ExprKind::Term(right)) => compare(left, right),
            (ExprKind::Call(left), ExprKind::Call(right))
            | (ExprKind::Some(left), ExprKind::Some(right)) => compare_terms(left, right),
            (ExprKind::Every(left), ExprKind::Every(right)) => compare_every(left, right),
            (ExprKind::Not(left), ExprKind::Not(right)) => compare_bodies(&left.body, &right.body),
            (ExprKind::And(left), ExprKind::And(right))
            | (ExprKind::Or(left), ExprKind::Or(right)) => compare_bodies(&left.left, &right.left)
                .then_with(|| compare_bodies(&left.right, &right.right)),
            _ => Ordering::Equal,
        })
        .then_with(|| compare_withs(&left.with, &right.with))
}

fn compare_every(left: &Every, right: &Every) -> Ordering {
    let keys = match (&left.key, &right.key) {
        (Some(left), Some(right)) => compare(left, right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    };
    keys.then_with(|| compare(&left.value, &right.value))
        .then_with(|| compare(&left.domain, &right.domain))
        .then_with(|| compare_bodies(&left.body, &right.body))
}

fn compare_withs(left: &[With], right: &[With]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(left, right)| {
            compare(&left.target, &right.target).then_with(|| compare(&left.value, &right.value))
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// A number's sign, the digits of its mantissa without zeros around them, and the power of ten of
/// the first digit.
fn decimal(number: &str) -> (bool, String, i64) {
    let (negative, rest) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    // No exponent that a number may have here comes near the bound: it only makes the order total.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') {
        i64::MIN / 4
    } else {
        i64::MAX / 4
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0').to_owned();
    let count = |length: usize| i64::try_from(length).unwrap_or(i64::MAX / 4);
    let first = exponent.saturating_add(count(whole.len())).saturating_sub(count(leading));
    if digits.is_empty() { (false, digits, 0) } else { (negative, digits, first) }
}

/// Compares numbers by value, from their texts, without loss.
pub(crate) fn compare_numbers(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    let (left_negative, left_digits, left_first) = decimal(left);
    let (right_negative, right_digits, right_first) = decimal(right);
    match (left_digits.is_empty(), right_digits.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return if right_negative { Ordering::Greater } else { Ordering::Less },
        (false, true) => return if left_negative { Ordering::Less } else { Ordering::Greater },
        (false, false) => {}
    }
    match (left_negative, right_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (negative, _) => {
            let order = left_first.cmp(&right_first).then_with(|| left_digits.cmp(&right_digits));
            if negative { order.reverse() } else { order }
        }
    }
}

/// Sorts the members of a set, and drops duplicates: the first stays.
pub(crate) fn sort_set(members: &mut Vec<Term>) {
    members.sort_by(compare);
    members.dedup_by(|later, earlier| equal(later, earlier));
}

/// Sorts the pairs of an object by key. Of two values for one key the last stays.
pub(crate) fn sort_object(pairs: &mut Vec<(Term, Term)>) {
    sort_by_key(pairs, |(key, _)| key);
}

/// Members of a set or pairs of an object in order, whose terms stages may have replaced since they
/// were sorted. Of those with the same key the last stays.
pub(crate) fn sorted<T>(members: &[T], key: impl Fn(&T) -> &Term) -> Vec<&T> {
    let mut members: Vec<&T> = members.iter().collect();
    sort_by_key(&mut members, |member| key(member));
    members
}

fn sort_by_key<T>(members: &mut Vec<T>, key: impl Fn(&T) -> &Term) {
    members.sort_by(|left, right| compare(key(left), key(right)));
    members.dedup_by(|later, earlier| {
        let same = equal(key(later), key(earlier));
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

/// Sorts every object and set of a module, innermost first.
pub(crate) fn sort_collections(module: &mut Module) {
    for rule in &mut module.rules {
        let mut chain = Some(rule);
        while let Some(rule) = chain {
            for term in &mut rule.head.reference {
                sort_in(NodeMut::Term(term));
            }
            sort_in(NodeMut::Head(&mut rule.head));
            sort_in(NodeMut::Body(&mut rule.body));
            chain = rule.else_rule.as_deref_mut();
        }
    }
}

/// Sorts every object and set under a node, innermost first.
pub(crate) fn sort_in(node: NodeMut<'_>) {
    walk_mut(node, &mut |node| {
        let NodeMut::Term(term) = node else { return Flow::Into };
        match &mut term.value {
            TermValue::Set(members) => {
                for member in &mut *members {
                    sort_in(NodeMut::Term(member));
                }
                sort_set(members);
                Flow::Over
            }
            TermValue::Object(pairs) => {
                for (key, value) in &mut *pairs {
                    sort_in(NodeMut::Term(key));
                    sort_in(NodeMut::Term(value));
                }
                sort_object(pairs);
                Flow::Over
            }
            _ => Flow::Into,
        }
    });
}
