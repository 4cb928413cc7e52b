//! `is_*`, `type_name`, `to_number`, and the deprecated `cast_*`.

use regorus::Value;
use regorus::value::Set;

use super::go::parse_float;
use super::operands::{argument, list, type_name as name, wrong_type};
use super::{Answer, Context};

pub(super) fn is_array(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Array(_))))
}

pub(super) fn is_boolean(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Bool(_))))
}

pub(super) fn is_null(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Null)))
}

pub(super) fn is_number(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Number(_))))
}

pub(super) fn is_object(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Object(_))))
}

pub(super) fn is_set(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::Set(_))))
}

pub(super) fn is_string(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(matches!(argument(args, 1), Value::String(_))))
}

pub(super) fn type_name(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(name(argument(args, 1))))
}

pub(super) fn to_number(_: &mut Context, args: &[Value]) -> Answer {
    match argument(args, 1) {
        Value::Null | Value::Bool(false) => Ok(Value::from(0u64)),
        Value::Bool(true) => Ok(Value::from(1u64)),
        number @ Value::Number(_) => Ok(number.clone()),
        string @ Value::String(text) => {
            let name = text.trim_start_matches(['+', '-']).to_lowercase();
            if matches!(&*name, "inf" | "infinity" | "nan") {
                return Err(wrong_type(1, string, &["valid number string"]));
            }
            parse_float::parse(text)
        }
        other => Err(wrong_type(1, other, &["null", "boolean", "number", "string"])),
    }
}

pub(super) fn cast_array(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(list(args, 1, ["array", "set"])?.into_iter().cloned().collect::<Vec<_>>()))
}

pub(super) fn cast_set(_: &mut Context, args: &[Value]) -> Answer {
    let mut set = Set::new();
    for element in list(args, 1, ["array", "set"])? {
        set.insert(element.clone());
    }
    Ok(set.into_value())
}

pub(super) fn cast_boolean(_: &mut Context, args: &[Value]) -> Answer {
    cast(args, "boolean")
}

pub(super) fn cast_null(_: &mut Context, args: &[Value]) -> Answer {
    cast(args, "null")
}

pub(super) fn cast_object(_: &mut Context, args: &[Value]) -> Answer {
    cast(args, "object")
}

pub(super) fn cast_string(_: &mut Context, args: &[Value]) -> Answer {
    cast(args, "string")
}

fn cast(args: &[Value], wanted: &str) -> Answer {
    let value = argument(args, 1);
    if name(value) != wanted {
        return Err(wrong_type(1, value, &[wanted]));
    }
    Ok(value.clone())
}
