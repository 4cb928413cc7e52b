//! Decimal texts of numbers: what JSON, YAML and policies have, and what OPA writes.

use num_bigint::BigInt;
use num_traits::Zero as _;
use regorus::Value;

use super::super::limits;
use super::integer;

/// Up to it, every integer is a 64-bit float.
const EXACT_IN_FLOAT: u64 = 1 << 53;

/// The value of a decimal text (`-12`, `1.50`, `.5`, `1e3`). An integer that is written with a
/// fraction or exponent stays a float where one holds it, so that Go's formats can tell it from an
/// integer. `None` where the text is no number, or one of more than [`limits::INTEGER_BITS`] bits.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0
        || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        let written_as_integer = mantissa.len() == unsigned.len() && !mantissa.contains('.');
        return Some(match (negative, written_as_integer) {
            (true, _) => Value::from(-0.0),
            (false, true) => Value::from(0u64),
            (false, false) => Value::from(0.0),
        });
    }
    let kept = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - kept.len()).ok()?;
    let power = exponent - i64::try_from(fraction.len()).ok()? + zeros;
    if power < 0 {
        return text.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::from);
    }
    // A decimal digit takes more than three bits.
    let length = u64::try_from(kept.len()).ok()?.checked_add(power.unsigned_abs())?;
    if length > limits::INTEGER_BITS / 4 {
        return None;
    }
    let magnitude = BigInt::parse_bytes(kept.as_bytes(), 10)?
        * BigInt::from(10u32).pow(u32::try_from(power).ok()?);
    let exact = if negative { -magnitude } else { magnitude };
    let written_as_integer = !unsigned.contains(['.', 'e', 'E']);
    if written_as_integer || exact.magnitude() > &EXACT_IN_FLOAT.into() {
        return Some(integer(exact));
    }
    text.parse::<f64>().ok().map(Value::from)
}

/// The exponent; one that no number of this crate has is the greatest.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(i64::MAX).min(i64::from(u32::MAX));
    Some(if text.starts_with('-') { -size } else { size })
}

/// The text of a number, as it stands in JSON. A float that is an integer has one fractional digit:
/// it came from such a text.
pub(crate) fn of(value: &Value) -> String {
    let Value::Number(n) = value else { return String::new() };
    // Floats alone have a fraction in this form.
    let text = n.format_decimal_with_width(1);
    if !text.contains('.') {
        return text;
    }
    match n.as_f64() {
        Some(f) if f.is_zero() && f.is_sign_negative() => "-0".to_owned(),
        Some(f) if f.fract() == 0.0 => format!("{f:.1}"),
        Some(f) if f.abs() < 1e-4 => exponent_form(f),
        Some(f) => f.to_string(),
        None => text,
    }
}

/// Whether it is a float among the values, also where it is an integer (`5.0`).
pub(crate) fn is_float(value: &Value) -> bool {
    matches!(value, Value::Number(n) if !n.is_integer() || n.format_decimal_with_width(1).contains('.'))
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
