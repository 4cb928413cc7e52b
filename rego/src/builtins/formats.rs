//! `sprintf`, `format_int`, template strings, `print` and `trace`.

use num_bigint::BigInt;
use regorus::Value;

use super::go::fmt::{Arg, sprintf as go_sprintf};
use super::limits::{self, Clock};
use super::number::{Number, text as number_text};
use super::operands::{argument, array, number, string, type_name, wrong};
use super::{Answer, Context, Failure, order, text};

/// How many lines one `print` may print: operands with several values multiply them.
const PRINTED_LINES: usize = 1000;

pub(super) fn sprintf(_: &mut Context, args: &[Value]) -> Answer {
    let (format, values) = (string(args, 1)?, array(args, 2)?);
    let values = values.iter().map(go_value).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(go_sprintf(format, &values)?))
}

/// The arguments that OPA passes to Go: numbers, strings, and the texts of other values.
fn go_value(value: &Value) -> Result<Arg, Failure> {
    Ok(match (value, Number::of(value)) {
        (Value::Number(n), Some(_)) if number_text::is_float(value) => {
            Arg::Float(n.as_f64().unwrap_or(0.0))
        }
        (_, Some(Number::Small(i))) => Arg::Int(i),
        (_, Some(Number::Big(i))) => Arg::Big(i),
        (_, Some(Number::Fraction(f))) => Arg::Float(f),
        (Value::String(text), None) => Arg::Text((**text).to_owned()),
        (other, None) => Arg::Text(text::term(other)?),
    })
}

pub(super) fn format_int(_: &mut Context, args: &[Value]) -> Answer {
    let (input, _) = (number(args, 1)?, number(args, 2)?);
    // OPA compares the base's text: 10.0 is not a base.
    let radix = match number_text::of(argument(args, 2)).as_str() {
        "2" => 2,
        "8" => 8,
        "10" => 10,
        "16" => 16,
        _ => return Err(wrong(2, "must be one of {2, 8, 10, 16}")),
    };
    let integer = match input {
        Number::Small(i) => BigInt::from(i),
        Number::Big(i) if !number_text::is_float(argument(args, 1)) => i,
        other => other.to_float().truncated(),
    };
    Ok(Value::from(integer.to_str_radix(radix)))
}

pub(super) fn template_string(_: &mut Context, args: &[Value]) -> Answer {
    let mut out = String::new();
    let mut conflict = false;
    for operand in array(args, 1)?.iter() {
        let choices = choices(operand)?;
        conflict |= choices.len() > 1;
        out.push_str(choices.first().map_or("", String::as_str));
        if out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a text is too long"));
        }
    }
    if conflict {
        let what = "template-strings must not produce multiple outputs";
        return Err(Failure::Conflict(what.to_owned()));
    }
    Ok(Value::from(out))
}

/// The texts of an operand: a value's, or those of a set's elements, one for each value of the
/// operand.
fn choices(operand: &Value) -> Result<Vec<String>, Failure> {
    match operand {
        Value::Set(set) if set.is_empty() => Ok(vec!["<undefined>".to_owned()]),
        Value::Set(set) => order::elements(set).into_iter().map(text::plain).collect(),
        Value::Array(_) | Value::Object(_) => {
            Err(Failure::Halt(format!("illegal argument type: {}", type_name(operand))))
        }
        other => Ok(vec![text::plain(other)?]),
    }
}

pub(super) fn print(context: &mut Context, args: &[Value]) -> Answer {
    let mut clock = Clock::new(context);
    let mut lines = vec![String::new()];
    for (i, operand) in array(args, 1)?.iter().enumerate() {
        let choices = choices(operand)?;
        let mut longer = Vec::new();
        for line in &lines {
            for choice in &choices {
                clock.step()?;
                let space = if i > 0 { " " } else { "" };
                longer.push(format!("{line}{space}{choice}"));
                if longer.len() > PRINTED_LINES {
                    return Err(limits::exceeded("too many lines are printed"));
                }
            }
        }
        lines = longer;
        if lines.iter().map(String::len).sum::<usize>() > limits::STRING_BYTES {
            return Err(limits::exceeded("too much is printed"));
        }
    }
    context.prints.append(&mut lines);
    Ok(Value::from(true))
}

pub(super) fn trace(_: &mut Context, args: &[Value]) -> Answer {
    string(args, 1).map(|_| Value::from(true))
}
