//! Values as YAML texts, as Go's `yaml.v3` writes them with two spaces for a level.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::any::Any;
use super::resolve::{self, Scalar};
use super::{YamlError, float};
use crate::builtins::limits;

/// Bytes of a key that is written without a `?`, at most.
const KEY: usize = 128;

/// Spaces of a level.
const INDENT: usize = 2;

/// The text of a document.
///
/// # Errors
/// When the text would exceed a built-in's limit.
pub(super) fn emit(document: &Any) -> Result<String, YamlError> {
    let mut writer = Writer { out: String::new(), column: 0, after_space: true, at_begin: true };
    writer.node(document, None)?;
    writer.indent(0);
    Ok(writer.out)
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Go treats characters beyond the first plane as unprintable.
fn is_printable(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => ('\u{a0}'..='\u{ffff}').contains(&c),
    }
}

/// Numbers in the sixties of YAML 1.1: `1:30`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let is_first = parts.next().is_some_and(|first| {
        first.starts_with(|c: char| c.is_ascii_digit())
            && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    });
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let is_sixty =
        |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    is_first
        && middle.iter().all(|part| is_sixty(part))
        && is_sixty(last)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// The truth values of YAML 1.1.
fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// The styles that a text can have.
struct Analysis {
    has_breaks: bool,
    plain: bool,
    single: bool,
    block: bool,
}

fn analyze(text: &str) -> Analysis {
    let mut chars = text.chars().peekable();
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut special, mut tabs, mut has_breaks) = (false, false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut is_first, mut after_blank) = (true, true);
    let mut previous = None;
    while let Some(c) = chars.next() {
        let before_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        indicators |= match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => is_first,
            '?' | '-' => is_first && before_blank,
            ':' => before_blank,
            '#' => is_first || after_blank,
            _ => false,
        };
        tabs |= c == '\t';
        special |= c != '\t' && !is_printable(c);
        has_breaks |= is_break(c);
        break_space |= c == ' ' && previous.is_some_and(is_break);
        space_break |= is_break(c) && previous == Some(' ');
        after_blank = matches!(c, ' ' | '\t') || is_break(c);
        previous = Some(c);
        is_first = false;
    }
    let at_ends = |is: fn(char) -> bool| text.starts_with(is) || text.ends_with(is);
    let around = at_ends(|c| c == ' ') || at_ends(is_break);
    let single = !break_space && !space_break && !tabs && !special;
    Analysis {
        has_breaks,
        plain: single && !around && !has_breaks && !indicators,
        single,
        block: !text.is_empty() && !text.ends_with(' ') && !space_break && !special,
    }
}

struct Writer {
    out: String,
    column: usize,
    /// Whether the last character separates words.
    after_space: bool,
    /// Whether this line has only indents and indicators.
    at_begin: bool,
}

