//! `equal`, `neq`, `lt`, `lte`, `gt`, `gte`, and `in` (`internal.member_2`, `internal.member_3`).

use std::cmp::Ordering;

use regorus::Value;

use super::operands::argument;
use super::order::compare;
use super::{Answer, Context};

pub(super) fn equal(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(argument(args, 1) == argument(args, 2)))
}

pub(super) fn neq(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(argument(args, 1) != argument(args, 2)))
}

pub(super) fn lt(_: &mut Context, args: &[Value]) -> Answer {
    ordered(args, Ordering::is_lt)
}

pub(super) fn lte(_: &mut Context, args: &[Value]) -> Answer {
    ordered(args, Ordering::is_le)
}

pub(super) fn gt(_: &mut Context, args: &[Value]) -> Answer {
    ordered(args, Ordering::is_gt)
}

pub(super) fn gte(_: &mut Context, args: &[Value]) -> Answer {
    ordered(args, Ordering::is_ge)
}

fn ordered(args: &[Value], holds: fn(Ordering) -> bool) -> Answer {
    Ok(Value::from(holds(compare(argument(args, 1), argument(args, 2)))))
}

pub(super) fn member(_: &mut Context, args: &[Value]) -> Answer {
    let element = argument(args, 1);
    Ok(Value::from(match argument(args, 2) {
        Value::Set(set) => set.contains(element),
        Value::Array(array) => array.contains(element),
        Value::Object(object) => object.values().any(|value| value == element),
        _ => false,
    }))
}

pub(super) fn member_with_key(_: &mut Context, args: &[Value]) -> Answer {
    let (key, value) = (argument(args, 1), argument(args, 2));
    Ok(Value::from(match argument(args, 3) {
        Value::Set(set) => key == value && set.contains(key),
        Value::Array(array) => index(key).and_then(|i| array.get(i)) == Some(value),
        Value::Object(object) => object.get(key) == Some(value),
        _ => false,
    }))
}

/// The place in an array that a key names.
fn index(key: &Value) -> Option<usize> {
    match key {
        Value::Number(n) => usize::try_from(n.as_i64()?).ok(),
        _ => None,
    }
}
