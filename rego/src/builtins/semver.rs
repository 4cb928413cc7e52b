//! `semver.*`: versions as OPA compares them.

use std::cmp::Ordering;

use regorus::Value;

use super::go::quote::quote;
use super::operands::{argument, string};
use super::{Answer, Context, Failure};

pub(super) fn is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    Ok(Value::from(Version::parse(text).is_some()))
}

pub(super) fn compare(_: &mut Context, args: &[Value]) -> Answer {
    string(args, 1)?;
    string(args, 2)?;
    let version = |position| {
        let text = string(args, position)?;
        Version::parse(text).ok_or_else(|| {
            let what = format!("operand {position}: string {} is not a valid SemVer", quote(text));
            Failure::Builtin(what)
        })
    };
    Ok(Value::from(match version(1)?.compare(&version(2)?) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

struct Version<'a> {
    numbers: [i64; 3],
    /// Empty where it is missing.
    pre_release: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = match text.split_once('+') {
            Some((text, metadata)) => (text, Some(metadata)),
            None => (text, None),
        };
        let (numbers, pre_release) = match text.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (text, None),
        };
        let valid = metadata.is_none_or(are_identifiers)
            && pre_release.is_none_or(|text| are_identifiers(text) && !has_padded_number(text));
        let mut parts = numbers.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        (valid && parts.next().is_none())
            .then(|| Self { numbers, pre_release: pre_release.unwrap_or("") })
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre_release, other.pre_release) {
            (a, b) if a == b => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => compare_identifiers(a, b),
        })
    }
}

fn number(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}

fn are_identifiers(text: &str) -> bool {
    text.split('.').all(|identifier| {
        !identifier.is_empty() && identifier.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric())
    })
}

fn has_padded_number(text: &str) -> bool {
    text.split('.').any(|id| id.len() > 1 && id.starts_with('0') && is_number(id))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let (x, y) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => (x, y),
        };
        // Larger numbers are clamped to Go's largest integer.
        let value = |text: &str| text.parse::<i64>().unwrap_or(i64::MAX);
        let ordering = match (is_number(x), is_number(y)) {
            (true, true) => value(x).cmp(&value(y)),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => x.cmp(y),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}
