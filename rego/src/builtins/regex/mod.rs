//! `regex.*`: RE2's expressions, as Go matches them.

pub(super) mod cache;
mod class;
mod error;
mod globs;
mod parse;
pub(super) mod program;
mod simulate;
mod template;

use std::cell::RefCell;
use std::rc::Rc;

use regorus::Value;

use self::cache::Cache;
use self::program::Program;
use self::simulate::Region;
use super::limits::{self, Clock};
use super::operands::{argument, string, word};
use super::{Answer, Context, Failure};

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The program of a pattern.
///
/// # Errors
/// Go's message when the pattern is invalid; one that is too large ends the evaluation.
pub(super) fn compiled(pattern: &str) -> Result<Rc<Program>, Failure> {
    CACHE.with_borrow_mut(|cache| cache.program(pattern, || Program::compile(pattern)))
}

pub(super) fn is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(pattern) = argument(args, 1) else { return Ok(Value::from(false)) };
    match program::check(pattern) {
        Ok(()) => Ok(Value::from(true)),
        Err(Failure::Builtin(_)) => Ok(Value::from(false)),
        Err(other) => Err(other),
    }
}

pub(super) fn matches(context: &mut Context, args: &[Value]) -> Answer {
    let (pattern, text) = (string(args, 1)?, string(args, 2)?);
    let program = compiled(pattern)?;
    Ok(Value::from(program.is_match(text, &mut Clock::new(context))?))
}

pub(super) fn template_match(context: &mut Context, args: &[Value]) -> Answer {
    let (pattern, text) = (string(args, 1)?, string(args, 2)?);
    let pattern = template::pattern(pattern, string(args, 3)?, string(args, 4)?)?;
    let program = compiled(&pattern)?;
    Ok(Value::from(program.is_match(text, &mut Clock::new(context))?))
}

pub(super) fn globs_match(context: &mut Context, args: &[Value]) -> Answer {
    let (left, right) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(globs::intersect(left, right, &mut Clock::new(context))?))
}

pub(super) fn split(context: &mut Context, args: &[Value]) -> Answer {
    let (pattern, text) = (string(args, 1)?, string(args, 2)?);
    let program = compiled(pattern)?;
    if !pattern.is_empty() && text.is_empty() {
        return Ok(Value::from(vec![Value::from("")]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in program.matches(text, usize::MAX, &mut Clock::new(context))? {
        end = found.start;
        // An empty match at the very beginning is not a separator.
        if found.end != 0 {
            parts.push(part(text, Region { start, end }));
        }
        start = found.end;
    }
    if end != text.len() {
        parts.push(part(text, Region { start, end: text.len() }));
    }
    Ok(Value::from(parts))
}

fn part(text: &str, region: Region) -> Value {
    Value::from(text.get(region.start..region.end).unwrap_or(""))
}

pub(super) fn find_n(context: &mut Context, args: &[Value]) -> Answer {
    let (program, text, most) = search(args)?;
    let found = program.matches(text, most, &mut Clock::new(context))?;
    Ok(Value::from(found.into_iter().map(|region| part(text, region)).collect::<Vec<_>>()))
}

pub(super) fn find_all_string_submatch_n(context: &mut Context, args: &[Value]) -> Answer {
    let (program, text, most) = search(args)?;
    let mut clock = Clock::new(context);
    let mut all = Vec::new();
    for found in program.matches(text, most, &mut clock)? {
        let groups = program.groups(text, found, &mut clock)?;
        let texts = groups
            .into_iter()
            .map(|group| group.map_or_else(|| Value::from(""), |region| part(text, region)))
            .collect::<Vec<_>>();
        all.push(Value::from(texts));
    }
    Ok(Value::from(all))
}

/// The pattern, the text, and the requested number of matches: all, if the number is negative.
fn search(args: &[Value]) -> Result<(Rc<Program>, &str, usize), Failure> {
    let (pattern, text, most) = (string(args, 1)?, string(args, 2)?, word(args, 3)?);
    Ok((compiled(pattern)?, text, usize::try_from(most).unwrap_or(usize::MAX)))
}

pub(super) fn replace(context: &mut Context, args: &[Value]) -> Answer {
    let (text, pattern, value) = (string(args, 1)?, string(args, 2)?, string(args, 3)?);
    let program = compiled(pattern)?;
    let mut clock = Clock::new(context);
    let mut out = String::new();
    let mut start = 0;
    for found in program.matches(text, usize::MAX, &mut clock)? {
        out.push_str(text.get(start..found.start).unwrap_or(""));
        let groups =
            if value.contains('$') { program.groups(text, found, &mut clock)? } else { Vec::new() };
        template::expand(&mut out, value, text, &groups, program.names());
        start = found.end;
        if out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a text is too long"));
        }
    }
    out.push_str(text.get(start..).unwrap_or(""));
    Ok(Value::from(out))
}
