//! `and`, `or`, `set_diff`, `intersection`, `union`. `minus` of sets is here too.

use regorus::Value;
use regorus::value::Set;

use super::limits::{self, Clock};
use super::operands::{set, wrong_type};
use super::{Answer, Context, Failure};

pub(super) fn and(_: &mut Context, args: &[Value]) -> Answer {
    Ok(set(args, 1)?.intersection(set(args, 2)?).into_value())
}

pub(super) fn or(_: &mut Context, args: &[Value]) -> Answer {
    Ok(set(args, 1)?.union(set(args, 2)?).into_value())
}

pub(super) fn set_diff(_: &mut Context, args: &[Value]) -> Answer {
    Ok(difference(set(args, 1)?, set(args, 2)?))
}

/// The elements of the first that are not in the second.
pub(super) fn difference(a: &Set, b: &Set) -> Value {
    a.difference(b).into_value()
}

pub(super) fn intersection(_: &mut Context, args: &[Value]) -> Answer {
    let sets = sets_of(args)?;
    let Some((first, rest)) = sets.split_first() else { return Ok(Value::new_set()) };
    let mut result = (*first).clone();
    for set in rest {
        result.retain(|element| set.contains(element));
    }
    Ok(result.into_value())
}

pub(super) fn union(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let mut result = Set::new();
    for set in sets_of(args)? {
        for element in set.iter() {
            clock.step()?;
            result.insert(element.clone());
        }
        if result.len() > limits::ELEMENTS {
            return Err(limits::exceeded("the union has too many elements"));
        }
    }
    Ok(result.into_value())
}

fn sets_of(args: &[Value]) -> Result<Vec<&Set>, Failure> {
    set(args, 1)?
        .iter()
        .map(|element| match element {
            Value::Set(set) => Ok(&**set),
            other => Err(wrong_type(1, other, &["set"])),
        })
        .collect()
}
