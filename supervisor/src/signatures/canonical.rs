//! The bytes of a JSON document that OPA digests: objects by their keys, without white space.
//!
//! The document is not held as a tree, of which a hostile one would be many times as large as its
//! text: only the members of objects are listed, as offsets. Numbers are digested as they are
//! written.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Bytes of a document. Its offsets are kept as 32 bits.
pub(crate) const MAX_SIGNED_JSON: u64 = 64 * 1024 * 1024;

/// Objects and their members in a document. Each takes up to 24 bytes while it is digested, so a
/// hostile document takes 96 MB at most.
const MAX_SIGNED_MEMBERS: usize = 4_000_000;

/// Levels of a document: as many as the worker reads, and few enough for recursion.
const MAX_SIGNED_DEPTH: usize = 127;

/// Why a document has no canonical form here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotCanonical {
    #[error("is larger than {MAX_SIGNED_JSON} bytes, the limit of a signed data file")]
    TooLarge,
    #[error(
        "has more than {MAX_SIGNED_MEMBERS} objects and members, the limit of a signed data file"
    )]
    TooManyMembers,
    #[error("nests to more than {MAX_SIGNED_DEPTH} levels")]
    TooDeep,
    #[error("cannot be read as JSON: {0}")]
    NotJson(String),
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Where its key begins, at the quotation mark.
    key: u32,
    /// Where its value begins.
    value: u32,
    /// How many objects begin before the value.
    objects: u32,
}

/// An object whose members are known.
#[derive(Clone, Copy, Debug, Default)]
struct Object {
    first: u32,
    last: u32,
    /// The offset behind it.
    end: u32,
    /// How many objects begin before its end.
    objects: u32,
}

/// A container that is open while the document is scanned.
enum Open {
    Array,
    /// The object's number, and how many pending members are before its own.
    Object(usize, usize),
}

/// The members of a document's objects.
struct Index<'a> {
    text: &'a str,
    members: Vec<Member>,
    /// In the order in which they begin.
    objects: Vec<Object>,
}

/// Writes the canonical bytes of a document to `out`. Of equal keys the last counts, as in OPA.
///
/// # Errors
/// When the document is over a bound, or is not JSON.
pub(super) fn walk(json: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), NotCanonical> {
    if u64::try_from(json.len()).map_or(true, |length| length > MAX_SIGNED_JSON) {
        return Err(NotCanonical::TooLarge);
    }
    let text = std::str::from_utf8(json)
        .map_err(|_| NotCanonical::NotJson("it is not UTF-8".to_owned()))?;
    // Everything below relies on valid JSON. This reads any depth, without recursion.
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| NotCanonical::NotJson(error.to_string()))?;
    let index = Index::of(text)?;
    index.value(skip_space(text, 0), &mut 0, out);
    Ok(())
}

