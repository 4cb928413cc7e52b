//! The numbers that OPA accepts.

/// Why a number is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    TooBig,
    Invalid,
}

impl Fault {
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::TooBig => "number too big",
            Self::Invalid => "invalid float",
        }
    }
}

/// The largest magnitude of a number's binary exponent. OPA's printing takes more than linear time
/// in it.
const MAX_BINARY_EXPONENT: f64 = 100_000.0;

/// Whether a number has a redundant leading zero. In OPA's scanner, a part of a non-ASCII character
/// after the number belongs to it.
pub(super) fn has_leading_zero(number: &str, is_glued: bool) -> bool {
    let mut bytes = number.bytes();
    if bytes.next() != Some(b'0') {
        return false;
    }
    match bytes.next() {
        None => is_glued,
        Some(b'.') => false,
        Some(b'e' | b'E') => number.len() == 2 && !is_glued,
        Some(_) => true,
    }
}

/// Checks a number from the lexer, with a sign or without.
pub(super) fn check(number: &str) -> Result<(), Fault> {
    let number = number.trim_start_matches('-');
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| Fault::Invalid)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // `.1.5` is a dot and a number to the lexer.
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Fault::Invalid);
    }
    let length = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let mut digits = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let leading =
        digits.by_ref().take(17).fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
    let significant = length(whole) + length(fraction) - i64::try_from(zeros).unwrap_or(i64::MAX);
    if significant == 0 {
        return Ok(());
    }
    let scale = exponent.saturating_sub(length(fraction));
    if i32::try_from(scale).is_err() {
        return Err(Fault::Invalid);
    }
    let rest = scale + (significant - 17).max(0);
    #[expect(clippy::cast_precision_loss, reason = "an estimate, far below the precision of f64")]
    let binary = leading.log2() + rest as f64 * std::f64::consts::LOG2_10;
    if binary.abs() > MAX_BINARY_EXPONENT { Err(Fault::TooBig) } else { Ok(()) }
}
