//! Decimal texts of numbers: those of JSON, YAML and policies, and OPA's output.

use num_traits::Zero as _;
use regorus::Value;

use super::super::{Failure, limits};
use crate::number::{self, NumberError};

/// The value of a decimal text, also of forms that JSON lacks (`+1`, `09`, `.5`, `5.`).
///
/// # Errors
/// When the text is not a number. A number that cannot be represented exactly ends the evaluation,
/// because rounding could make two numbers equal.
pub(crate) fn parse(text: &str) -> Result<Value, Failure> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(['.', 'e', 'E']).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at_checked(end).unwrap_or((unsigned, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) if !fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            format!(".0{fraction}")
        }
        _ => rest.to_owned(),
    };
    if sign == "-" && whole == "0" && rest.is_empty() {
        return Ok(Value::from(-0.0));
    }
    number::parse(&format!("{sign}{whole}{rest}")).map_err(|error| match error {
        NumberError::NotANumber => Failure::Builtin("invalid number".to_owned()),
        NumberError::TooLong
        | NumberError::Inexact
        | NumberError::TooLarge
        | NumberError::TooSmall => limits::exceeded(&error.to_string()),
    })
}

/// The text of a number in JSON. A float that is an integer has one fractional digit: it came from
/// such a text.
pub(crate) fn of(value: &Value) -> String {
    let Value::Number(n) = value else { return String::new() };
    match n.as_f64().filter(|_| is_float(value)) {
        Some(f) if f.is_zero() && f.is_sign_negative() => "-0".to_owned(),
        Some(f) if f.abs() >= 1e21 || f.abs() < 1e-4 && !f.is_zero() => exponent_form(f),
        Some(f) if f.fract() == 0.0 => format!("{f:.1}"),
        Some(f) => f.to_string(),
        None => n.format_decimal(),
    }
}

/// Whether it is a float among the values, also where it is an integer (`5.0`).
pub(crate) fn is_float(value: &Value) -> bool {
    // Only floats have a fraction in this form; only small ones that are integers reach this point.
    matches!(value, Value::Number(n) if n.as_big().is_none()
        || n.as_i64().is_some() && n.format_decimal_with_width(1).contains('.'))
}

/// The shortest form with an exponent of at least two digits (`1.5e-07`), as Go's.
pub(crate) fn exponent_form(f: f64) -> String {
    let text = format!("{f:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}
