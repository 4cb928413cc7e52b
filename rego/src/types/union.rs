//! Unions of types.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::model::{Function, Known, Type};

/// The type of values of either type. Where one is unknown, it is the other. Functions of the same
/// number of parameters have a union; a function and another type have no union.
pub(super) fn of(left: Known, right: Known) -> Known {
    let (left, right) = match (left, right) {
        (None, other) | (other, None) => return other,
        (Some(left), Some(right)) => (left, right),
    };
    match (left, right) {
        (Type::Function(left), Type::Function(right)) => {
            if left.parameters.len() != right.parameters.len()
                || left.variadic.is_some()
                || right.variadic.is_some()
            {
                return None;
            }
            let (left, left_result) = into_parts(left);
            let (right, right_result) = into_parts(right);
            let parameters = left.into_iter().zip(right);
            let parameters = parameters.map(|(left, right)| of(left, right)).collect();
            Some(Type::function(parameters, of(left_result, right_result)))
        }
        (Type::Function(_), _) | (_, Type::Function(_)) => None,
        (Type::Any, _) | (_, Type::Any) => Some(Type::Any),
        (Type::OneOf(left), Type::OneOf(right)) => {
            Some(from_parts(left.types.iter().chain(&right.types).cloned()))
        }
        (Type::OneOf(one_of), other) | (other, Type::OneOf(one_of)) => Some(one_of.with(other)),
        (left, right) => Some(from_parts([left, right])),
    }
}

/// A type and further ones.
pub(super) fn with_all(known: Known, mut further: Vec<Known>) -> Known {
    if further.len() == 1 {
        return of(known, further.pop().flatten());
    }
    of_all(std::iter::once(known).chain(further))
}

/// The type of values of any of these types, in almost linear time.
pub(super) fn of_all(types: impl IntoIterator<Item = Known>) -> Known {
    let types: Vec<Type> = types.into_iter().flatten().collect();
    if types.iter().any(|one| matches!(one, Type::Function(_))) {
        // The outcome depends on the order.
        return types.into_iter().fold(None, |union, one| of(union, Some(one)));
    }
    if types.is_empty() { None } else { Some(from_parts(types)) }
}

/// Whether a type obviously includes another: as any, as a union with it, or as the same type.
pub(super) fn contains(whole: &Type, part: &Type) -> bool {
    match whole {
        Type::Any => !matches!(part, Type::Function(_)),
        Type::OneOf(one_of) => one_of.contains(part),
        whole => whole == part,
    }
}

/// The union of at least one type, none of which is a function.
fn from_parts(parts: impl IntoIterator<Item = Type>) -> Type {
    let mut flat = BTreeSet::new();
    for part in parts {
        match part {
            Type::Any => return Type::Any,
            Type::OneOf(one_of) => flat.extend(one_of.types.iter().cloned()),
            other => {
                flat.insert(other);
            }
        }
    }
    if flat.len() > 1 { Type::one_of(flat) } else { flat.pop_first().unwrap_or(Type::Any) }
}

/// A function's parameters and result. Where they are not shared, they are not copied: the result may
/// be one of as many types as the function has definitions.
fn into_parts(function: Rc<Function>) -> (Vec<Known>, Known) {
    match Rc::try_unwrap(function) {
        Ok(owned) => (owned.parameters, owned.result),
        Err(shared) => (shared.parameters.clone(), shared.result.clone()),
    }
}
