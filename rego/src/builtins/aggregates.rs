//! `count`, `sum`, `product`, `max`, `min`, `sort`, `all`, `any`.

use std::cmp::Ordering;

use num_bigint::BigInt;
use regorus::Value;

use super::limits::Clock;
use super::number::float::Float;
use super::number::{Number, integer, product as exact_product};
use super::operands::{argument, list, wrong_element, wrong_type};
use super::order::compare;
use super::{Answer, Context, Failure};

pub(super) fn count(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(match argument(args, 1) {
        Value::Array(array) => array.len(),
        Value::Object(object) => object.len(),
        Value::Set(set) => set.len(),
        Value::String(string) => string.chars().count(),
        other => return Err(wrong_type(1, other, &["array", "object", "set", "string"])),
    }))
}

pub(super) fn sum(context: &mut Context, args: &[Value]) -> Answer {
    fold(context, args, 0, |a, b| Ok(a + b), &Float::of_integer(&BigInt::ZERO), Float::plus)
}

pub(super) fn product(context: &mut Context, args: &[Value]) -> Answer {
    fold(context, args, 1, |a, b| exact_product(&a, b), &Float::one_of_53_bits(), Float::times)
}

/// Integers are computed exactly; with one fraction among them, all are computed as floats.
fn fold(
    context: &Context,
    args: &[Value],
    start: i32,
    exact: fn(BigInt, &BigInt) -> Result<BigInt, Failure>,
    float_start: &Float,
    float: fn(&Float, &Float) -> Float,
) -> Answer {
    let mut clock = Clock::new(context);
    let elements = list(args, 1, ["set", "array"])?;
    let mut numbers = Vec::with_capacity(elements.len());
    for element in elements {
        numbers.push(
            Number::of(element)
                .ok_or_else(|| wrong_element(1, argument(args, 1), element, &["number"]))?,
        );
    }
    if let Some(integers) = numbers.iter().map(Number::to_integer).collect::<Option<Vec<_>>>() {
        let mut total = BigInt::from(start);
        for i in integers {
            clock.step()?;
            total = exact(total, &i)?;
        }
        return Ok(integer(total));
    }
    let mut total = float_start.clone();
    for number in numbers {
        clock.step()?;
        total = float(&total, &number.to_float());
    }
    total.to_value()
}

pub(super) fn max(_: &mut Context, args: &[Value]) -> Answer {
    extreme(args, Ordering::is_gt)
}

pub(super) fn min(_: &mut Context, args: &[Value]) -> Answer {
    extreme(args, Ordering::is_lt)
}

/// Of equal elements of an array (`1`, `1.0`) the last counts, as in OPA.
fn extreme(args: &[Value], beyond: fn(Ordering) -> bool) -> Answer {
    let mut best: Option<&Value> = None;
    for element in list(args, 1, ["set", "array"])? {
        if best.is_none_or(|best| !beyond(compare(best, element))) {
            best = Some(element);
        }
    }
    Ok(best.cloned().unwrap_or(Value::Undefined))
}

pub(super) fn sort(_: &mut Context, args: &[Value]) -> Answer {
    let mut elements = list(args, 1, ["set", "array"])?;
    if matches!(argument(args, 1), Value::Array(_)) {
        elements.sort_by(|a, b| compare(a, b));
    }
    Ok(Value::from(elements.into_iter().cloned().collect::<Vec<_>>()))
}

pub(super) fn all(_: &mut Context, args: &[Value]) -> Answer {
    let elements = list(args, 1, ["array", "set"])?;
    Ok(Value::from(elements.into_iter().all(|element| *element == Value::Bool(true))))
}

pub(super) fn any(_: &mut Context, args: &[Value]) -> Answer {
    let elements = list(args, 1, ["array", "set"])?;
    Ok(Value::from(elements.into_iter().any(|element| *element == Value::Bool(true))))
}
