//! Numbers as exact decimals, and as the library shows bounds.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::{ToPrimitive as _, Zero as _};
use regorus::Value;

use crate::builtins::number::{self, Number};

/// Go writes shorter numbers without an exponent.
const PLAIN_DIGITS: i64 = 6;
const LEAST_PLAIN_EXPONENT: i64 = -4;

/// `mantissa * 10^exponent`
#[derive(Debug, Clone)]
pub(super) struct Decimal {
    mantissa: BigInt,
    /// At most zero.
    exponent: i64,
}

impl Decimal {
    /// A value as a number.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let decimal = match Number::of(value)? {
            Number::Small(small) => Self { mantissa: BigInt::from(small), exponent: 0 },
            Number::Big(mantissa) => Self { mantissa, exponent: 0 },
            Number::Fraction(fraction) => {
                let (size, exponent) = number::float::shortest_decimal(fraction);
                let size = BigInt::from(size);
                Self { mantissa: if fraction < 0.0 { -size } else { size }, exponent }
            }
        };
        Some(decimal)
    }

    /// The mantissa for an exponent that is not above its own.
    fn scaled(&self, exponent: i64) -> BigInt {
        let power = u32::try_from(self.exponent.saturating_sub(exponent)).unwrap_or(0);
        &self.mantissa * BigInt::from(10u32).pow(power)
    }

    pub(super) fn is_integer(&self) -> bool {
        let power = u32::try_from(-self.exponent).unwrap_or(0);
        (&self.mantissa % BigInt::from(10u32).pow(power)).is_zero()
    }

    pub(super) fn is_multiple_of(&self, factor: &Self) -> bool {
        let exponent = self.exponent.min(factor.exponent);
        let factor = factor.scaled(exponent);
        !factor.is_zero() && (self.scaled(exponent) % factor).is_zero()
    }

    pub(super) fn is_positive(&self) -> bool {
        self.mantissa > BigInt::ZERO
    }

    /// Its value as an integer of a word.
    pub(super) fn to_i64(&self) -> Option<i64> {
        if self.exponent == 0 { self.mantissa.to_i64() } else { None }
    }

    /// As Go writes a number of any precision: `%v`.
    pub(super) fn show(&self) -> String {
        let text = self.mantissa.magnitude().to_string();
        let digits = text.trim_end_matches('0');
        let sign = if self.mantissa < BigInt::ZERO { "-" } else { "" };
        if digits.is_empty() {
            return "0".to_owned();
        }
        let length = i64::try_from(text.len()).unwrap_or(0);
        let exponent = length + self.exponent - 1;
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        if !(LEAST_PLAIN_EXPONENT..PLAIN_DIGITS).contains(&exponent) {
            let point = if rest.is_empty() { "" } else { "." };
            let mark = if exponent < 0 { '-' } else { '+' };
            return format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.unsigned_abs());
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if exponent < 0 {
            return format!("{sign}0.{}{digits}", zeros(-exponent - 1));
        }
        let whole = usize::try_from(exponent + 1).unwrap_or(0);
        match digits.split_at_checked(whole) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
            None => {
                let missing = exponent + 1 - i64::try_from(digits.len()).unwrap_or(0);
                format!("{sign}{digits}{}", zeros(missing))
            }
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        self.scaled(exponent).cmp(&other.scaled(exponent))
    }
}
