//! `regex.globs_match`: whether two patterns of characters, `.`, `[…]`, `*` and `+` have a text in common.
//!
//! OPA's library decides this greedily and is not always right. It is followed step by step: a policy
//! gets the same answer here.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use crate::builtins::Failure;
use crate::builtins::limits::{self, Clock};

/// The highest depth of backtracking: each level is a repetition of the patterns.
const DEPTH: usize = 400;

/// The highest number of characters in one pattern.
const LENGTH: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Character(char),
    Any,
    Set(ClassUnicode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Plus,
    Star,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    repeat: Repeat,
}

impl Token {
    fn meets(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Any, _) | (_, Kind::Any) => true,
            (Kind::Character(a), Kind::Character(b)) => a == b,
            (Kind::Character(c), Kind::Set(set)) | (Kind::Set(set), Kind::Character(c)) => {
                set.iter().any(|range| range.start() <= *c && *c <= range.end())
            }
            (Kind::Set(a), Kind::Set(b)) => {
                let mut common = a.clone();
                common.intersect(b);
                !common.ranges().is_empty()
            }
        }
    }
}

/// Whether the patterns have a text in common.
///
/// # Errors
/// The library's message when one is not a pattern; a search that takes too long ends the
/// evaluation.
pub(super) fn intersect(left: &str, right: &str, clock: &mut Clock) -> Result<bool, Failure> {
    let (left, right) = (tokens(left)?, tokens(right)?);
    let Some((left, right)) = trimmed(&left, &right) else { return Ok(false) };
    normal(left, right, DEPTH, clock)
}

/// The patterns without their common ends, except for one token.
fn trimmed<'a>(a: &'a [Token], b: &'a [Token]) -> Option<(&'a [Token], &'a [Token])> {
    let plain = |t: &Token| t.repeat == Repeat::Once;
    let mut from = 0;
    while let (Some(x), Some(y)) = (a.get(from), b.get(from))
        && plain(x)
        && plain(y)
    {
        if !x.meets(y) {
            return None;
        }
        from += 1;
    }
    let from = from.saturating_sub(1);
    let (a, b) = (a.get(from..)?, b.get(from..)?);
    let mut cut = 0;
    while let (Some(x), Some(y)) = (nth_last(a, cut), nth_last(b, cut))
        && plain(x)
        && plain(y)
    {
        if !x.meets(y) {
            return None;
        }
        cut += 1;
    }
    let cut = cut.saturating_sub(1);
    Some((a.get(..a.len() - cut)?, b.get(..b.len() - cut)?))
}

fn nth_last(tokens: &[Token], n: usize) -> Option<&Token> {
    tokens.iter().rev().nth(n)
}

fn normal(a: &[Token], b: &[Token], depth: usize, clock: &mut Clock) -> Result<bool, Failure> {
    let below = depth
        .checked_sub(1)
        .ok_or_else(|| limits::exceeded("the patterns have too many repetitions"))?;
    let (mut left, mut right) = (a, b);
    while let ([x, left_rest @ ..], [y, right_rest @ ..]) = (left, right) {
        clock.step()?;
        match (x.repeat, y.repeat) {
            (Repeat::Once, Repeat::Once) if x.meets(y) => (left, right) = (left_rest, right_rest),
            (Repeat::Once, Repeat::Once) => return Ok(false),
            (Repeat::Plus, _) => return plus(left, right, below, clock),
            (Repeat::Star, _) => return star(left, right, below, clock),
            (Repeat::Once, Repeat::Plus) => return plus(right, left, below, clock),
            (Repeat::Once, Repeat::Star) => return star(right, left, below, clock),
        }
    }
    Ok(left.is_empty() && right.is_empty())
}

fn plus(
    repeated: &[Token],
    other: &[Token],
    depth: usize,
    clock: &mut Clock,
) -> Result<bool, Failure> {
    let ([first, rest @ ..], [other_first, other_rest @ ..]) = (repeated, other) else {
        return Ok(false);
    };
    if !first.meets(other_first) {
        return Ok(false);
    }
    if star(repeated, other_rest, depth, clock)? {
        return Ok(true);
    }
    Ok(other_first.repeat != Repeat::Once && normal(rest, other, depth, clock)?)
}

