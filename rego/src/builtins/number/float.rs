//! Binary floating-point numbers of 64 bits of mantissa, as Go's `big.Float`: every operation is
//! rounded to the nearest, ties to even.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{ToPrimitive as _, Zero as _};
use regorus::Value;

use super::super::{Failure, limits};
use super::value::integer;

/// The default number of mantissa bits.
const PRECISION: u64 = 64;

/// Below two to this power, every number is zero as a 64-bit float.
const LEAST_EXPONENT: i64 = -1080;

/// Above it, a power of five takes more than a word.
const POWER_OF_FIVE_IN_A_WORD: u64 = 27;

/// `mantissa * 2^exponent`, and a sign, which zero has too.
#[derive(Debug, Clone)]
pub(crate) struct Float {
    negative: bool,
    mantissa: BigUint,
    exponent: i64,
    /// The precision in bits of mantissa. The shortest decimal for it depends on the precision.
    precision: u64,
}

impl Float {
    /// The nearest to an integer.
    pub(crate) fn of_integer(i: &BigInt) -> Self {
        Self::rounded(i.sign() == Sign::Minus, i.magnitude().clone(), 0, false, PRECISION)
    }

    /// An integer exactly, with any number of bits.
    fn of_exact_integer(i: &BigInt) -> Self {
        Self {
            negative: i.sign() == Sign::Minus,
            mantissa: i.magnitude().clone(),
            exponent: 0,
            precision: i.bits().max(PRECISION),
        }
    }

    /// The nearest to the shortest decimal for `f`, which is the text in the policy or the request.
    pub(crate) fn of_f64(f: f64) -> Self {
        let (mantissa, exponent) = shortest_decimal(f);
        Self::of_decimal(f.is_sign_negative(), BigUint::from(mantissa), exponent)
    }

    /// `mantissa * 10^exponent` as Go reads it: the power of five has 128 bits, so that a large one
    /// is rounded, and the result may be the neighbour of the nearest.
    pub(crate) fn of_decimal(negative: bool, mantissa: BigUint, exponent: i64) -> Self {
        if mantissa.is_zero() {
            return Self { negative, mantissa, exponent: 0, precision: PRECISION };
        }
        let exact =
            Self { negative, precision: PRECISION.max(mantissa.bits()), mantissa, exponent };
        match exponent.cmp(&0) {
            Ordering::Equal => Self::rounded(negative, exact.mantissa, exponent, false, PRECISION),
            Ordering::Less => exact.quotient(&power_of_five(exponent.unsigned_abs(), 128)),
            Ordering::Greater => {
                exact.product_of(&power_of_five(exponent.unsigned_abs(), 128), PRECISION)
            }
        }
    }

    fn rounded(
        negative: bool,
        mantissa: BigUint,
        exponent: i64,
        sticky: bool,
        precision: u64,
    ) -> Self {
        let excess = mantissa.bits().saturating_sub(precision);
        if excess == 0 {
            return Self { negative, mantissa, exponent, precision };
        }
        let kept = &mantissa >> excess;
        let half = mantissa.bit(excess - 1);
        let below = sticky || mantissa.trailing_zeros().is_some_and(|zeros| zeros < excess - 1);
        let kept = if half && (below || kept.bit(0)) { kept + 1u32 } else { kept };
        let exponent = exponent.saturating_add(i64::try_from(excess).unwrap_or(i64::MAX));
        Self { negative, mantissa: kept, exponent, precision }
    }

