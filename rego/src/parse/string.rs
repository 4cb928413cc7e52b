//! Escapes in strings, as JSON has them.

/// The value of a string's text between its quotes; `None` if it is not JSON.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let plain = rest.find('\\').unwrap_or(rest.len());
        let (before, escape) = rest.split_at_checked(plain)?;
        if before.bytes().any(|byte| byte < b' ' || byte == b'"') {
            return None;
        }
        value.push_str(before);
        let Some(escape) = escape.strip_prefix('\\') else { return Some(value) };
        let mut chars = escape.chars();
        let plain = match chars.next()? {
            plain @ ('"' | '\\' | '/') => plain,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, behind) = code(chars.as_str())?;
                value.push(character);
                rest = behind;
                continue;
            }
            _ => return None,
        };
        value.push(plain);
        rest = chars.as_str();
    }
}

/// The character of `XXXX`, or of a pair of them, and the rest. Half a pair becomes U+FFFD.
fn code(text: &str) -> Option<(char, &str)> {
    let (first, rest) = hex(text)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, rest));
    }
    let second = rest.strip_prefix("\\u").and_then(hex);
    if (0xd800..0xdc00).contains(&first)
        && let Some((second, behind)) = second
        && (0xdc00..0xe000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(code).map(|character| (character, behind));
    }
    Some((char::REPLACEMENT_CHARACTER, rest))
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok().map(|code| (code, rest))
}
