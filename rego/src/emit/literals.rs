//! The constants of a program, each kept once.

use std::collections::HashMap;
use std::fmt::Write;
use std::mem::{Discriminant, discriminant};

use regorus::Value;

/// The highest nesting of a constant. Lowering makes constants from the policy's text, which the
/// parser bounds; this bound protects the stack in any case.
const NESTING: usize = 1024;

/// The identity of a constant. Equal values may have different texts (`1` and `1.0`), so equality
/// of values is not enough.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Part {
    Kind(Discriminant<Value>, usize),
    Bool(bool),
    Text(String),
}

/// Constants and their numbers.
#[derive(Debug, Default)]
pub(super) struct Literals {
    values: Vec<Value>,
    numbers: HashMap<Vec<Part>, usize>,
}

impl Literals {
    /// The number of a constant; `None` for one that is nested too deeply.
    pub(super) fn number(&mut self, value: &Value) -> Option<usize> {
        let mut parts = Vec::new();
        take_apart(value, NESTING, &mut parts)?;
        let next = self.values.len();
        let number = *self.numbers.entry(parts).or_insert(next);
        if number == next {
            self.values.push(value.clone());
        }
        Some(number)
    }

    pub(super) fn into_values(mut self) -> Vec<Value> {
        self.values.shrink_to_fit();
        self.values
    }
}

fn take_apart(value: &Value, depth: usize, parts: &mut Vec<Part>) -> Option<()> {
    let below = depth.checked_sub(1)?;
    let mut kind = |size| parts.push(Part::Kind(discriminant(value), size));
    match value {
        Value::Null | Value::Undefined => kind(0),
        Value::Bool(bool) => parts.push(Part::Bool(*bool)),
        Value::Number(number) => {
            // An integer and a decimal with the same text are different constants.
            let mut text = String::new();
            write!(text, "{:?} {number:?}", discriminant(number)).ok()?;
            kind(0);
            parts.push(Part::Text(text));
        }
        Value::String(text) => {
            kind(0);
            parts.push(Part::Text(text.to_string()));
        }
        Value::Array(array) => {
            kind(array.len());
            array.iter().try_for_each(|element| take_apart(element, below, parts))?;
        }
        Value::Set(set) => {
            kind(set.len());
            set.iter().try_for_each(|element| take_apart(element, below, parts))?;
        }
        Value::Object(object) => {
            kind(object.len());
            for (key, value) in object.iter() {
                take_apart(key, below, parts)?;
                take_apart(value, below, parts)?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_kept_once_as_it_is_written() {
        let mut literals = Literals::default();
        let one = literals.number(&Value::from(1)).unwrap();
        let decimal = literals.number(&Value::from(1.0)).unwrap();
        let text = literals.number(&Value::from("1")).unwrap();
        let array = literals.number(&Value::from(vec![Value::from(1)])).unwrap();
        assert_eq!(literals.number(&Value::from(1)), Some(one));
        assert_eq!(literals.number(&Value::from(vec![Value::from(1)])), Some(array));
        let values = literals.into_values();
        assert_eq!(values.len(), 4);
        assert_eq!(values[one].to_string(), "1");
        assert_eq!(values[decimal].to_string(), Value::from(1.0).to_string());
        assert_eq!(values[text], Value::from("1"));
    }

    #[test]
    fn collections_of_other_shapes_are_other_constants() {
        let mut literals = Literals::default();
        let nested = |inner: Vec<Value>, rest: Vec<Value>| {
            Value::from(std::iter::once(Value::from(inner)).chain(rest).collect::<Vec<_>>())
        };
        let one = || vec![Value::from(1)];
        let a = literals.number(&nested(one(), vec![])).unwrap();
        let b = literals.number(&nested(vec![], one())).unwrap();
        assert_ne!(a, b);
    }

    #[test]
    fn a_constant_that_is_too_deep_is_no_constant() {
        let deep = (0..NESTING).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        assert_eq!(Literals::default().number(&deep), None);
    }
}
