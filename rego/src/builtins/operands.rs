//! Arguments as the types of a built-in's parameters, with OPA's messages where they do not fit.

use num_bigint::BigInt;
use regorus::Value;
use regorus::value::{Array, Object, Set};

use super::number::Number;
use super::{Failure, order};

/// The value for a missing argument, which never happens: the checker has counted them.
static MISSING: Value = Value::Undefined;

/// The argument at a position, which begins at 1 as in OPA's messages.
pub(crate) fn argument(args: &[Value], position: usize) -> &Value {
    args.get(position.wrapping_sub(1)).unwrap_or(&MISSING)
}

/// OPA's name of a value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Set(_) => "set",
        Value::Undefined => "undefined",
    }
}

/// OPA's message for an argument.
pub(crate) fn wrong(position: usize, what: &str) -> Failure {
    Failure::Type(format!("operand {position} {what}"))
}

/// OPA's message for an argument of the wrong type.
pub(crate) fn wrong_type(position: usize, got: &Value, expected: &[&str]) -> Failure {
    let got = type_name(got);
    match expected {
        [one] => wrong(position, &format!("must be {one} but got {got}")),
        many => wrong(position, &format!("must be one of {{{}}} but got {got}", many.join(", "))),
    }
}

/// OPA's message for a collection with an element of the wrong type.
pub(crate) fn wrong_element(
    position: usize,
    collection: &Value,
    got: &Value,
    expected: &[&str],
) -> Failure {
    let (collection, got) = (type_name(collection), type_name(got));
    let what = match expected {
        [one] => format!("must be {collection} of {one}s but got {collection} containing {got}"),
        many => format!(
            "must be {collection} of (any of) {{{}}} but got {collection} containing {got}",
            many.join(", ")
        ),
    };
    wrong(position, &what)
}

/// A number.
pub(crate) fn number(args: &[Value], position: usize) -> Result<Number, Failure> {
    let value = argument(args, position);
    Number::of(value).ok_or_else(|| wrong_type(position, value, &["number"]))
}

/// An integer of a word.
pub(crate) fn word(args: &[Value], position: usize) -> Result<i64, Failure> {
    number(args, position)?.to_i64().ok_or_else(|| not_an_integer(position))
}

/// An integer of any size.
pub(crate) fn integer(args: &[Value], position: usize) -> Result<BigInt, Failure> {
    let value = argument(args, position);
    let number = Number::of(value).ok_or_else(|| wrong_type(position, value, &["integer"]))?;
    number.to_integer().ok_or_else(|| not_an_integer(position))
}

fn not_an_integer(position: usize) -> Failure {
    wrong(position, "must be integer number but got floating-point number")
}

/// A string.
pub(crate) fn string(args: &[Value], position: usize) -> Result<&str, Failure> {
    match argument(args, position) {
        Value::String(s) => Ok(s),
        other => Err(wrong_type(position, other, &["string"])),
    }
}

/// An array.
pub(crate) fn array(args: &[Value], position: usize) -> Result<&Array, Failure> {
    match argument(args, position) {
        Value::Array(a) => Ok(a),
        other => Err(wrong_type(position, other, &["array"])),
    }
}

/// A set.
pub(crate) fn set(args: &[Value], position: usize) -> Result<&Set, Failure> {
    match argument(args, position) {
        Value::Set(s) => Ok(s),
        other => Err(wrong_type(position, other, &["set"])),
    }
}

/// An object.
pub(crate) fn object(args: &[Value], position: usize) -> Result<&Object, Failure> {
    match argument(args, position) {
        Value::Object(o) => Ok(o),
        other => Err(wrong_type(position, other, &["object"])),
    }
}

/// The elements of an array or set, in order. `expected` is OPA's name of the two types here.
pub(crate) fn list<'a>(
    args: &'a [Value],
    position: usize,
    expected: [&str; 2],
) -> Result<Vec<&'a Value>, Failure> {
    match argument(args, position) {
        Value::Array(a) => Ok(a.iter().collect()),
        Value::Set(s) => Ok(order::elements(s)),
        other => Err(wrong_type(position, other, &expected)),
    }
}