    /// A sum.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        if self.mantissa.is_zero() && other.mantissa.is_zero() {
            let negative = self.negative && other.negative;
            return Self { negative, ..self.clone() };
        }
        let exponent = match (self.mantissa.is_zero(), other.mantissa.is_zero()) {
            (true, _) => other.exponent,
            (_, true) => self.exponent,
            (false, false) => self.exponent.min(other.exponent),
        };
        let sum = self.scaled(exponent) + other.scaled(exponent);
        let negative = sum.sign() == Sign::Minus;
        Self::rounded(negative, sum.into_parts().1, exponent, false, PRECISION)
    }

    /// A difference.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.plus(&Self { negative: !other.negative, ..other.clone() })
    }

    /// One, with OPA's precision for products of many numbers.
    pub(crate) fn one_of_53_bits() -> Self {
        Self { negative: false, mantissa: BigUint::from(1u32), exponent: 0, precision: 53 }
    }

    /// A product of the precision of the first factor.
    pub(crate) fn times(&self, other: &Self) -> Self {
        self.product_of(other, self.precision)
    }

    fn product_of(&self, other: &Self, precision: u64) -> Self {
        Self::rounded(
            self.negative != other.negative,
            &self.mantissa * &other.mantissa,
            self.exponent.saturating_add(other.exponent),
            false,
            precision,
        )
    }

    /// A quotient. The divisor must not be zero.
    pub(crate) fn quotient(&self, divisor: &Self) -> Self {
        let negative = self.negative != divisor.negative;
        if self.mantissa.is_zero() || divisor.mantissa.is_zero() {
            let mantissa = BigUint::ZERO;
            return Self { negative, mantissa, exponent: 0, precision: PRECISION };
        }
        // Two bits more than the result needs; what remains is the sticky bit.
        let shift = (PRECISION + 2 + divisor.mantissa.bits()).saturating_sub(self.mantissa.bits());
        let dividend = &self.mantissa << shift;
        let quotient = &dividend / &divisor.mantissa;
        let sticky = !(&dividend % &divisor.mantissa).is_zero();
        let exponent = self
            .exponent
            .saturating_sub(divisor.exponent)
            .saturating_sub(i64::try_from(shift).unwrap_or(i64::MAX));
        Self::rounded(negative, quotient, exponent, sticky, PRECISION)
    }

    /// Without its sign.
    pub(crate) fn absolute(self) -> Self {
        Self { negative: false, ..self }
    }

    /// The nearest integer, halves away from zero.
    pub(crate) fn round(&self) -> Self {
        let half = Self {
            negative: self.negative,
            mantissa: BigUint::from(1u32),
            exponent: -1,
            precision: PRECISION,
        };
        Self::of_exact_integer(&self.plus(&half).truncated())
    }

    /// The next integer above. OPA gives 1 for what lies between -1 and 0.
    pub(crate) fn ceil(&self) -> Self {
        let integer = Self::of_exact_integer(&self.truncated());
        if integer.negative || self.is_integer() {
            return integer;
        }
        integer.plus(&Self::of_integer(&BigInt::from(1)))
    }

    /// The next integer below. OPA gives 0 for what lies between -1 and 0.
    pub(crate) fn floor(&self) -> Self {
        let integer = Self::of_exact_integer(&self.truncated());
        if !integer.negative || self.is_integer() {
            return integer;
        }
        integer.minus(&Self::of_integer(&BigInt::from(1)))
    }

    /// Whether it is an integer.
    pub(crate) fn is_integer(&self) -> bool {
        self.exponent >= 0
            || self
                .mantissa
                .trailing_zeros()
                .is_none_or(|zeros| zeros >= self.exponent.unsigned_abs())
    }

    /// Whether it is zero, with either sign.
    pub(crate) fn is_zero(&self) -> bool {
        self.mantissa.is_zero()
    }

    /// The integer next to it towards zero.
    pub(crate) fn truncated(&self) -> BigInt {
        let magnitude = if self.exponent >= 0 {
            &self.mantissa << self.exponent.unsigned_abs()
        } else {
            &self.mantissa >> self.exponent.unsigned_abs()
        };
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, magnitude)
    }

    /// The mantissa for another exponent, which must not be above its own.
    fn scaled(&self, exponent: i64) -> BigInt {
        let shift = self.exponent.saturating_sub(exponent).max(0).unsigned_abs();
        let magnitude =
            if self.mantissa.is_zero() { BigUint::ZERO } else { &self.mantissa << shift };
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, magnitude)
    }

    /// As a value: an integer exactly as OPA writes it, another number as the nearest 64-bit float,
    /// which underflows to zero.
    ///
    /// # Errors
    /// When the integer would have more than [`limits::INTEGER_BITS`] bits.
    pub(crate) fn to_value(&self) -> Result<Value, Failure> {
        if self.is_zero() {
            return Ok(if self.negative { Value::from(-0.0) } else { Value::from(0u64) });
        }
        if self.exponent >= limits::INTEGER_BITS.cast_signed() {
            return Err(limits::exceeded("an integer has too many digits"));
        }
        if !self.is_integer() {
            return Ok(Value::from(self.to_f64()));
        }
        let Decimal { mut digits, point } = self.shortest();
        let length = usize::try_from(point).unwrap_or(0);
        digits.extend(std::iter::repeat_n(b'0', length.saturating_sub(digits.len())));
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        let magnitude = BigUint::parse_bytes(&digits, 10).unwrap_or_default();
        Ok(integer(BigInt::from_biguint(sign, magnitude)))
    }

    /// The nearest 64-bit float to the decimal that OPA writes.
    fn to_f64(&self) -> f64 {
        let bits = i64::try_from(self.mantissa.bits()).unwrap_or(i64::MAX);
        let size = if self.is_zero() || self.exponent.saturating_add(bits) < LEAST_EXPONENT {
            0.0
        } else {
            self.shortest().to_f64()
        };
        if self.negative { -size } else { size }
    }

    /// The shortest decimal that identifies it among the numbers of its precision.
    fn shortest(&self) -> Decimal {
        // One bit more than the precision: the last one is half of the distance to a neighbour.
        let wanted = self.precision + 1;
        let bits = self.mantissa.bits();
        let (mantissa, exponent) = if bits <= wanted {
            let shift = wanted - bits;
            (&self.mantissa << shift, self.exponent - i64::try_from(shift).unwrap_or(0))
        } else {
            let shift = bits - wanted;
            (&self.mantissa >> shift, self.exponent + i64::try_from(shift).unwrap_or(0))
        };
        let exact = Decimal::of(&mantissa, exponent);
        let lower = Decimal::of(&(&mantissa - 1u32), exponent);
        let upper = Decimal::of(&(&mantissa + 1u32), exponent);
        // A bound rounds to this number only where its mantissa is even.
        let inclusive = !mantissa.bit(1);
        for (i, &digit) in exact.digits.iter().enumerate() {
            let low = lower.digit(i);
            let high = upper.digit(i);
            let down = low != digit || inclusive && i + 1 == lower.digits.len();
            let up = digit != high && (inclusive || digit + 1 < high || i + 1 < upper.digits.len());
            match (down, up) {
                (true, true) => return exact.rounded(i + 1),
                (true, false) => return exact.cut(i + 1),
                (false, true) => return exact.raised(i + 1),
                (false, false) => {}
            }
        }
        exact
    }
}

