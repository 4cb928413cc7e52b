//! `object.subset`: of objects, sets, arrays, and of an array and a set.

use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::limits::{self, Clock};
use super::operands::argument;
use super::{Answer, Context, Failure};

pub(super) fn subset(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let holds = match (argument(args, 1), argument(args, 2)) {
        (Value::Object(all), Value::Object(some)) => {
            in_object(all, some, limits::DEPTH, &mut clock)?
        }
        (Value::Set(all), Value::Set(some)) => some.is_subset(all),
        (Value::Array(all), Value::Array(some)) => in_array(all, some, &mut clock)?,
        (Value::Array(all), Value::Set(some)) => set_in_array(all, some),
        _ => {
            let what = "both arguments object.subset must be of the same type or array and set";
            return Err(Failure::Type(what.to_owned()));
        }
    };
    Ok(Value::from(holds))
}

/// Whether each entry is one of another object, or is itself a part of the one with its key.
fn in_object(
    all: &Object,
    some: &Object,
    depth: usize,
    clock: &mut Clock,
) -> Result<bool, Failure> {
    let below = depth.checked_sub(1).ok_or_else(|| limits::exceeded("the objects are too deep"))?;
    for (key, part) in some.iter() {
        clock.step()?;
        let Some(whole) = all.get(key) else { return Ok(false) };
        let holds = whole == part
            || match (whole, part) {
                (Value::Object(all), Value::Object(some)) => in_object(all, some, below, clock)?,
                (Value::Set(all), Value::Set(some)) => some.is_subset(all),
                (Value::Array(all), Value::Array(some)) => in_array(all, some, clock)?,
                _ => false,
            };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the elements are contiguous in another array.
fn in_array(all: &Array, some: &Array, clock: &mut Clock) -> Result<bool, Failure> {
    if some.is_empty() {
        return Ok(true);
    }
    for window in all.as_slice().windows(some.len()) {
        for (whole, part) in window.iter().zip(some.iter()) {
            clock.step()?;
            if whole != part {
                break;
            }
        }
        if window == some.as_slice() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// OPA counts the array's elements that are in the set, equal ones each: `[1, 1]` has as many as
/// `{1, 2}`. An empty array has no subset, not even an empty one.
fn set_in_array(all: &Array, some: &Set) -> bool {
    let common = all.iter().filter(|element| some.contains(element)).count();
    !all.is_empty() && common >= some.len()
}
