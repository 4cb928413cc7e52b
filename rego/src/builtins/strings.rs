//! Functions that search and split texts: `contains`, `indexof`, `split`, `substring`, `trim`,
//! `upper`, … Positions count characters.

use regorus::Value;

use super::go::unicode;
use super::limits::{self, Clock};
use super::operands::{argument, list, string, word, wrong_element, wrong_type};
use super::{Answer, Context, Failure};

pub(super) fn contains(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.contains(string(args, 2)?)))
}

pub(super) fn startswith(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.starts_with(string(args, 2)?)))
}

pub(super) fn endswith(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.ends_with(string(args, 2)?)))
}

pub(super) fn count(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.matches(string(args, 2)?).count()))
}

pub(super) fn any_prefix_match(context: &mut Context, args: &[Value]) -> Answer {
    any_match(context, args, |text, base| text.starts_with(base))
}

pub(super) fn any_suffix_match(context: &mut Context, args: &[Value]) -> Answer {
    any_match(context, args, |text, base| text.ends_with(base))
}

fn any_match(context: &Context, args: &[Value], holds: fn(&str, &str) -> bool) -> Answer {
    let (texts, bases) = (one_or_many(args, 1)?, one_or_many(args, 2)?);
    let mut clock = Clock::new(context);
    for text in texts {
        for base in &bases {
            clock.step()?;
            if holds(text, base) {
                return Ok(Value::from(true));
            }
        }
    }
    Ok(Value::from(false))
}

fn one_or_many(args: &[Value], position: usize) -> Result<Vec<&str>, Failure> {
    let value = argument(args, position);
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(_) | Value::Set(_) => texts(args, position),
        _ => Err(wrong_type(position, value, &["string", "set", "array"])),
    }
}

/// The strings of an array or set.
pub(super) fn texts(args: &[Value], position: usize) -> Result<Vec<&str>, Failure> {
    list(args, position, ["array", "set"])?
        .into_iter()
        .map(|element| match element {
            Value::String(text) => Ok(&**text),
            other => Err(wrong_element(position, argument(args, position), other, &["string"])),
        })
        .collect()
}

pub(super) fn concat(_: &mut Context, args: &[Value]) -> Answer {
    let separator = string(args, 1)?;
    let texts = match argument(args, 2) {
        Value::Array(_) | Value::Set(_) => texts(args, 2)?,
        other => return Err(wrong_type(2, other, &["set", "array"])),
    };
    let length = texts.iter().map(|text| text.len() + separator.len()).sum::<usize>();
    if length > limits::STRING_BYTES {
        return Err(limits::exceeded("a text is too long"));
    }
    Ok(Value::from(texts.join(separator)))
}

pub(super) fn indexof(_: &mut Context, args: &[Value]) -> Answer {
    let (text, search) = (string(args, 1)?, searched(args)?);
    let Some(at) = text.find(search) else { return Ok(Value::from(-1)) };
    Ok(Value::from(characters(text, at)))
}

pub(super) fn indexof_n(context: &mut Context, args: &[Value]) -> Answer {
    let (text, search) = (string(args, 1)?, searched(args)?);
    let mut clock = Clock::new(context);
    let mut positions = Vec::new();
    for (position, (at, _)) in text.char_indices().enumerate() {
        clock.step()?;
        if text.get(at..).is_some_and(|rest| rest.starts_with(search)) {
            positions.push(Value::from(position));
        }
        if positions.len() > limits::ELEMENTS {
            return Err(limits::exceeded("there are too many places"));
        }
    }
    Ok(Value::from(positions))
}

fn searched(args: &[Value]) -> Result<&str, Failure> {
    match string(args, 2)? {
        "" => Err(Failure::Builtin("empty search character".to_owned())),
        search => Ok(search),
    }
}

/// The number of characters before a position.
fn characters(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.chars().count())
}

pub(super) fn substring(_: &mut Context, args: &[Value]) -> Answer {
    let (text, start, length) = (string(args, 1)?, word(args, 2)?, word(args, 3)?);
    let Ok(start) = usize::try_from(start) else {
        return Err(Failure::Builtin("negative offset".to_owned()));
    };
    let rest = text.char_indices().nth(start).and_then(|(at, _)| text.get(at..)).unwrap_or("");
    let Ok(length) = usize::try_from(length) else { return Ok(Value::from(rest)) };
    let end = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
    Ok(Value::from(rest.get(..end).unwrap_or("")))
}

pub(super) fn split(_: &mut Context, args: &[Value]) -> Answer {
    let (text, delimiter) = (string(args, 1)?, string(args, 2)?);
    array(parts(text, delimiter, usize::MAX)?)
}

pub(super) fn split_n(_: &mut Context, args: &[Value]) -> Answer {
    let (text, delimiter, n) = (string(args, 1)?, string(args, 2)?, word(args, 3)?);
    match usize::try_from(n) {
        Ok(first) => array(parts(text, delimiter, first)?),
        Err(_) => {
            let all = parts(text, delimiter, usize::MAX)?;
            let last = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
            let skipped = all.len().saturating_sub(last);
            array(all.into_iter().skip(skipped).collect())
        }
    }
}

/// The parts of a text, up to a number. Without a delimiter each character is a part.
fn parts<'a>(text: &'a str, delimiter: &str, most: usize) -> Result<Vec<&'a str>, Failure> {
    let most = most.min(limits::ELEMENTS + 1);
    let parts: Vec<_> = if delimiter.is_empty() {
        text.split("").filter(|part| !part.is_empty()).take(most).collect()
    } else {
        text.split(delimiter).take(most).collect()
    };
    if parts.len() > limits::ELEMENTS {
        return Err(limits::exceeded("there are too many parts"));
    }
    Ok(parts)
}

fn array(parts: Vec<&str>) -> Answer {
    Ok(Value::from(parts.into_iter().map(Value::from).collect::<Vec<_>>()))
}

pub(super) fn trim(_: &mut Context, args: &[Value]) -> Answer {
    let (text, cutset) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(text.trim_matches(within(cutset))))
}

pub(super) fn trim_left(_: &mut Context, args: &[Value]) -> Answer {
    let (text, cutset) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(text.trim_start_matches(within(cutset))))
}

pub(super) fn trim_right(_: &mut Context, args: &[Value]) -> Answer {
    let (text, cutset) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(text.trim_end_matches(within(cutset))))
}

fn within(cutset: &str) -> impl Fn(char) -> bool {
    let cutset: Vec<char> = cutset.chars().collect();
    move |c| cutset.contains(&c)
}

pub(super) fn trim_prefix(_: &mut Context, args: &[Value]) -> Answer {
    let (text, prefix) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
}

pub(super) fn trim_suffix(_: &mut Context, args: &[Value]) -> Answer {
    let (text, suffix) = (string(args, 1)?, string(args, 2)?);
    Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
}

pub(super) fn trim_space(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.trim()))
}

pub(super) fn lower(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.chars().map(unicode::lower).collect::<String>()))
}

pub(super) fn upper(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.chars().map(unicode::upper).collect::<String>()))
}

pub(super) fn reverse(_: &mut Context, args: &[Value]) -> Answer {
    Ok(Value::from(string(args, 1)?.chars().rev().collect::<String>()))
}
