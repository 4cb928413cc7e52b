//! Converts number texts to the engine's numbers.
//!
//! OPA keeps a number as its text. The engine keeps integers of any size and doubles. A text is
//! accepted where the engine can represent exactly this number, or where it is the shortest text of
//! the nearest double, as every JSON writer prints doubles. Others are refused: rounding could make
//! two different numbers equal, which is a wrong allow.

use regorus::Value;

/// Digits of the longest integer. Conversion takes quadratic time, and identifiers and amounts are
/// shorter.
pub const MAX_INTEGER_DIGITS: usize = 4096;

/// Why a number cannot be represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not the text of a JSON number.
    #[error("this is not a number")]
    NotANumber,
    /// More than [`MAX_INTEGER_DIGITS`].
    #[error("this integer has more than {MAX_INTEGER_DIGITS} digits")]
    TooLong,
    /// A fraction or power that is not the text of a double.
    #[error(
        "this number has more digits than can be represented exactly (17 significant ones); round it, or make it a string"
    )]
    Inexact,
    /// Beyond the largest double, and not written as an integer.
    #[error("this number is too large for a double; write it as an integer, or make it a string")]
    TooLarge,
    /// So near to zero that a double has fewer digits than the text, or none.
    #[error("this number is too small for a double; write 0, or make it a string")]
    TooSmall,
}

/// The value of a number's text (JSON's and Rego's syntax: `-1`, `0.10`, `1e3`, `.5`).
///
/// # Errors
/// [`NumberError`]
pub fn parse(text: &str) -> Result<Value, NumberError> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if let Some(fraction) = unsigned.strip_prefix('.') {
        // Rego accepts it; JSON does not, and JSON's readers never pass it here.
        return if fraction.starts_with(|first: char| first.is_ascii_digit()) {
            parse(&format!("{sign}0.{fraction}"))
        } else {
            Err(NumberError::NotANumber)
        };
    }
    if unsigned.is_empty() || !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(NumberError::NotANumber);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text, unsigned);
    }
    let value: f64 = text.parse().map_err(|_| NumberError::NotANumber)?;
    if value.is_infinite() {
        return Err(NumberError::TooLarge);
    }
    let shortest = format!("{value:e}");
    match (Decimal::of(text), Decimal::of(&shortest)) {
        (Some(written), Some(held)) if written == held => {
            from_float(value).ok_or(NumberError::TooLarge)
        }
        (Some(_), _) if value.abs() < f64::MIN_POSITIVE => Err(NumberError::TooSmall),
        (Some(_), _) => Err(NumberError::Inexact),
        (None, _) => Err(NumberError::NotANumber),
    }
}

/// The value of a double; an integer where it is one that both sides of 2^53 hold exactly. `None`
/// for NaN and infinity.
#[must_use]
pub fn from_float(value: f64) -> Option<Value> {
    value.is_finite().then(|| Value::from(value))
}

fn integer(text: &str, digits: &str) -> Result<Value, NumberError> {
    if let Ok(small) = text.parse::<i64>() {
        return Ok(Value::from(small));
    }
    if let Ok(large) = text.parse::<u64>() {
        return Ok(Value::from(large));
    }
    if digits.len() > MAX_INTEGER_DIGITS {
        return Err(NumberError::TooLong);
    }
    Value::from_numeric_string(text).map_err(|_| NumberError::NotANumber)
}

/// A decimal number without leading and trailing zeros: `digits × 10^exponent`.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (negative, unsigned) =
            text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: String = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let trimmed = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - trimmed.len()).ok()?;
        let digits = trimmed.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let exponent =
            exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros)?;
        Some(Self { negative, digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_held_exactly_or_refused() {
        for text in
            ["0", "-1", "18446744073709551615", "-9223372036854775808", "0.10", ".5", "1e3", "1E-7"]
        {
            assert!(parse(text).is_ok(), "{text}");
        }
        let large = "123456789012345678901234567890";
        assert!(parse(large).is_ok());
        assert_ne!(parse(large), parse("123456789012345678901234567891"));
        for (text, error) in [
            ("0.123456789012345678901", NumberError::Inexact),
            ("9007199254740993.0", NumberError::Inexact),
            ("9007199254740993e0", NumberError::Inexact),
            ("1e-400", NumberError::TooSmall),
            ("-4.9e-325", NumberError::TooSmall),
            ("1e999", NumberError::TooLarge),
            ("-1e999", NumberError::TooLarge),
            ("x", NumberError::NotANumber),
            (".", NumberError::NotANumber),
            ("..5", NumberError::NotANumber),
            ("", NumberError::NotANumber),
            (&"9".repeat(MAX_INTEGER_DIGITS + 1), NumberError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn every_double_that_a_json_writer_prints_is_held() {
        for value in [0.1, 1.0 / 3.0, 1e300, 5e-324, f64::MAX, 52.520_006_6, 1e21, 123_456.789] {
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:?}")] {
                assert!(parse(&text).is_ok() || text.len() > 300, "{text}");
            }
        }
    }
}
