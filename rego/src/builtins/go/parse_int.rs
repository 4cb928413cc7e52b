//! `strconv.ParseInt` and `ParseUint`, in the base that the text names.

/// An integer of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    /// With a sign.
    Signed(i64),
    /// An integer that needs the unsigned type.
    Unsigned(u64),
}

/// The integer of a text: decimal, or in base 2, 8 or 16 by its prefix.
pub(crate) fn parse(text: &str) -> Option<Integer> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', b'b' | b'B', ..] => (digits.get(2..)?, 2),
        [b'0', b'o' | b'O', ..] => (digits.get(2..)?, 8),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    // Go accepts no second sign.
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    match i64::try_from(i128::from(size) * if negative { -1 } else { 1 }) {
        Ok(signed) => Some(Integer::Signed(signed)),
        Err(_) => (!negative).then_some(Integer::Unsigned(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_says_the_base_and_there_is_one_sign() {
        for (text, expected) in [
            ("-0x10", Some(Integer::Signed(-16))),
            ("0b11", Some(Integer::Signed(3))),
            ("017", Some(Integer::Signed(15))),
            ("+9", Some(Integer::Signed(9))),
            ("18446744073709551615", Some(Integer::Unsigned(u64::MAX))),
            ("-9223372036854775808", Some(Integer::Signed(i64::MIN))),
            ("-9223372036854775809", None),
            ("+-9", None),
            ("0+7", None),
            ("0x", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
