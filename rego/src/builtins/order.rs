//! OPA's order of values: null, booleans, numbers, strings, arrays, objects, sets.
//!
//! The order of [`Value`] is the same, except that sets are before objects, also within values. So
//! its sets and objects, which are kept in that order, are sorted by OPA's where both kinds occur.

use std::cmp::Ordering;

use regorus::Value;
use regorus::value::{Object, Set};

use super::limits;

/// OPA's order of two values: null, booleans, numbers, strings, arrays, objects, sets.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    compare_at(a, b, limits::DEPTH)
}

fn compare_at(a: &Value, b: &Value, depth: usize) -> Ordering {
    let Some(below) = depth.checked_sub(1) else { return a.cmp(b) };
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            lexicographic(a.iter().map(|v| [v]), b.iter().map(|v| [v]), below)
        }
        (Value::Set(a), Value::Set(b)) => lexicographic(
            elements_at(a, below).into_iter().map(|v| [v]),
            elements_at(b, below).into_iter().map(|v| [v]),
            below,
        ),
        (Value::Object(a), Value::Object(b)) => lexicographic(
            entries_at(a, below).into_iter().map(|(k, v)| [k, v]),
            entries_at(b, below).into_iter().map(|(k, v)| [k, v]),
            below,
        ),
        _ => rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)),
    }
}

fn lexicographic<'a, const N: usize>(
    a: impl Iterator<Item = [&'a Value; N]>,
    mut b: impl Iterator<Item = [&'a Value; N]>,
    depth: usize,
) -> Ordering {
    for x in a {
        let Some(y) = b.next() else { return Ordering::Greater };
        for (x, y) in x.into_iter().zip(y) {
            match compare_at(x, y, depth) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
    }
    if b.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
        Value::Set(_) => 6,
        Value::Undefined => 7,
    }
}

/// The elements of a set in OPA's order.
pub(crate) fn elements(set: &Set) -> Vec<&Value> {
    elements_at(set, limits::DEPTH)
}

fn elements_at(set: &Set, depth: usize) -> Vec<&Value> {
    let mut elements: Vec<_> = set.iter_sorted().collect();
    if set.last().is_some_and(|last| rank(last) > rank(&Value::from(""))) {
        elements.sort_by(|a, b| compare_at(a, b, depth));
    }
    elements
}

/// The keys and values of an object in OPA's order.
pub(crate) fn entries(object: &Object) -> Vec<(&Value, &Value)> {
    entries_at(object, limits::DEPTH)
}

fn entries_at(object: &Object, depth: usize) -> Vec<(&Value, &Value)> {
    let mut entries: Vec<_> = object.iter_sorted().collect();
    if entries.last().is_some_and(|(last, _)| rank(last) > rank(&Value::from(""))) {
        entries.sort_by(|(a, _), (b, _)| compare_at(a, b, depth));
    }
    entries
}
