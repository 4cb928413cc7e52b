//! JSON text to values, with every digit of its numbers: serde_json alone rounds numbers beyond 64
//! bits, which cases are about.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::value::{Number, Value};

/// The depth limit, which keeps recursion within a thread's stack; no document here nests deeper.
const DEEPEST: usize = 500;

/// Reads a document, all of it.
///
/// # Errors
/// The expected token and its byte.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, rest: text.char_indices().peekable() };
    let value = reader.value(0)?;
    reader.space();
    match reader.rest.peek() {
        None => Ok(value),
        Some((at, found)) => Err(format!("{found:?} after the document, at byte {at}")),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.rest.next_if(|(_, found)| found.is_ascii_whitespace()).is_some() {}
    }

    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn fail<T>(&mut self, expected: &str) -> Result<T, String> {
        Err(format!("expected {expected} at byte {}", self.at()))
    }

    /// Consumes this token after white space.
    fn mark(&mut self, mark: char) -> bool {
        self.space();
        self.rest.next_if(|(_, found)| *found == mark).is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.space();
        if depth > DEEPEST {
            return self.fail("fewer brackets in each other");
        }
        match self.rest.peek().map(|(_, found)| *found) {
            Some('"') => self.string().map(Value::String),
            Some('[') => {
                self.rest.next();
                let mut items = Vec::new();
                while !self.mark(']') {
                    if !items.is_empty() && !self.mark(',') {
                        return self.fail("a comma");
                    }
                    items.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(items))
            }
            Some('{') => {
                self.rest.next();
                let mut members = BTreeMap::new();
                while !self.mark('}') {
                    if !members.is_empty() && !self.mark(',') {
                        return self.fail("a comma");
                    }
                    self.space();
                    let key = self.string()?;
                    if !self.mark(':') {
                        return self.fail("a colon");
                    }
                    members.insert(Value::String(key), self.value(depth + 1)?);
                }
                Ok(Value::Object(members))
            }
            _ => {
                let start = self.at();
                while self.rest.next_if(|(_, found)| !",]} \t\r\n".contains(*found)).is_some() {}
                let end = self.at();
                match self.text.get(start..end).unwrap_or_default() {
                    "null" => Ok(Value::Null),
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    word => match Number::parse(word) {
                        Some(number) => Ok(Value::Number(number)),
                        None => self.fail("a value before here"),
                    },
                }
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at();
        if self.rest.next_if(|(_, found)| *found == '"').is_none() {
            return self.fail("a string");
        }
        let mut escaped = false;
        loop {
            match self.rest.next() {
                Some((_, '\\')) if !escaped => escaped = true,
                Some((_, '"')) if !escaped => break,
                Some(_) => escaped = false,
                None => return self.fail("the end of a string"),
            }
        }
        let end = self.at();
        let text = self.text.get(start..end).unwrap_or_default();
        serde_json::from_str(text).map_err(|error| format!("{error} in the string at byte {start}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_kept() {
        let text =
            r#" {"a" : [1.50, 123456789012345678901234567890, -1e401 , {}], "\u00e4\"": null} "#;
        let value = parse(text).unwrap();
        let written = value.to_string();
        assert_eq!(
            written,
            "{\"a\": [1.5, 123456789012345678901234567890, -1e401, {}], \"ä\\\"\": null}"
        );
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for text in ["", "[1 2]", "{\"a\" 1}", "[", "1 2", "tru", "\"a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
