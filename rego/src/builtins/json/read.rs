//! JSON texts as Go's decoder reads them: lone surrogates become U+FFFD, and the last of equal keys
//! counts.
//!
//! [`crate::json`] reads the documents of requests and bundles. It is separate: its faults have
//! byte offsets in a file instead of Go's messages, which decisions can see, and serde_json's fast
//! reader is used for every request.

use std::collections::BTreeMap;

use regorus::Value;

use crate::builtins::go::quote::quoted;
use crate::builtins::{Failure, limits, number};

/// The value of a text.
///
/// # Errors
/// Go's message when it is not JSON; ends the evaluation when it is deeper than [`limits::DEPTH`],
/// or has a number that cannot be represented exactly.
pub(crate) fn parse(text: &str) -> Result<Value, Failure> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, build: true };
    let value = reader.document()?;
    Ok(value)
}

/// The value that a text begins with, as [`parse`]; the rest is ignored.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_first(text: &str) -> Result<Value, Failure> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, build: true };
    reader.space();
    reader.value(limits::DEPTH)
}

/// Whether a text is JSON.
///
/// # Errors
/// When it is too deep, which ends the evaluation.
pub(crate) fn is_valid(text: &str) -> Result<bool, Failure> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, build: false };
    match reader.document() {
        Ok(_) => Ok(true),
        Err(Failure::Builtin(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    /// Whether to build the value, or only to check it.
    build: bool,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, Failure> {
        self.space();
        if self.peek().is_none() {
            return Err(Failure::Builtin("EOF".to_owned()));
        }
        let value = self.value(limits::DEPTH)?;
        self.space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.trailing()),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Go's message for the character here.
    fn unexpected(&self, place: &str) -> Failure {
        let Some(byte) = self.peek() else {
            return Failure::Builtin("unexpected EOF".to_owned());
        };
        // Go takes the byte for a character.
        let quoted = match byte {
            b'"' => "\"".to_owned(),
            byte => quoted(&char::from(byte).to_string(), '\'', false)
                .trim_start_matches('\'')
                .strip_suffix('\'')
                .unwrap_or_default()
                .to_owned(),
        };
        let quoted = if byte == b'\'' { "\\'".to_owned() } else { quoted };
        Failure::Builtin(format!("invalid character '{quoted}' {place}"))
    }

    /// Go's message for text after the value: OPA requests another token, and names it.
    fn trailing(&mut self) -> Failure {
        let start = self.at;
        let token = match self.peek() {
            Some(b'[' | b'{') => self.text.get(start..=start),
            Some(b'-' | b'0'..=b'9') if self.number().is_ok() => self.text.get(start..self.at),
            _ => None,
        };
        match token {
            Some(token) => Failure::Builtin(format!(
                "error: invalid character '{token}' after top-level value"
            )),
            None => self.unexpected("looking for beginning of value"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Failure> {
        let below =
            depth.checked_sub(1).ok_or_else(|| limits::exceeded("the JSON text is too deep"))?;
        match self.peek() {
            Some(b'{') => self.object(below),
            Some(b'[') => self.array(below),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Failure> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(self.unexpected(&place));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut elements = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::from(elements));
        }
        loop {
            self.space();
            let element = self.value(depth)?;
            if self.build {
                elements.push(element);
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::from(elements));
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut entries = BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::from(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth)?;
            if self.build {
                entries.insert(Value::from(key), value);
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::from(entries));
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn string(&mut self) -> Result<String, Failure> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            // A piece ends at an ASCII character, so that it is whole characters.
            out.push_str(self.text.get(start..self.at).unwrap_or(""));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    out.push(c);
                }
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hexadecimal()?;
                return Ok(self.surrogate(first));
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        Ok(c)
    }

    fn hexadecimal(&mut self) -> Result<u32, Failure> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let place = "in \\u hexadecimal character escape";
            code = code * 16 + digit.ok_or_else(|| self.unexpected(place))?;
            self.at += 1;
        }
        Ok(code)
    }

    /// The character of a code, which may be the first of a pair.
    fn surrogate(&mut self, first: u32) -> char {
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).unwrap_or('\u{fffd}');
        }
        let before = self.at;
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u")) {
            self.at += 2;
            if let Ok(second @ 0xdc00..0xe000) = self.hexadecimal() {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).unwrap_or('\u{fffd}');
            }
            self.at = before;
        }
        '\u{fffd}'
    }

    fn digits(&mut self, place: &str) -> Result<(), Failure> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected(place));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Failure> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        if !self.build {
            return Ok(Value::Null);
        }
        number::text::parse(self.text.get(start..self.at).unwrap_or(""))
    }
}
