//! RE2's syntax, as Go's `regexp/syntax` reads it with the flags of Perl.
//!
//! A pattern is read from left to right with a stack of groups, without recursion.

use regex_syntax::hir::{Capture, Class, Hir, Look, Repetition};

use super::class::{self, Reader};
use super::error::{SyntaxError, head, invalid};

/// The highest nesting of groups and repetitions. The compiler of the automaton recurses to this
/// depth.
const MAX_DEPTH: usize = 250;

/// RE2's bound of counted repetitions, and of the product of nested ones.
const MAX_REPEAT: u32 = 1000;

/// A parsed pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) hir: Hir,
    /// The names of the groups in order; the first is the whole match.
    pub(crate) names: Vec<Option<String>>,
}

/// The flags in a part of the pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`
    pub(super) fold_case: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_matches_newline: bool,
    /// `U`
    swap_greed: bool,
}

/// A part of a concatenation.
#[derive(Debug)]
struct Item {
    hir: Hir,
    depth: usize,
    /// The product of the counted repetitions of the innermost part.
    copies: u32,
}

/// A group that is not closed yet.
#[derive(Debug, Default)]
struct Group {
    /// Its number and name, if it captures.
    capture: Option<(u32, Option<String>)>,
    /// The flags outside of it.
    outer: Flags,
    alternatives: Vec<Item>,
    sequence: Vec<Item>,
}

impl Group {
    fn end_alternative(&mut self) {
        let items = std::mem::take(&mut self.sequence);
        self.alternatives.push(joined(items, Hir::concat));
    }

    fn close(mut self) -> Item {
        self.end_alternative();
        let mut item = joined(self.alternatives, Hir::alternation);
        if let Some((index, _)) = self.capture {
            // Names are kept beside the automaton, which would refuse two equal ones.
            item.hir = Hir::capture(Capture { index, name: None, sub: Box::new(item.hir) });
            item.depth += 1;
        }
        item
    }
}

fn joined(mut items: Vec<Item>, join: fn(Vec<Hir>) -> Hir) -> Item {
    if items.len() == 1
        && let Some(only) = items.pop()
    {
        return only;
    }
    let depth = items.iter().map(|item| item.depth).max().map_or(0, |depth| depth + 1);
    let copies = items.iter().map(|item| item.copies).max().unwrap_or(1);
    Item { hir: join(items.into_iter().map(|item| item.hir).collect()), depth, copies }
}

/// Reads a pattern.
///
/// # Errors
/// Go's message when it is not RE2's syntax.
pub(crate) fn parse(pattern: &str) -> Result<Pattern, SyntaxError> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        flags: Flags::default(),
        outer: Vec::new(),
        group: Group::default(),
        names: vec![None],
    };
    let mut last_repeat = "";
    while !parser.rest.is_empty() {
        last_repeat = parser.step(last_repeat)?;
    }
    if !parser.outer.is_empty() {
        return Err(invalid("missing closing )", pattern));
    }
    Ok(Pattern { hir: parser.group.close().hir, names: parser.names })
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    /// The groups around the current one.
    outer: Vec<Group>,
    group: Group,
    names: Vec<Option<String>>,
}

