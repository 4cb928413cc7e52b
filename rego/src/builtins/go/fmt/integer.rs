//! Integers by a verb: of a word, and of any size, which Go formats by different rules.

use num_bigint::{BigInt, Sign};

use super::flags::Flags;

/// An integer of a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed {
    pub(super) negative: bool,
    pub(super) size: u64,
}

impl Signed {
    /// The text without the padding to the width with spaces.
    pub(super) fn format(self, verb: char, flags: &Flags) -> String {
        let mut digits = match verb {
            'b' => format!("{:b}", self.size),
            'o' | 'O' => format!("{:o}", self.size),
            'x' => format!("{:x}", self.size),
            'X' => format!("{:X}", self.size),
            _ => self.size.to_string(),
        };
        let mut least = 0;
        if let Some(precision) = flags.precision {
            if precision == 0 && self.size == 0 {
                return String::new();
            }
            least = precision;
        } else if let Some(width) = flags.width
            && flags.zero
            && !flags.minus
        {
            let signed = self.negative || flags.plus || flags.space;
            least = if signed { width.saturating_sub(1) } else { width };
        }
        if digits.len() < least {
            digits = format!("{}{digits}", "0".repeat(least - digits.len()));
        }
        let prefix = match verb {
            'O' => "0o",
            'b' if flags.sharp => "0b",
            'o' if flags.sharp && !digits.starts_with('0') => "0",
            'x' if flags.sharp => "0x",
            'X' if flags.sharp => "0X",
            _ => "",
        };
        format!("{}{prefix}{digits}", sign(self.negative, flags))
    }
}

fn sign(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

/// A `*big.Int`, with its padding.
pub(super) fn big(i: &BigInt, verb: char, flags: &Flags) -> String {
    let base = match verb {
        'b' => 2,
        'o' | 'O' => 8,
        'd' | 's' | 'v' => 10,
        'x' | 'X' => 16,
        _ => return format!("%!{verb}(big.Int={i})"),
    };
    let mut digits = i.magnitude().to_str_radix(base);
    if verb == 'X' {
        digits = digits.to_uppercase();
    }
    let prefix = match verb {
        'O' => "0o",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp => "0",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    // Only for these integers, `%+v` writes the sign.
    let flags = &Flags { plus: flags.plus || flags.plus_v, ..*flags };
    let sign = sign(i.sign() == Sign::Minus, flags);
    let mut zeros = flags.precision.unwrap_or(0).saturating_sub(digits.len());
    let length = sign.len() + prefix.len() + zeros + digits.len();
    let missing = flags.width.unwrap_or(0).saturating_sub(length);
    let (mut left, mut right) = (0, 0);
    if flags.minus {
        right = missing;
    } else if flags.zero && flags.precision.is_none() {
        zeros = missing;
    } else {
        left = missing;
    }
    let (left, zeros, right) = (" ".repeat(left), "0".repeat(zeros), " ".repeat(right));
    format!("{left}{sign}{prefix}{zeros}{digits}{right}")
}
