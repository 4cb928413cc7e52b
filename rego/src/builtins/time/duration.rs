//! Durations: Go's (`1h30m`), and days, weeks and years of 365 days.

use super::parse::{leading_integer, quote};
use crate::builtins::go::quote::quote as quoted;
use crate::builtins::{Failure, bytes};

/// Above the largest duration.
const TOO_LARGE: u64 = 1 << 63;

/// Units in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Units in hours, which Go does not have.
const LONG_UNITS: &[(&str, f64)] = &[("d", 24.0), ("w", 168.0), ("y", 8760.0)];

/// Nanoseconds of a duration's text.
///
/// # Errors
/// OPA's message.
pub(super) fn parse(text: &str) -> Result<i64, Failure> {
    if text.is_empty() {
        return Err(invalid(text));
    }
    if !text.contains(['d', 'w', 'y']) {
        let text = bytes::of(text);
        return standard(&text)
            .map_err(|what| Failure::Builtin(format!("time: {what} {}", quote(&text))));
    }
    let rewritten = in_hours(text).ok_or_else(|| invalid(text))?;
    standard(rewritten.as_bytes())
        .map_err(|what| Failure::Builtin(format!("time: {what} {}", quoted(text))))
}

fn invalid(text: &str) -> Failure {
    Failure::Builtin(format!("time: invalid duration {}", quoted(text)))
}

/// The same duration in Go's units.
fn in_hours(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut out = text.strip_suffix(unsigned)?.to_owned();
    let mut rest = unsigned;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, unit) =
            rest.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
        let long = ["ms", "us", "µs", "ns"].into_iter().find(|long| unit.starts_with(long));
        let letters = match long {
            Some(long) => long.len(),
            None => usize::from(unit.starts_with(|c: char| c.is_ascii_lowercase())),
        };
        let (unit, further) =
            unit.split_at_checked(letters).filter(|(unit, _)| !unit.is_empty())?;
        rest = further;
        match LONG_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, hours)) => {
                let number: f64 = number.parse().ok().filter(|n: &f64| n.is_finite())?;
                out.push_str(&format!("{}h", number * hours));
            }
            None => out.extend([number, unit]),
        }
    }
    Some(out)
}

/// A duration in Go's units.
fn standard(text: &[u8]) -> Result<i64, String> {
    const INVALID: &str = "invalid duration";
    let (negative, mut rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(INVALID.to_owned());
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        if !matches!(rest.first(), Some(b'.' | b'0'..=b'9')) {
            return Err(INVALID.to_owned());
        }
        let (whole, after) = leading_integer(rest).ok_or(INVALID)?;
        let mut has_digits = after.len() < rest.len();
        let (mut fraction, mut scale, mut after) = (0, 1.0, after);
        if let Some((b'.', digits)) = after.split_first() {
            (fraction, scale, after) = leading_fraction(digits);
            has_digits |= after.len() < digits.len();
        }
        if !has_digits {
            return Err(INVALID.to_owned());
        }
        let end = after.iter().position(|byte| matches!(byte, b'.' | b'0'..=b'9'));
        let (name, next) = after.split_at_checked(end.unwrap_or(after.len())).unwrap_or_default();
        rest = next;
        if name.is_empty() {
            return Err("missing unit in duration".to_owned());
        }
        let (_, unit) = UNITS
            .iter()
            .find(|(unit, _)| unit.as_bytes() == name)
            .ok_or_else(|| format!("unknown unit {} in duration", quote(name)))?;
        let mut value =
            whole.checked_mul(*unit).filter(|_| whole <= TOO_LARGE / unit).ok_or(INVALID)?;
        if fraction > 0 {
            value = value.saturating_add(part_of(fraction, *unit, scale));
        }
        if value > TOO_LARGE {
            return Err(INVALID.to_owned());
        }
        sum = sum.wrapping_add(value);
        if sum > TOO_LARGE {
            return Err(INVALID.to_owned());
        }
    }
    if negative {
        return Ok(sum.cast_signed().wrapping_neg());
    }
    i64::try_from(sum).map_err(|_| INVALID.to_owned())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "Go computes fractions with floats; the product is below the unit"
)]
fn part_of(fraction: u64, unit: u64, scale: f64) -> u64 {
    (fraction as f64 * (unit as f64 / scale)) as u64
}

/// The digits after a decimal point as a number, and the power of ten to divide it by.
fn leading_fraction(text: &[u8]) -> (u64, f64, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count).unwrap_or_default();
    let (mut number, mut scale): (u64, f64) = (0, 1.0);
    for digit in digits {
        if number > (TOO_LARGE - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > TOO_LARGE {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    (number, scale, rest)
}
