//! `bits.*`, on integers of any size in two's complement.

use num_bigint::BigInt;
use num_traits::{Signed as _, ToPrimitive as _, Zero as _};
use regorus::Value;

use super::number::integer;
use super::operands::{self, wrong};
use super::{Answer, Context, Failure, limits};

pub(super) fn and(_: &mut Context, args: &[Value]) -> Answer {
    binary(args, |a, b| a & b)
}

pub(super) fn or(_: &mut Context, args: &[Value]) -> Answer {
    binary(args, |a, b| a | b)
}

pub(super) fn xor(_: &mut Context, args: &[Value]) -> Answer {
    binary(args, |a, b| a ^ b)
}

pub(super) fn negate(_: &mut Context, args: &[Value]) -> Answer {
    Ok(integer(!operands::integer(args, 1)?))
}

pub(super) fn lsh(_: &mut Context, args: &[Value]) -> Answer {
    let (i, shift) = (operands::integer(args, 1)?, shift(args)?);
    if i.is_zero() {
        return Ok(integer(i));
    }
    if i.bits().saturating_add(shift) > limits::INTEGER_BITS {
        return Err(limits::exceeded("an integer has too many digits"));
    }
    Ok(integer(i << shift))
}

pub(super) fn rsh(_: &mut Context, args: &[Value]) -> Answer {
    let (i, shift) = (operands::integer(args, 1)?, shift(args)?);
    Ok(integer(i >> shift))
}

/// The shift distance. As in OPA, only the lowest 64 bits count.
fn shift(args: &[Value]) -> Result<u64, Failure> {
    let shift = operands::integer(args, 2)?;
    if shift.is_negative() {
        return Err(wrong(2, "must be an unsigned integer number but got a negative integer"));
    }
    Ok((shift & BigInt::from(u64::MAX)).to_u64().unwrap_or(u64::MAX))
}

fn binary(args: &[Value], f: fn(BigInt, BigInt) -> BigInt) -> Answer {
    Ok(integer(f(operands::integer(args, 1)?, operands::integer(args, 2)?)))
}