impl Writer {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.at_begin = true;
    }

    fn indent(&mut self, indent: usize) {
        let behind = self.column > indent || self.column == indent && !self.after_space;
        if !self.at_begin || behind {
            self.line();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.after_space = true;
    }

    fn indicator(&mut self, text: &str, needs_space: bool, keeps_begin: bool) {
        if needs_space && !self.after_space {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.after_space = false;
        self.at_begin &= keeps_begin;
    }

    /// Writes a node. `parent` is the indent of the collection that it is in.
    fn node(&mut self, node: &Any, parent: Option<usize>) -> Result<(), YamlError> {
        if self.out.len() > limits::STRING_BYTES {
            return Err(YamlError::too_much());
        }
        let indent = parent.map_or(0, |parent| parent + INDENT);
        match node {
            Any::Null => self.plain("null"),
            Any::Bool(value) => self.plain(&value.to_string()),
            Any::Integer(value) => self.plain(&value.to_string()),
            Any::Unsigned(value) => self.plain(&value.to_string()),
            Any::Float(value) => self.plain(&float::yaml(*value)),
            Any::Time(text) => self.plain(text),
            Any::Text(text) => {
                self.text(text, parent.map_or(INDENT, |parent| parent + INDENT), false);
            }
            Any::Sequence(elements) if elements.is_empty() => self.empty("[", "]"),
            Any::Mapping(mapping) if mapping.entries().is_empty() => self.empty("{", "}"),
            Any::Sequence(elements) => {
                for element in elements {
                    self.indent(indent);
                    self.indicator("-", true, true);
                    self.node(element, Some(indent))?;
                }
            }
            Any::Mapping(mapping) => {
                let keys = mapping.entries().iter().filter_map(|(key, _)| key.as_text());
                let ordered: BTreeSet<&str> = keys.collect();
                for key in sorted(ordered.into_iter().collect()) {
                    let Some(value) = mapping.get(key) else { continue };
                    self.indent(indent);
                    if !analyze(key).has_breaks && key.len() <= KEY {
                        self.text(key, indent + INDENT, true);
                        self.indicator(":", false, false);
                    } else {
                        self.indicator("?", true, true);
                        self.text(key, indent + INDENT, false);
                        self.indent(indent);
                        self.indicator(":", true, true);
                    }
                    self.node(value, Some(indent))?;
                }
            }
        }
        Ok(())
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.indicator(close, false, false);
    }

    fn text(&mut self, text: &str, indent: usize, is_simple_key: bool) {
        let analysis = analyze(text);
        let is_text = resolve::plain(text) == Scalar::Text;
        let mut style = if text.contains('\n') {
            Style::Literal
        } else if is_text && !is_base_60(text) && !is_old_bool(text) {
            Style::Plain
        } else {
            Style::Double
        };
        if is_simple_key && analysis.has_breaks {
            style = Style::Double;
        }
        if style == Style::Plain && !analysis.plain {
            style = Style::Single;
        }
        if style == Style::Single && !analysis.single {
            style = Style::Double;
        }
        if style == Style::Literal && (!analysis.block || is_simple_key) {
            style = Style::Double;
        }
        match style {
            Style::Plain => self.plain(text),
            Style::Single => self.single(text, indent),
            Style::Double => self.double(text),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn plain(&mut self, text: &str) {
        if !self.after_space {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.after_space = false;
        self.at_begin = false;
    }

    fn raw_break(&mut self, c: char) {
        if c == '\n' {
            self.line();
        } else {
            self.out.push(c);
            self.column = 0;
            self.at_begin = true;
        }
    }

    fn single(&mut self, text: &str, indent: usize) {
        self.indicator("'", true, false);
        let mut after_break = false;
        for c in text.chars() {
            if is_break(c) {
                if !after_break && c == '\n' {
                    self.line();
                }
                self.raw_break(c);
                after_break = true;
                continue;
            }
            if after_break && c != ' ' {
                self.indent(indent);
            }
            if c == '\'' {
                self.put('\'');
            }
            self.put(c);
            if c != ' ' {
                self.at_begin = false;
                after_break = false;
            }
        }
        self.indicator("'", false, false);
        self.at_begin = false;
    }

    fn double(&mut self, text: &str) {
        self.indicator("\"", true, false);
        // Go looks for a byte order mark at the beginning of the text for every character.
        let has_mark = text.starts_with('\u{feff}');
        for c in text.chars() {
            if is_printable(c) && !is_break(c) && c != '"' && c != '\\' && !has_mark {
                self.put(c);
                continue;
            }
            let code = u32::from(c);
            let escaped = match c {
                '\0' => "0".to_owned(),
                '\x07' => "a".to_owned(),
                '\x08' => "b".to_owned(),
                '\t' => "t".to_owned(),
                '\n' => "n".to_owned(),
                '\x0b' => "v".to_owned(),
                '\x0c' => "f".to_owned(),
                '\r' => "r".to_owned(),
                '\x1b' => "e".to_owned(),
                '"' | '\\' => c.to_string(),
                '\u{85}' => "N".to_owned(),
                '\u{a0}' => "_".to_owned(),
                '\u{2028}' => "L".to_owned(),
                '\u{2029}' => "P".to_owned(),
                _ if code <= 0xff => format!("x{code:02X}"),
                _ if code <= 0xffff => format!("u{code:04X}"),
                _ => format!("U{code:08X}"),
            };
            self.put('\\');
            escaped.chars().for_each(|c| self.put(c));
        }
        self.indicator("\"", false, false);
        self.at_begin = false;
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false, false);
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next()) {
            (false, _) => self.indicator("-", false, false),
            (true, before) if before.is_none_or(is_break) => self.indicator("+", false, false),
            (true, _) => {}
        }
        self.line();
        self.after_space = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.raw_break(c);
                after_break = true;
            } else {
                if after_break {
                    self.indent(indent);
                }
                self.put(c);
                self.at_begin = false;
                after_break = false;
            }
        }
    }
}

/// Keys in Go's order: numbers within them count as numbers. That is not a total order, so they are
/// sorted by a merge sort here, which is defined for any comparison.
fn sorted(keys: Vec<&str>) -> Vec<&str> {
    let mut runs: Vec<Vec<&str>> = keys.into_iter().map(|key| vec![key]).collect();
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut rest = runs.into_iter();
        while let Some(left) = rest.next() {
            merged.push(match rest.next() {
                Some(right) => merge(left, right),
                None => left,
            });
        }
        runs = merged;
    }
    runs.pop().unwrap_or_default()
}

fn merge<'a>(left: Vec<&'a str>, right: Vec<&'a str>) -> Vec<&'a str> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if is_less(b, a) { right.next() } else { left.next() };
        out.extend(next);
    }
    out.extend(left);
    out.extend(right);
    out
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || !c.is_ascii() && c.is_numeric() && c.to_digit(36).is_none()
}

fn is_less(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else { return a.len() < b.len() };
    let (Some(x), Some(y)) = (a.get(at).copied(), b.get(at).copied()) else { return false };
    let before = a.get(..at).unwrap_or_default();
    match (is_letter(x), is_letter(y)) {
        (true, true) => return x < y,
        (false, false) => {}
        (is_left, is_right) => {
            let after_digit = before.last().is_some_and(|c| is_digit(*c));
            return if after_digit { is_left } else { is_right };
        }
    }
    let mut start = 0;
    if x == '0' || y == '0' {
        let digits = before.iter().rev().take_while(|c| is_digit(**c));
        start = i64::from(digits.clone().any(|c| *c != '0'));
    }
    let number = |text: &[char]| {
        let digits = text.get(at..).unwrap_or_default().iter().take_while(|c| is_digit(**c));
        let value = digits.clone().fold(start, |number: i64, c| {
            let digit = i64::from(u32::from(*c)) - i64::from(u32::from('0'));
            number.wrapping_mul(10).wrapping_add(digit)
        });
        (value, digits.count())
    };
    number(&a).cmp(&number(&b)).then(x.cmp(&y)) == Ordering::Less
}
