//! Numbers, as OPA computes with them.
//!
//! In OPA a number is a decimal text. Integers of any size are computed exactly, other numbers in
//! binary with 64 bits of mantissa ([`float::Float`]), and written as their shortest decimal: so
//! 0.1 + 0.2 is 0.3. A value here represents integers exactly too, and other numbers as the nearest
//! 64-bit float, of which 15 decimal digits are exact.

pub(crate) mod float;
pub(crate) mod text;
mod value;

use num_bigint::BigInt;
use regorus::Value;

use self::float::Float;
pub(crate) use self::value::integer;
use super::{Failure, limits};

/// A number of a [`Value`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    /// An integer of a word, also one that was written with a fraction of zeros.
    Small(i64),
    /// Any other integer.
    Big(BigInt),
    /// A number that is not an integer.
    Fraction(f64),
}

impl Number {
    /// A value as a number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let Value::Number(n) = value else { return None };
        if let Some(small) = n.as_i64() {
            return Some(Self::Small(small));
        }
        if let Some(big) = n.as_big() {
            return Some(Self::Big((*big).clone()));
        }
        n.as_f64().map(Self::of_f64)
    }

    fn of_f64(f: f64) -> Self {
        let (mantissa, exponent) = float::shortest_decimal(f);
        let Ok(power) = u32::try_from(exponent) else { return Self::Fraction(f) };
        // The integer of its text, not of its bits.
        let size = BigInt::from(mantissa) * BigInt::from(10u32).pow(power);
        Self::Big(if f < 0.0 { -size } else { size })
    }

    /// Its value as an integer.
    pub(crate) fn to_integer(&self) -> Option<BigInt> {
        match self {
            Self::Small(i) => Some(BigInt::from(*i)),
            Self::Big(i) => Some(i.clone()),
            Self::Fraction(_) => None,
        }
    }

    /// Its value as an integer, where it fits OPA's machine integers.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        match self {
            Self::Small(i) => Some(*i),
            Self::Big(_) | Self::Fraction(_) => None,
        }
    }

    /// The nearest number of 64 bits of mantissa.
    pub(crate) fn to_float(&self) -> Float {
        match self {
            Self::Small(i) => Float::of_integer(&BigInt::from(*i)),
            Self::Big(i) => Float::of_integer(i),
            Self::Fraction(f) => Float::of_f64(*f),
        }
    }
}

/// The value of a product of two integers.
///
/// # Errors
/// When it would have more than [`limits::INTEGER_BITS`] bits.
pub(crate) fn product(a: &BigInt, b: &BigInt) -> Result<BigInt, Failure> {
    if a.bits() + b.bits() > limits::INTEGER_BITS {
        return Err(limits::exceeded("an integer has too many digits"));
    }
    Ok(a * b)
}
