//! Bytes as texts. OPA's strings may hold any bytes (`base64.decode`, `hex.decode`); ours are
//! UTF-8. So a byte outside of valid UTF-8 becomes one of 256 characters at the end of the last
//! private plane: it counts as one character, as in OPA, texts of different bytes stay different,
//! and functions of a text's bytes (`hex.encode`, `crypto.*`) get the byte back.

use std::borrow::Cow;

/// The character of the byte zero.
const FIRST: u32 = 0x10_ff00;

/// The text of some bytes.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(FIRST + u32::from(*b))));
    }
    text
}

/// The byte that a character represents.
fn byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()
}

/// Whether a character represents a byte outside of valid UTF-8.
pub(crate) fn is_byte(c: char) -> bool {
    byte(c).is_some()
}

/// The bytes of a text.
pub(crate) fn of(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(is_byte) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}
