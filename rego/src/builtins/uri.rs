//! `uri.*`

use std::collections::BTreeMap;

use regorus::Value;

use super::go::url;
use super::operands::{argument, string};
use super::{Answer, Context};

pub(super) fn parse(_: &mut Context, args: &[Value]) -> Answer {
    let parsed = url::parse(string(args, 1)?)?;
    let raw_path = if parsed.raw_path.is_empty() { &parsed.path } else { &parsed.raw_path };
    let parts = [
        ("scheme", parsed.scheme.as_str()),
        ("hostname", parsed.hostname()),
        ("port", parsed.port()),
        ("path", &parsed.path),
        ("raw_path", if parsed.path.is_empty() { "" } else { raw_path }),
        ("raw_query", &parsed.raw_query),
        ("fragment", &parsed.fragment),
    ];
    let object: BTreeMap<_, _> = parts
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
        .map(|(name, part)| (Value::from(name), Value::from(part)))
        .collect();
    Ok(Value::from(object))
}

pub(super) fn is_valid(_: &mut Context, args: &[Value]) -> Answer {
    let Value::String(text) = argument(args, 1) else { return Ok(Value::from(false)) };
    Ok(Value::from(!text.is_empty() && url::parse(text).is_ok()))
}
