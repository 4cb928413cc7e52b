//! `glob.match`, `glob.quote_meta`: the patterns of the library that OPA uses (gobwas/glob).

mod lexer;
mod parse;

use std::cell::RefCell;
use std::time::Instant;

use regorus::Value;

use super::limits::Clock;
use super::operands::{argument, string, wrong_element, wrong_type};
use super::regex::cache::Cache;
use super::regex::program::Program;
use super::{Answer, Context, Failure};

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

pub(super) fn matches(context: &mut Context, args: &[Value]) -> Answer {
    let pattern = string(args, 1)?;
    let delimiters = delimiters(args)?;
    let text = string(args, 3)?;
    // A delimiter contains a zero byte only if it is NUL itself, so that keys differ at their ends.
    let key = format!("{pattern}\0{}", delimiters.iter().collect::<String>());
    let program = CACHE.with_borrow_mut(|cache| {
        cache.program(&key, || Program::of(&parse::parse(pattern, &delimiters)?, vec![None]))
    })?;
    Ok(Value::from(program.is_match(text, &mut Clock::new(context))?))
}

/// A pattern without delimiters, as a bundle's manifest has them.
pub(crate) struct Pattern(Program);

impl Pattern {
    /// # Errors
    /// When it is not a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, Failure> {
        Ok(Self(Program::of(&parse::parse(pattern, &[])?, vec![None])?))
    }

    /// # Errors
    /// When the deadline has passed.
    pub(crate) fn is_match(&self, text: &str, deadline: Instant) -> Result<bool, Failure> {
        self.0.is_match(text, &mut Clock::until(deadline))
    }
}

/// The characters that `*` and `?` do not match: a dot by default.
fn delimiters(args: &[Value]) -> Result<Vec<char>, Failure> {
    let value = argument(args, 2);
    let array = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(array) if array.is_empty() => return Ok(vec!['.']),
        Value::Array(array) => array,
        other => return Err(wrong_type(2, other, &["array", "null"])),
    };
    let mut delimiters = Vec::with_capacity(array.len());
    for element in array.iter() {
        let Value::String(text) = element else {
            return Err(wrong_element(2, value, element, &["string"]));
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(delimiter), None) => delimiters.push(delimiter),
            _ => return Err(wrong_element(2, value, element, &["rune"])),
        }
    }
    Ok(delimiters)
}

pub(super) fn quote_meta(_: &mut Context, args: &[Value]) -> Answer {
    let mut out = String::new();
    for c in string(args, 1)?.chars() {
        if matches!(c, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::from(out))
}
