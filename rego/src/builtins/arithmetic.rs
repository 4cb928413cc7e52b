//! `plus`, `minus`, `mul`, `div`, `rem`, `abs`, `round`, `ceil`, `floor`. `minus` of sets is with
//! [`sets`].

use num_traits::Zero as _;
use regorus::Value;

use super::number::float::Float;
use super::number::{Number, integer, product};
use super::operands::{argument, number, wrong_type};
use super::{Answer, Context, Failure, sets};

/// The integers that OPA computes with in one word.
const SMALL: std::ops::RangeInclusive<i64> = -(1 << 31)..=(1 << 31) - 1;

pub(super) fn plus(_: &mut Context, args: &[Value]) -> Answer {
    add(&number(args, 1)?, &number(args, 2)?)
}

/// The sum of two numbers.
pub(super) fn add(a: &Number, b: &Number) -> Answer {
    if let (Number::Small(a), Number::Small(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Ok(Value::from(sum));
    }
    match (a.to_integer(), b.to_integer()) {
        (Some(a), Some(b)) => Ok(integer(a + b)),
        _ => a.to_float().plus(&b.to_float()).to_value(),
    }
}

pub(super) fn minus(_: &mut Context, args: &[Value]) -> Answer {
    let (left, right) = (argument(args, 1), argument(args, 2));
    if let (Value::Set(a), Value::Set(b)) = (left, right) {
        return Ok(sets::difference(a, b));
    }
    match (Number::of(left), Number::of(right)) {
        (Some(a), Some(b)) => subtract(&a, &b),
        (None, _) if !matches!(left, Value::Set(_)) => Err(wrong_type(1, left, &["number", "set"])),
        (_, Some(_)) => Err(wrong_type(2, right, &["set"])),
        (_, None) => Err(wrong_type(2, right, &["number"])),
    }
}

fn subtract(a: &Number, b: &Number) -> Answer {
    if let (Number::Small(a), Number::Small(b)) = (a, b)
        && let Some(difference) = a.checked_sub(*b)
    {
        return Ok(Value::from(difference));
    }
    match (a.to_integer(), b.to_integer()) {
        (Some(a), Some(b)) => Ok(integer(a - b)),
        _ => a.to_float().minus(&b.to_float()).to_value(),
    }
}

pub(super) fn mul(_: &mut Context, args: &[Value]) -> Answer {
    let (a, b) = (number(args, 1)?, number(args, 2)?);
    if let (Number::Small(a), Number::Small(b)) = (&a, &b)
        && let Some(product) = a.checked_mul(*b)
    {
        return Ok(Value::from(product));
    }
    match (a.to_integer(), b.to_integer()) {
        (Some(a), Some(b)) => Ok(integer(product(&a, &b)?)),
        _ => a.to_float().times(&b.to_float()).to_value(),
    }
}

pub(super) fn div(_: &mut Context, args: &[Value]) -> Answer {
    let (a, b) = (number(args, 1)?, number(args, 2)?);
    if let (Number::Small(a), Number::Small(b)) = (&a, &b)
        && SMALL.contains(a)
        && SMALL.contains(b)
        && *a != 0
        && *b != 0
        && a % b == 0
    {
        return Ok(Value::from(a / b));
    }
    let divisor = b.to_float();
    if divisor.is_zero() {
        return Err(Failure::Builtin("divide by zero".to_owned()));
    }
    a.to_float().quotient(&divisor).to_value()
}

pub(super) fn rem(_: &mut Context, args: &[Value]) -> Answer {
    let (a, b) = (number(args, 1)?, number(args, 2)?);
    let (Some(a), Some(b)) = (a.to_integer(), b.to_integer()) else {
        return Err(Failure::Builtin("modulo on floating-point number".to_owned()));
    };
    if b.is_zero() {
        return Err(Failure::Builtin("modulo by zero".to_owned()));
    }
    Ok(integer(a % b))
}

pub(super) fn abs(_: &mut Context, args: &[Value]) -> Answer {
    unary(args, i64::abs, Float::absolute)
}

pub(super) fn round(_: &mut Context, args: &[Value]) -> Answer {
    unary(args, |i| i, |f| f.round())
}

pub(super) fn ceil(_: &mut Context, args: &[Value]) -> Answer {
    unary(args, |i| i, |f| f.ceil())
}

pub(super) fn floor(_: &mut Context, args: &[Value]) -> Answer {
    unary(args, |i| i, |f| f.floor())
}

fn unary(args: &[Value], small: fn(i64) -> i64, float: fn(Float) -> Float) -> Answer {
    match number(args, 1)? {
        Number::Small(i) if SMALL.contains(&i) => Ok(Value::from(small(i))),
        other => float(other.to_float()).to_value(),
    }
}