fn star(
    repeated: &[Token],
    other: &[Token],
    depth: usize,
    clock: &mut Clock,
) -> Result<bool, Failure> {
    let [first, rest @ ..] = repeated else { return Ok(false) };
    let next = rest.first();
    for (i, token) in other.iter().enumerate() {
        clock.step()?;
        if next.is_some_and(|next| token.meets(next))
            && normal(rest, other.get(i..).unwrap_or_default(), depth, clock)?
        {
            return Ok(true);
        }
        if !token.meets(first) {
            return Ok(false);
        }
    }
    Ok(next.is_none())
}

/// A pattern's tokens; equal repetitions side by side are one.
fn tokens(pattern: &str) -> Result<Vec<Token>, Failure> {
    let mut reader = Reader { input: pattern, characters: pattern.chars().collect(), at: 0 };
    if reader.characters.len() > LENGTH {
        return Err(limits::exceeded("a pattern is too long"));
    }
    let mut tokens: Vec<Token> = Vec::new();
    while let Some(token) = reader.token()? {
        let last = tokens.last_mut().filter(|last| {
            last.repeat != Repeat::Once && token.repeat != Repeat::Once && last.kind == token.kind
        });
        match last {
            Some(last) if token.repeat == Repeat::Plus => last.repeat = Repeat::Plus,
            Some(_) => {}
            None => tokens.push(token),
        }
    }
    Ok(tokens)
}

struct Reader<'a> {
    input: &'a str,
    characters: Vec<char>,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, at: usize, what: &str) -> Failure {
        let text = self.input;
        Failure::Builtin(format!("input:{text}, pos:{at}, {what}: the input provided is invalid"))
    }

    /// The next character, and whether it is escaped.
    fn character(&mut self) -> Result<Option<(char, bool)>, Failure> {
        let Some(&c) = self.characters.get(self.at) else { return Ok(None) };
        if c != '\\' {
            self.at += 1;
            return Ok(Some((c, false)));
        }
        let Some(&escaped) = self.characters.get(self.at + 1) else {
            return Err(self.error(self.at, "input ends with a \\ (escape) character"));
        };
        self.at += 2;
        Ok(Some((escaped, true)))
    }

    fn token(&mut self) -> Result<Option<Token>, Failure> {
        let kind = match self.character()? {
            None => return Ok(None),
            Some((c, true)) => Kind::Character(c),
            Some(('.', false)) => Kind::Any,
            Some(('[', false)) => self.set()?,
            Some((']', false)) => {
                return Err(self.error(self.at, "set-close ']' with no preceding '['"));
            }
            Some((c @ ('+' | '*'), false)) => {
                let what = format!("flag '{c}' must be preceded by a non-flag");
                return Err(self.error(self.at, &what));
            }
            Some((c, false)) => Kind::Character(c),
        };
        let before = self.at;
        let repeat = match self.character()? {
            Some(('+', false)) => Repeat::Plus,
            Some(('*', false)) => Repeat::Star,
            _ => {
                self.at = before;
                Repeat::Once
            }
        };
        Ok(Some(Token { kind, repeat }))
    }

    fn set(&mut self) -> Result<Kind, Failure> {
        let mut set = ClassUnicode::empty();
        let mut previous: Option<char> = None;
        while let Some((c, escaped)) = self.character()? {
            match (c, escaped) {
                (']', false) => return Ok(Kind::Set(set)),
                ('-', false) => {
                    let first = previous.take().ok_or_else(|| {
                        let what = "range character '-' must be preceded by a Unicode character";
                        self.error(self.at, what)
                    })?;
                    self.range(first, &mut set)?;
                }
                (c, _) => {
                    set.push(ClassUnicodeRange::new(c, c));
                    previous = Some(c);
                }
            }
        }
        Err(self.error(self.at, "found [ without matching ]"))
    }

    fn range(&mut self, first: char, set: &mut ClassUnicode) -> Result<(), Failure> {
        if self.at + 1 >= self.characters.len() {
            let what = "range character '-' must be followed by a Unicode character";
            return Err(self.error(self.at, what));
        }
        let Some((last, escaped)) = self.character()? else { return Ok(()) };
        if !escaped && matches!(last, ']' | '-') {
            let what = "range character '-' cannot be followed by a special symbol";
            return Err(self.error(self.at, what));
        }
        if last < first {
            let what = format!("range is out of order: '{last}' comes before '{first}' in Unicode");
            return Err(self.error(self.at, &what));
        }
        set.push(ClassUnicodeRange::new(first, last));
        Ok(())
    }
}
