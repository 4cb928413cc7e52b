//! A metadata block's YAML, as Go's `yaml.v3` reads it, which OPA uses.
//!
//! `yaml_serde` is a port of the same scanner. It resolves plain scalars in another way (dates, octal
//! numbers), so the tree is read in two passes: the first one finds its shape, the second one the text
//! of each scalar, with its place and whether quotes stand around it.

use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::time;
use crate::builtins::go::parse_int::{self, Integer};

/// A node, with the line it begins in, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// A node's kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Scalar {
        text: String,
        /// Without quotes, in one line: it may be a number, …
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// What a plain scalar stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Timestamp(String),
    Text,
}

impl Resolved {
    /// YAML's name of the kind.
    pub(super) const fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Integer(_) | Self::Unsigned(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp(_) => "!!timestamp",
            Self::Text => "!!str",
        }
    }
}

impl Node {
    pub(super) fn resolve(&self) -> Resolved {
        match &self.kind {
            Kind::Scalar { text, plain: true } => resolve(text),
            Kind::Scalar { plain: false, .. } | Kind::Sequence(_) | Kind::Mapping(_) => {
                Resolved::Text
            }
        }
    }
}

/// Reads the first document; nothing if there is none.
///
/// # Errors
/// Go's message, and the line that is in it.
pub(super) fn parse(text: &str) -> Result<Option<Node>, (String, Option<usize>)> {
    let document = || yaml_serde::Deserializer::from_str(text).next();
    let Some(first) = document() else { return Ok(None) };
    let shape = Shape::deserialize(first).map_err(|error| go_error(text, &error.to_string()))?;
    let Some(second) = document() else { return Ok(None) };
    let mut reader = Reader { text, line: 1, at: 0 };
    let node = NodeSeed { shape: &shape, reader: &mut reader }
        .deserialize(second)
        .map_err(|error| go_error(text, &error.to_string()))?;
    Ok((node.resolve() != Resolved::Null).then_some(node))
}

/// The tag at a text's end, `!!str`.
fn tag(before: &str) -> Option<&str> {
    let last = before.trim_end().rsplit([' ', '\n', '[', '{', ',']).next()?;
    last.starts_with("!!").then_some(last)
}

/// A scanner's fault in Go's form: both are ports of `libyaml`, whose lines are counted from 0, and
/// Go adds one only where the scanner has failed, not the parser.
fn go_error(text: &str, message: &str) -> (String, Option<usize>) {
    if let Some(place) = message.strip_prefix("unknown anchor") {
        let place = place.strip_prefix(" at ").unwrap_or("line 1 column 1");
        return (format!("yaml: unknown anchor '{}' referenced", alias(text, place)), None);
    }
    // A slip of Go's.
    let message = &message.replace("expected hexadecimal number", "expected hexdecimal number");
    let (problem, context) = message.split_once(", while ").unwrap_or((message, ""));
    let (words, problem_line) = split_line(problem);
    let (about, context_line) = split_line(context);
    let is_parser = match context {
        "" => words.starts_with("did not find expected"),
        _ => about.starts_with("parsing") && !about.contains("scalar") && !about.contains("tag"),
    };
    // The context's place is left out where it is the problem's, and in the first line it is none.
    let line = context_line.filter(|line| *line > 1).or(problem_line);
    let zero_based = line.unwrap_or(1).saturating_sub(1);
    if zero_based == 0 {
        return (format!("yaml: {words}"), None);
    }
    let line = if is_parser { zero_based } else { zero_based + 1 };
    (format!("yaml: line {line}: {words}"), Some(line))
}

/// The name of the alias at a place, `line 3 column 1`.
fn alias<'t>(text: &'t str, place: &str) -> &'t str {
    let mut numbers = place.split(' ').filter_map(|word| word.parse::<usize>().ok());
    let found = numbers.next().zip(numbers.next()).and_then(|(line, column)| {
        let line = text.lines().nth(line.checked_sub(1)?)?;
        let (start, _) = line.char_indices().nth(column)?;
        line.get(start..)
    });
    let name = found.unwrap_or_default();
    let is_name =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    name.split(|character| !is_name(character)).next().unwrap_or_default()
}

/// `words at line 3 column 1` to words and line.
fn split_line(text: &str) -> (&str, Option<usize>) {
    let Some((words, place)) = text.rsplit_once(" at line ") else { return (text, None) };
    let line = place.split(' ').next().and_then(|line| line.parse().ok());
    (words, line)
}

fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => {
            float(text).filter(|_| text.len() > 1).map_or(Resolved::Text, Resolved::Float)
        }
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if let Some(time) = time::timestamp(text) {
                return Resolved::Timestamp(time);
            }
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| float(&plain).map(Resolved::Float)).unwrap_or(Resolved::Text)
        }
        _ => Resolved::Text,
    }
}

/// An integer in any of Go's bases. One that only an unsigned integer holds has no sign.
fn integer(text: &str) -> Option<Resolved> {
    match parse_int::parse(text)? {
        Integer::Signed(value) => Some(Resolved::Integer(value)),
        Integer::Unsigned(value) => (!text.starts_with('+')).then_some(Resolved::Unsigned(value)),
    }
}

