//! `replace`, `strings.replace_n`: as Go's `strings.Replacer`. All patterns are searched for
//! together, the first that matches at a position counts, and inserted text is not searched again.

use regorus::Value;

use super::limits::{self, Clock};
use super::operands::{object, string, wrong};
use super::{Answer, Context, bytes, order};

pub(super) fn replace(context: &mut Context, args: &[Value]) -> Answer {
    let (text, old, new) = (string(args, 1)?, string(args, 2)?, string(args, 3)?);
    replaced(context, text, &[(old, new)])
}

pub(super) fn replace_n(context: &mut Context, args: &[Value]) -> Answer {
    let (patterns, text) = (object(args, 1)?, string(args, 2)?);
    let mut pairs = Vec::new();
    for (old, new) in order::entries(patterns) {
        let Value::String(old) = old else {
            return Err(wrong(1, "non-string key found in pattern object"));
        };
        let Value::String(new) = new else {
            return Err(wrong(1, "non-string value found in pattern object"));
        };
        pairs.push((&**old, &**new));
    }
    replaced(context, text, &pairs)
}

/// Go compares bytes. So an empty pattern also matches within a character of several bytes, and
/// splits it.
fn replaced(context: &Context, text: &str, pairs: &[(&str, &str)]) -> Answer {
    let mut clock = Clock::new(context);
    let bytes = bytes::of(text);
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut after_an_empty_match = false;
    while let Some(rest) = bytes.get(at..) {
        let found = pairs.iter().find(|(old, _)| {
            rest.starts_with(old.as_bytes()) && !(after_an_empty_match && old.is_empty())
        });
        for _ in pairs {
            clock.step()?;
        }
        if let Some((old, new)) = found {
            out.extend_from_slice(new.as_bytes());
            at += old.len();
        }
        after_an_empty_match = found.is_some_and(|(old, _)| old.is_empty());
        if found.is_none() {
            out.extend(rest.first());
            at += 1;
        }
        if out.len() > limits::STRING_BYTES {
            return Err(limits::exceeded("a text is too long"));
        }
    }
    Ok(Value::from(bytes::to_text(&out)))
}
