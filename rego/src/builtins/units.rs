//! `units.parse`, `units.parse_bytes`

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::Zero as _;
use regorus::Value;

use super::go::unicode;
use super::number::float::Float;
use super::number::integer;
use super::operands::string;
use super::{Answer, Context, Failure, limits};

/// The number of an exponent's digits that OPA reads.
const EXPONENT_DIGITS: usize = 6;

/// `0.001` as a 64-bit float, OPA's factor for thousandths: this over two to the 60th.
const MILLI: u64 = 1_152_921_504_606_847;
const MILLI_SCALE: u32 = 60;

/// The number of a fraction's digits that OPA keeps.
const FRACTION_DIGITS: u32 = 10;

pub(super) fn parse(_: &mut Context, args: &[Value]) -> Answer {
    let failed = |what: &str| Failure::Builtin(format!("units.parse: {what}"));
    let text = string(args, 1)?.replace('"', "");
    if text.contains(' ') {
        return Err(failed("spaces not allowed in resource strings"));
    }
    let (number, unit) = split(&text).ok_or_else(|| failed("exponent too large"))?;
    if number.is_empty() {
        return Err(failed("no amount provided"));
    }
    let mut letters = unit.chars();
    let unit: String = letters.next().into_iter().chain(letters.map(unicode::lower)).collect();
    let (factor, scale) = match factor(&unit) {
        Some(factor) => (BigInt::from(factor), 0),
        None if unit == "m" => (BigInt::from(MILLI), MILLI_SCALE),
        None => return Err(failed(&format!("unit {unit} not recognized"))),
    };
    let amount =
        Decimal::parse(number).ok_or_else(|| failed("could not parse amount to a number"))?;
    amount.times(&factor, scale)
}

fn factor(unit: &str) -> Option<u64> {
    let power = |base: u64, n: u32| base.checked_pow(n);
    match unit {
        "" => Some(1),
        "k" | "K" => power(1000, 1),
        "M" => power(1000, 2),
        "g" | "G" => power(1000, 3),
        "t" | "T" => power(1000, 4),
        "p" | "P" => power(1000, 5),
        "e" | "E" => power(1000, 6),
        "ki" | "Ki" => power(1024, 1),
        "mi" | "Mi" => power(1024, 2),
        "gi" | "Gi" => power(1024, 3),
        "ti" | "Ti" => power(1024, 4),
        "pi" | "Pi" => power(1024, 5),
        "ei" | "Ei" => power(1024, 6),
        _ => None,
    }
}

pub(super) fn parse_bytes(_: &mut Context, args: &[Value]) -> Answer {
    let failed = |what: &str| Failure::Builtin(format!("units.parse_bytes: {what}"));
    let text: String = string(args, 1)?.chars().map(unicode::lower).filter(|c| *c != '"').collect();
    if text.contains(' ') {
        return Err(failed("spaces not allowed in resource strings"));
    }
    let (number, unit) = split(&text).ok_or_else(|| failed("exponent too large"))?;
    if number.is_empty() {
        return Err(failed("no byte amount provided"));
    }
    let name = unit.strip_suffix('b').filter(|name| !name.is_empty()).unwrap_or(unit);
    // For bytes, `m` means mega.
    let factor = match name {
        "" => Some(1),
        "m" => Some(1_000_000),
        name => factor(name),
    };
    let factor = factor.ok_or_else(|| failed(&format!("byte unit {unit} not recognized")))?;
    let amount =
        Decimal::parse(number).ok_or_else(|| failed("could not parse byte amount to a number"))?;
    amount.check()?;
    let product = amount.to_float().times(&Float::of_integer(&BigInt::from(factor)));
    Ok(integer(product.truncated()))
}

/// The number that a text begins with, and the unit after it. `None` where an exponent is too long.
fn split(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_sign = |at: usize| matches!(bytes.get(at), Some(b'+' | b'-'));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' | b'.' | b'+' | b'-' => {}
            b'e' | b'E' if is_digit(at + 1) || is_sign(at + 1) => {
                if is_sign(at + 1) {
                    at += 1;
                }
                let digits = bytes.iter().skip(at + 1).take_while(|b| b.is_ascii_digit()).count();
                if digits > EXPONENT_DIGITS {
                    return None;
                }
            }
            _ => break,
        }
        at += 1;
    }
    text.split_at_checked(at)
}

/// `mantissa * 10^exponent`
struct Decimal {
    negative: bool,
    mantissa: BigUint,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                (mantissa, exponent.parse::<i64>().ok()?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            negative: text.starts_with('-'),
            mantissa: BigUint::parse_bytes(digits.as_bytes(), 10)?,
            exponent: exponent - i64::try_from(fraction.len()).ok()?,
        })
    }

    /// Whether the number's size allows computation.
    fn check(&self) -> Result<(), Failure> {
        // A power of ten takes less than four bits.
        let bits = self.mantissa.bits() + self.exponent.unsigned_abs() * 4;
        if bits > limits::INTEGER_BITS && !self.mantissa.is_zero() {
            return Err(limits::exceeded("a number has too many digits"));
        }
        Ok(())
    }

    fn to_float(&self) -> Float {
        Float::of_decimal(self.negative, self.mantissa.clone(), self.exponent)
    }

    /// The product with `factor / 2^scale`: an integer exactly, a fraction to ten digits.
    fn times(&self, factor: &BigInt, scale: u32) -> Answer {
        self.check()?;
        if self.mantissa.is_zero() {
            return Ok(Value::from(0u64));
        }
        let power =
            BigInt::from(10u32).pow(u32::try_from(self.exponent.unsigned_abs()).unwrap_or(0));
        let mantissa = BigInt::from_biguint(Sign::Plus, self.mantissa.clone()) * factor;
        let (numerator, denominator) = if self.exponent < 0 {
            (mantissa, power << scale)
        } else {
            (mantissa * power, BigInt::from(1) << scale)
        };
        let signed = |size: BigInt| if self.negative { -size } else { size };
        if (&numerator % &denominator).is_zero() {
            return Ok(integer(signed(numerator / denominator)));
        }
        let scaled = numerator * BigInt::from(10u32).pow(FRACTION_DIGITS) * 2 + &denominator;
        let digits = signed(scaled / (denominator * 2));
        let text = format!("{digits}e-{FRACTION_DIGITS}");
        let nearest = text.parse::<f64>().unwrap_or(0.0);
        Ok(Value::from(nearest))
    }
}
