//! JSON texts as Go's `json.Marshal` writes them: keys sorted, and `<`, `>` and `&` escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regorus::Value;

use crate::builtins::{Failure, bytes, limits, number, order};

/// The line breaks and indents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    /// The prefix of each line except the first.
    pub(crate) prefix: &'a str,
    /// The indent of each level.
    pub(crate) indent: &'a str,
}

/// The text of a value.
///
/// # Errors
/// When the text would be longer, or the value deeper, than a built-in's limits.
pub(crate) fn marshal(value: &Value, layout: Option<Layout<'_>>) -> Result<String, Failure> {
    let mut writer = Writer { out: String::new(), layout };
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// An object's entries by the texts of their keys, the last of equal ones.
///
/// # Errors
/// As [`marshal`].
pub(crate) fn by_text(
    object: &regorus::value::Object,
) -> Result<BTreeMap<String, &Value>, Failure> {
    order::entries(object)
        .into_iter()
        .map(|(key, value)| {
            let key = match key {
                Value::String(key) => (**key).to_owned(),
                other => marshal(other, None)?,
            };
            Ok((key, value))
        })
        .collect()
}

struct Writer<'a> {
    out: String,
    layout: Option<Layout<'a>>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, level: usize) -> Result<(), Failure> {
        if self.out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a text is too long"));
        }
        if level > limits::DEPTH {
            return Err(limits::exceeded("a value is too deep"));
        }
        match value {
            Value::Null | Value::Undefined => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Number(_) => self.out.push_str(&number::text::of(value)),
            Value::String(text) => self.string(text),
            Value::Array(array) => self.list(array.iter(), array.is_empty(), level)?,
            Value::Set(set) => {
                self.list(order::elements(set).into_iter(), set.is_empty(), level)?;
            }
            Value::Object(object) => {
                self.out.push('{');
                for (i, (key, value)) in by_text(object)?.into_iter().enumerate() {
                    self.out.push_str(if i > 0 { "," } else { "" });
                    self.line(level + 1);
                    self.string(&key);
                    self.out.push_str(if self.layout.is_some() { ": " } else { ":" });
                    self.value(value, level + 1)?;
                }
                if !object.is_empty() {
                    self.line(level);
                }
                self.out.push('}');
            }
        }
        Ok(())
    }

    fn list<'v>(
        &mut self,
        elements: impl Iterator<Item = &'v Value>,
        empty: bool,
        level: usize,
    ) -> Result<(), Failure> {
        self.out.push('[');
        for (i, element) in elements.enumerate() {
            self.out.push_str(if i > 0 { "," } else { "" });
            self.line(level + 1);
            self.value(element, level + 1)?;
        }
        if !empty {
            self.line(level);
        }
        self.out.push(']');
        Ok(())
    }

    fn line(&mut self, level: usize) {
        if let Some(layout) = self.layout {
            self.out.push('\n');
            self.out.push_str(layout.prefix);
            self.out.extend(std::iter::repeat_n(layout.indent, level));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\0'..'\x20' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a string does not fail.
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c if bytes::is_byte(c) => self.out.push_str("\\ufffd"),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}
