//! `array.*`

use regorus::Value;

use super::operands::{array, word};
use super::{Answer, Context, Failure, limits};

pub(super) fn concat(_: &mut Context, args: &[Value]) -> Answer {
    let (left, right) = (array(args, 1)?, array(args, 2)?);
    sized(left.iter().chain(right.iter()).cloned())
}

pub(super) fn flatten(_: &mut Context, args: &[Value]) -> Answer {
    sized(array(args, 1)?.iter().flat_map(|element| match element {
        Value::Array(inner) => inner.to_vec(),
        other => vec![other.clone()],
    }))
}

pub(super) fn reverse(_: &mut Context, args: &[Value]) -> Answer {
    sized(array(args, 1)?.iter().rev().cloned())
}

pub(super) fn slice(_: &mut Context, args: &[Value]) -> Answer {
    let (array, start, end) = (array(args, 1)?, word(args, 2)?, word(args, 3)?);
    let end = usize::try_from(end).unwrap_or(0).min(array.len());
    let start = usize::try_from(start).unwrap_or(0).min(end);
    sized(array.iter().take(end).skip(start).cloned())
}

fn sized(elements: impl Iterator<Item = Value>) -> Answer {
    let elements: Vec<_> = elements.take(limits::ELEMENTS + 1).collect();
    if elements.len() > limits::ELEMENTS {
        return Err(too_long());
    }
    Ok(Value::from(elements))
}

fn too_long() -> Failure {
    limits::exceeded("the array has too many elements")
}
