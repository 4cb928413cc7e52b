//! Whether types have values in common, as far as OPA checks.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::model::{Array, Known, Object, Type};

/// The budget of a check. Two unions are compared part by part, and nested comprehensions are
/// checked repeatedly: a policy that needs more than any handwritten one must not block a worker.
#[derive(Debug)]
pub(super) struct Work {
    left: Cell<u64>,
}

impl Work {
    /// A budget of this many steps.
    pub(super) const fn new(steps: u64) -> Self {
        Self { left: Cell::new(steps) }
    }

    /// Takes one step.
    pub(super) fn step(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// Takes all steps that are left.
    pub(super) fn give_up(&self) {
        self.left.set(0);
    }

    /// Whether all steps are taken.
    pub(super) fn is_over(&self) -> bool {
        self.left.get() == 0
    }
}

/// Whether a value can be of both types. An unknown type never unifies.
pub(super) fn unifies(work: &Work, left: Option<&Type>, right: Option<&Type>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    work.step();
    if work.is_over() {
        return true;
    }
    match (left, right) {
        (Type::Function(left), Type::Function(right)) => {
            // A built-in's further arguments are not compared: a variadic one is never replaced.
            left.parameters.len() == right.parameters.len()
                && left
                    .parameters
                    .iter()
                    .zip(&right.parameters)
                    .all(|(left, right)| unifies(work, left.as_ref(), right.as_ref()))
        }
        (Type::Function(_), _) | (_, Type::Function(_)) => false,
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::OneOf(left), Type::OneOf(right)) => {
            // The usual case, and it spares most comparisons of each with each.
            let common = |one: &Type| !one.has_hole() && right.contains(one);
            left.types.iter().any(common)
                || any_unifies(work, &left.types, &Type::OneOf(Rc::clone(right)))
        }
        (Type::OneOf(one_of), other) | (other, Type::OneOf(one_of)) => {
            any_unifies(work, &one_of.types, other)
        }
        (Type::Null, Type::Null)
        | (Type::Boolean, Type::Boolean)
        | (Type::Number, Type::Number)
        | (Type::String, Type::String) => true,
        (Type::Array(left_array), Type::Array(right_array)) => {
            (Rc::ptr_eq(left_array, right_array) && !left.has_hole())
                || arrays(work, left_array, right_array)
        }
        (Type::Object(left_object), Type::Object(right_object)) => {
            (Rc::ptr_eq(left_object, right_object) && !left.has_hole())
                || objects(work, left_object, right_object)
        }
        (Type::Set(left), Type::Set(right)) => {
            left.of.is_none()
                || right.of.is_none()
                || unifies(work, left.of.as_ref(), right.of.as_ref())
        }
        (
            Type::Null
            | Type::Boolean
            | Type::Number
            | Type::String
            | Type::Array(_)
            | Type::Object(_)
            | Type::Set(_),
            _,
        ) => false,
    }
}

fn any_unifies(work: &Work, types: &BTreeSet<Type>, other: &Type) -> bool {
    types.iter().any(|one| unifies(work, Some(one), Some(other)))
}

fn arrays(work: &Work, left: &Array, right: &Array) -> bool {
    // Elements that both have are compared once: unification has no direction.
    let items =
        |one: &Array, other: &Array, from: usize| {
            one.items.iter().enumerate().skip(from).all(|(position, item)| {
                unifies(work, item.as_ref(), other.select(position).as_ref())
            })
        };
    items(left, right, 0)
        && items(right, left, left.items.len())
        && (left.rest.is_none()
            || right.rest.is_none()
            || unifies(work, left.rest.as_ref(), right.rest.as_ref()))
}

fn objects(work: &Work, left: &Object, right: &Object) -> bool {
    let open = left.rest_value().is_some() || right.rest_value().is_some();
    let field = |key, value: &Known, other: &Object| match other.select(key) {
        None => open,
        other => unifies(work, value.as_ref(), other.as_ref()),
    };
    left.fields.iter().all(|(key, value)| field(key, value, right))
        && right.fields.iter().all(|(key, value)| {
            let is_compared = value.is_some() && left.has_known_field(key);
            is_compared || field(key, value, left)
        })
        && (left.rest_value().is_none()
            || right.rest_value().is_none()
            || unifies(work, left.rest_value(), right.rest_value()))
}