impl<'a> Parser<'a> {
    /// Reads one part. Returns the text from its beginning where it is a repetition.
    fn step(&mut self, last_repeat: &'a str) -> Result<&'a str, SyntaxError> {
        let before = self.rest;
        let mut chars = before.chars();
        let Some(c) = chars.next() else { return Ok("") };
        let after = chars.as_str();
        match c {
            '(' if after.starts_with('?') => self.flags_or_group()?,
            '(' => {
                self.rest = after;
                self.open(Some(None))?;
            }
            '|' => {
                self.rest = after;
                self.group.end_alternative();
            }
            ')' => {
                self.rest = after;
                let outer = self.outer.pop().ok_or_else(|| invalid("unexpected )", self.whole))?;
                let group = std::mem::replace(&mut self.group, outer);
                self.flags = group.outer;
                self.push(group.close())?;
            }
            '^' => {
                let look = if self.flags.multi_line { Look::StartLF } else { Look::Start };
                self.operator(after, Hir::look(look))?;
            }
            '$' => {
                let look = if self.flags.multi_line { Look::EndLF } else { Look::End };
                self.operator(after, Hir::look(look))?;
            }
            '.' => {
                let ranges: &[(u32, u32)] = if self.flags.dot_matches_newline {
                    &[(0, 0x10_ffff)]
                } else {
                    &[(0, 9), (11, 0x10_ffff)]
                };
                let class = Hir::class(Class::Unicode(class::of_ranges(ranges)));
                self.operator(after, class)?;
            }
            '[' => {
                let mut reader = Reader::new(before, self.flags.fold_case);
                let class = reader.class()?;
                self.operator(reader.rest(), Hir::class(Class::Unicode(class)))?;
            }
            '*' | '+' | '?' => {
                let (min, max) = match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                };
                self.repeat(before, after, min, max, last_repeat)?;
                self.wrap(1)?;
                return Ok(before);
            }
            '{' => match counts(before) {
                None => self.literal('{', after)?,
                Some((counts, after)) => {
                    let (min, max) = counts
                        .filter(|(min, max)| {
                            *min <= MAX_REPEAT
                                && max.is_none_or(|max| max <= MAX_REPEAT && *min <= max)
                        })
                        .ok_or_else(|| invalid("invalid repeat count", head(before, after)))?;
                    self.repeat(before, after, min, max, last_repeat)?;
                    self.counted(before, min, max)?;
                    return Ok(before);
                }
            },
            '\\' => self.escape(before)?,
            c => self.literal(c, after)?,
        }
        Ok("")
    }

    fn push(&mut self, item: Item) -> Result<(), SyntaxError> {
        if item.depth > MAX_DEPTH {
            return Err(SyntaxError::TooDeep);
        }
        self.group.sequence.push(item);
        Ok(())
    }

    fn operator(&mut self, after: &'a str, hir: Hir) -> Result<(), SyntaxError> {
        self.rest = after;
        self.push(Item { hir, depth: 1, copies: 1 })
    }

    fn literal(&mut self, c: char, after: &'a str) -> Result<(), SyntaxError> {
        self.character(u32::from(c), after)
    }

    /// A character by its code, which may be a surrogate.
    fn character(&mut self, code: u32, after: &'a str) -> Result<(), SyntaxError> {
        let mut class = class::of_ranges(&[(code, code)]);
        if self.flags.fold_case {
            class::fold(&mut class);
        }
        self.operator(after, Hir::class(Class::Unicode(class)))
    }

