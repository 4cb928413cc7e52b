//! `numbers.range`, `numbers.range_step`.

use num_bigint::BigInt;
use num_traits::{Signed as _, ToPrimitive as _};
use regorus::Value;

use super::limits::{self, Clock};
use super::number::integer;
use super::{Answer, Context, Failure, operands};

pub(super) fn range(context: &mut Context, args: &[Value]) -> Answer {
    steps(context, args, &BigInt::from(1))
}

pub(super) fn range_step(context: &mut Context, args: &[Value]) -> Answer {
    let (start, end) = (operands::integer(args, 1), operands::integer(args, 2));
    // OPA reports faults of the first two operands before it checks the step's sign.
    let step = start.and(end).and_then(|_| operands::integer(args, 3))?;
    if !step.is_positive() {
        let what = "numbers.range_step: step must be a positive integer";
        return Err(Failure::Builtin(what.to_owned()));
    }
    steps(context, args, &step)
}

/// The numbers from the first argument to the second, both included, upwards or downwards.
fn steps(context: &Context, args: &[Value], step: &BigInt) -> Answer {
    let (start, end) = (operands::integer(args, 1)?, operands::integer(args, 2)?);
    let count = (&end - &start).abs() / step;
    let count = count.to_usize().filter(|&count| count < limits::ELEMENTS);
    let Some(count) = count else {
        return Err(limits::exceeded("the range has too many numbers"));
    };
    let step = if end < start { -step } else { step.clone() };
    let mut clock = Clock::new(context);
    let mut numbers = Vec::with_capacity(count + 1);
    let mut number = start;
    for _ in 0..=count {
        clock.step()?;
        numbers.push(integer(number.clone()));
        number += &step;
    }
    Ok(Value::from(numbers))
}