impl<'a> Index<'a> {
    fn of(text: &'a str) -> Result<Self, NotCanonical> {
        let mut index = Self { text, members: Vec::new(), objects: Vec::new() };
        let mut open = Vec::new();
        let mut pending: Vec<Member> = Vec::new();
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            if index.objects.len() + index.members.len() + pending.len() > MAX_SIGNED_MEMBERS {
                return Err(NotCanonical::TooManyMembers);
            }
            if open.len() > MAX_SIGNED_DEPTH {
                return Err(NotCanonical::TooDeep);
            }
            match byte {
                b'"' => {
                    let end = string_end(text, at);
                    // The check above lets halves of surrogate pairs pass.
                    decoded(text.get(at..end).unwrap_or_default())?;
                    let next = skip_space(text, end);
                    if text.as_bytes().get(next) == Some(&b':') {
                        let value = skip_space(text, next + 1);
                        let objects = offset(index.objects.len());
                        pending.push(Member { key: offset(at), value: offset(value), objects });
                        at = value;
                    } else {
                        at = end;
                    }
                    continue;
                }
                b'{' => {
                    open.push(Open::Object(index.objects.len(), pending.len()));
                    index.objects.push(Object::default());
                }
                b'[' => open.push(Open::Array),
                b'}' | b']' => {
                    if let Some(Open::Object(number, before)) = open.pop() {
                        index.close(number, pending.get_mut(before..).unwrap_or_default(), at + 1);
                        pending.truncate(before);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Ok(index)
    }

    /// Lists an object's members, sorted by key, of equal keys the last.
    fn close(&mut self, number: usize, own: &mut [Member], end: usize) {
        let first = offset(self.members.len());
        let text = self.text;
        let key = |member: &Member| decoded(raw_string(text, member.key)).unwrap_or_default();
        // Equal keys keep their order, by their offsets.
        own.sort_unstable_by(|left, right| (key(left), left.key).cmp(&(key(right), right.key)));
        for (index, member) in own.iter().enumerate() {
            let following = own.get(index + 1).map(key);
            if following.as_ref() != Some(&key(member)) {
                self.members.push(*member);
            }
        }
        let (objects, last) = (offset(self.objects.len()), offset(self.members.len()));
        if let Some(object) = self.objects.get_mut(number) {
            *object = Object { first, last, end: offset(end), objects };
        }
    }

    /// Writes the value at an offset; returns the offset behind it. `objects` is how many objects
    /// begin before it, and then before its end.
    fn value(&self, at: usize, objects: &mut usize, out: &mut dyn FnMut(&[u8])) -> usize {
        match self.text.as_bytes().get(at) {
            Some(b'{') => self.object(objects, out),
            Some(b'[') => self.array(at + 1, objects, out),
            Some(b'"') => {
                let end = string_end(self.text, at);
                write_string(self.text.get(at..end).unwrap_or_default(), out);
                end
            }
            _ => {
                let rest = self.text.get(at..).unwrap_or_default();
                let is_end = |c: char| matches!(c, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
                let literal = rest.split(is_end).next().unwrap_or_default();
                out(literal.as_bytes());
                at + literal.len()
            }
        }
    }

    fn object(&self, objects: &mut usize, out: &mut dyn FnMut(&[u8])) -> usize {
        let object = self.objects.get(*objects).copied().unwrap_or_default();
        let members = self.members.get(position(object.first)..position(object.last));
        out(b"{");
        for (index, member) in members.unwrap_or_default().iter().enumerate() {
            if index > 0 {
                out(b",");
            }
            write_string(raw_string(self.text, member.key), out);
            out(b":");
            self.value(position(member.value), &mut position(member.objects), out);
        }
        out(b"}");
        *objects = position(object.objects);
        position(object.end)
    }

    fn array(&self, at: usize, objects: &mut usize, out: &mut dyn FnMut(&[u8])) -> usize {
        out(b"[");
        let mut at = skip_space(self.text, at);
        loop {
            match self.text.as_bytes().get(at) {
                Some(b',') => {
                    out(b",");
                    at = skip_space(self.text, at + 1);
                }
                None | Some(b']') => break,
                Some(_) => at = skip_space(self.text, self.value(at, objects, out)),
            }
        }
        out(b"]");
        at + 1
    }
}

/// The string that begins at an offset, with its quotation marks.
fn raw_string(text: &str, at: u32) -> &str {
    let at = position(at);
    text.get(at..string_end(text, at)).unwrap_or_default()
}

/// The offset behind the string that begins at `at`.
fn string_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut next = at + 1;
    loop {
        match bytes.get(next) {
            Some(b'"') => return next + 1,
            Some(b'\\') => next += 2,
            Some(_) => next += 1,
            None => return bytes.len(),
        }
    }
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// A string's value.
fn decoded(raw: &str) -> Result<Cow<'_, str>, NotCanonical> {
    if raw.contains('\\') {
        let decoded = serde_json::from_str::<String>(raw);
        return decoded.map(Cow::Owned).map_err(|error| NotCanonical::NotJson(error.to_string()));
    }
    Ok(Cow::Borrowed(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()))
}

/// Writes a string as Go's encoder does where it leaves HTML alone.
fn write_string(raw: &str, out: &mut dyn FnMut(&[u8])) {
    if !raw.contains(['\\', '\u{2028}', '\u{2029}']) {
        return out(raw.as_bytes());
    }
    let value = decoded(raw).unwrap_or_default();
    out(b"\"");
    let mut plain = 0;
    for (at, character) in value.char_indices() {
        let escape: Cow<'_, str> = match character {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\u{8}' => "\\b".into(),
            '\u{c}' => "\\f".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                format!("\\u{:04x}", u32::from(character)).into()
            }
            _ => continue,
        };
        out(value.get(plain..at).unwrap_or_default().as_bytes());
        out(escape.as_bytes());
        plain = at + character.len_utf8();
    }
    out(value.get(plain..).unwrap_or_default().as_bytes());
    out(b"\"");
}

/// An offset or a count in a document, which [`MAX_SIGNED_JSON`] bounds.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn position(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> Result<String, NotCanonical> {
        let mut out = Vec::new();
        walk(json.as_bytes(), &mut |bytes| out.extend_from_slice(bytes))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn keys_are_sorted_and_space_does_not_count() {
        for (json, expected) in [
            (
                " {\"b\" : [ 1 , {\"z\":1,\"y\":{}} , 2.50 ] ,\"a\":null}\n",
                r#"{"a":null,"b":[1,{"y":{},"z":1},2.50]}"#,
            ),
            ("[]", "[]"),
            ("[ ]", "[]"),
            ("[[],[[]],{}]", "[[],[[]],{}]"),
            ("1e400", "1e400"),
            (
                "[-0, 1.0, 1E+2, 123456789012345678901234567890]",
                "[-0,1.0,1E+2,123456789012345678901234567890]",
            ),
            (r#"{"a":1,"a":{"x":{}},"b":{"c":[{}]},"a":2}"#, r#"{"a":2,"b":{"c":[{}]}}"#),
            (r#"{"\u0061":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            (r#"{"é":1,"z":2,"Z":3}"#, r#"{"Z":3,"z":2,"é":1}"#),
            (
                r#"{"x":{"b":{"d":1,"c":2},"a":[{"f":1,"e":2}]},"w":{"q":1,"p":0}}"#,
                r#"{"w":{"p":0,"q":1},"x":{"a":[{"e":2,"f":1}],"b":{"c":2,"d":1}}}"#,
            ),
        ] {
            assert_eq!(canonical(json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn strings_are_written_as_go_writes_them() {
        for (json, expected) in [
            (r#""a\/b<>&""#, r#""a/b<>&""#),
            (
                r#""\u0000\u001f\b\f\n\r\t\"\\\u007f""#,
                "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\u{7f}\"",
            ),
            (r#""\u2028\u2029\u00e9""#, r#""\u2028\u2029é""#),
            ("\"\u{2028}\"", r#""\u2028""#),
            (r#""\ud83d\ude00""#, "\"😀\""),
        ] {
            assert_eq!(canonical(json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_is_not_bounded_json_has_no_digest() {
        for (levels, is_allowed) in [(127, true), (128, false), (100_000, false)] {
            let arrays = "[".repeat(levels) + &"]".repeat(levels);
            assert_eq!(canonical(&arrays).is_ok(), is_allowed, "{levels}");
            let objects = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
            assert_eq!(canonical(&objects).is_ok(), is_allowed, "{levels}");
        }
        for json in ["", "{", "[1] 2", r#""\ud800""#, "{\"a\":1,}", "NaN", "a: 1"] {
            assert!(matches!(canonical(json), Err(NotCanonical::NotJson(_))), "{json}");
        }
        let large = " ".repeat(usize::try_from(MAX_SIGNED_JSON).unwrap()) + "1";
        assert_eq!(canonical(&large), Err(NotCanonical::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn a_document_and_its_pretty_form_are_the_same(seed in proptest::collection::vec(0_u8..8, 0..200)) {
            // serde_json's own maps are sorted by key.
            let value = build(&mut seed.iter().copied(), 0);
            let compact = serde_json::to_string(&value).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            proptest::prop_assert_eq!(canonical(&pretty).unwrap(), compact);
        }
    }

    fn build(seed: &mut dyn Iterator<Item = u8>, depth: usize) -> serde_json::Value {
        match seed.next() {
            Some(kind @ 0..=2) if depth < 20 => {
                let mut object = serde_json::Map::new();
                for index in 0..=kind {
                    object.insert(format!("{}{index}", 9 - index), build(seed, depth + 1));
                }
                object.into()
            }
            Some(kind @ 3..=4) if depth < 20 => {
                (0..kind).map(|_| build(seed, depth + 1)).collect::<Vec<_>>().into()
            }
            Some(5) => "a \"b\" {[,:]}".into(),
            Some(6) => 17.into(),
            _ => serde_json::Value::Null,
        }
    }
}