    fn open(&mut self, capture: Option<Option<String>>) -> Result<(), SyntaxError> {
        if self.outer.len() >= MAX_DEPTH {
            return Err(SyntaxError::TooDeep);
        }
        let capture = capture.map(|name| {
            self.names.push(name.clone());
            (u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX), name)
        });
        let group = Group { capture, outer: self.flags, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, group));
        Ok(())
    }

    /// A construct that begins with `(?`: a named group, flags, or a group that does not capture.
    fn flags_or_group(&mut self) -> Result<(), SyntaxError> {
        let whole = self.rest;
        // Go requires one character more than the prefix has.
        let named = whole
            .strip_prefix("(?P<")
            .or_else(|| whole.strip_prefix("(?<"))
            .filter(|name| !name.is_empty());
        if let Some(name) = named {
            let Some((name, after)) = name.split_once('>') else {
                return Err(invalid("invalid named capture", whole));
            };
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(invalid("invalid named capture", head(whole, after)));
            }
            self.rest = after;
            return self.open(Some(Some(name.to_owned())));
        }
        let mut flags = self.flags;
        let (mut value, mut seen) = (true, false);
        let mut chars = whole.get(2..).unwrap_or_default().chars();
        while let Some(c) = chars.next() {
            match c {
                'i' => flags.fold_case = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_matches_newline = value,
                'U' => flags.swap_greed = value,
                '-' if value => value = false,
                ':' | ')' if value || seen => {
                    self.rest = chars.as_str();
                    if c == ':' {
                        self.open(None)?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            seen = c != '-';
        }
        Err(invalid("invalid or unsupported Perl syntax", head(whole, chars.as_str())))
    }

    /// Repeats the last part.
    fn repeat(
        &mut self,
        before: &'a str,
        after: &'a str,
        min: u32,
        max: Option<u32>,
        last_repeat: &'a str,
    ) -> Result<(), SyntaxError> {
        let (after, lazy) = match after.strip_prefix('?') {
            Some(after) => (after, true),
            None => (after, false),
        };
        self.rest = after;
        if !last_repeat.is_empty() {
            return Err(invalid("invalid nested repetition operator", head(last_repeat, after)));
        }
        let Some(item) = self.group.sequence.last_mut() else {
            let what = "missing argument to repetition operator";
            return Err(invalid(what, head(before, after)));
        };
        let greedy = lazy == self.flags.swap_greed;
        let sub = Box::new(std::mem::replace(&mut item.hir, Hir::empty()));
        item.hir = Hir::repetition(Repetition { min, max, greedy, sub });
        Ok(())
    }

    fn wrap(&mut self, levels: usize) -> Result<(), SyntaxError> {
        if let Some(item) = self.group.sequence.last_mut() {
            item.depth += levels;
            if item.depth > MAX_DEPTH {
                return Err(SyntaxError::TooDeep);
            }
        }
        Ok(())
    }

    fn counted(&mut self, before: &str, min: u32, max: Option<u32>) -> Result<(), SyntaxError> {
        self.wrap(1)?;
        let rest = self.rest;
        if let Some(item) = self.group.sequence.last_mut() {
            item.copies = match max.unwrap_or(min) {
                0 if max == Some(0) => 1,
                times => item.copies.saturating_mul(times.max(1)),
            };
            if (min >= 2 || max.is_some_and(|max| max >= 2)) && item.copies > MAX_REPEAT {
                return Err(invalid("invalid repeat count", head(before, rest)));
            }
        }
        Ok(())
    }

    fn escape(&mut self, before: &'a str) -> Result<(), SyntaxError> {
        let after = before.get(2..);
        let look = match (before.as_bytes().get(1), after) {
            (Some(b'A'), Some(after)) => Some((Look::Start, after)),
            (Some(b'b'), Some(after)) => Some((Look::WordAscii, after)),
            (Some(b'B'), Some(after)) => Some((Look::WordAsciiNegate, after)),
            (Some(b'z'), Some(after)) => Some((Look::End, after)),
            (Some(b'C'), Some(after)) => {
                return Err(invalid("invalid escape sequence", head(before, after)));
            }
            (Some(b'Q'), Some(after)) => {
                let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
                for c in literal.chars() {
                    self.literal(c, after)?;
                }
                self.rest = after;
                return Ok(());
            }
            _ => None,
        };
        if let Some((look, after)) = look {
            return self.operator(after, Hir::look(look));
        }
        let mut reader = Reader::new(before, self.flags.fold_case);
        if let Some(class) = reader.class_escape()? {
            return self.operator(reader.rest(), Hir::class(Class::Unicode(class)));
        }
        let code = reader.escape()?;
        self.character(code, reader.rest())
    }
}

/// The numbers of `{n}`, `{n,}` or `{n,m}` and the rest. `None` where the text is not a repetition
/// and the brace is a literal; no numbers where they are far too large.
#[expect(clippy::type_complexity, reason = "each part is named in the comment above")]
fn counts(text: &str) -> Option<(Option<(u32, Option<u32>)>, &str)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => count(rest).map(|(max, rest)| (Some(max), rest))?,
    };
    let rest = rest.strip_prefix('}')?;
    let numbers = match (min, max) {
        (Some(min), None) => Some((min, None)),
        (Some(min), Some(Some(max))) => Some((min, Some(max))),
        _ => None,
    };
    Some((numbers, rest))
}

/// A decimal number without leading zeros; `None` if it is far too large.
fn count(text: &str) -> Option<(Option<u32>, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length)?;
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().ok(), rest))
}
