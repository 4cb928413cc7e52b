//! `strconv.FormatFloat` of 64-bit floats.

use std::fmt::Write as _;

/// More fractional or significant digits than this are zeros in every float.
const ALL_DIGITS: usize = 1100;

/// A float by a verb of Go's (`b e E f g G x X`) and a number of digits; without one, the fewest
/// that identify it.
pub(crate) fn format(f: f64, verb: char, precision: Option<usize>) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if f.is_sign_negative() { "-" } else { "" };
    if f.is_infinite() {
        return if sign.is_empty() { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let size = f.abs();
    let digits = match verb {
        'b' => binary(size),
        'x' | 'X' => hexadecimal(size, precision, verb),
        'e' | 'E' => exponent_form(size, precision, verb),
        'f' => fixed(size, precision),
        _ => general(size, precision, if verb == 'G' { 'E' } else { 'e' }),
    };
    format!("{sign}{digits}")
}

fn fixed(size: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return format!("{size}") };
    let mut text = format!("{size:.*}", precision.min(ALL_DIGITS));
    text.extend(std::iter::repeat_n('0', precision.saturating_sub(ALL_DIGITS)));
    text
}

fn exponent_form(size: f64, precision: Option<usize>, mark: char) -> String {
    let (mut mantissa, exponent) = scientific(size, precision);
    mantissa.extend(std::iter::repeat_n('0', precision.unwrap_or(0).saturating_sub(ALL_DIGITS)));
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{mark}{sign}{:02}", exponent.unsigned_abs())
}

/// The mantissa with its decimal point, and the exponent of ten.
fn scientific(size: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{size:.*e}", precision.min(ALL_DIGITS)),
        None => format!("{size:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

/// `%g`: with an exponent where it is below -4 or not below the number of digits.
fn general(size: f64, precision: Option<usize>, mark: char) -> String {
    let wanted = precision.map(|precision| precision.max(1));
    let (mantissa, exponent) = scientific(size, wanted.map(|wanted| wanted - 1));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let count = digits.len();
    let limit = match wanted {
        None => 6,
        Some(wanted) => {
            let whole = usize::try_from(exponent + 1).unwrap_or(0);
            if wanted > count && count >= whole { count } else { wanted }
        }
    };
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    if size != 0.0 && (exponent < -4 || exponent >= limit) {
        return exponent_form(size, Some(count.max(1) - 1), mark);
    }
    let fraction = i32::try_from(count).unwrap_or(0) - (exponent + 1);
    if size == 0.0 {
        "0".to_owned()
    } else {
        fixed(size, Some(usize::try_from(fraction).unwrap_or(0)))
    }
}

/// The mantissa and exponent of two.
fn parts(size: f64) -> (u64, i32) {
    let bits = size.to_bits();
    let exponent = i32::try_from(bits >> 52).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

fn binary(size: f64) -> String {
    let (mantissa, exponent) = parts(size);
    format!("{mantissa}p{exponent:+}")
}

fn hexadecimal(size: f64, precision: Option<usize>, verb: char) -> String {
    let (mut mantissa, mut exponent) = parts(size);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One bit before the point, and 60 behind it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - i32::try_from(shift).unwrap_or(0);
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let cut = 60 - 4 * u32::try_from(precision).unwrap_or(0);
        let rest = (mantissa << (64 - cut)) >> (64 - cut);
        mantissa >>= cut;
        let half = 1 << (cut - 1);
        if rest > half || rest == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        mantissa <<= cut;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60);
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => {
            let mut digits: String = fraction.chars().take(precision).collect();
            digits.extend(std::iter::repeat_n('0', precision.saturating_sub(15)));
            digits
        }
    };
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(&fraction);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a string does not fail.
    let _ = write!(text, "p{sign}{:02}", exponent.unsigned_abs());
    if verb == 'X' { text.to_uppercase() } else { text }
}