fn float(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['+', '-']);
    let is_decimal =
        digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let begins = digits.starts_with(|first: char| first == '.' || first.is_ascii_digit());
    if !is_decimal || !begins || text.len() > digits.len() + 1 {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

// --- the first pass

enum Shape {
    Null,
    Scalar,
    Tagged(Box<Shape>),
    Sequence(Vec<Shape>),
    Mapping(Vec<(Shape, Shape)>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

/// Scalars of all kinds are the same here.
macro_rules! scalars {
    ($($visit:ident($kind:ty)),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Shape, E> {
            Ok(Shape::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    scalars!(
        visit_bool(bool),
        visit_i64(i64),
        visit_i128(i128),
        visit_u64(u64),
        visit_u128(u128),
        visit_f64(f64),
        visit_str(&str)
    );

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Shape::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Shape, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry()? {
            pairs.push(pair);
        }
        Ok(Shape::Mapping(pairs))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Shape, A::Error> {
        let (_, content): (String, _) = access.variant()?;
        Ok(Shape::Tagged(Box::new(content.newtype_variant()?)))
    }
}

// --- the second pass

struct Reader<'t> {
    text: &'t str,
    /// Of the last scalar whose place is known: its line, and its offset.
    line: usize,
    at: usize,
}

impl Reader<'_> {
    /// A scalar that is a part of the text.
    fn borrowed(&mut self, scalar: &str) -> Node {
        let start = (scalar.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..start);
        let after = self.text.get(start.saturating_add(scalar.len())..);
        if before.is_some() {
            self.go_to(start);
        }
        let quote = before.and_then(|before| before.chars().next_back());
        let closing = after.and_then(|after| after.chars().next());
        let is_quoted = matches!(quote, Some('"' | '\'')) && quote == closing;
        let tag = before.and_then(|before| tag(before.trim_end_matches(['"', '\''])));
        let plain = match tag {
            Some("!!int" | "!!float" | "!!bool" | "!!timestamp") => true,
            Some(_) => false,
            None => !is_quoted,
        };
        self.scalar(scalar, plain)
    }

    fn go_to(&mut self, at: usize) {
        self.at = at;
        self.line = self.text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    }

    /// A scalar of several lines, or with escapes.
    fn made(&mut self, scalar: &str) -> Node {
        let word = scalar.split_whitespace().next().unwrap_or_default();
        let rest = self.text.get(self.at..).unwrap_or_default();
        if let Some(found) = rest.find(word).filter(|_| !word.is_empty()) {
            let at = self.at + found;
            // A block begins in the line of its sign.
            let before = self.text.get(..at).unwrap_or_default().trim_end();
            let is_block =
                before.ends_with(['|', '>']) || before.ends_with("|-") || before.ends_with(">-");
            self.go_to(if is_block { before.len() } else { at });
        }
        self.scalar(scalar, false)
    }

    fn scalar(&self, text: &str, plain: bool) -> Node {
        Node { line: self.line, kind: Kind::Scalar { text: text.to_owned(), plain } }
    }
}

struct NodeSeed<'s, 't> {
    shape: &'s Shape,
    reader: &'s mut Reader<'t>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape {
            Shape::Scalar => deserializer.deserialize_str(self),
            Shape::Null | Shape::Tagged(_) | Shape::Sequence(_) | Shape::Mapping(_) => {
                deserializer.deserialize_any(self)
            }
        }
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, '_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the same YAML value as before")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node, E> {
        Ok(self.reader.borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(self.reader.made(text))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(self.reader.scalar("", true))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(self.reader.scalar("", true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items: Vec<Node> = Vec::new();
        if let Shape::Sequence(shapes) = self.shape {
            for shape in shapes {
                let seed = NodeSeed { shape, reader: &mut *self.reader };
                items.extend(access.next_element_seed(seed)?);
            }
        }
        let line = items.first().map_or(self.reader.line, |first| first.line);
        Ok(Node { line, kind: Kind::Sequence(items) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        if let Shape::Mapping(shapes) = self.shape {
            for (key, value) in shapes {
                let key = NodeSeed { shape: key, reader: &mut *self.reader };
                let Some(key) = access.next_key_seed(key)? else { break };
                let value = NodeSeed { shape: value, reader: &mut *self.reader };
                pairs.push((key, access.next_value_seed(value)?));
            }
        }
        let line = pairs.first().map_or(self.reader.line, |(first, _)| first.line);
        Ok(Node { line, kind: Kind::Mapping(pairs) })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Node, A::Error> {
        let (tag, content): (String, _) = access.variant()?;
        let Shape::Tagged(shape) = self.shape else {
            return content.newtype_variant_seed(self);
        };
        let mut node = content.newtype_variant_seed(NodeSeed { shape, reader: self.reader })?;
        // A scalar with a tag of its own is text; `!` alone is none.
        let is_none = matches!(tag.as_str(), "" | "!");
        if let Kind::Scalar { text, plain } = &mut node.kind {
            *plain = is_none && (*plain || text.is_empty());
        }
        Ok(node)
    }
}
