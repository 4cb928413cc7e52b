//! The possible values of a body's variables, where the body determines them: `x = "a"`, `x = ["a",
//! "b"][_]`.

use std::collections::BTreeMap;

use crate::ast::{Expr, ExprKind, Name, Ref, Term, TermValue};
use crate::compile::order::equal;
use crate::compile::outputs::is_equality;
use crate::compile::visit::is_constant;

/// The highest number of references that one expands to. A reference beyond that stays open: OPA's
/// `maxRefExpansion`.
const MAX_EXPANSION: usize = 64;

/// The possible values of each variable.
pub(super) type Known = BTreeMap<Name, Vec<Term>>;

/// The variables that a body binds to known values, in order of the statements.
pub(super) struct Bindings(Vec<(usize, Name, Vec<Term>)>);

impl Bindings {
    /// Only statements at the top of the body count, and only a variable's first binding. The
    /// variables that a binding reads must be bound before it, because reordering for safety may
    /// move it.
    pub(super) fn of(body: &[Expr]) -> Self {
        let mut bindings = Vec::new();
        let mut known = Known::new();
        for (at, expr) in body.iter().enumerate() {
            if is_equality(expr)
                && !expr.negated
                && expr.with.is_empty()
                && let Some((var, values)) = binding(expr, &known)
                && !known.contains_key(&var)
            {
                known.insert(Name::clone(&var), values.clone());
                bindings.push((at, var, values));
            }
        }
        Self(bindings)
    }

    /// The values known before the statement at a position.
    pub(super) fn before(&self, at: usize) -> Known {
        let before = self.0.iter().take_while(|(position, _, _)| *position < at);
        before.map(|(_, var, values)| (Name::clone(var), values.clone())).collect()
    }
}

/// The possible values of a body's variables after the statements at its top.
pub(crate) fn known_values(body: &[Expr]) -> BTreeMap<Name, Vec<Term>> {
    Bindings::of(body).before(body.len())
}

fn binding(expr: &Expr, known: &Known) -> Option<(Name, Vec<Term>)> {
    let ExprKind::Call(terms) = &expr.kind else { return None };
    let [_, left, right, ..] = terms.as_slice() else { return None };
    [(left, right), (right, left)].into_iter().find_map(|(var, value)| match &var.value {
        TermValue::Var(name) => values_of(value, known).map(|values| (Name::clone(name), values)),
        _ => None,
    })
}

/// The possible values of a term; `None` where they are not known, which differs from an empty
/// list.
fn values_of(term: &Term, known: &Known) -> Option<Vec<Term>> {
    match &term.value {
        TermValue::Var(name) => known.get(name).cloned(),
        TermValue::Ref(reference) => values_of_ref(reference, known),
        value => is_constant(value).then(|| vec![term.clone()]),
    }
}

fn values_of_ref(reference: &[Term], known: &Known) -> Option<Vec<Term>> {
    let (head, keys) = reference.split_first()?;
    let mut values = match &head.value {
        // A reference's head is not a reference.
        TermValue::Ref(_) => return None,
        _ => values_of(head, known)?,
    };
    for key in keys {
        let mut next = Vec::new();
        if is_constant(&key.value) {
            next.extend(values.iter().filter_map(|value| member(value, key)));
        } else {
            for value in &values {
                next.extend(members(value)?);
            }
        }
        if next.len() > MAX_EXPANSION {
            return None;
        }
        values = next;
    }
    Some(values)
}

/// A constant collection's member by key.
fn member(collection: &Term, key: &Term) -> Option<Term> {
    match &collection.value {
        TermValue::Array(elements) => match &key.value {
            TermValue::Number(number) => elements.get(number.parse::<usize>().ok()?).cloned(),
            _ => None,
        },
        TermValue::Object(pairs) => {
            pairs.iter().find(|(one, _)| equal(one, key)).map(|(_, value)| value.clone())
        }
        TermValue::Set(members) => members.iter().find(|member| equal(member, key)).cloned(),
        _ => None,
    }
}

/// All elements of a constant array or set, or all values of a constant object.
pub(crate) fn members(collection: &Term) -> Option<Vec<Term>> {
    match &collection.value {
        TermValue::Array(terms) | TermValue::Set(terms) => Some(terms.clone()),
        TermValue::Object(pairs) => Some(pairs.iter().map(|(_, value)| value.clone()).collect()),
        _ => None,
    }
}

/// Whether a key of a reference is not constant.
pub(super) fn has_variable_key(reference: &[Term]) -> bool {
    reference.iter().skip(1).any(|key| !is_constant(&key.value))
}

/// The references that one can expand to, with known values for its keys. Keys with unknown or too
/// many values stay.
pub(super) fn expand(reference: &Ref, known: &Known) -> Vec<Ref> {
    let mut expanded = vec![reference.clone()];
    for (index, key) in reference.iter().enumerate().skip(1) {
        if is_constant(&key.value) {
            continue;
        }
        // A body that cannot hold would use no rule, but that is not decided here.
        let Some(values) = values_of(key, known).filter(|values| !values.is_empty()) else {
            continue;
        };
        if expanded.len().saturating_mul(values.len()) > MAX_EXPANSION {
            continue;
        }
        expanded = expanded
            .iter()
            .flat_map(|prefix| {
                values.iter().map(|value| {
                    let mut one = prefix.clone();
                    if let Some(key) = one.get_mut(index) {
                        *key = value.clone();
                    }
                    one
                })
            })
            .collect();
    }
    expanded
}
