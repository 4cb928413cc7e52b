//! `encoding/base64`: line breaks are skipped, and the bits after the last byte are ignored.

use crate::builtins::Failure;

/// The letters of an encoding.
pub(crate) type Alphabet = &'static [u8; 64];

/// `base64.StdEncoding`
pub(crate) const STANDARD: Alphabet =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `base64.URLEncoding`
pub(crate) const URL: Alphabet =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes bytes.
pub(crate) fn encode(bytes: &[u8], alphabet: Alphabet, padded: bool) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        bits <<= 8 * (3 - chunk.len());
        for i in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap_or(0);
            if i <= chunk.len() {
                text.push(alphabet.get(six).copied().map_or('=', char::from));
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}

/// Decodes a padded text.
///
/// # Errors
/// In Go's words, with the place of the first byte that is wrong.
pub(crate) fn decode(text: &[u8], alphabet: Alphabet) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder { text, at: 0 };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    while decoder.quantum(alphabet, &mut out)? {}
    Ok(out)
}

fn corrupt(at: usize) -> Failure {
    Failure::Builtin(format!("illegal base64 data at input byte {at}"))
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

struct Decoder<'a> {
    text: &'a [u8],
    at: usize,
}

impl Decoder<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn skip_breaks(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| is_break(*byte)) {
            self.at += 1;
        }
    }

    /// Decodes four letters; false at the end.
    fn quantum(&mut self, alphabet: Alphabet, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut letters = Vec::with_capacity(4);
        let mut last = false;
        while letters.len() < 4 {
            let count = letters.len();
            let Some(byte) = self.next() else {
                if count == 0 {
                    return Ok(false);
                }
                return Err(corrupt(self.at - count));
            };
            if is_break(byte) {
                continue;
            }
            if let Some(six) = alphabet.iter().position(|letter| *letter == byte) {
                letters.push(u32::try_from(six).unwrap_or(0));
                continue;
            }
            if byte != b'=' || count < 2 {
                return Err(corrupt(self.at - 1));
            }
            if count == 2 {
                self.skip_breaks();
                match self.text.get(self.at) {
                    None => return Err(corrupt(self.text.len())),
                    Some(b'=') => self.at += 1,
                    Some(_) => return Err(corrupt(self.at - 1)),
                }
            }
            self.skip_breaks();
            if self.at < self.text.len() {
                return Err(corrupt(self.at));
            }
            last = true;
            break;
        }
        let count = letters.len();
        letters.resize(4, 0);
        let bits = letters.iter().fold(0_u32, |bits, six| bits << 6 | six);
        out.extend(bits.to_be_bytes().iter().skip(1).take(count - 1));
        Ok(!last)
    }
}