/// The shortest decimal of a float, without its sign: `mantissa * 10^exponent`.
pub(crate) fn shortest_decimal(f: f64) -> (u64, i64) {
    let text = format!("{:e}", f.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let mantissa = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |mantissa, digit| mantissa * 10 + u64::from(digit - b'0'));
    (mantissa, exponent.parse().unwrap_or(0) - i64::try_from(fraction).unwrap_or(0))
}

/// The nearest 64-bit float to `mantissa * 2^exponent`: it overflows to infinity and underflows to
/// zero.
pub(crate) fn nearest_f64(mantissa: &BigInt, exponent: i64) -> f64 {
    let magnitude = mantissa.magnitude().clone();
    let bits = i64::try_from(magnitude.bits()).unwrap_or(i64::MAX);
    let negative = mantissa.sign() == Sign::Minus;
    let top = exponent.saturating_add(bits);
    let size = if magnitude.is_zero() || top < LEAST_EXPONENT {
        0.0
    } else if top > 1024 {
        f64::INFINITY
    } else {
        // All bits of a float of this size, so that it is rounded once.
        let precision = u64::try_from((top + 1074).min(53)).unwrap_or(0);
        let float = Float::rounded(negative, magnitude, exponent, false, precision);
        float.mantissa.to_f64().unwrap_or(0.0)
            * 2f64.powi(scale(float.exponent / 2))
            * 2f64.powi(scale(float.exponent - float.exponent / 2))
    };
    if negative { -size } else { size }
}

fn scale(exponent: i64) -> i32 {
    i32::try_from(exponent).unwrap_or(i32::MAX)
}

/// 5^n of a precision, as Go computes it.
fn power_of_five(n: u64, precision: u64) -> Float {
    let mut power = Float {
        negative: false,
        mantissa: BigUint::from(5u32)
            .pow(u32::try_from(n.min(POWER_OF_FIVE_IN_A_WORD)).unwrap_or(0)),
        exponent: 0,
        precision,
    };
    let mut rest = n.saturating_sub(POWER_OF_FIVE_IN_A_WORD);
    let mut factor = Float {
        negative: false,
        mantissa: BigUint::from(5u32),
        exponent: 0,
        precision: precision + 64,
    };
    while rest > 0 {
        if rest & 1 == 1 {
            power = power.product_of(&factor, precision);
        }
        factor = factor.product_of(&factor, precision + 64);
        rest >>= 1;
    }
    power
}

/// `0.digits * 10^point`, exactly. The digits have no zeros at either end.
#[derive(Debug, Clone)]
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn of(mantissa: &BigUint, exponent: i64) -> Self {
        let (whole, power_of_ten) = if exponent >= 0 {
            (mantissa << exponent.unsigned_abs(), 0)
        } else {
            let zeros = mantissa.trailing_zeros().unwrap_or(0).min(exponent.unsigned_abs());
            let power = exponent.unsigned_abs() - zeros;
            let five = BigUint::from(5u32).pow(u32::try_from(power).unwrap_or(u32::MAX));
            ((mantissa >> zeros) * five, i64::try_from(power).unwrap_or(0))
        };
        let digits = whole.to_str_radix(10).into_bytes();
        let point = i64::try_from(digits.len()).unwrap_or(0) - power_of_ten;
        Self { digits, point }.trimmed()
    }

    fn digit(&self, i: usize) -> u8 {
        self.digits.get(i).copied().unwrap_or(b'0')
    }

    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        self
    }

    fn rounded(self, n: usize) -> Self {
        let next = self.digit(n);
        let odd = n > 0 && self.digit(n - 1) % 2 == 1;
        let up = if next == b'5' && n + 1 == self.digits.len() { odd } else { next >= b'5' };
        if up { self.raised(n) } else { self.cut(n) }
    }

    fn cut(mut self, n: usize) -> Self {
        self.digits.truncate(n);
        self.trimmed()
    }

    fn raised(mut self, n: usize) -> Self {
        if n >= self.digits.len() {
            return self;
        }
        self.digits.truncate(n);
        while self.digits.last() == Some(&b'9') {
            self.digits.pop();
        }
        match self.digits.last_mut() {
            Some(last) => *last += 1,
            None => {
                self.digits.push(b'1');
                self.point += 1;
            }
        }
        self
    }

    /// The nearest 64-bit float.
    fn to_f64(&self) -> f64 {
        let digits = String::from_utf8_lossy(&self.digits);
        format!("0.{digits}e{}", self.point).parse().unwrap_or(0.0)
    }
}
