//! `strconv.ParseFloat`'s syntax.

use super::quote::quote;
use crate::builtins::Failure;
use crate::builtins::number::text;
use regorus::Value;

/// The highest number of decimal digits before or after the point that OPA accepts.
const MAX_DECIMAL_EXPONENT: i64 = 30_103;

/// The number that `strconv.ParseFloat` reads from a text.
///
/// # Errors
/// Go's message, when the text is not a number or out of range.
pub(crate) fn parse(source: &str) -> Result<Value, Failure> {
    let invalid = |what: &str| {
        Failure::Builtin(format!("strconv.ParseFloat: parsing {}: {what}", quote(source)))
    };
    let plain = scan(source).ok_or_else(|| invalid("invalid syntax"))?;
    let size: f64 = match &plain {
        Plain::Decimal(text) => text.parse().ok(),
        Plain::Hexadecimal { negative, mantissa, exponent } => {
            hexadecimal(mantissa, *exponent).map(|f| if *negative { -f } else { f })
        }
    }
    .ok_or_else(|| invalid("invalid syntax"))?;
    if !size.is_finite() {
        return Err(invalid("value out of range"));
    }
    match plain {
        Plain::Hexadecimal { .. } => Ok(Value::from(size)),
        Plain::Decimal(text) => {
            if size == 0.0 && is_too_small(&text) {
                return Err(Failure::Builtin("invalid number: number too big".to_owned()));
            }
            text::parse(&text)
        }
    }
}

enum Plain {
    Decimal(String),
    Hexadecimal { negative: bool, mantissa: String, exponent: i64 },
}

/// Removes the underscores, and the prefix of a hexadecimal number.
fn scan(source: &str) -> Option<Plain> {
    let unsigned = source.strip_prefix(['+', '-']).unwrap_or(source);
    let negative = source.starts_with('-');
    if source.contains('_') && !underscores_are_right(unsigned) {
        return None;
    }
    let plain = unsigned.replace('_', "");
    if let Some(rest) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        let (mantissa, exponent) = rest.split_once(['p', 'P'])?;
        let digits = mantissa.bytes().filter(|b| *b != b'.');
        let points = mantissa.bytes().filter(|b| *b == b'.').count();
        let right = mantissa.len() > points && points <= 1 && is_exponent(exponent);
        return (right && digits.into_iter().all(|b| b.is_ascii_hexdigit())).then(|| {
            Plain::Hexadecimal {
                negative,
                mantissa: mantissa.to_owned(),
                exponent: clamped(exponent),
            }
        });
    }
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (plain.as_str(), None),
    };
    let points = mantissa.bytes().filter(|b| *b == b'.').count();
    let right = mantissa.len() > points
        && points <= 1
        && mantissa.bytes().all(|b| b == b'.' || b.is_ascii_digit())
        && exponent.is_none_or(is_exponent);
    right.then(|| Plain::Decimal(if negative { format!("-{plain}") } else { plain }))
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// An exponent, clamped to a range far beyond every number's.
fn clamped(text: &str) -> i64 {
    const FAR: i64 = 1 << 30;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let size = digits.parse::<i64>().unwrap_or(FAR).min(FAR);
    if text.starts_with('-') { -size } else { size }
}

/// Go's rule: an underscore stands between digits, or between a prefix and a digit.
fn underscores_are_right(unsigned: &str) -> bool {
    let bytes = unsigned.as_bytes();
    let (hexadecimal, rest, mut before) = match bytes {
        [b'0', b'x' | b'X', rest @ ..] => (true, rest, b'0'),
        [b'0', b'b' | b'B' | b'o' | b'O', rest @ ..] => (false, rest, b'0'),
        all => (false, all, b'^'),
    };
    for &byte in rest {
        if byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit() {
            before = b'0';
        } else if byte == b'_' {
            if before != b'0' {
                return false;
            }
            before = b'_';
        } else {
            if before == b'_' {
                return false;
            }
            before = b'!';
        }
    }
    before != b'_'
}

/// The nearest float to a hexadecimal mantissa times a power of two.
pub(crate) fn hexadecimal(mantissa: &str, exponent: i64) -> Option<f64> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let integer = num_bigint::BigInt::parse_bytes(digits.as_bytes(), 16)?;
    let shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    Some(crate::builtins::number::float::nearest_f64(&integer, shift))
}

/// Whether OPA refuses a number as one with too large an exponent, though Go reads it as zero.
fn is_too_small(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let significant = whole.trim_start_matches('0').len();
    let position = if significant > 0 {
        i64::try_from(significant).unwrap_or(i64::MAX)
    } else {
        let zeros = fraction.len() - fraction.trim_start_matches('0').len();
        if zeros == fraction.len() {
            return false;
        }
        -i64::try_from(zeros).unwrap_or(i64::MAX)
    };
    position.saturating_add(clamped(exponent)) < -MAX_DECIMAL_EXPONENT
}
