//! Go's literals of texts and characters.

use crate::builtins::bytes;

const WRONG: &str = "invalid syntax";

/// The text of a literal, in quotation marks or in backquotes.
///
/// # Errors
/// Go's message.
pub(super) fn text(literal: &str) -> Result<String, String> {
    if let Some(raw) = literal.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Ok(raw.replace('\r', ""));
    }
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut rest = inner.ok_or(WRONG)?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (unit, after) = next(rest, '"').ok_or(WRONG)?;
        match unit {
            Unit::Char(c) => {
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            Unit::Byte(byte) => out.push(byte),
        }
        rest = after;
    }
    // Characters that represent bytes become bytes again, which may then form characters.
    Ok(bytes::to_text(&bytes::of(&bytes::to_text(&out))))
}

/// The code of a literal of one character.
///
/// # Errors
/// Go's message.
pub(super) fn character(literal: &str) -> Result<i64, String> {
    let rest = literal.strip_prefix('\'').ok_or(WRONG)?;
    let (unit, tail) = next(rest, '\'').ok_or(WRONG)?;
    if tail != "'" {
        return Err(format!("malformed character constant: {literal}"));
    }
    Ok(match unit {
        Unit::Char(c) => i64::from(u32::from(c)),
        Unit::Byte(byte) => i64::from(byte),
    })
}

enum Unit {
    Char(char),
    Byte(u8),
}

/// The first character, which may be an escape, and the rest.
fn next(text: &str, quote: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let c = chars.next()?;
    if c == quote || c == '\n' {
        return None;
    }
    if c != '\\' {
        return Some((Unit::Char(c), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let digits = |rest: &'_ str, count: usize, base: u32| {
        let digits = rest.get(..count)?;
        let is_of_base = digits.chars().all(|c| c.is_digit(base));
        is_of_base.then(|| u32::from_str_radix(digits, base).ok())?
    };
    let plain = |c: char| Some((Unit::Char(c), rest));
    match escape {
        'a' => plain('\x07'),
        'b' => plain('\x08'),
        'f' => plain('\x0c'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\x0b'),
        '\\' => plain('\\'),
        c @ ('"' | '\'') if c == quote => plain(c),
        'x' => Some((Unit::Byte(u8::try_from(digits(rest, 2, 16)?).ok()?), rest.get(2..)?)),
        'u' => Some((Unit::Char(char::from_u32(digits(rest, 4, 16)?)?), rest.get(4..)?)),
        'U' => Some((Unit::Char(char::from_u32(digits(rest, 8, 16)?)?), rest.get(8..)?)),
        '0'..='7' => {
            let rest = text.get(1..)?;
            Some((Unit::Byte(u8::try_from(digits(rest, 3, 8)?).ok()?), rest.get(3..)?))
        }
        _ => None,
    }
}
