//! JSON that a worker wrote and that the supervisor passes on.
//!
//! A worker is hostile, so its text is checked before it becomes part of an answer: a text that
//! ends early, or goes on after its value, could write the rest of the answer; duplicate keys and
//! lone surrogates mean different things to different readers; and deep nesting ends some of them.
//! The form is the one that Go's encoder writes, without whitespace and with sorted keys: so keys
//! are compared with the one before, and no set of them is kept. Reports, which are rare, have
//! their keys in any order.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use bincode::{Decode, Encode};

use crate::limits::MAX_JSON_DEPTH;

/// A JSON value as text. Decoded from a frame, it is one whole value of at most [`MAX_JSON_DEPTH`]
/// levels, without whitespace, with sorted keys and without lone surrogates.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JsonText(String);

impl JsonText {
    /// A text that its writer knows to be JSON of this form.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is of the form that is required of it.
    pub(crate) fn is_valid(&self) -> bool {
        is_valid(&self.0, Keys::Sorted(b""))
    }
}

/// A JSON value as text, whose objects have their keys in any order. Otherwise as [`JsonText`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JsonReport(String);

impl JsonReport {
    /// A text that its writer knows to be JSON of this form.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is of the form that is required of it.
    pub(crate) fn is_valid(&self) -> bool {
        is_valid(&self.0, Keys::Unique(BTreeSet::new()))
    }
}

fn is_valid(text: &str, keys: Keys<'_>) -> bool {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, open: Vec::new(), keys };
    reader.document().is_some()
}

/// The rule for the keys of an object, and the keys so far, without the quotes.
#[derive(Clone)]
enum Keys<'a> {
    /// Each comes after the one before.
    Sorted(&'a [u8]),
    /// No two are equal.
    Unique(BTreeSet<Vec<u8>>),
}

impl<'a> Keys<'a> {
    /// The keys of an object with only this one.
    fn with(&self, key: &'a [u8]) -> Self {
        match self {
            Self::Sorted(_) => Self::Sorted(key),
            Self::Unique(_) => Self::Unique(BTreeSet::from([unescaped(key)])),
        }
    }

    /// Adds a key. Returns whether it may follow.
    fn add(&mut self, key: &'a [u8]) -> bool {
        match self {
            Self::Sorted(before) => is_after(key, std::mem::replace(before, key)),
            Self::Unique(keys) => keys.insert(unescaped(key)),
        }
    }
}

/// A collection that is being read.
enum Open<'a> {
    Array,
    Object(Keys<'a>),
}

/// Reads without recursion. Each function returns `None` for a text that is invalid.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open<'a>>,
    /// The rule for keys.
    keys: Keys<'a>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Option<()> {
        loop {
            // A value begins here.
            let is_open = match self.peek()? {
                b'{' => self.begin_object()?,
                b'[' => self.begin_array()?,
                _ => {
                    self.scalar()?;
                    false
                }
            };
            if is_open {
                continue;
            }
            // A value has ended here, and perhaps the collections around it.
            loop {
                match self.open.pop() {
                    None => return (self.at == self.bytes.len()).then_some(()),
                    Some(Open::Array) => match self.take()? {
                        b',' => {
                            self.open.push(Open::Array);
                            break;
                        }
                        b']' => {}
                        _ => return None,
                    },
                    Some(Open::Object(mut keys)) => match self.take()? {
                        b',' => {
                            keys.add(self.key()?).then_some(())?;
                            self.open.push(Open::Object(keys));
                            break;
                        }
                        b'}' => {}
                        _ => return None,
                    },
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(text).then_some(())?;
        self.at += text.len();
        Some(())
    }

    /// Returns whether it has elements.
    fn begin_array(&mut self) -> Option<bool> {
        self.begin()?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(false);
        }
        self.open.push(Open::Array);
        Some(true)
    }

    /// Returns whether it has members.
    fn begin_object(&mut self) -> Option<bool> {
        self.begin()?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(false);
        }
        let key = self.key()?;
        self.open.push(Open::Object(self.keys.with(key)));
        Some(true)
    }

    fn begin(&mut self) -> Option<()> {
        self.at += 1;
        (self.open.len() < MAX_JSON_DEPTH).then_some(())
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        self.string()?;
        let key = self.bytes.get(start..self.at.checked_sub(1)?)?;
        self.expect(b":")?;
        Some(key)
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.expect(b"true"),
            b'f' => self.expect(b"false"),
            b'n' => self.expect(b"null"),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b"\"")?;
        loop {
            match self.take()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.take()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.hexadecimal()? {
                0xd800..0xdc00 => {
                    self.expect(b"\\u")?;
                    matches!(self.hexadecimal()?, 0xdc00..0xe000).then_some(())
                }
                0xdc00..0xe000 => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |code, _| Some(code * 16 + char::from(self.take()?).to_digit(16)?))
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

/// Whether a key comes after another. Both are valid texts of strings.
fn is_after(key: &[u8], before: &[u8]) -> bool {
    let order = if key.contains(&b'\\') || before.contains(&b'\\') {
        unescaped(key).cmp(&unescaped(before))
    } else {
        key.cmp(before)
    };
    order == Ordering::Greater
}

/// The characters of a valid text, as UTF-8.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", text, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).unwrap_or_default().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn is_valid(text: &str) -> bool {
        JsonText::new(text.to_owned()).is_valid()
    }

    #[test]
    fn values_as_go_writes_them_are_valid() {
        for text in [
            "null",
            "true",
            "-0.5e+10",
            "0",
            r#""a\u00e9\ud83d\ude00\n\/""#,
            "[]",
            "{}",
            r#"[1,[],{"a":{}},"x"]"#,
            r#"{"":0,"a":[1,2],"a\u003cb":1,"b":{"c":null}}"#,
        ] {
            assert!(is_valid(text), "{text}");
        }
    }

    #[test]
    fn no_text_can_write_the_rest_of_an_answer() {
        for text in [
            "",
            " 1",
            "1 ",
            "1,",
            "true}",
            r#"true,"decision_id":"x""#,
            "1\n2",
            "[1",
            "[1,]",
            "[,1]",
            "[1}",
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{a:1}"#,
            r#"{"a": 1}"#,
            "\"a",
            "\"a\nb\"",
            r#""\x""#,
            r#""\u12g4""#,
            "tru",
            "nul",
            "nullnull",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "NaN",
            "'a'",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    fn readers_cannot_disagree_about_a_text() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"\u0062":1,"a":2}"#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00\ud800""#,
            r#"{"\ud800":1}"#,
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    fn a_report_has_its_keys_in_any_order_and_once() {
        let is_valid = |text: &str| JsonReport::new(text.to_owned()).is_valid();
        assert!(is_valid(r#"{"b":1,"a":[{"d":1,"c":2}],"e":{}}"#));
        for text in [r#"{"b":1,"a":2,"\u0062":3}"#, r#"[{"a":1,"b":1,"a":2}]"#, r#"{"a":1} "#] {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_to_the_last_level() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_valid(&nested(MAX_JSON_DEPTH)));
        assert!(!is_valid(&nested(MAX_JSON_DEPTH + 1)));
        assert!(!is_valid(&"[".repeat(5_000_000)));
        assert!(!is_valid(&r#"{"a":"#.repeat(MAX_JSON_DEPTH + 1)));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_that_serde_writes_is_valid(value in json()) {
            prop_assert!(is_valid(&value.to_string()));
        }

        #[test]
        fn a_valid_text_is_json(text in r#"[\[\]{}",:0-9a\\ue. -]{0,24}"#) {
            if is_valid(&text) {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
            }
        }
    }
}
